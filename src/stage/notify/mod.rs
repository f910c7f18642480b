//! Tells those who wait that a report has ended: connections that subscribed to it, and the receiver that its request names.
//!
//! A subscriber is noted before the state is read ([`subscribe`]), and here the state is read before the subscribers are: whichever
//! of both is later, one of them sees the end, and tells it. Both may, so that a client can be told the same twice; no client that stays
//! connected is told nothing.

mod hook;

use std::pin::pin;

use futures::future::{Either, select};
use futures::stream::{self, StreamExt};

pub use hook::Hooks;

use crate::intake::s3_event::{self, Notice};
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;
use crate::model::reporting::end::{ReportEnd, end_key, generation_of};
use crate::model::reporting::id::ReportId;
use crate::model::reporting::request::{OPERATOR, ReportRequest};
use crate::model::timestamp::Timestamp;
use crate::stage::notify::hook::{Called, Event, next};
use crate::stage::reception::left_until;
use crate::stage::{Disposition, Received, Stage, Subject};
use crate::store::Clock;
use crate::store::blob::{Blob, read_all};
use crate::store::keyring::Keyring;
use crate::store::push::{Push, Pushed};
use crate::store::reports::{Reports, Told};
use crate::store::sockets::{Subscriber, Subscriptions};
use crate::store::web::Web;

/// Connections that are told at the same time.
const AT_ONCE: usize = 16;
/// When it is looked again whether a batch is closed whose report has ended, in milliseconds: after as long as it was looked already, from
/// the first to the second.
const PAUSES: (i64, i64) = (1_000, 60_000);

/// The stage that tells that reports have ended.
pub struct Notify<B, R, S, P, W, G, K> {
    /// The bucket of requests.
    pub input: B,
    /// The bucket of ends.
    pub output: B,
    /// How reports stand.
    pub reports: R,
    /// Who waits, and how they are reached; `None` if nobody can be connected.
    pub sockets: Option<(S, P)>,
    /// What calls receivers; `None` if none may be called.
    pub hooks: Option<Hooks<W, G>>,
    /// The time.
    pub clock: K,
}

/// A message: the end of a report was written.
#[derive(Debug)]
pub struct Written {
    batch: BatchId,
    generation: u32,
}

/// Reads the end that a key names, if it is that of one.
fn written(key: &str) -> Option<Result<Written>> {
    let batch = key.strip_suffix("/end.json")?.split_once("/report/")?.0;
    let batch = match BatchId::parse(batch) {
        Ok(batch) => batch,
        Err(error) => return Some(Err(error)),
    };
    let generation = generation_of(&batch, key)?;
    Some(Ok(Written { batch, generation }))
}

impl<B: Blob, R: Reports, S: Subscriptions, P: Push, W: Web, G: Keyring, K: Clock> Stage
    for Notify<B, R, S, P, W, G, K>
{
    const NAME: &'static str = "notify";

    type Message = Written;

    fn parse(&self, body: &str) -> Result<Option<Written>> {
        let ends = s3_event::parse(body)?.into_iter().filter_map(|notice| match notice {
            Notice::Created(created) => written(&created.key),
            Notice::Nothing(_) => None,
        });
        let mut ends: Vec<Written> = ends.collect::<Result<_>>()?;
        match (ends.pop(), ends.is_empty()) {
            // S3 writes one record: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
            (end, true) => Ok(end),
            (_, false) => Err(Error::malformed("the S3 event names several objects")),
        }
    }

    fn subject(_message: &Written) -> Option<Subject> {
        None
    }

    async fn handle(&self, received: &Received<'_, Written>, deadline: Timestamp) -> Disposition {
        self.notify(received, deadline).await.into()
    }
}

/// When a message was first received; now, if nothing is known of that.
fn first_of<M>(received: &Received<'_, M>, now: Timestamp) -> Timestamp {
    received.delivery.first_received.unwrap_or(now)
}

impl<B: Blob, R: Reports, S: Subscriptions, P: Push, W: Web, G: Keyring, K: Clock> Notify<B, R, S, P, W, G, K> {
    async fn notify(&self, received: &Received<'_, Written>, deadline: Timestamp) -> Result<Disposition> {
        let Written { batch, generation } = &received.message;
        let Some(end) = read_all(&self.output, &end_key(batch, *generation)).await? else {
            return Ok(Disposition::Discarded("the end was deleted".to_owned()));
        };
        let unreadable = |e| Error::internal("the end of a report is not readable").because(e);
        let end: ReportEnd = serde_json::from_slice(&end).map_err(unreadable)?;
        let Some(request) = read_all(&self.input, &end.id.request_key()).await? else {
            return Ok(Disposition::Discarded(format!("report {} has no request", end.id)));
        };
        let request = ReportRequest::read(&request)?;
        let Some(told) = self.reports.tell(&end.id, false).await? else {
            return Ok(Disposition::Discarded(format!("report {} was deleted", end.id)));
        };
        if told.generation > *generation {
            return Ok(Disposition::Discarded(format!("report {} is made again", end.id)));
        }
        if !told.is_final || told.generation < *generation {
            // The documents are made while the batch is being closed, which is what readers go by.
            let early = Error::transient(format!("batch {batch} is not closed yet"));
            let now = self.clock.now();
            let looked = now.0.saturating_sub(first_of(received, now).0);
            return Ok(Disposition::Later(Timestamp(now.0 + looked.clamp(PAUSES.0, PAUSES.1)), early));
        }
        let reached = self.reach(&end, &told, deadline).await;
        if let Err(error) = &reached
            && !received.is_last
        {
            return Err(error.again());
        }
        // Connections that cannot be reached do not keep a receiver waiting for ever, nor take its tries.
        let called = self.tell_receiver(&request, &end, &told, received).await?;
        match (reached, called) {
            (Err(error), later @ Disposition::Later(..)) => {
                tracing::error!(%error, report = %end.id, "connections not reached");
                Ok(later)
            }
            (reached, called) => reached.map(|()| called),
        }
    }

