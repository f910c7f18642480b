//! Counts of the AWS requests that a batch took.

use std::collections::BTreeMap;

/// Requests by service and operation, such as `dynamodb.BatchWriteItem`.
pub type Requests = BTreeMap<String, u64>;

/// The requests that the functions of one stage made for a batch, and the messages they worked on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageCalls {
    /// Messages worked on, repeated deliveries included.
    pub messages: u64,
    /// Requests sent, retries included.
    pub requests: Requests,
}

/// The calls of a batch by stage: `scatter`, `process`, `gather`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls(pub BTreeMap<String, StageCalls>);

impl StageCalls {
    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        for (name, count) in &other.requests {
            *self.requests.entry(name.clone()).or_default() += count;
        }
    }
}
