//! Reports that are asked for: what one is about, its parts, and how it ended. A report is a batch whose records are its parts,
//! one for each asset.

pub mod end;
pub mod id;
pub mod order;
pub mod part;
pub mod request;
pub mod signature;
pub mod webhook;
