//! fanfold's stores on AWS: S3, SQS and DynamoDB; and functions in Lambda.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod aggregates;
pub mod batch_write;
mod batched;
pub mod billing;
pub mod calls;
pub mod channel;
pub mod clients;
pub mod counters;
pub mod deployment;
pub mod error;
pub mod form;
pub mod invoke;
pub mod items;
pub mod ledger;
pub mod machine;
pub mod meter;
pub mod press;
pub mod push;
pub mod requests;
pub mod s3;
pub mod secrets;
pub mod signed;
pub mod sns;
pub mod sockets;
pub mod sqs;
pub mod supply;
pub mod tasks;
pub mod terms;
pub mod workers;
