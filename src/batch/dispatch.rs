//! The messages that ask for chunks to be processed.

use crate::batch::ranges;
use crate::model::error::{Error, Result};
use crate::model::ids::ChunkIndex;
use crate::model::message::ProcessMessage;
use crate::model::progress::Opening;
use crate::model::range::Range;

/// The message that asks for a chunk to be processed.
///
/// # Errors
/// `Internal` if the chunk, or the name of its input, is none that scatter would make.
pub fn claim_check(
    opening: &Opening,
    chunk: ChunkIndex,
    records: usize,
    range: Option<Range>,
) -> Result<ProcessMessage> {
    let records = u32::try_from(records).map_err(|e| Error::internal("a chunk too long").because(e))?;
    let layout = ranges::format_of(&opening.input)?.layout;
    let message = ProcessMessage::new(opening.id.clone(), chunk, records, layout, opening.sequence);
    Ok(match range {
        Some(range) => message.of_range(range),
        None => message,
    })
}
