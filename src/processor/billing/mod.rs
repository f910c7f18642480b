//! Billing: terms of clients are checked, events are kept, and half months are closed.

pub mod close;
pub mod daily;
pub mod halves;
pub mod meter;
pub mod metering;
pub mod remembered;
pub mod terms;

use crate::model::error::{Error, ErrorKind};
use crate::processor::Reply;

/// What is answered if something failed on the way.
fn failed(error: &Error) -> Reply {
    match error.kind {
        ErrorKind::Busy => Reply::Untried("the tables are too busy".to_owned()),
        ErrorKind::Transient => Reply::temporary(format!("billing failed: {error}")),
        _ => Reply::Failed(format!("billing failed: {error}")),
    }
}
