//! The variant whose claim checks go by way of a topic, to which others may subscribe.

#![cfg(feature = "sns")]

use fanfold::intake::s3_event::event_of;
use fanfold::model::error::Result;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::input::InputRef;
use fanfold::model::message::ProcessMessage;
use fanfold::model::schema::{Cells, Rules};
use fanfold::pipeline::local::{INPUT, LocalTypes, Memory};
use fanfold::pipeline::variant::Variant;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::stage::sweep::Patience;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::memory::MemoryChannel;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;

/// Stores whose topic delivers nothing: what is published can be told from what is sent to the workers.
#[derive(Clone, Default)]
struct Apart {
    stores: Memory,
    topic: MemoryChannel,
}

impl Supply for Apart {
    type Stores = LocalTypes<MemoryBlob>;

    fn bucket(&self, bucket: Bucket) -> Result<MemoryBlob> {
        self.stores.bucket(bucket)
    }

    fn queue(&self, queue: Queue) -> Result<MemoryChannel> {
        if queue == Queue::Topic { Ok(self.topic.clone()) } else { self.stores.queue(queue) }
    }

    fn tasks(&self) -> Result<MemoryTasks> {
        self.stores.tasks()
    }

    fn counters(&self) -> Result<MemoryCounters> {
        self.stores.counters()
    }

    fn ledger(&self) -> MemoryLedger {
        self.stores.ledger()
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

#[tokio::test]
async fn chunks_are_published_and_only_what_is_lost_is_sent_to_the_workers_alone() {
    let (apart, variant) = (Apart::default(), Variant::named("sns").unwrap());
    let pipeline = Pipeline::new(apart.clone(), variant, INPUT);
    let content = "id,n\na,1\nb,2\nc,3\nd,4\ne,5\n";
    let version = apart.stores.input.upload("acme/orders.csv", content);
    let (bucket, key, version_id) = (INPUT.to_owned(), "acme/orders.csv".to_owned(), Some(version));
    let input =
        InputRef { bucket, key, version_id, e_tag: None, bytes: content.len() as u64, format: None, read_as: None };
    let queue = |queue| apart.stores.queue(queue).unwrap();
    queue(Queue::Scatter).send(vec![Outgoing::new(event_of(&input).unwrap())]).await.unwrap();
    let delivery = queue(Queue::Scatter).receive(1).await.unwrap().remove(0);
    let rules = Rules { key_field: "id".to_owned(), schema: "{}".to_owned(), cells: Cells::default() };
    let scatter = pipeline.scatter(rules, 2, FormatSettings::default()).unwrap();
    let deadline = SystemClock.now().plus_seconds(300);
    assert!(matches!(deliver(&scatter, &delivery, deadline).await, Disposition::Done));

    let told = |bodies: Vec<String>| {
        let mut chunks: Vec<u32> = bodies.iter().map(|body| ProcessMessage::parse(body).unwrap().chunk.get()).collect();
        chunks.sort_unstable();
        chunks
    };
    assert_eq!(told(apart.topic.bodies()), [0, 1, 2]);
    assert!(queue(Queue::Process).bodies().is_empty(), "the topic delivers what is published");

    // All were lost: sweep notes how far the batch is, and the next time that it has come no further.
    let sweep = pipeline.sweep(Patience { stall_after: 0, give_up_after: 3_600_000 }).unwrap();
    for _ in 0..2 {
        sweep.run(deadline).await.unwrap();
    }
    assert_eq!(told(queue(Queue::Process).bodies()), [0, 1, 2]);
    assert_eq!(told(apart.topic.bodies()), [0, 1, 2], "others have heard of them");
}
