//! Cuts a stream of records into chunks.

use futures::stream::{Fuse, StreamExt, TryStreamExt};

use crate::model::error::Result;
use crate::model::fault::Fault;
use crate::model::progress::Bookmark;
use crate::model::record::Entry;
use crate::stage::scatter::cut::{CHUNK_BYTES, Chunk, Cut, Cutter, End};
use crate::stage::scatter::limit::Budget;
use crate::stage::scatter::rows::Entries;

/// How many records that were cut before are passed over at a time.
const PASSED: u64 = 4096;

/// Cuts a stream of records into chunks.
pub struct EntryCutter<'a> {
    entries: Fuse<Entries<'a>>,
    next: Option<Entry>,
    /// The index of the first record that is wanted.
    first: u64,
    fault: Option<Fault>,
    chunk_size: usize,
    budget: Budget,
    end: Option<End>,
}

impl<'a> EntryCutter<'a> {
    /// Cuts records as the splitter cuts an input; `columns` are those of the input.
    pub fn new(entries: Entries<'a>, chunk_size: usize, budget: Budget, columns: Option<Vec<String>>) -> Self {
        let end = Some(End::new(columns, None));
        Self { entries: entries.fuse(), next: None, first: 0, fault: None, chunk_size: chunk_size.max(1), budget, end }
    }

    /// Goes on where an earlier invocation stopped.
    #[must_use]
    pub fn from(mut self, bookmark: Option<&Bookmark>) -> Self {
        if let (Some(bookmark), Some(end)) = (bookmark, &mut self.end) {
            self.first = bookmark.record;
            self.budget.seek(bookmark.chunk, bookmark.work);
            end.seek(bookmark);
        }
        self
    }

    async fn entry(&mut self) -> Result<Option<Entry>> {
        if self.next.is_some() || self.fault.is_some() {
            return Ok(self.next.take());
        }
        Ok(match self.entries.try_next().await? {
            Some(Ok(entry)) => Some(entry),
            Some(Err(fault)) => {
                self.fault = Some(fault);
                None
            }
            None => None,
        })
    }
}

impl Cutter for EntryCutter<'_> {
    async fn next(&mut self) -> Result<Option<Cut>> {
        let (mut entries, mut bytes, mut passed) = (Vec::new(), 0, 0);
        while let Some(entry) = self.entry().await? {
            if entry.index < self.first {
                passed += 1;
                if passed == PASSED {
                    return Ok(Some(Cut::Nothing));
                }
                continue;
            }
            let full = entries.len() == self.chunk_size || bytes + entry.weight() > CHUNK_BYTES;
            if full && !entries.is_empty() {
                self.next = Some(entry);
                break;
            }
            bytes += entry.weight();
            entries.push(entry);
        }
        let Some(end) = &mut self.end else {
            return Ok(None);
        };
        let before = self.budget.work();
        if entries.is_empty() {
            end.fault = self.fault.take();
        } else {
            end.fault = self.budget.take(entries.len(), bytes as u64, None).err();
        }
        if entries.is_empty() || end.fault.is_some() {
            return Ok(self.end.take().map(Cut::End));
        }
        let index = end.count(entries.len() as u64)?;
        Ok(Some(Cut::Chunk(Chunk { index, entries, before })))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::fault::FaultCode;

    async fn cuts(records: u64, fault: Option<Fault>, chunk_size: usize, most_chunks: u32) -> (Vec<usize>, End) {
        let entry = |index| Ok(Entry::decoded(index, RawValue::from_string("{}".into()).unwrap()));
        let entries = stream::iter((0..records).map(entry).chain(fault.map(Err)).map(Ok)).boxed();
        let mut cutter = EntryCutter::new(entries, chunk_size, Budget::chunks(most_chunks), None);
        let mut chunks = Vec::new();
        loop {
            match cutter.next().await.unwrap().expect("an end comes first") {
                Cut::Chunk(chunk) => chunks.push(chunk.entries.len()),
                Cut::End(end) => {
                    assert!(cutter.next().await.unwrap().is_none());
                    return (chunks, end);
                }
                other => panic!("{other:?} is no copy"),
            }
        }
    }

    #[tokio::test]
    async fn more_chunks_than_a_batch_can_have_are_told() {
        let (chunks, end) = cuts(7, None, 2, 3).await;
        assert_eq!((chunks, end.records), (vec![2, 2, 2], 6));
        assert_eq!(end.fault.unwrap().code.name(), "TOO_MANY_CHUNKS");
        let (chunks, end) = cuts(6, None, 2, 3).await;
        assert_eq!((chunks, end.fault), (vec![2, 2, 2], None));
    }

    #[tokio::test]
    async fn what_comes_before_a_fault_is_cut() {
        let fault = Fault::new(FaultCode::BrokenParquet, "damaged");
        for (records, cut) in [(0, vec![]), (4, vec![2, 2]), (5, vec![2, 2, 1])] {
            let (chunks, end) = cuts(records, Some(fault.clone()), 2, 9).await;
            assert_eq!((chunks, end.records, end.fault), (cut, records, Some(fault.clone())));
        }
    }
}
