//! What makes a batch, and what asks for a part of its work.

pub mod claim_check;
pub mod s3_event;
