//! Checks the terms of clients, before they are stored as items.

use crate::model::billing::admission::Terms;
use crate::model::billing::event::LONGEST_NAME;
use crate::model::error::Result;
use crate::processor::{Chunk, Processor, Record, Reply};

/// Lets terms through that can be billed by.
#[derive(Debug, Clone, Copy)]
pub struct CheckTerms;

impl Processor for CheckTerms {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let checked = |chunk: Chunk| {
            let reply = |wrong: Vec<String>| Reply::Failed(format!("these are no terms: {}", wrong.join("; ")));
            let records = chunk.records.into_iter();
            let checked = |record: Record| match Terms::parse(&record.fields) {
                Ok(_) if record.key.len() > LONGEST_NAME => {
                    reply(vec![format!("client must have at most {LONGEST_NAME} bytes")])
                }
                terms => terms.map_or_else(reply, |_| Reply::Done(None)),
            };
            Ok(records.map(checked).collect())
        };
        chunks.into_iter().map(checked).collect()
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}
