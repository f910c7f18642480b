//! Records that are sent one at a time, in a world where everything goes wrong that may: messages arrive twice and late, workers
//! die at every call, calls fail before and after their effect, and clients send other records under one id.

mod events;
mod hand;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use fanfold::model::error::Result;
use fanfold::model::request::{RecordMessage, Request, RequestId, RequestState, digest};
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::items::WriteItems;
use fanfold::processor::nothing::Nothing;
use fanfold::processor::{Chunk, Processor, Record, Reply};
use fanfold::stage::Stage;
use fanfold::stage::bury::give_up;
use fanfold::stage::reception::MOST_TRIES;
use fanfold::stage::records::Records;
use fanfold::stage::{Disposition, sort};
use fanfold::store::channel::Delivery;
use fanfold::store::faults::Faulty;
use fanfold::store::items::Items;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::requests::memory::MemoryRequests;
use fanfold::store::requests::{Claimed, Requests};
use fastrand::Rng;
use futures::FutureExt;
use serde_json::value::RawValue;

use hand::{Hand, Still};

const BEGAN: i64 = 1_800_000_000_000;
/// Of this, the function wants nothing.
const REFUSED: i64 = 2;
const SCHEMA: &str = r#"{"properties":{"id":{"type":"string"},"n":{"type":"integer"}},"required":["id","n"]}"#;

/// What is done wrongly on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    /// A conflict is told, and the other record is stored all the same.
    EveryClaimSucceeds,
    /// A request is told as stored before it is.
    EndBeforeTheWork,
    /// What became of a request changes.
    LastEndWins,
    /// A conflict is not told.
    NoConflict,
    /// What succeeded is not stored.
    NothingStored,
    /// Whoever is given up is told as failed, whether or not its record was stored.
    GivenUpIsFailed,
}

/// Each with what is said of it: no other fault may be found in its place.
const MUTATIONS: [(Mutation, &str); 6] = [
    (Mutation::EveryClaimSucceeds, "which belongs to no request"),
    (Mutation::EndBeforeTheWork, "and nothing is there"),
    (Mutation::LastEndWins, "was Stored and is Failed"),
    (Mutation::NoConflict, "has a conflict: None"),
    (Mutation::NothingStored, "and nothing is there"),
    (Mutation::GivenUpIsFailed, "was Stored and is Failed"),
];

/// A requests table that may be broken.
#[derive(Clone)]
struct Broken {
    store: MemoryRequests,
    mutation: Option<Mutation>,
}

impl Requests for Broken {
    async fn claim(&self, request: &Request) -> Result<Claimed> {
        match self.store.claim(request).await? {
            Claimed::Another if self.mutation == Some(Mutation::EveryClaimSucceeds) => {
                self.store.note_conflict(&request.id, request.at).await?;
                Ok(Claimed::Open)
            }
            claimed => Ok(claimed),
        }
    }

    async fn write(&self, request: &Request) -> Result<bool> {
        let held = self.store.all().remove(&request.id).filter(|held| held.state.is_final());
        if let (Some(Mutation::LastEndWins), Some(held)) = (self.mutation, held) {
            self.store.overwrite(&held.failed("again"));
            return Ok(true);
        }
        self.store.write(request).await
    }

    async fn note_conflict(&self, id: &RequestId, at: Timestamp) -> Result<()> {
        if self.mutation == Some(Mutation::NoConflict) {
            return Ok(());
        }
        self.store.note_conflict(id, at).await
    }

    async fn read(&self, id: &RequestId, now: Timestamp) -> Result<Option<Request>> {
        self.store.read(id, now).await
    }
}

/// What is done with records: each is answered with an item, and that is stored; or it is stored itself.
struct Work {
    items: WriteItems<Faulty<MemoryItems, Hand>>,
    hand: Hand,
    stamps: bool,
    mutation: Option<Mutation>,
}

impl Processor for Work {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        if !self.stamps {
            return self.items.process(chunks).await;
        }
        let stamped = |record: &Record| {
            if self.hand.fails("a call").is_err() {
                return Reply::temporary("it was made to fail");
            }
            if record.fields["n"] == REFUSED {
                return Reply::Failed("no such client".to_owned());
            }
            let mut item = record.fields.clone();
            item.insert("stamped".to_owned(), true.into());
            Reply::Replaced { item, result: None }
        };
        chunks.iter().map(|chunk| Ok(chunk.records.iter().map(stamped).collect())).collect()
    }

    fn stores(&self) -> bool {
        self.stamps
    }

    async fn store(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        match self.mutation {
            Some(Mutation::NothingStored) => Nothing.process(chunks).await,
            _ => self.items.process(chunks).await,
        }
    }
}

