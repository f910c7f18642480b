//! What the AWS stores share: errors of the SDK, batches of DynamoDB writes, and a count of every
//! request.

pub mod batch_write;
pub mod calls;
mod error;

pub use error::error;
