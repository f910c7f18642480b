//! How workers learn of the chunks that wait for them.

use crate::batch::ranges;
use crate::model::error::{Error, Result};
use crate::model::ids::ChunkIndex;
use crate::model::message::{ProcessMessage, to_body};
use crate::model::progress::Opening;
use crate::model::range::Claim;
use crate::store::channel::{Channel, Outgoing};

/// How workers learn of a chunk that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// Its claim check is sent.
    Messages,
    /// Its bucket notifies them of the object
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html>): at least once, as
    /// a message comes.
    Notifications,
}

/// The way to the workers.
pub struct Dispatch<C> {
    /// Their channel.
    pub channel: C,
    /// How they learn of a chunk that was put.
    pub fan_out: FanOut,
}

impl<C: Channel> Dispatch<C> {
    /// Sees to it that the workers learn of chunks that wait since just now.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn fan_out(&self, checks: Vec<ProcessMessage>) -> Result<()> {
        match self.fan_out {
            FanOut::Messages => self.send(checks).await,
            FanOut::Notifications => Ok(()),
        }
    }

    /// Sends claim checks on chunks that the workers may have heard of before.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn send(&self, checks: Vec<ProcessMessage>) -> Result<()> {
        if checks.is_empty() {
            return Ok(());
        }
        self.channel.send(checks.iter().map(|check| Outgoing::new(to_body(check))).collect()).await
    }
}

/// The claim check on a chunk of copied records.
///
/// # Errors
/// `Internal` if scatter would not make such a chunk, or take an input of such a name.
pub fn copied(opening: &Opening, chunk: ChunkIndex, records: usize) -> Result<ProcessMessage> {
    let records = u32::try_from(records).map_err(|e| Error::internal("a chunk too long").because(e))?;
    let layout = ranges::format_of(&opening.input.key)?.layout;
    Ok(ProcessMessage::new(opening.id.clone(), chunk, records, layout, opening.sequence))
}

/// The claim check on a chunk that is a range of the input.
///
/// # Errors
/// As [`copied`].
pub fn claimed(opening: &Opening, chunk: ChunkIndex, claim: &Claim) -> Result<ProcessMessage> {
    let check = copied(opening, chunk, claim.records as usize)?;
    Ok(check.of_range(claim.range, opening.input.source()))
}