/// A message on the queue.
#[derive(Debug, Clone)]
struct Queued {
    body: String,
    received: u32,
    failed: u32,
    place: Place,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queue,
    DeadLetters,
    Gone,
}

/// What clients sent: by id, whether they chose it, and the records.
type Sent = BTreeMap<String, (bool, Vec<String>)>;

fn sent(rng: &mut Rng) -> Sent {
    let mut sent = Sent::new();
    for n in 0..rng.usize(1..12) {
        let keyed = rng.bool();
        let mut records = Vec::new();
        let copies = if keyed { rng.usize(1..4) } else { 1 };
        for _ in 0..copies {
            let key = rng.usize(..4);
            records.push(match rng.u32(..6) {
                0 => format!(r#"{{"id":"k{key}"}}"#),
                1 => r#"{"n":1}"#.to_owned(),
                _ => format!(r#"{{"id":"k{key}","n":{}}}"#, rng.u32(..3)),
            });
        }
        sent.insert(format!("{}{n}", if keyed { "caller:" } else { "r" }), (keyed, records));
    }
    sent
}

/// What became of messages, by their places in the queue.
type Conclusions = Vec<(usize, Disposition)>;

/// A worker: the messages that it has, and what it does.
struct Worker {
    held: Vec<usize>,
    work: Pin<Box<dyn Future<Output = Conclusions> + Send>>,
}

/// What there is of requests, and what they ended as: an end does not change.
fn check_ends(ended: &mut BTreeMap<RequestId, Request>, requests: &MemoryRequests) -> std::result::Result<(), String> {
    for (id, request) in requests.all() {
        let state = request.state;
        let before = if state.is_final() { ended.entry(id.clone()).or_insert(request) } else { continue };
        if before.state != state {
            return Err(format!("{id} was {:?} and is {state:?}", before.state));
        }
    }
    Ok(())
}

/// Runs a world until its queue is empty, and returns what is wrong with how it ended.
fn run(seed: u64, mutation: Option<Mutation>) -> std::result::Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let (requests, items) = (Broken { store: MemoryRequests::new(), mutation }, MemoryItems::new());
    let (faulty, deadly) = (rng.u32(..15), rng.u32(..10));
    let mut sent = sent(&mut rng);
    let stamps = rng.bool();
    // The gateway makes the rows itself, and refuses all but the first record.
    if rng.u32(..3) == 0 {
        for (id, (keyed, records)) in &mut sent {
            records.truncate(1);
            let record = RawValue::from_string(records[0].clone()).unwrap();
            let message = RecordMessage::new(RequestId::parse(id).unwrap(), *keyed, Timestamp(BEGAN), record);
            requests.store.overwrite(&Request::accepted(&message));
        }
    }
    let mut queue = Vec::new();
    for (n, (id, (keyed, records))) in sent.iter().enumerate() {
        for (m, record) in records.iter().enumerate() {
            let record = RawValue::from_string(record.clone()).unwrap();
            let at = Timestamp(BEGAN + (n * 10 + m) as i64);
            let message = RecordMessage::new(RequestId::parse(id).unwrap(), *keyed, at, record);
            let body = serde_json::to_string(&message).unwrap();
            let message = Queued { body, received: 0, failed: 0, place: Place::Queue };
            // A message may be sent twice.
            let copies = if rng.u32(..5) == 0 { 2 } else { 1 };
            queue.extend(std::iter::repeat_n(message, copies));
        }
    }
    let hand = Hand { rng: Arc::new(Mutex::new(rng.fork())), faulty };
    let schema = RecordSchema::parse(SCHEMA, "id").unwrap();
    let (mut workers, mut ended, mut given_up): (Vec<Worker>, _, _) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for step in 0.. {
        check_ends(&mut ended, &requests.store)?;
        if step > 200_000 {
            return Err("it does not end".to_owned());
        }
        // Nothing goes wrong for ever.
        let calm = step > 4_000;
        if calm {
            hand.rng.lock().unwrap().seed(0);
        }
        if queue.iter().all(|message| message.place == Place::Gone) && workers.is_empty() {
            break;
        }
        let free = workers.len() < 3 && queue.iter().any(|message| message.place != Place::Gone);
        if free && (workers.is_empty() || rng.u32(..6) == 0) {
            let hand = Hand { faulty: if calm { 0 } else { faulty }, ..hand.clone() };
            let tools = Tools { requests: &requests, items: &items, schema: &schema, hand, stamps };
            let dead = rng.bool();
            workers.extend(if dead {
                undertaker(&mut rng, &mut queue, tools)
            } else {
                worker(&mut rng, &mut queue, tools)
            });
            continue;
        }
        let Some(place) = (!workers.is_empty()).then(|| rng.usize(..workers.len())) else {
            continue;
        };
        if !calm && rng.u32(..100) < deadly {
            // It dies, and its messages come again.
            drop(workers.swap_remove(place));
            continue;
        }
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(conclusions) = workers[place].work.as_mut().poll(&mut context) {
            let worker = workers.swap_remove(place);
            for (message, disposition) in conclusions {
                assert!(worker.held.contains(&message));
                let message = &mut queue[message];
                match disposition {
                    Disposition::Done | Disposition::Discarded(_) => {
                        if message.place == Place::DeadLetters {
                            given_up.insert(RecordMessage::parse(&message.body).unwrap().id);
                        }
                        message.place = Place::Gone;
                    }
                    Disposition::Retry(_) | Disposition::Later(..) => message.failed += 1,
                    Disposition::Rejected(error) => return Err(format!("a message was rejected: {error}")),
                }
                if message.place == Place::Queue && message.failed >= MOST_TRIES {
                    message.place = Place::DeadLetters;
                }
            }
        }
    }
    check(&sent, &requests.store.all(), &items, &given_up, stamps)
}

/// What a worker works with.
struct Tools<'a> {
    requests: &'a Broken,
    items: &'a MemoryItems,
    schema: &'a RecordSchema,
    hand: Hand,
    stamps: bool,
}

