//! Wrong orders and missing conditions, built into the stores of a simulation to show that it would catch them
//! in the stages.

use bytes::Bytes;
use fanfold::model::fold::{Group, Totals};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::item::Item;
use fanfold::store::blob::UploadId;
use fanfold::store::channel::Outgoing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A chunk is marked as done before its items are written.
    MarkBeforeTheItems,
    /// A leaf counts every mark instead of every chunk.
    CounterWithoutItsCondition,
    /// A worker that finds its chunk done does not check whether that completes the batch.
    DuplicateDoesNotCheckAgain,
    /// Scatter seals the batch before its last messages are sent.
    SealBeforeTheLastMessage,
    /// The pending records are deleted before the chunk's result is written.
    PendingGoneBeforeTheResult,
    /// Gather works on a batch that another function holds.
    GatherDoesNotTake,

    /// Of two decisions about a chunk, the last one counts.
    LastToDecideWins,
    /// Sweep does not know that the workers are paused.
    PauseIsIgnored,
    /// The lease of a gather that dies never ends.
    LeaseNeverEnds,
    /// The summary is written before the outputs that it names.
    SummaryBeforeTheOutputs,
    /// A gather that finds its summary writes it again.
    SummaryIsWrittenAgain,
    /// Bury decides about a chunk, but does not mark it.
    BuryDoesNotMark,
    /// A leaf does not say which of its chunks hold failures.
    FailuresAreNotMarked,
    /// An item is replaced by an older one.
    OrderIsIgnored,
    /// Workers read the newest version of the input, whichever that is.
    AnyVersionIsRead,
    /// A redrive also takes records that succeeded.
    RedriveTakesEverything,
    /// Scatter does not keep the claims of chunks.
    ClaimsAreNotKept,
    /// Sweep announces batches whether or not they are complete.
    SweepAnnouncesTooSoon,
    /// Sweep does not note what it sees.
    SweepForgets,

    /// The last leaf gets its size from whichever seal comes last.
    LaterSealCounts,
    /// Gather reads across the holes left by a scatter that died.
    HolesAreRead,
    /// Records of a chunk that was ended without them count as stored.
    LostChunksCount,
    /// Gather does not check whether a chunk that is pending again is done.
    GatherDoesNotLook,
    /// Nor does sweep.
    SweepDoesNotLook,
    /// Sweep sends what is missing again every quarter of an hour.
    SweepNeverTires,
    /// A batch is judged by the schema that is deployed when it is processed.
    RulesAreForgotten,
    /// Every scatter finds the objects of its batch anew.
    ObjectsAreFoundAgain,
    /// Scatter reads the newest versions of objects.
    NewestObjectsAreRead,
    /// What came of the objects is kept only after the batch is sealed.
    ObjectsAfterTheSeal,
    /// A try that a busy service ended counts like any other.
    BusyCounts,
    /// Every pause lasts as long as it may.
    NoJitter,
    /// A write of items that was refused eight times is not repeated.
    GivesUpAfterEight,
    /// Scatter does not know the limits of a batch.
    LimitIsIgnored,
    /// Nobody looks at how many records of a batch failed.
    BudgetIsIgnored,
    /// A share of failures counts from the first record on.
    FloorIsIgnored,
    /// A share of failures is of all records of a batch, not of those that were processed.
    ShareOfAllRecords,
    /// The messages before a bookmark are sent after it was noted.
    BookmarkBeforeTheMessages,
    /// Scatter's bookmarks are not noted.
    BookmarkIsLost,
    /// What is missing at first sight is taken to be gone: no delivery says when its message first arrived.
    MissingIsFinal,
    /// A checkpoint counts outcomes that were read and not merged, and they are counted again when they are.
    WaitingCountsTwice,
    /// Gather goes on from the oldest checkpoint.
    OldestCheckpointCounts,
    /// A checkpoint lacks what was not uploaded yet.
    RestIsLost,
    /// A checkpoint does not say how many outcomes were merged.
    TallyIsForgotten,
    /// A checkpoint is written before the parts that it names.
    CheckpointBeforeItsParts,
    /// A record that failed for good is tried again.
    PermanentIsTriedAgain,
    /// What was answered for the records of a chunk is not known to its next try.
    AnswersAreForgotten,
    /// How often records were tried is not known to the next try.
    TriesAreForgotten,
    /// A function takes a chunk that another has, and keeps no answers that the other has not.
    LeaseIsIgnored,
    /// A chunk is counted before it is decided.
    CountersBeforeTheDecision,
    /// Counters are added to and not set.
    CountersAreAdded,
    /// A chunk is counted after it is marked.
    CountersAfterTheMark,
    /// The reasons of a chunk count each time that it is marked.
    ReasonsCountAgain,
    /// A map does not hand over what its workers do not get done.
    ChunksAreNotHandedOver,
    /// A map says that its batch is complete, in words that the queue then drops of the worker who knows it.
    MapsAnnounce,
}

impl Mutation {
    pub const ALL: [Self; 51] = [
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
        Self::RulesAreForgotten,
        Self::ObjectsAreFoundAgain,
        Self::NewestObjectsAreRead,
        Self::ObjectsAfterTheSeal,
        Self::BusyCounts,
        Self::LimitIsIgnored,
        Self::BudgetIsIgnored,
        Self::FloorIsIgnored,
        Self::ShareOfAllRecords,
        Self::BookmarkBeforeTheMessages,
        Self::BookmarkIsLost,
        Self::MissingIsFinal,
        Self::WaitingCountsTwice,
        Self::OldestCheckpointCounts,
        Self::RestIsLost,
        Self::TallyIsForgotten,
        Self::CheckpointBeforeItsParts,
        Self::PermanentIsTriedAgain,
        Self::AnswersAreForgotten,
        Self::TriesAreForgotten,
        Self::LeaseIsIgnored,
        Self::CountersBeforeTheDecision,
        Self::CountersAreAdded,
        Self::CountersAfterTheMark,
        Self::ReasonsCountAgain,
        Self::ChunksAreNotHandedOver,
        Self::MapsAnnounce,
    ];
}

/// An effect that a mutation delays; it is lost if the function dies first.
pub enum Late {
    Items(Vec<Item>),
    Counters(BatchId, ChunkIndex, Vec<(Group, Totals)>),
    Object(String, Bytes),
    Output(String, Bytes),
    Message(usize, Outgoing),
    Part(String, UploadId, i32, Bytes),
}
