//! Passes an invocation's messages to their stage, and turns the outcomes into an answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;

use fanfold::model::calls::{INVOCATION, MEMORY_TIME, StageCalls};
use fanfold::model::error::Error;
use fanfold::model::ids::BatchId;
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::reception::{Reception, Timetable, left_until};
use fanfold::stage::{self, Disposition, Pack, Received, Sorted, Stage};
use fanfold::store::channel::Delivery;
use fanfold::store::ledger::Notes;
use fanfold::store::pace::Pace;
use fanfold::store::{Clock, Stores};
use fanfold_aws::calls;

use crate::outbox::send_on;

/// What every stage's invocations need.
pub struct Server<S: Stores> {
    /// What receives and concludes their messages.
    pub reception: Reception<S>,
    /// The pace of all their calls.
    pub pace: Pace<S::Clock>,
    /// The function's memory in MB, by which its time is billed; none where it is no function of Lambda.
    pub memory: Option<u64>,
}

impl<S: Stores> Server<S> {
    /// Serves invocations until Lambda ends the process.
    ///
    /// # Errors
    /// Those from which the Lambda runtime cannot recover.
    pub async fn serve<T: Stage>(&self, stage: &T) -> Result<(), lambda_runtime::Error> {
        lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
            // Boxed for the compiler's sake.
            let (deadline, messages) = (deadline(&event.context), named(event.payload, &event.context.request_id));
            let answer = Box::pin(self.answer(stage, messages, deadline));
            Ok::<_, lambda_runtime::Error>(answer.await)
        }))
        .await
    }

    /// The same for a stage whose messages may also arrive as rows of a table, by its stream. They are sent on to the source.
    ///
    /// # Errors
    /// Those from which the Lambda runtime cannot recover.
    pub async fn serve_with_outbox<T: Stage>(&self, stage: &T) -> Result<(), lambda_runtime::Error> {
        lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
            let deadline = deadline(&event.context);
            if event.payload["Records"][0]["eventSource"] != "aws:dynamodb" {
                let event: SqsEvent = serde_json::from_value(event.payload)?;
                return Ok::<_, lambda_runtime::Error>(Box::pin(self.answer(stage, event, deadline)).await);
            }
            let event = serde_json::from_value(event.payload)?;
            self.pace.until(Timetable::new(self.now(), deadline).work());
            let source = self.reception.source.as_ref();
            let queue = source.ok_or_else(|| Error::config("a stream needs a queue to send its rows on to"))?;
            let mut response = SqsBatchResponse::default();
            if let Some(first) = send_on(event, queue, self.reception.dead_letters.as_ref()).await {
                response.add_failure(first);
            }
            Ok(response)
        }))
        .await
    }

    /// Works on the messages of one invocation and names those that must be redelivered
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>). It begins no message
    /// in the last quarter of the time, and abandons unfinished work shortly before the end: work may be cut
    /// off between any two calls, and is redelivered.
    async fn answer<T: Stage>(&self, stage: &T, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let deliveries: Vec<Delivery> =
            event.records.into_iter().map(|message| delivery(message, self.now())).collect();
        let table = Timetable::new(self.now(), deadline);
        self.pace.until(table.work());
        let mut response = SqsBatchResponse::default();
        let mut spent: BTreeMap<BatchId, StageCalls> = BTreeMap::new();
        let Sorted { packs, rest } = stage::sort(stage, &deliveries);
        for (delivery, disposition) in rest {
            let done = match self.reception.admit(delivery, None).await {
                Some(admitted) => self.reception.conclude(delivery, admitted, None, disposition).await,
                None => true,
            };
            if !done {
                response.add_failure(&delivery.id);
            }
        }
        for pack in packs {
            let subject = pack.first().and_then(|first| T::subject(&first.message));
            let began = self.now();
            let ((done, left), requests) = calls::counted(self.settle(stage, pack, &table, deadline)).await;
            left.iter().for_each(|id| response.add_failure(id));
            // Those messages of a pack that are about a batch are about the same one.
            if let Some(subject) = subject {
                let (messages, mut counted) = ((done + left.len()) as u64, requests);
                if let Some(memory) = self.memory {
                    // A part of a millisecond is billed as a whole one.
                    let took = u64::try_from(self.now().0 - began.0).unwrap_or_default() + 1;
                    counted.insert(MEMORY_TIME.to_owned(), memory * took);
                }
                spent.entry(subject.batch).or_default().add(&StageCalls { messages, requests: counted });
            }
        }
        // Nothing depends on these, so that they are tried once.
        self.pace.until(self.now());
        self.account(T::NAME, spent).await;
        response
    }

    /// Adds the AWS requests to the batches' counts in the ledger, this request included, and what Lambda bills.
    async fn account(&self, stage: &str, spent: BTreeMap<BatchId, StageCalls>) {
        for (batch, mut calls) in spent {
            *calls.requests.entry("dynamodb.UpdateItem".to_owned()).or_default() += 1;
            if self.memory.is_some() {
                calls.requests.insert(INVOCATION.to_owned(), 1);
            }
            if let Err(error) = self.reception.ledger.add_calls(&batch, stage, &calls, self.now()).await {
                tracing::warn!(batch_id = %batch, %error, "calls not accounted for");
            }
        }
    }

    /// Works on a pack of messages. Returns how many of them may be deleted, and the ids of the others. A panic fails
    /// this pack only.
    async fn settle<T: Stage>(
        &self,
        stage: &T,
        pack: Pack<'_, T::Message>,
        table: &Timetable,
        deadline: Timestamp,
    ) -> (usize, Vec<String>) {
        self.pace.until(table.work());
        if !table.is_open(self.now()) {
            tracing::info!(messages = pack.len(), "messages not begun: no time left");
            for received in &pack {
                self.reception.put_back(received.delivery).await;
            }
            return (0, pack.iter().map(|received| received.delivery.id.clone()).collect());
        }
        let (all, mut admitted, mut tries) = (pack.len(), Vec::with_capacity(pack.len()), Vec::new());
        for mut received in pack {
            let subject = T::subject(&received.message);
            if let Some(tried) = self.reception.admit(received.delivery, subject.as_ref()).await {
                received.is_last = tried.is_last();
                admitted.push(received);
                tries.push((tried, subject));
            }
        }
        let dispositions = self.work(stage, &admitted, table, deadline).await;
        self.pace.until(table.conclusion());
        let mut again = Vec::new();
        for ((received, (tried, subject)), disposition) in admitted.iter().zip(tries).zip(dispositions) {
            let delivery = received.delivery;
            let span = tracing::info_span!("message", id = %delivery.id, attempt = delivery.attempt);
            let concluded = self.reception.conclude(delivery, tried, subject.as_ref(), disposition);
            if !concluded.instrument(span).await {
                again.push(delivery.id.clone());
            }
        }
        (all - again.len(), again)
    }

    async fn work<T: Stage>(
        &self,
        stage: &T,
        pack: &[Received<'_, T::Message>],
        table: &Timetable,
        deadline: Timestamp,
    ) -> Vec<Disposition> {
        let Some(first) = pack.first() else {
            return Vec::new();
        };
        let left = left_until(self.now(), table.end_of_work());
        let span = tracing::info_span!("messages", first = first.delivery.id, count = pack.len());
        let setbacks = self.pace.setbacks();
        let work = AssertUnwindSafe(stage.handle_pack(pack, deadline).instrument(span)).catch_unwind();
        match tokio::time::timeout(left, work).await {
            Ok(Ok(dispositions)) => dispositions,
            Ok(Err(_)) => {
                tracing::error!("stage panicked");
                let panicked = || Disposition::Retry(Error::internal(format!("{} panicked", T::NAME)));
                pack.iter().map(|_| panicked()).collect()
            }
            Err(_) => {
                let said = format!("{} ran out of its function's time", T::NAME);
                // A busy service is slow as well: a call that it accepted at last may have no time left to be answered in.
                let busy = self.pace.setbacks() > setbacks;
                let late = || if busy { Error::busy(&said) } else { Error::transient(&said) };
                pack.iter().map(|_| Disposition::Retry(late())).collect()
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.reception.clock.now()
    }
}

/// When Lambda will end an invocation.
pub fn deadline(context: &lambda_runtime::Context) -> Timestamp {
    Timestamp(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

/// The attributes that Lambda passes on: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
fn delivery(message: SqsMessage, now: Timestamp) -> Delivery {
    let attempt = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let first = message.attributes.get("ApproximateFirstReceiveTimestamp").and_then(|at| at.parse().ok());
    let mut delivery = Delivery {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attempt: attempt.unwrap_or(1),
        first_received: first.map(Timestamp),
    };
    if delivery.is_alone() {
        delivery.first_received = Some(now);
    }
    delivery
}

/// Step Functions invokes a function with an event of the same form, whose messages are in no queue and have no receipt: each invocation gives
/// them one of its own, by which the function holds what it works on. They come for the first time.
fn named(mut event: SqsEvent, invocation: &str) -> SqsEvent {
    for message in event.records.iter_mut().filter(|message| message.receipt_handle.is_none()) {
        message.receipt_handle = Some(Delivery::receipt_of_invocation(invocation));
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::pipeline::local::MemoryStores;
    use fanfold::stage::Subject;
    use fanfold::store::blob::memory::MemoryBlob;
    use fanfold::store::channel::memory::MemoryChannel;
    use fanfold::store::clock::SystemClock;
    use fanfold::store::counters::memory::MemoryCounters;
    use fanfold::store::faults::{Faults, Faulty};
    use fanfold::store::ledger::Part;
    use fanfold::store::ledger::memory::MemoryLedger;
    use fanfold::store::pace::Paced;
    use fanfold::store::surround::{Patience, Surround};
    use fanfold::store::tasks::memory::MemoryTasks;

    /// Does what the body of the message says.
    struct Obedient(Pace<SystemClock>);

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
                "busy" => Disposition::Retry(Error::busy("slow down")),
                "hang" => std::future::pending().await,
                "slow" => {
                    self.0.again(&mut Patience::default()).await.unwrap();
                    std::future::pending().await
                }
                other => panic!("{other}"),
            }
        }
    }

    fn batch() -> BatchId {
        BatchId::parse("orders-0123456789ab").unwrap()
    }

    fn event(bodies: &[&str], attempt: u32) -> SqsEvent {
        let mut event = SqsEvent::default();
        for body in bodies {
            let mut message = SqsMessage::default();
            message.message_id = Some(format!("id-{body}"));
            message.receipt_handle = Some(format!("receipt-{body}"));
            message.body = Some((*body).to_owned());
            message.attributes.insert("ApproximateReceiveCount".to_owned(), attempt.to_string());
            event.records.push(message);
        }
        event
    }

    /// A function's stores.
    #[derive(Default)]
    struct Site {
        ledger: MemoryLedger,
        dead_letters: MemoryChannel,
    }

    impl Site {
        /// The ids that the answer names if the invocation has that many milliseconds.
        async fn answer(&self, bodies: &[&str], attempt: u32, milliseconds: i64) -> Vec<String> {
            let (source, dead_letters) = (Some(MemoryChannel::new()), Some(self.dead_letters.clone()));
            let (ledger, clock) = (self.ledger.clone(), SystemClock);
            let reception: Reception<MemoryStores> =
                Reception { source, dead_letters, ledger, clock, noted: Default::default() };
            let server = Server { reception, pace: Pace::new(SystemClock), memory: Some(512) };
            let deadline = Timestamp(SystemClock.now().0 + milliseconds);
            let response = server.answer(&Obedient(server.pace.clone()), event(bodies, attempt), deadline).await;
            let mut failed: Vec<_> = response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
            failed.sort_unstable();
            failed
        }
    }

    #[tokio::test]
    async fn only_what_failed_comes_again_and_a_panic_is_one_of_them() {
        let site = Site::default();
        let bodies = ["done", "reject", "discard", "panic", "retry", "unreadable", "idle"];
        let failed = site.answer(&bodies, 1, 60_000).await;
        assert_eq!(failed, ["id-panic", "id-retry"]);
        let calls = &site.ledger.read_calls(&batch()).await.unwrap().0["process"];
        assert_eq!((calls.messages, calls.requests[INVOCATION]), (5, 1));
        let time = calls.requests[MEMORY_TIME];
        assert!(time >= 512 && time.is_multiple_of(512), "megabytes for milliseconds: {time}");
        let mut given_up = site.dead_letters.bodies();
        given_up.sort_unstable();
        assert_eq!(given_up, ["reject", "unreadable"]);
    }

    #[test]
    fn messages_of_no_queue_come_for_the_first_time_and_each_invocation_holds_them_for_itself() {
        let mut asked = event(&["done", "retry"], 1);
        asked.records[1].receipt_handle = None;
        let of = |invocation| {
            let named = named(asked.clone(), invocation).records.into_iter();
            named.map(|message| delivery(message, Timestamp(7))).collect::<Vec<_>>()
        };
        let (one, other) = (of("a"), of("b"));
        assert_eq!(one[0], other[0]);
        assert_eq!((one[0].is_alone(), one[0].first_received), (false, None));
        assert_eq!((one[1].is_alone(), one[1].first_received), (true, Some(Timestamp(7))));
        assert_ne!(one[1].receipt, other[1].receipt);
    }

    #[tokio::test]
    async fn the_last_failure_is_kept_for_whoever_buries_the_message() {
        let site = Site::default();
        for (body, message) in [("retry", "later"), ("panic", "process panicked")] {
            site.answer(&[body], 1, 60_000).await;
            let last = site.ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
            assert_eq!((last.attempt, last.message.as_str()), (1, message));
        }
    }

    #[tokio::test]
    async fn a_message_is_given_up_with_its_fifth_failure() {
        let site = Site::default();
        for attempt in 1..=4 {
            assert_eq!(site.answer(&["retry"], attempt, 60_000).await, ["id-retry"]);
        }
        assert!(site.answer(&["retry"], 5, 60_000).await.is_empty());
        assert_eq!(site.dead_letters.bodies(), ["retry"]);
        let last = site.ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
        assert_eq!((last.attempt, last.message.as_str()), (5, "later"));
    }

    #[tokio::test]
    async fn tries_that_a_busy_service_ended_do_not_count() {
        let site = Site::default();
        for attempt in 1..=50 {
            assert_eq!(site.answer(&["busy"], attempt, 60_000).await, ["id-busy"]);
        }
        assert!(site.dead_letters.bodies().is_empty());
    }

    #[tokio::test]
    async fn a_try_whose_time_ran_out_does_not_count_if_a_busy_service_took_some_of_it() {
        let site = Site::default();
        for message in ["id-slow", "id-hang"] {
            for _ in 2..=4 {
                site.ledger.begin_try(message, Timestamp(0)).await.unwrap();
            }
        }
        assert_eq!(site.answer(&["slow"], 5, 400).await, ["id-slow"]);
        assert!(site.dead_letters.bodies().is_empty());
        assert!(site.answer(&["hang"], 5, 400).await.is_empty());
        assert_eq!(site.dead_letters.bodies(), ["hang"]);
    }

    #[tokio::test]
    async fn a_message_that_ends_its_function_each_time_is_given_up_before_the_sixth() {
        let site = Site::default();
        // Deliveries whose function ended, as far as the ledger knows of them.
        for _ in 2..=5 {
            site.ledger.begin_try("id-panic", Timestamp(0)).await.unwrap();
        }
        assert!(site.answer(&["panic"], 6, 60_000).await.is_empty());
        assert_eq!(site.dead_letters.bodies(), ["panic"]);
        let last = site.ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
        assert_eq!((last.attempt, last.message.as_str()), (5, "its function ended without an answer each time"));
    }

    /// A ledger that takes nothing.
    #[derive(Clone)]
    struct Busy;

    impl Faults for Busy {
        async fn before(&self, call: &'static str) -> fanfold::model::error::Result<()> {
            Err(Error::busy(call))
        }

        async fn after(&self, _call: &'static str) -> fanfold::model::error::Result<()> {
            Ok(())
        }

        fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
            None
        }
    }

    struct BusyStores;

    impl Stores for BusyStores {
        type Blob = MemoryBlob;
        type Channel = MemoryChannel;
        type Tasks = MemoryTasks;
        type Counters = MemoryCounters;
        type Ledger = Paced<Faulty<MemoryLedger, Busy>, SystemClock>;
        type Clock = SystemClock;
    }

    #[tokio::test]
    async fn an_invocation_answers_in_time_even_if_the_ledger_takes_nothing() {
        let pace = Pace::new(SystemClock);
        let (source, dead_letters) = (Some(MemoryChannel::new()), Some(MemoryChannel::new()));
        let ledger = pace.keep(Faulty::new(MemoryLedger::new(), Busy));
        let reception: Reception<BusyStores> =
            Reception { source, dead_letters, ledger, clock: SystemClock, noted: Default::default() };
        let server = Server { reception, pace, memory: None };
        for bodies in [["retry", "done"], ["busy", "reject"]] {
            let deadline = Timestamp(SystemClock.now().0 + 4_000);
            let response = server.answer(&Obedient(server.pace.clone()), event(&bodies, 2), deadline).await;
            assert!(SystemClock.now() < deadline);
            // There may be no time left to begin the other one.
            let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
            assert!(failed.contains(&format!("id-{}", bodies[0]).as_str()), "{bodies:?}: {failed:?}");
        }
    }

    #[tokio::test]
    async fn a_worker_stops_before_its_deadline_and_returns_what_it_did_not_do() {
        let site = Site::default();
        // When the second message would begin, the first has used up the time.
        let failed = site.answer(&["hang", "done"], 1, 400).await;
        assert_eq!(failed, ["id-done", "id-hang"]);
        let last = site.ledger.last_failure(&batch(), Part::Scatter).await.unwrap().unwrap();
        assert_eq!(last.message, "process ran out of its function's time");
        // In the other order, only the one that hangs is redelivered.
        assert_eq!(site.answer(&["done", "hang"], 1, 400).await, ["id-hang"]);
    }
}
