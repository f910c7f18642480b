//! The pipelines: stages put together.

pub mod local;
pub mod variant;
