//! The topic of the variant `sns`, and others that subscribe to it.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use fanfold::model::error::Result;
use fanfold::model::message::ProcessMessage;
use fanfold::store::channel::{Channel, Delivery, Outgoing};
use fanfold::store::testing as suites;
use fanfold_aws::sns::SnsTopic;
use fanfold_aws::sqs::SqsChannel;
use serde_json::json;

use crate::world::World;
use crate::{counts, csv};

/// A queue that is reached by way of a topic.
#[derive(Clone)]
struct Subscribed {
    topic: SnsTopic,
    queue: SqsChannel,
}

impl Channel for Subscribed {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        self.topic.publish(&messages).await
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        self.queue.receive(most).await
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.queue.delete(receipt).await
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        self.queue.release(receipt, delay).await
    }
}

/// A new queue that gets what a topic publishes, or of it what passes a filter.
async fn subscribe(world: &World, topic: &str, name: &str, filter: Option<String>) -> SqsChannel {
    let queue = world.new_queue(name, false).await;
    let url = world.clients.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}}
    }]});
    let set = world.clients.sqs.set_queue_attributes().queue_url(url);
    set.attributes(QueueAttributeName::Policy, policy.to_string()).send().await.unwrap();
    let subscribed = world.clients.sns().subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
    let subscribed = subscribed.attributes("RawMessageDelivery", "true");
    let subscribed = match filter {
        Some(filter) => subscribed.attributes("FilterPolicy", filter),
        None => subscribed,
    };
    subscribed.send().await.unwrap();
    queue
}

#[tokio::test]
async fn a_queue_behind_a_topic_keeps_the_contract() {
    let world = World::open().await;
    let made = world.clients.sns().create_topic().name("contract").send().await.unwrap();
    let arn = made.topic_arn.unwrap();
    let queue = subscribe(&world, &arn, "contract-behind", None).await;
    suites::channel::unordered(&Subscribed { topic: world.clients.topic(&arn), queue }).await;
}

#[tokio::test]
async fn a_second_subscriber_gets_the_chunks_that_it_asks_for() {
    let world = World::of("sns").await;
    let topic = world.resources.topic_arn.clone().unwrap();
    let audited = format!("audited{}", std::process::id());
    let filter = json!({"group": [{"prefix": format!("{audited}-")}]}).to_string();
    let queue = subscribe(&world, &topic, &audited, Some(filter)).await;
    let done = world.submit(&format!("{audited}.csv"), &csv(120, "audited"));
    let other = world.submit("unheard.csv", &csv(60, "unheard"));
    for (done, records) in [(&done, 120), (&other, 60)] {
        assert_eq!((done.code, counts(&done.summary())), (0, (records, records, 0)), "{}", done.stderr);
    }
    let batch = done.summary().batch_id;
    let mut chunks = Vec::new();
    loop {
        let heard = queue.receive(10).await.unwrap();
        if heard.is_empty() {
            break;
        }
        for delivery in heard {
            let check = ProcessMessage::parse(&delivery.body).unwrap();
            assert_eq!(check.batch_id, batch);
            chunks.push(check.chunk.get());
            queue.delete(&delivery.receipt).await.unwrap();
        }
    }
    chunks.sort_unstable();
    assert_eq!(chunks, [0, 1, 2]);
}
