//! The contract of `Channel`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::fair::MAX_GROUP;
use crate::store::channel::{Channel, Delivery, Outgoing};

/// Checks that two message channels keep their contract, the second of which keeps the order.
///
/// # Panics
/// If they do not.
pub async fn all(plain: &impl Channel, ordered: &impl Channel) {
    unordered(plain).await;
    a_group_takes_a_message_once(ordered).await;
}

/// Checks that a message channel without order keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn unordered(channel: &impl Channel) {
    every_message_arrives(channel).await;
    a_released_message_comes_again(channel).await;
    a_fair_group_takes_every_message(channel).await;
}

/// Receives until `count` messages have arrived.
async fn drain(channel: &impl Channel, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    for _ in 0..60 {
        if all.len() >= count {
            break;
        }
        all.extend(channel.receive(10).await.unwrap());
    }
    assert_eq!(all.len(), count);
    all
}

async fn every_message_arrives(channel: &impl Channel) {
    channel.send(Vec::new()).await.unwrap();
    let bodies: BTreeSet<String> = (0..23).map(|n| format!("{{\"n\":{n},\"für\":\"<&\"}}")).collect();
    channel.send(bodies.iter().cloned().map(Outgoing::new).collect()).await.unwrap();
    let deliveries = drain(channel, 23).await;
    assert_eq!(deliveries.iter().map(|d| d.body.clone()).collect::<BTreeSet<_>>(), bodies);
    for delivery in &deliveries {
        assert_eq!(delivery.attempt, 1);
        channel.delete(&delivery.receipt).await.unwrap();
    }
    assert!(channel.receive(10).await.unwrap().is_empty());
}

async fn a_released_message_comes_again(channel: &impl Channel) {
    channel.send(vec![Outgoing::new("again".into())]).await.unwrap();
    let first = drain(channel, 1).await.remove(0);
    assert!(channel.receive(10).await.unwrap().is_empty(), "a message is hidden while it is worked on");
    channel.release(&first.receipt, Duration::ZERO).await.unwrap();
    let second = drain(channel, 1).await.remove(0);
    assert_eq!((second.id.as_str(), second.attempt), (first.id.as_str(), 2));
    channel.delete(&second.receipt).await.unwrap();
    assert!(channel.receive(10).await.unwrap().is_empty());
}

async fn a_fair_group_takes_every_message(channel: &impl Channel) {
    // The longest id, with every sign that one may have.
    let signs: String = ('!'..='~').cycle().take(MAX_GROUP).collect();
    let bodies: BTreeSet<String> = (0..12).map(|n| format!("fair {n}")).collect();
    let groups = [signs.as_str(), "batch-1", "batch-1"].into_iter().cycle();
    let messages = bodies.iter().zip(groups).map(|(body, group)| Outgoing::fair(body.clone(), group));
    channel.send(messages.collect()).await.unwrap();
    let deliveries = drain(channel, 12).await;
    assert_eq!(deliveries.iter().map(|d| d.body.clone()).collect::<BTreeSet<_>>(), bodies);
    for delivery in &deliveries {
        channel.delete(&delivery.receipt).await.unwrap();
    }
}

async fn a_group_takes_a_message_once(channel: &impl Channel) {
    for body in ["first", "repeat"] {
        channel.send(vec![Outgoing::ordered(body.into(), "batch-1")]).await.unwrap();
    }
    channel.send(vec![Outgoing::ordered("other".into(), "batch-2")]).await.unwrap();
    let bodies: BTreeSet<String> = drain(channel, 2).await.into_iter().map(|d| d.body).collect();
    assert_eq!(bodies, BTreeSet::from(["first".to_owned(), "other".to_owned()]));
}
