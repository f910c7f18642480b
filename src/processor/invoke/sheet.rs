//! The replies to a chunk, as they come in.

use crate::model::error::{Error, Result};
use crate::processor::Reply;
use crate::processor::invoke::text;

/// The replies to the records of a chunk.
pub(super) struct Sheet {
    replies: Vec<Option<Reply>>,
    failed: Option<Error>,
}

impl Sheet {
    /// No reply yet to any of a chunk's records.
    pub fn of(records: usize) -> Self {
        Self { replies: vec![None; records], failed: None }
    }

    /// Keeps the reply to the record at this place.
    pub fn put(&mut self, place: usize, reply: Reply) {
        if let Some(slot) = self.replies.get_mut(place) {
            *slot = Some(reply);
        }
    }

    /// Says that no call can be made.
    pub fn fail(&mut self, error: Error) {
        self.failed = Some(error);
    }

    /// All replies. If the function could not be called for some records, they failed for the time being, so that the
    /// replies to the others are not lost.
    ///
    /// # Errors
    /// Why the function could not be called, if no record has a reply.
    pub fn close(self, refusal: Option<Error>) -> Result<Vec<Reply>> {
        let Some(error) = self.failed.or(refusal).filter(|_| self.replies.iter().any(Option::is_none)) else {
            return Ok(self.replies.into_iter().map(|reply| reply.unwrap_or_else(forgotten)).collect());
        };
        if self.replies.iter().flatten().all(|reply| matches!(reply, Reply::Untried(_))) {
            return Err(error);
        }
        let rest = || Reply::temporary(text::not_called(&error.to_string()));
        Ok(self.replies.into_iter().map(|reply| reply.unwrap_or_else(rest)).collect())
    }
}

/// For a record that no call was made for, although the function does not refuse to be called.
fn forgotten() -> Reply {
    Reply::Untried(text::no_time())
}
