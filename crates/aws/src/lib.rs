//! The stores of fanfold in AWS: S3, SQS and DynamoDB.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod batch_write;
pub mod calls;
pub mod clients;
pub mod deployment;
pub mod error;
pub mod items;
pub mod ledger;
pub mod s3;
pub mod sqs;
pub mod tasks;

use fanfold::model;

mod sdk {
    pub use crate::error::error;
    pub use crate::{batch_write, calls};
}

mod store {
    pub use fanfold::store::*;
    pub mod blob {
        pub use crate::s3;
        pub use fanfold::store::blob::*;
    }
    pub mod channel {
        pub use crate::sqs;
        pub use fanfold::store::channel::*;
    }
    pub mod items {
        pub use crate::items as dynamodb;
        pub use fanfold::store::items::*;
    }
    pub mod tasks {
        pub use crate::tasks as dynamodb;
        pub use fanfold::store::tasks::*;
    }
    pub mod ledger {
        pub use crate::ledger as dynamodb;
        pub use fanfold::store::ledger::*;
    }
}