/// Some of the messages at a place, as they arrive. One may be with another worker already: its time-out has passed.
fn receive(rng: &mut Rng, queue: &mut [Queued], place: Place) -> Vec<Delivery> {
    let most = rng.usize(1..6);
    let mut held: Vec<usize> = (0..queue.len()).filter(|n| queue[*n].place == place && rng.u32(..3) > 0).collect();
    rng.shuffle(&mut held);
    held.truncate(most);
    let deliver = |place: &usize| {
        queue[*place].received += 1;
        let Queued { body, received, .. } = &queue[*place];
        let id = place.to_string();
        Delivery { receipt: id.clone(), id, body: body.clone(), attempt: *received, first_received: None }
    };
    held.iter().map(deliver).collect()
}

fn place(delivery: &Delivery) -> usize {
    delivery.id.parse().unwrap()
}

fn worker(rng: &mut Rng, queue: &mut [Queued], tools: Tools<'_>) -> Option<Worker> {
    let deliveries = receive(rng, queue, Place::Queue);
    let held: Vec<usize> = deliveries.iter().map(place).collect();
    if held.is_empty() {
        return None;
    }
    let Tools { requests, items, schema, hand, stamps } = tools;
    let (requests, mutation) = (Faulty::new(requests.clone(), hand.clone()), requests.mutation);
    let items = WriteItems::new(Faulty::new(items.clone(), hand.clone())).with_width(2);
    let processor = Work { items, hand, stamps, mutation };
    let stage = Records { requests, processor, clock: Still, schema: schema.clone(), width: 3, events: false };
    let work = async move {
        if mutation == Some(Mutation::EndBeforeTheWork) {
            for delivery in &deliveries {
                let message = RecordMessage::parse(&delivery.body).unwrap();
                if let (Some(key), true) = (key_of(message.record.get()), message.keyed) {
                    let _ = stage.requests.write(&Request::accepted(&message).stored(key)).await;
                }
            }
        }
        let mut ended = Vec::new();
        let sorted = sort(&stage, &deliveries);
        for pack in sorted.packs {
            let dispositions = stage.handle_pack(&pack, Timestamp(BEGAN + 60_000)).await;
            ended.extend(pack.iter().map(|received| place(received.delivery)).zip(dispositions));
        }
        ended.extend(sorted.rest.into_iter().map(|(delivery, end)| (place(delivery), end)));
        ended
    };
    Some(Worker { held, work: Box::pin(work) })
}

