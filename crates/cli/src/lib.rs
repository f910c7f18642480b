//! The `fanfold` command.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod command;

use fanfold::model;

mod runtime {
    pub use crate::command;
    pub use fanfold_aws::{clients as aws, deployment};
}

mod store {
    pub use fanfold::store::*;
    pub mod blob {
        pub use fanfold::store::blob::*;
        pub use fanfold_aws::s3;
    }
    pub mod channel {
        pub use fanfold::store::channel::*;
        pub use fanfold_aws::sqs;
    }
    pub mod ledger {
        pub use fanfold::store::ledger::*;
        pub use fanfold_aws::ledger as dynamodb;
    }
}
