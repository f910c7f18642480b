//! Stores that keep their contents in files: a stage in a process of its own finds what the one before it left,
//! and holds no more of it in memory than with AWS's stores.
//!
//! Items are counted and dropped; batch state is small, so it is held in memory and replayed from a journal.

pub mod channel;
pub mod items;
pub mod ledger;
pub mod tasks;

use fanfold::store::Stores;
use fanfold::store::blob::file::{FileBlob, failed, if_there, pause};
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;

/// The stores in files.
pub struct FileStores;

impl Stores for FileStores {
    type Blob = FileBlob;
    type Channel = channel::FileChannel;
    type Tasks = tasks::FileTasks;
    type Counters = MemoryCounters;
    type Ledger = ledger::JournalLedger;
    type Clock = SystemClock;
}
