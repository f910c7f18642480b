//! The functions of fanfold on Lambda.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod config;
pub mod functions;
pub mod server;
pub mod telemetry;

use fanfold::{model, pipeline, stage};

mod sdk {
    pub use fanfold_aws::calls;
}

mod runtime {
    pub use crate::{config, server};
    pub use fanfold_aws::clients as aws;
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
    pub mod items {
        pub use fanfold::store::items::*;
        pub use fanfold_aws::items as dynamodb;
    }
    pub mod tasks {
        pub use fanfold_aws::tasks as dynamodb;
    }
    pub mod ledger {
        pub use fanfold::store::ledger::*;
        pub use fanfold_aws::ledger as dynamodb;
    }
}
