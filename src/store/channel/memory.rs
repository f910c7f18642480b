//! A channel in memory.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::error::Result;
use crate::store::channel::{Channel, Delivery, Outgoing};

/// A channel in memory; clones share their messages. Time does not pass in it: a received message is redelivered only
/// after [`release`](Channel::release).
#[derive(Debug, Clone, Default)]
pub struct MemoryChannel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    taken: Vec<Delivery>,
    seen: BTreeSet<String>,
    next: u64,
}

impl MemoryChannel {
    /// An empty channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bodies of all messages that wait or are being worked on.
    pub fn bodies(&self) -> Vec<String> {
        self.state(|state| {
            let all = state.waiting.iter().chain(&state.taken);
            all.map(|delivery| delivery.body.clone()).collect()
        })
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Channel for MemoryChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        self.state(|state| {
            for message in messages {
                if message.order().is_some_and(|group| !state.seen.insert(group.to_owned())) {
                    continue;
                }
                state.next += 1;
                state.waiting.push_back(Delivery {
                    id: format!("m{}", state.next),
                    receipt: String::new(),
                    body: message.body,
                    attempt: 0,
                    first_received: None,
                });
            }
        });
        Ok(())
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        Ok(self.state(|state| {
            let many = most.min(state.waiting.len());
            let mut deliveries: Vec<Delivery> = state.waiting.drain(..many).collect();
            for delivery in &mut deliveries {
                delivery.attempt += 1;
                delivery.receipt = format!("{}-{}", delivery.id, delivery.attempt);
            }
            state.taken.extend_from_slice(&deliveries);
            deliveries
        }))
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.state(|state| state.taken.retain(|delivery| delivery.receipt != receipt));
        Ok(())
    }

    async fn release(&self, receipt: &str, _delay: Duration) -> Result<()> {
        self.state(|state| {
            if let Some(at) = state.taken.iter().position(|delivery| delivery.receipt == receipt) {
                let delivery = state.taken.remove(at);
                state.waiting.push_back(delivery);
            }
        });
        Ok(())
    }
}
