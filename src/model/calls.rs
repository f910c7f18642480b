//! Counts of the AWS requests that a batch took.

use std::collections::BTreeMap;

/// What is counted of a write that makes an entry of an index as well: it costs another one, and is no request.
pub const INDEX_ENTRY: &str = "dynamodb.IndexEntry";
/// A transition between states of Step Functions.
pub const TRANSITION: &str = "sfn.Transition";
/// An express execution of Step Functions, of as little memory and time as is billed at least.
pub const EXPRESS: &str = "sfn.ExpressExecution";
/// An invocation of a function that worked for a batch; one that worked for several counts for each.
pub const INVOCATION: &str = "lambda.Invocation";
/// The memory of a function in MB, for each millisecond that it worked for a batch, as it measured itself.
pub const MEMORY_TIME: &str = "lambda.MegabyteMillisecond";

/// What is counted, is billed, and is no request.
pub const BESIDE: [&str; 5] = [INDEX_ENTRY, TRANSITION, EXPRESS, INVOCATION, MEMORY_TIME];

/// Requests by service and operation, such as `dynamodb.BatchWriteItem`.
pub type Requests = BTreeMap<String, u64>;

/// Whether what is counted by this name is a request.
pub fn is_request(operation: &str) -> bool {
    !BESIDE.contains(&operation)
}

/// How many requests these are.
pub fn many(requests: &Requests) -> u64 {
    requests.iter().filter(|(operation, _)| is_request(operation)).map(|(_, number)| number).sum()
}

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
