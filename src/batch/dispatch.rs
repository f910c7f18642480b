//! How workers learn of the chunks that wait for them.

use crate::batch::map;
use crate::model::condition::Condition;
use crate::model::error::{Error, Result};
use crate::model::fair::FairBy;
use crate::model::ids::ChunkIndex;
use crate::model::message::{MapOrder, ProcessMessage, to_body};
use crate::model::price::{Tariff, Waiting};
use crate::model::progress::Opening;
use crate::model::range::Claim;
use crate::store::blob::Blob;
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
    /// A Distributed Map of Step Functions, which is started when all chunks were put, runs a worker for each of them
    /// (<https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>).
    Map,
}

impl FanOut {
    /// What chunks cost that workers learn of like this.
    pub fn tariff(self, waiting: Waiting, condition: Condition) -> Tariff {
        let tariff = Tariff::of(waiting, condition);
        if self == Self::Map { tariff.mapped() } else { tariff }
    }
}

/// How the workers are reached.
pub struct Dispatch<C> {
    /// Their channel, the topic in front of it, or the state machine that runs them.
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
            FanOut::Notifications | FanOut::Map => Ok(()),
        }
    }

    /// Makes sure that the workers learn of all chunks of a batch, the last of which was just put. A repeat makes no difference.
    ///
    /// # Errors
    /// Those of the bucket and of the channel.
    pub async fn all_put(&self, work: &impl Blob, opening: &Opening, chunks: u32) -> Result<()> {
        if self.fan_out != FanOut::Map || chunks == 0 {
            return Ok(());
        }
        map::write(work, &opening.id, chunks).await?;
        let order = to_body(&MapOrder::new(opening.id.clone(), chunks));
        self.channel.send(vec![Outgoing::ordered(order, opening.id.as_str())]).await
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
