//! Passes an invocation's messages to their stage, and turns the outcomes into an answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use tracing::Instrument;

use fanfold::model::calls::StageCalls;
use fanfold::model::error::Error;
use fanfold::model::ids::BatchId;
use fanfold::model::record::cut;
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::{self, Disposition, Received, Sorted, Stage, Subject};
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Delivery};
use fanfold::store::ledger::{LastFailure, Notes};
use fanfold_aws::calls;

/// The pause before a failed message is redelivered; it doubles from the first value to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The time that an invocation keeps in reserve for its answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(3);

/// What every stage's invocations need.
pub struct Server<C, L, K> {
    /// The channel that the messages come from; `None` if there are several.
    pub source: Option<C>,
    /// Where failures and calls are recorded.
    pub ledger: L,
    /// The current time.
    pub clock: K,
}

impl<C: Channel, L: Notes, K: Clock> Server<C, L, K> {
    /// Serves invocations until Lambda ends the process.
    ///
    /// # Errors
    /// Those from which the Lambda runtime cannot recover.
    pub async fn serve<S: Stage>(&self, stage: &S) -> Result<(), lambda_runtime::Error> {
        lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
            // Boxed for the compiler's sake.
            let answer = Box::pin(self.answer(stage, event.payload, deadline(&event.context)));
            Ok::<_, lambda_runtime::Error>(answer.await)
        }))
        .await
    }

    /// Works on the messages of one invocation and names those that must be redelivered
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>). It begins no message
    /// in the last quarter of the time, and abandons unfinished work shortly before the end: work may be cut
    /// off between any two calls, and is redelivered.
    async fn answer<S: Stage>(&self, stage: &S, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let deliveries: Vec<Delivery> = event.records.into_iter().map(delivery).collect();
        let whole = left_until(self.clock.now(), deadline);
        let mut response = SqsBatchResponse::default();
        let mut spent: BTreeMap<BatchId, StageCalls> = BTreeMap::new();
        let Sorted { packs, rest } = stage::sort(stage, &deliveries);
        for (delivery, disposition) in rest {
            if !self.conclude(delivery, None, disposition).await {
                response.add_failure(&delivery.id);
            }
        }
        for pack in packs {
            let (done, requests) = calls::counted(self.settle(stage, &pack, deadline, whole)).await;
            for (received, _) in pack.iter().zip(&done).filter(|(_, done)| !**done) {
                response.add_failure(&received.delivery.id);
            }
            // All messages of a pack belong to one batch.
            if let Some(subject) = pack.first().and_then(|first| S::subject(&first.message)) {
                let messages = pack.len() as u64;
                spent.entry(subject.batch).or_default().add(&StageCalls { messages, requests });
            }
        }
        self.account(S::NAME, spent).await;
        response
    }

    /// Adds the AWS requests to the batches' counts in the ledger, this request included.
    async fn account(&self, stage: &str, spent: BTreeMap<BatchId, StageCalls>) {
        for (batch, mut calls) in spent {
            *calls.requests.entry("dynamodb.UpdateItem".to_owned()).or_default() += 1;
            if let Err(error) = self.ledger.add_calls(&batch, stage, &calls, self.clock.now()).await {
                tracing::warn!(batch_id = %batch, %error, "calls not accounted for");
            }
        }
    }

    /// Works on a pack of messages and returns which may be deleted. A panic fails this pack only.
    async fn settle<S: Stage>(
        &self,
        stage: &S,
        pack: &[Received<'_, S::Message>],
        deadline: Timestamp,
        whole: Duration,
    ) -> Vec<bool> {
        let left = left_until(self.clock.now(), deadline);
        if left < whole / 4 {
            tracing::info!(messages = pack.len(), "messages not begun: no time left");
            for received in pack {
                self.release(received.delivery, Duration::ZERO).await;
            }
            return vec![false; pack.len()];
        }
        let first = pack.first().map_or("", |first| first.delivery.id.as_str());
        let span = tracing::info_span!("messages", first, count = pack.len());
        let work = AssertUnwindSafe(stage.handle_pack(pack, deadline).instrument(span)).catch_unwind();
        let dispositions = match tokio::time::timeout(left - LONGEST_ANSWER.min(left / 10), work).await {
            Ok(Ok(dispositions)) => dispositions,
            Ok(Err(_)) => {
                tracing::error!("stage panicked");
                let panicked = || Disposition::Retry(Error::internal(format!("{} panicked", S::NAME)));
                pack.iter().map(|_| panicked()).collect()
            }
            Err(_) => {
                let late =
                    || Disposition::Retry(Error::transient(format!("{} ran out of its function's time", S::NAME)));
                pack.iter().map(|_| late()).collect()
            }
        };
        let mut done = Vec::with_capacity(pack.len());
        for (Received { delivery, message }, disposition) in pack.iter().zip(dispositions) {
            let span = tracing::info_span!("message", id = %delivery.id, attempt = delivery.attempt);
            done.push(self.conclude(delivery, S::subject(message), disposition).instrument(span).await);
        }
        done
    }

    /// Decides whether a message may be deleted; if not, makes sure that it is redelivered in time.
    async fn conclude(&self, delivery: &Delivery, subject: Option<Subject>, disposition: Disposition) -> bool {
        let (failure, pause) = match disposition {
            Disposition::Done => return true,
            Disposition::Discarded(reason) => {
                tracing::info!(%reason, "message discarded");
                return true;
            }
            Disposition::Rejected(error) => {
                tracing::error!(%error, "message rejected");
                // Without a pause, it reaches the dead-letter queue within seconds.
                (error, Duration::ZERO)
            }
            Disposition::Retry(error) => {
                tracing::warn!(kind = ?error.kind, %error, "message will come again");
                (error, pause(delivery.attempt))
            }
            Disposition::Later(at, error) => {
                tracing::info!(%error, %at, "message will come again later");
                (error, left_until(self.clock.now(), at))
            }
        };
        self.note(subject, delivery, &failure).await;
        self.release(delivery, pause).await;
        false
    }

    /// Notes why a message failed, so that bury can report it.
    async fn note(&self, subject: Option<Subject>, delivery: &Delivery, error: &Error) {
        let Some(subject) = subject else {
            return;
        };
        let failure = LastFailure { attempt: delivery.attempt, message: cut(error.to_string()) };
        let noted = self.ledger.note_failure(&subject.batch, subject.part, &failure, self.clock.now()).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "failure not noted");
        }
    }

    async fn release(&self, delivery: &Delivery, pause: Duration) {
        let Some(source) = &self.source else {
            return;
        };
        if let Err(error) = source.release(&delivery.receipt, pause).await {
            // It is redelivered anyway, when its visibility timeout ends.
            tracing::warn!(%error, "message not released");
        }
    }
}

