//! What makes a batch.

pub mod s3_event;
