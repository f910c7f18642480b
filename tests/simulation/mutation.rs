//! Wrong orders and missing conditions, built into the stores of a simulation to show that it would
//! catch them in the stages.

use bytes::Bytes;
use fanfold::model::item::Item;
use fanfold::store::channel::Outgoing;

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

    /// Of two that decide about a chunk the last one counts.
    LastToDecideWins,
    /// A gather that dies keeps its batch.
    LeaseNeverEnds,
    /// The summary is written before what it names.
    SummaryBeforeTheOutputs,
    /// A gather that finds its summary writes it once more.
    SummaryIsWrittenAgain,
    /// Bury decides about a chunk, and does not mark it.
    BuryDoesNotMark,
    /// A leaf does not say which of its chunks hold failures.
    FailuresAreNotMarked,
    /// An item is replaced by an older one.
    OrderIsIgnored,
    /// Workers read whatever version of the input is the newest.
    AnyVersionIsRead,
    /// A redrive takes what succeeded too.
    RedriveTakesEverything,
    /// Scatter does not keep where chunks lie.
    ClaimsAreNotKept,
    /// Sweep announces what it looks at, complete or not.
    SweepAnnouncesTooSoon,
    /// Sweep does not note what it saw.
    SweepForgets,

    /// The last leaf gets its size by whichever seal comes last.
    LaterSealCounts,
    /// Gather reads through the holes that a scatter left which died.
    HolesAreRead,
    /// Records of a chunk that was ended without them count as stored.
    LostChunksCount,
    /// Gather does not ask whether what waits again is done.
    GatherDoesNotLook,
    /// Neither does sweep.
    SweepDoesNotLook,
    /// Sweep sends what is missing every quarter of an hour.
    SweepNeverTires,
}

impl Mutation {
    pub const ALL: [Self; 24] = [
        Self::MarkBeforeTheItems,
        Self::CounterWithoutItsCondition,
        Self::DuplicateDoesNotCheckAgain,
        Self::SealBeforeTheLastMessage,
        Self::PendingGoneBeforeTheResult,
        Self::GatherDoesNotTake,
        Self::LastToDecideWins,
        Self::LeaseNeverEnds,
        Self::SummaryBeforeTheOutputs,
        Self::SummaryIsWrittenAgain,
        Self::BuryDoesNotMark,
        Self::FailuresAreNotMarked,
        Self::OrderIsIgnored,
        Self::AnyVersionIsRead,
        Self::RedriveTakesEverything,
        Self::ClaimsAreNotKept,
        Self::SweepAnnouncesTooSoon,
        Self::SweepForgets,
        Self::LaterSealCounts,
        Self::HolesAreRead,
        Self::LostChunksCount,
        Self::GatherDoesNotLook,
        Self::SweepDoesNotLook,
        Self::SweepNeverTires,
    ];
}

/// An effect that a mutation puts off; it is lost if the function dies before.
pub enum Late {
    Items(Vec<Item>),
    Object(String, Bytes),
    Output(String, Bytes),
    Message(usize, Outgoing),
}