    /// Tells the connections that wait, in the time that leaves some for the receiver.
    async fn reach(&self, end: &ReportEnd, told: &Told, deadline: Timestamp) -> Result<()> {
        let left = left_until(self.clock.now(), deadline) / 2;
        match select(pin!(self.tell_sockets(&end.id, told)), pin!(self.clock.sleep(left))).await {
            Either::Left((reached, _)) => reached,
            Either::Right(_) => Err(Error::transient("connections were not reached in the time of a function")),
        }
    }

    /// Tells the connections that wait.
    async fn tell_sockets(&self, report: &ReportId, told: &Told) -> Result<()> {
        let Some((subscriptions, push)) = &self.sockets else {
            return Ok(());
        };
        let all = subscriptions.subscribers(report, self.clock.now()).await?;
        let generation = told.generation;
        let waiting: Vec<_> = all.into_iter().filter(|one| one.told.is_none_or(|told| told < generation)).collect();
        let whole = match waiting.iter().any(|subscriber| subscriber.operated) {
            true => self.reports.tell(report, true).await?,
            false => None,
        };
        // Who subscribed once it was made again is not told the end before that.
        let whole = whole.filter(|whole| whole.is_final && whole.generation == generation);
        let tell = |subscriber: Subscriber| {
            let told = if subscriber.operated { whole.as_ref() } else { Some(told) };
            async move {
                let (Some(told), connection) = (told, &subscriber.connection) else {
                    return Ok(());
                };
                let pushed = push.push(connection, &told.text).await?;
                tracing::debug!(%report, connection, gone = pushed == Pushed::Gone, "told");
                match pushed {
                    // It stays subscribed: should the report be made again, it is told the end of that.
                    Pushed::Sent => subscriptions.note_told(report, connection, generation).await,
                    Pushed::Gone => subscriptions.unsubscribe(report, connection).await,
                }
            }
        };
        let all: Vec<Result<()>> =
            stream::iter(waiting.into_iter().map(tell)).buffer_unordered(AT_ONCE).collect().await;
        // One that is not reached does not keep the others waiting.
        all.into_iter().collect()
    }

    /// Tells the receiver that the request names.
    async fn tell_receiver(
        &self,
        request: &ReportRequest,
        end: &ReportEnd,
        told: &Told,
        received: &Received<'_, Written>,
    ) -> Result<Disposition> {
        if request.order.get("webhook").is_none() {
            return Ok(Disposition::Done);
        }
        let hook = match request.order().map(|order| order.webhook) {
            Ok(Some(hook)) => hook,
            // Another version let it in.
            other => {
                return Ok(Disposition::Rejected(Error::malformed(format!("no webhook is understood: {other:?}"))));
            }
        };
        let allowed = self.hooks.as_ref().filter(|hooks| hooks.allowed.allow(&hook));
        let Some(hooks) = allowed else {
            let told = format!("the webhook of report {}: {} may not be called any more", end.id, hook.origin.host);
            return Ok(Disposition::Rejected(Error::config(told)));
        };
        let whole = match request.owner == OPERATOR {
            true => self.reports.tell(&end.id, true).await?.filter(|whole| whole.is_final),
            false => None,
        };
        let event = Event::new(end, &whole.as_ref().unwrap_or(told).text)?;
        let (why, wanted) = match hooks.call(&hook, &event, &self.clock).await {
            Called::Over(said) => {
                tracing::info!(report = %end.id, said, "receiver told");
                return Ok(Disposition::Done);
            }
            Called::Again(why, wanted) => (why, wanted),
        };
        let failed = Error::transient(format!("the webhook of report {}: {why}", end.id));
        Ok(match next(first_of(received, self.clock.now()), wanted, &self.clock) {
            Some(at) => Disposition::Later(at, failed),
            None => Disposition::Rejected(failed),
        })
    }
}

/// Notes that a connection waits for a report, and returns the report's document as it is then. Whether it may wait for the report
/// was found out before.
///
/// # Errors
/// Those of the stores.
pub async fn subscribe(
    subscriptions: &impl Subscriptions,
    reports: &impl Reports,
    report: &ReportId,
    subscriber: &Subscriber,
    now: Timestamp,
) -> Result<Option<Told>> {
    subscriptions.subscribe(report, subscriber, now).await?;
    // It stays subscribed: should it be made again, whoever is still connected is told the end of that.
    reports.tell(report, subscriber.operated).await
}

#[cfg(test)]
mod tests;
