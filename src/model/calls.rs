//! How many AWS requests a batch took.

use std::collections::BTreeMap;

/// Requests by service and operation, such as `dynamodb.BatchWriteItem`.
pub type Requests = BTreeMap<String, u64>;

/// What the functions of one stage asked of AWS for a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageCalls {
    /// Messages that were worked on, repeated ones among them.
    pub messages: u64,
    /// Requests that were sent, retries among them.
    pub requests: Requests,
}

/// The calls of a batch by stage: `scatter`, `process`, `gather`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls(pub BTreeMap<String, StageCalls>);

impl StageCalls {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        for (name, count) in &other.requests {
            *self.requests.entry(name.clone()).or_default() += count;
        }
    }
}
