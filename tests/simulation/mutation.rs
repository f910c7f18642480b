//! Wrong orders and missing conditions, built into the stores of a simulation to show that it would
//! catch them in the stages.

use bytes::Bytes;
use fanfold::channel::Outgoing;
use fanfold::model::item::Item;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A chunk is marked as done before its items are written.
    MarkBeforeTheItems,
    /// A leaf counts every mark, and not every chunk.
    CounterWithoutItsCondition,
    /// Who finds its chunk done does not look whether that completes the batch.
    DuplicateDoesNotCheckAgain,
    /// Scatter seals the batch before its last messages are sent.
    SealBeforeTheLastMessage,
    /// The pending records are deleted before the chunk's result is written.
    PendingGoneBeforeTheResult,
    /// Gather works on a batch that another function has taken.
    GatherDoesNotTake,
}

impl Mutation {
    pub const ALL: [Self; 6] = [
        Self::MarkBeforeTheItems,
        Self::CounterWithoutItsCondition,
        Self::DuplicateDoesNotCheckAgain,
        Self::SealBeforeTheLastMessage,
        Self::PendingGoneBeforeTheResult,
        Self::GatherDoesNotTake,
    ];
}

/// An effect that a mutation puts off; it is lost if the function dies before.
pub enum Late {
    Items(Vec<Item>),
    Object(String, Bytes),
    Message(usize, Outgoing),
}
