//! Cuts the records that failed before into chunks again.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::batch::outcomes::Outcomes;
use crate::model::error::Result;
use crate::model::record::Entry;
use crate::stage::scatter::cut::{CHUNK_BYTES, Chunk, Cut, Cutter, End};

/// Cuts the records that failed before into chunks again.
pub struct Redrive<'a> {
    failed: BoxStream<'a, Result<Entry>>,
    next: Option<Entry>,
    chunk_size: usize,
    most_chunks: u32,
    end: Option<End>,
}

/// Streams the records that failed among these outcomes, in order.
pub fn failed(outcomes: Outcomes<'_>) -> BoxStream<'_, Result<Entry>> {
    let outcomes = stream::try_unfold(outcomes, |mut outcomes| async move {
        Ok(outcomes.next().await?.map(|outcome| (outcome, outcomes)))
    });
    outcomes.try_filter_map(async |outcome| Ok((!outcome.response.success).then(|| outcome.into_entry()))).boxed()
}

impl<'a> Redrive<'a> {
    /// Cuts the records of [`failed`] as the splitter cuts an input; `columns` are those of the input.
    pub fn new(
        failed: BoxStream<'a, Result<Entry>>,
        chunk_size: usize,
        most_chunks: u32,
        columns: Option<Vec<String>>,
    ) -> Self {
        let end = Some(End::new(columns, None));
        Self { failed, next: None, chunk_size: chunk_size.max(1), most_chunks, end }
    }

    async fn entry(&mut self) -> Result<Option<Entry>> {
        match self.next.take() {
            Some(entry) => Ok(Some(entry)),
            None => self.failed.try_next().await,
        }
    }
}

impl Cutter for Redrive<'_> {
    async fn next(&mut self) -> Result<Option<Cut>> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.entry().await? {
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
        if !entries.is_empty() && end.chunks == self.most_chunks {
            end.overflow(self.most_chunks);
        }
        if entries.is_empty() || end.fault.is_some() {
            return Ok(self.end.take().map(Cut::End));
        }
        let index = end.count(entries.len() as u64)?;
        Ok(Some(Cut::Chunk(Chunk { index, entries })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    async fn cuts(records: u64, chunk_size: usize, most_chunks: u32) -> (Vec<usize>, End) {
        let entry = |index| Ok(Entry::decoded(index, RawValue::from_string("{}".into()).unwrap()));
        let mut cutter = Redrive::new(stream::iter((0..records).map(entry)).boxed(), chunk_size, most_chunks, None);
        let mut chunks = Vec::new();
        loop {
            match cutter.next().await.unwrap().expect("an end comes first") {
                Cut::Chunk(chunk) => chunks.push(chunk.entries.len()),
                Cut::Claim(index, claim) => panic!("{index} {claim:?} is no copy"),
                Cut::End(end) => return (chunks, end),
            }
        }
    }

    #[tokio::test]
    async fn a_redrive_of_more_chunks_than_a_batch_can_have_says_so() {
        let (chunks, end) = cuts(7, 2, 3).await;
        assert_eq!((chunks, end.records), (vec![2, 2, 2], 6));
        assert_eq!(end.fault.unwrap().code.name(), "TOO_MANY_CHUNKS");
        let (chunks, end) = cuts(6, 2, 3).await;
        assert_eq!((chunks, end.fault), (vec![2, 2, 2], None));
    }
}
