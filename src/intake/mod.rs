//! What starts a batch, and what requests a part of its work.

pub mod claim_check;
pub mod s3_event;