/// When Lambda will end an invocation.
pub fn deadline(context: &lambda_runtime::Context) -> Timestamp {
    Timestamp(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

fn left_until(now: Timestamp, deadline: Timestamp) -> Duration {
    Duration::from_millis(deadline.0.saturating_sub(now.0).max(0).unsigned_abs())
}

fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

fn delivery(message: SqsMessage) -> Delivery {
    let attempt = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Delivery {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attempt: attempt.unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::store::channel::memory::MemoryChannel;
    use fanfold::store::clock::SystemClock;
    use fanfold::store::ledger::Part;
    use fanfold::store::ledger::memory::MemoryLedger;

    /// Does what the body of the message says.
    struct Obedient;

    impl Stage for Obedient {
        const NAME: &'static str = "process";

        type Message = String;

        fn parse(&self, body: &str) -> fanfold::model::error::Result<Option<String>> {
            match body {
                "unreadable" => Err(Error::malformed("no form")),
                "idle" => Ok(None),
                _ => Ok(Some(body.to_owned())),
            }
        }

        fn subject(_message: &String) -> Option<Subject> {
            Some(Subject { batch: batch(), part: Part::Scatter })
        }

        async fn handle(&self, received: &Received<'_, String>, _deadline: Timestamp) -> Disposition {
            match received.message.as_str() {
                "done" => Disposition::Done,
                "discard" => Disposition::Discarded("nothing to do".into()),
                "reject" => Disposition::Rejected(Error::malformed("not ours")),
                "retry" => Disposition::Retry(Error::transient("later")),
                "hang" => std::future::pending().await,
                other => panic!("{other}"),
            }
        }
    }

    fn batch() -> BatchId {
        BatchId::parse("orders-0123456789ab").unwrap()
    }

    fn event(bodies: &[&str]) -> SqsEvent {
        let mut event = SqsEvent::default();
        for body in bodies {
            let mut message = SqsMessage::default();
            message.message_id = Some(format!("id-{body}"));
            message.body = Some((*body).to_owned());
            event.records.push(message);
        }
        event
    }

    /// The ids that the answer names if the invocation has that many milliseconds.
    async fn answer(bodies: &[&str], ledger: &MemoryLedger, milliseconds: i64) -> Vec<String> {
        let source = Some(MemoryChannel::new());
        let server = Server { source, ledger: ledger.clone(), clock: SystemClock };
        let deadline = Timestamp(SystemClock.now().0 + milliseconds);
        let response = server.answer(&Obedient, event(bodies), deadline).await;
        let mut failed: Vec<_> = response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
        failed.sort_unstable();
        failed
    }

    #[tokio::test]
    async fn only_what_failed_comes_again_and_a_panic_is_one_of_them() {
        let ledger = MemoryLedger::new();
        let failed =
            answer(&["done", "reject", "discard", "panic", "retry", "unreadable", "idle"], &ledger, 60_000).await;
        assert_eq!(failed, ["id-panic", "id-reject", "id-retry", "id-unreadable"]);
        assert_eq!(ledger.read_calls(&batch()).await.unwrap().0["process"].messages, 5);
    }

    #[tokio::test]
    async fn the_last_failure_is_kept_for_whoever_buries_the_message() {
        let ledger = MemoryLedger::new();
        for (body, message) in [("retry", "later"), ("panic", "process panicked")] {
            answer(&[body], &ledger, 60_000).await;
            let last = ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
            assert_eq!((last.attempt, last.message.as_str()), (1, message));
        }
    }

    #[tokio::test]
    async fn a_worker_stops_before_its_deadline_and_returns_what_it_did_not_do() {
        let ledger = MemoryLedger::new();
        // When the second message would begin, the first has used up the time.
        let failed = answer(&["hang", "done"], &ledger, 400).await;
        assert_eq!(failed, ["id-done", "id-hang"]);
        let last = ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
        assert_eq!(last.message, "process ran out of its function's time");
        // In the other order, only the one that hangs is redelivered.
        assert_eq!(answer(&["done", "hang"], &ledger, 400).await, ["id-hang"]);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(20));
        assert_eq!(pause(100), LONGEST_PAUSE);
    }
}
