//! How workers learn of the chunks that wait for them.

use crate::model::error::{Error, Result};
use crate::model::fair::FairBy;
use crate::model::ids::ChunkIndex;
use crate::model::message::{ProcessMessage, to_body};
use crate::model::progress::Opening;
use crate::model::range::Claim;
use crate::store::channel::{Channel, Outgoing};

/// How workers learn of a chunk that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// A claim check is sent for it.
    Messages,
    /// A claim check is published to a topic, which delivers it to them and to whoever else subscribed: at least once, and later
    /// if it cannot be delivered at first (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>).
    Topic,
    /// Its bucket notifies them of the object, at least once, like a message
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html>).
    Notifications,
}

/// How the workers are reached.
pub struct Dispatch<C> {
    /// Their channel, or the topic in front of it.
    pub channel: C,
    /// How they learn of a chunk that was put.
    pub fan_out: FanOut,
    /// What shares them.
    pub fair_by: FairBy,
}

impl<C: Channel> Dispatch<C> {
    /// Makes sure that the workers learn of chunks of a batch that were just put.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn fan_out(&self, opening: &Opening, checks: Vec<ProcessMessage>) -> Result<()> {
        match self.fan_out {
            FanOut::Messages | FanOut::Topic => self.send(opening, checks).await,
            FanOut::Notifications => Ok(()),
        }
    }

    /// Sends claim checks for chunks of a batch that the workers may already have heard of.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn send(&self, opening: &Opening, checks: Vec<ProcessMessage>) -> Result<()> {
        if checks.is_empty() {
            return Ok(());
        }
        let group = self.fair_by.group(&opening.id, &opening.input.key);
        self.channel.send(checks.iter().map(|check| Outgoing::fair(to_body(check), &group)).collect()).await
    }
}

/// Makes the claim check for a chunk of copied records.
///
/// # Errors
/// `Internal` if the chunk is too long, or the input's key names no format.
pub fn copied(opening: &Opening, chunk: ChunkIndex, records: usize) -> Result<ProcessMessage> {
    let records = u32::try_from(records).map_err(|e| Error::internal("a chunk too long").because(e))?;
    let layout = opening.input.format()?.layout;
    let check = ProcessMessage::new(opening.id.clone(), chunk, records, layout, opening.sequence);
    Ok(check.under(opening.rules.as_deref()))
}

/// Makes the claim check for a chunk that is a range of the input.
///
/// # Errors
/// As [`copied`].
pub fn claimed(opening: &Opening, chunk: ChunkIndex, claim: &Claim) -> Result<ProcessMessage> {
    let check = copied(opening, chunk, claim.records as usize)?;
    Ok(check.of_range(claim.range, opening.input.source()))
}
