//! The stores of a batch that runs in this process: buckets are folders, items are lines of a file, and the
//! rest is in memory.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::draft::Draft;
use fanfold::model::error::{Error, Result};
use fanfold::model::item::Item;
use fanfold::model::own::OwnAttributes;
use fanfold::pipeline::local::LocalStores;
use fanfold::store::blob::file::FileBlob;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::items::{Items, WriteReport};
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;
use serde_json::{Map, Value};

/// Empty stores in a folder.
///
/// # Errors
/// `Internal` if they cannot be created.
pub fn open(folder: &Path) -> Result<LocalStores<FileBlob>> {
    Ok(LocalStores {
        input: FileBlob::open(&folder.join("input"), true)?,
        work: FileBlob::open(&folder.join("work"), false)?,
        output: FileBlob::open(&folder.join("output"), false)?,
        tasks: MemoryTasks::new(),
        counters: MemoryCounters::new(),
        ledger: MemoryLedger::new(),
        queues: Default::default(),
        machine: Default::default(),
    })
}

/// An items table as a file of JSON Lines. Every write appends a line; in the end only the last line of each
/// key stays. Memory holds no more than a fingerprint of each key.
#[derive(Clone)]
pub struct ItemLines(Arc<Mutex<Lines>>);

struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    /// The number of each key's last line.
    last: HashMap<u128, u64>,
    hashers: [RandomState; 2],
}

impl ItemLines {
    /// An empty table.
    ///
    /// # Errors
    /// `Config` if the file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let file = BufWriter::new(File::create(path).map_err(|e| cannot(path, e))?);
        let hashers = [RandomState::new(), RandomState::new()];
        Ok(Self(Arc::new(Mutex::new(Lines { path: path.to_owned(), file, written: 0, last: HashMap::new(), hashers }))))
    }

    /// The number of keys.
    pub fn written(&self) -> usize {
        self.lines(|lines| lines.last.len())
    }

    /// Writes the table to a file of its own.
    ///
    /// # Errors
    /// `Config` if that fails.
    pub fn finish(&self, to: &Path) -> Result<()> {
        self.lines(|lines| {
            lines.file.flush().map_err(|e| cannot(&lines.path, e))?;
            if lines.last.len() as u64 == lines.written {
                let mut all = File::open(&lines.path).map_err(|e| cannot(&lines.path, e))?;
                let mut draft = Draft::begin(to).map_err(|e| cannot(to, e))?;
                std::io::copy(&mut all, draft.file()).map_err(|e| cannot(to, e))?;
                return draft.keep().map_err(|e| cannot(to, e));
            }
            let mut kept: Vec<u64> = lines.last.values().copied().collect();
            kept.sort_unstable();
            let mut kept = kept.into_iter().peekable();
            let read = BufReader::new(File::open(&lines.path).map_err(|e| cannot(&lines.path, e))?);
            let mut draft = Draft::begin(to).map_err(|e| cannot(to, e))?;
            let mut out = BufWriter::new(draft.file());
            for (number, line) in (0..).zip(read.split(b'\n')) {
                if kept.next_if_eq(&number).is_some() {
                    let line = line.map_err(|e| cannot(&lines.path, e))?;
                    out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(|e| cannot(to, e))?;
                }
            }
            out.flush().map_err(|e| cannot(to, e))?;
            drop(out);
            draft.keep().map_err(|e| cannot(to, e))
        })
    }

    fn lines<T>(&self, act: impl FnOnce(&mut Lines) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Items for ItemLines {
    fn most(&self) -> usize {
        usize::MAX
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        self.lines(|lines| {
            for item in items {
                let line = serde_json::to_vec(&as_line(item));
                let line = line.map_err(|e| Error::internal("an item cannot be written").because(e))?;
                lines
                    .file
                    .write_all(&line)
                    .and_then(|()| lines.file.write_all(b"\n"))
                    .map_err(|e| cannot(&lines.path, e))?;
                let [high, low] = lines.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(&item.key)));
                lines.last.insert(high << 64 | low, lines.written);
                lines.written += 1;
            }
            Ok(WriteReport::default())
        })
    }

    async fn read(&self, _key: &str) -> Result<Option<Item>> {
        Err(Error::internal("items of a local run are read from their file"))
    }
}

/// An item with the attributes that its table would have.
fn as_line(item: &Item) -> Map<String, Value> {
    const OWN: OwnAttributes = OwnAttributes::PREFIXED;
    let mut line = item.fields.clone();
    line.insert(OWN.batch.to_owned(), item.batch.to_string().into());
    line.insert(OWN.index.to_owned(), item.index.into());
    line.insert(OWN.updated_at.to_owned(), item.updated_at.0.into());
    line
}

fn cannot(path: &Path, error: std::io::Error) -> Error {
    Error::config(format!("could not write {}", path.display())).because(error)
}
