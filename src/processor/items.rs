//! Turns records into items: one under each key of an items table.

use std::collections::{BTreeSet, HashMap};

use futures::stream::{self, StreamExt};

use crate::model::error::{Error, Result};
use crate::model::item::Item;
use crate::processor::{Chunk, Processor, Reply};
use crate::store::items::Items;

/// Writes every record as an item.
#[derive(Debug, Clone)]
pub struct WriteItems<I> {
    /// The items table.
    pub items: I,
    /// Requests under way at once.
    width: usize,
}

impl<I> WriteItems<I> {
    /// A processor that writes to a table, one request after another.
    pub fn new(items: I) -> Self {
        Self { items, width: 1 }
    }

    /// The same with up to `width` requests under way at once.
    #[must_use]
    pub fn with_width(self, width: usize) -> Self {
        Self { width, ..self }
    }
}

/// The items of several chunks, in the order in which they have to be written. A batch of writes must not name a key
/// twice: if items of one chunk share a key the last one wins, and those of different chunks go into different waves.
#[derive(Default)]
struct Waves(Vec<Wave>);

#[derive(Default)]
struct Wave {
    items: Vec<Item>,
    /// The chunk of each item, by its place among the chunks.
    chunks: Vec<usize>,
    places: HashMap<String, usize>,
}

impl Waves {
    fn add(&mut self, chunk: usize, item: Item) {
        for wave in &mut self.0 {
            match wave.places.get(&item.key) {
                Some(&place) if wave.chunks[place] == chunk => {
                    wave.items[place] = item;
                    return;
                }
                Some(_) => {}
                None => return wave.push(chunk, item),
            }
        }
        let mut wave = Wave::default();
        wave.push(chunk, item);
        self.0.push(wave);
    }
}

impl Wave {
    fn push(&mut self, chunk: usize, item: Item) {
        self.places.insert(item.key.clone(), self.items.len());
        self.items.push(item);
        self.chunks.push(chunk);
    }
}

/// What came of the items of several chunks.
#[derive(Default)]
struct Written {
    /// Why the table refuses items, by chunk and key.
    refused: HashMap<(usize, String), String>,
    /// The chunks of which not every item was written, and the first error of all.
    unfinished: BTreeSet<usize>,
    error: Option<Error>,
}

impl Written {
    fn refuse(&mut self, wave: &Wave, place: usize, reason: &str) {
        if let (Some(chunk), Some(item)) = (wave.chunks.get(place), wave.items.get(place)) {
            let reason = format!("the table refuses the item: {reason}");
            self.refused.insert((*chunk, item.key.clone()), reason);
        }
    }
}

impl<I: Items> WriteItems<I> {
    /// Writes items in their order, wave after wave, until a request fails: a chunk before that is done, so that a
    /// function which a busy table keeps to its end has not worked in vain.
    async fn write(&self, waves: &Waves) -> Written {
        let mut written = Written::default();
        for wave in &waves.0 {
            if written.error.is_some() {
                written.unfinished.extend(&wave.chunks);
                continue;
            }
            let most = self.items.most().clamp(1, wave.items.len().max(1));
            let requests = wave.items.chunks(most).map(|items| self.items.write(items));
            let mut reports = stream::iter(requests.collect::<Vec<_>>()).buffered(self.width);
            let mut done = 0;
            while let Some(report) = reports.next().await {
                match report {
                    Ok(report) if report.unprocessed.is_empty() => {
                        let rejected = report.rejected.iter();
                        rejected.for_each(|one| written.refuse(wave, done + one.position, &one.reason));
                        done += most;
                    }
                    // A table that keeps a pace leaves none.
                    Ok(_) => written.error = Some(Error::busy("the items table is too busy")),
                    Err(error) => written.error = Some(error),
                }
                if written.error.is_some() {
                    break;
                }
            }
            written.unfinished.extend(wave.chunks.iter().skip(done));
        }
        written
    }
}

impl<I: Items> Processor for WriteItems<I> {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let (mut waves, mut keys) = (Waves::default(), Vec::with_capacity(chunks.len()));
        for (place, chunk) in chunks.into_iter().enumerate() {
            let Chunk { batch, sequence, now: updated_at, records, .. } = chunk;
            keys.push(records.iter().map(|record| record.key.clone()).collect::<Vec<_>>());
            for record in records {
                let (key, fields, index) = (record.key, record.fields, record.index);
                waves.add(place, Item { key, fields, batch: batch.clone(), index, updated_at, sequence });
            }
        }
        let Written { refused, unfinished, error } = self.write(&waves).await;
        let answer = |(place, keys): (usize, Vec<String>)| {
            if let Some(error) = error.as_ref().filter(|_| unfinished.contains(&place)) {
                return Err(error.again());
            }
            // The records that a refused one would have replaced were not written either.
            let reply = |key| refused.get(&(place, key)).cloned().map_or(Reply::Done(None), Reply::Failed);
            Ok(keys.into_iter().map(reply).collect())
        };
        keys.into_iter().enumerate().map(answer).collect()
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}