/// Ends the requests whose messages were given up.
fn undertaker(rng: &mut Rng, queue: &mut [Queued], tools: Tools<'_>) -> Option<Worker> {
    let deliveries = receive(rng, queue, Place::DeadLetters);
    let held: Vec<usize> = deliveries.iter().map(place).collect();
    if held.is_empty() {
        return None;
    }
    let (broken, requests) = (tools.requests.clone(), Faulty::new(tools.requests.clone(), tools.hand));
    let work = async move {
        let mut ended = Vec::new();
        for delivery in &deliveries {
            let message = RecordMessage::parse(&delivery.body).unwrap();
            let held = broken.store.all().remove(&message.id);
            if let (Some(Mutation::GivenUpIsFailed), Some(held)) = (broken.mutation, held) {
                broken.store.overwrite(&held.failed("given up"));
            }
            let done = give_up(&requests, &message, Timestamp(BEGAN)).await;
            ended.push((place(delivery), done.map(|()| Disposition::Done).into()));
        }
        ended
    };
    Some(Worker { held, work: Box::pin(work) })
}

/// The key of a record that is valid.
fn key_of(record: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(record).unwrap();
    record["n"].is_i64().then(|| record["id"].as_str().map(str::to_owned)).flatten()
}

/// Compares how the world ended with what has to come of what was sent. What was `given_up` may have failed.
fn check(
    sent: &Sent,
    requests: &BTreeMap<RequestId, Request>,
    items: &MemoryItems,
    given_up: &BTreeSet<RequestId>,
    stamps: bool,
) -> std::result::Result<(), String> {
    let mut may_be = BTreeMap::<String, BTreeSet<String>>::new();
    for (id, (_, records)) in sent {
        let request = requests.get(&RequestId::parse(id).unwrap()).ok_or_else(|| format!("{id} is not known"))?;
        let own = records.iter().find(|record| digest(record) == request.digest);
        let own = own.ok_or_else(|| format!("{id} has a record that nobody sent"))?;
        let key = key_of(own).filter(|_| !stamps || !own.contains(&format!("\"n\":{REFUSED}")));
        let wanted = if key.is_some() { RequestState::Stored } else { RequestState::Failed };
        let failed = given_up.contains(&request.id) && request.state == RequestState::Failed;
        if !(request.state == wanted || failed) || request.reason.is_some() != (request.state == RequestState::Failed) {
            return Err(format!("{id} is {:?} for {own}, as {:?}", request.state, request.reason));
        }
        let several = records.iter().collect::<BTreeSet<_>>().len() > 1;
        if request.conflict_at.is_some() != several {
            return Err(format!("{id} has a conflict: {:?}, and {} records", request.conflict_at, records.len()));
        }
        if let Some(key) = &request.key {
            let found = items.read(key).now_or_never().unwrap().unwrap();
            found.ok_or_else(|| format!("{id} is told as stored under {key}, and nothing is there"))?;
        }
        if let Some(key) = key {
            may_be.entry(key).or_default().insert(own.clone());
        }
    }
    for item in items.all().values() {
        let mut fields = item.fields.clone();
        fields.remove("stamped");
        let fields = serde_json::to_string(&fields).unwrap();
        if !may_be.get(&item.key).is_some_and(|records| records.contains(&fields)) {
            return Err(format!("{} has {fields}, which belongs to no request", item.key));
        }
    }
    Ok(())
}

fn seeds() -> u64 {
    std::env::var("FANFOLD_SEEDS").map_or(4_000, |many| many.parse().unwrap())
}

#[test]
fn every_request_ends_with_its_record_whatever_fails() {
    for seed in 0..seeds() {
        if let Err(wrong) = run(seed, None) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

#[test]
fn what_is_done_wrongly_is_caught() {
    for (mutation, words) in MUTATIONS {
        let caught = (0..4_000).find_map(|seed| run(seed, Some(mutation)).err().map(|wrong| (seed, wrong)));
        let (seeds, wrong) = caught.unwrap_or_else(|| panic!("{mutation:?} was not caught"));
        assert!(wrong.contains(words), "{mutation:?} was caught as another fault: {wrong}");
        println!("{mutation:?}: caught after {} seeds: {wrong}", seeds + 1);
    }
}
