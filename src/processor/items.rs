//! Turns records into items: one under each key of an items table.

use std::collections::HashMap;

use crate::model::error::{Error, Result};
use crate::model::item::Item;
use crate::processor::{Chunk, Processor, Reply};
use crate::store::items::Items;

/// Writes every record as an item.
#[derive(Debug, Clone)]
pub struct WriteItems<I> {
    /// The items table.
    pub items: I,
}

impl<I> WriteItems<I> {
    /// A processor that writes to a table.
    pub fn new(items: I) -> Self {
        Self { items }
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

/// Why the table refuses items, by chunk and key.
type Refused = HashMap<(usize, String), String>;

impl<I: Items> WriteItems<I> {
    /// Writes items, wave after wave.
    async fn write(&self, waves: &Waves) -> Result<Refused> {
        let mut refused = Refused::new();
        for wave in &waves.0 {
            for rejection in self.items.write(&wave.items).await? {
                let place = rejection.position;
                if let (Some(chunk), Some(item)) = (wave.chunks.get(place), wave.items.get(place)) {
                    let reason = format!("the table refuses the item: {}", rejection.reason);
                    refused.insert((*chunk, item.key.clone()), reason);
                }
            }
        }
        Ok(refused)
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
        let refused = self.write(&waves).await;
        let answer = |(place, keys): (usize, Vec<String>)| {
            let refused = refused.as_ref().map_err(Error::again)?;
            // The records that a refused one would have replaced were not written either.
            let reply = |key| refused.get(&(place, key)).cloned().map_or(Reply::Done(None), Reply::Failed);
            Ok(keys.into_iter().map(reply).collect())
        };
        keys.into_iter().enumerate().map(answer).collect()
    }
}
