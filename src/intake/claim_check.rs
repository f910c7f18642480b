//! What asks a worker to process a chunk.

use crate::model::error::Result;
use crate::model::message::ProcessMessage;

/// Reads a message of the workers' queue. `None` if it asks for nothing.
///
/// # Errors
/// `Malformed` if it is none.
pub fn parse(body: &str) -> Result<Option<ProcessMessage>> {
    ProcessMessage::parse(body).map(Some)
}
