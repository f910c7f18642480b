//! Stores that keep what they hold in files: a stage that runs as a process of its own finds what
//! the one before it left, and holds no more of it in memory than it would of AWS's stores.
//!
//! Items are counted and dropped; batch state is small, thus in memory, and replayed from a journal.

pub mod blob;
pub mod channel;
pub mod items;
pub mod ledger;
pub mod tasks;

use std::io;
use std::path::Path;

use fanfold::model::error::Error;
use fanfold::store::Stores;
use fanfold::store::clock::SystemClock;

/// The stores in files.
pub struct FileStores;

impl Stores for FileStores {
    type Blob = blob::FileBlob;
    type Channel = channel::FileChannel;
    type Tasks = tasks::FileTasks;
    type Ledger = ledger::JournalLedger;
    type Clock = SystemClock;
}

/// Lets the other calls that are under way go on, as one over the network does. Without it each
/// would end before the next begins, and what a function holds of several at once would never stand
/// beside each other here.
async fn pause() {
    tokio::task::yield_now().await;
}

/// Says of which file an error is.
fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::internal(path).because(error)
}

/// What an operation on a file comes to that need not be there.
fn if_there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}
