//! The names of batches and chunks.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};

/// Chunks that one leaf of the completion tree covers.
pub const LEAF_SIZE: u32 = 256;
/// Leaves that one node of the completion tree covers. The root itself covers as many: the first ones.
pub const NODE_SIZE: u32 = 256;
/// Nodes that the root covers besides, from node 1 on.
pub const MAX_NODES: u32 = 255;
/// Leaves of the completion tree of one batch.
pub const MAX_LEAVES: u32 = NODE_SIZE + MAX_NODES * NODE_SIZE;
/// Chunks that the completion tree of one batch can count: 16,777,216.
pub const MAX_TREE_CHUNKS: u32 = LEAF_SIZE * MAX_LEAVES;
/// The suffix of pending chunks' keys in the work bucket. No other object there has it, so that a notification
/// can be limited to them.
pub const PENDING: &str = ".chunk";
/// The suffix of the keys that hold chunks' outcomes.
const DONE: &str = ".jsonl";

/// The number of chunks that can be named: keys hold eight digits.
pub const MAX_CHUNKS: u32 = 100_000_000;

/// How often a batch can be redriven.
pub const MAX_GENERATION: u32 = 999;

const STEM_LENGTH: usize = 80;
const GENERATION: &str = ".r";

/// The name of a batch: `{stem}-{12 hex digits}`, the same for every delivery of the same event. A redriven
/// batch is worked on under that name followed by `.r` and the generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(String);

/// What distinguishes one upload under a key from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// The version id that a versioned bucket gives each upload.
    Version(String),
    /// In a bucket without versions: the object's eTag and the event's sequencer.
    Etag {
        /// The object's entity tag.
        etag: String,
        /// The event's sequencer, which orders the events of one key.
        sequencer: String,
    },
}

impl Revision {
    /// The version id, if the bucket keeps versions.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Version(version) => Some(version),
            Self::Etag { .. } => None,
        }
    }

    /// The entity tag, if there is no version id.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Etag { etag, .. } if !etag.is_empty() => Some(etag),
            _ => None,
        }
    }
}

impl BatchId {
    /// Derives the name from the location and revision of the input.
    pub fn of(bucket: &str, key: &str, revision: &Revision) -> Self {
        let mut hash = Sha256::new();
        let parts = match revision {
            Revision::Version(version) => [version.as_str(), ""],
            Revision::Etag { etag, sequencer } => [etag.as_str(), sequencer.as_str()],
        };
        for part in [bucket, key].into_iter().chain(parts) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        let mut name = stem(key);
        name.push('-');
        for byte in digest.iter().take(6) {
            name.push_str(&format!("{byte:02x}"));
        }
        Self(name)
    }

    /// Parses a name as typed, or as read from a message.
    ///
    /// # Errors
    /// `Malformed` if it cannot be the name of a batch.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, _) = parted(text);
        let fits = name.len() <= STEM_LENGTH + 13
            && name.rsplit_once('-').is_some_and(|(stem, hex)| {
                !stem.is_empty()
                    && stem.chars().all(allowed)
                    && hex.len() == 12
                    && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::malformed(format!("{text:?} is not a batch id; one looks like orders-0123456789ab")))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How often the batch had been redriven when it got this name.
    pub fn generation(&self) -> u32 {
        parted(&self.0).1
    }

    /// The batch's name in another generation; users know the one of generation 0.
    pub fn in_generation(&self, generation: u32) -> Self {
        let (name, _) = parted(&self.0);
        Self(if generation == 0 { name.to_owned() } else { format!("{name}{GENERATION}{generation}") })
    }

    /// The prefix of all pending chunks in the work bucket.
    pub fn pending_prefix(&self) -> String {
        format!("{}/pending/", self.0)
    }

    /// The key of a chunk's pending records in the work bucket.
    pub fn pending_key(&self, chunk: ChunkIndex) -> String {
        format!("{}/pending/{:08}{PENDING}", self.0, chunk.0)
    }

    /// The prefix of all outcomes in the work bucket.
    pub fn done_prefix(&self) -> String {
        format!("{}/done/", self.0)
    }

    /// The key of a chunk's outcomes in the work bucket.
    pub fn done_key(&self, chunk: ChunkIndex) -> String {
        format!("{}/done/{:08}{DONE}", self.0, chunk.0)
    }

    /// The batch and the chunk whose pending records are under a key of the work bucket.
    pub fn of_pending(key: &str) -> Option<(Self, ChunkIndex)> {
        let batch = Self::parse(key.split_once('/')?.0).ok()?;
        let chunk = batch.chunk_of_pending(key)?;
        Some((batch, chunk))
    }

    /// The chunk whose pending records are under a key.
    pub fn chunk_of_pending(&self, key: &str) -> Option<ChunkIndex> {
        self.chunk_of(key, "pending", PENDING)
    }

    /// The chunk whose outcomes are under a key.
    pub fn chunk_of_done(&self, key: &str) -> Option<ChunkIndex> {
        self.chunk_of(key, "done", DONE)
    }

    fn chunk_of(&self, key: &str, folder: &str, suffix: &str) -> Option<ChunkIndex> {
        let name = key.strip_prefix(&self.0)?.strip_prefix('/')?.strip_prefix(folder)?.strip_prefix('/')?;
        ChunkIndex::new(name.strip_suffix(suffix)?.parse().ok()?).ok()
    }

    /// The key in the work bucket of something that is known of the objects that a batch is made of; it is the same
    /// in all generations.
    pub fn objects_key(&self, name: &str) -> String {
        format!("{}/objects/{name}", parted(&self.0).0)
    }

    /// The key of the claim checks of so many chunks, which a Distributed Map reads, in the work bucket.
    pub fn claims_key(&self, chunks: u32) -> String {
        format!("{}/map/claims-{chunks}.jsonl", self.0)
    }

    /// The prefix of what gather needs to go on, in the work bucket.
    pub fn gather_prefix(&self) -> String {
        format!("{}/gather/", self.0)
    }

    /// The prefix of what was answered for the records of a chunk that is not done, in the work bucket.
    pub fn answers_prefix(&self, chunk: ChunkIndex) -> String {
        format!("{}/answers/{:08}-", self.0, chunk.0)
    }

    /// The key of one of those answers' objects, which are numbered from 0.
    pub fn answers_key(&self, chunk: ChunkIndex, number: u32) -> String {
        format!("{}{number:06}", self.answers_prefix(chunk))
    }

    /// The key of an output in the output bucket; all generations write the same objects.
    pub fn output_key(&self, name: &str) -> String {
        format!("{}/{name}", parted(&self.0).0)
    }
}

/// The id of a record's work: a UUID, the same in every try and every generation of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId([u8; 16]);

impl TaskId {
    /// Derives the id from a record's batch and place: a UUID of version 8, whose bits are the author's own
    /// (<https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8>).
    pub fn of(batch: &BatchId, record: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(parted(&batch.0).0.as_bytes());
        hash.update([0]);
        hash.update(record.to_be_bytes());
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BatchId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.0
    }
}

/// Splits a name into the name without its generation, and the generation.
fn parted(text: &str) -> (&str, u32) {
    let split = text.rsplit_once(GENERATION).and_then(|(name, digits)| {
        let plain = !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
        Some((name, digits.parse().ok().filter(|n| plain && (1..=MAX_GENERATION).contains(n))?))
    });
    split.unwrap_or((text, 0))
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// The last path segment without its extensions, in characters that are safe everywhere. It begins with a letter or a
/// digit: a command would take a name that begins with a hyphen for an option.
pub fn stem(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let packed = ["gz", "zst", "bz2"];
    let inner = name.rsplit_once('.').filter(|(_, last)| packed.contains(&last.to_ascii_lowercase().as_str()));
    let name = inner.map_or(name, |(inner, _)| inner);
    let name = name.rsplit_once('.').map_or(name, |(front, _)| front);
    let safe = name.chars().map(|c| if allowed(c) { c } else { '-' });
    let safe: String = safe.skip_while(|c| !c.is_ascii_alphanumeric()).take(STEM_LENGTH).collect();
    if safe.is_empty() { "batch".to_owned() } else { safe }
}

/// The place of a chunk in its batch, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ChunkIndex(u32);

impl ChunkIndex {
    /// The first.
    pub const FIRST: Self = Self(0);

    /// Checks the index against what a key can hold.
    ///
    /// # Errors
    /// `Malformed` past [`MAX_CHUNKS`].
    pub fn new(index: u32) -> Result<Self> {
        if index < MAX_CHUNKS { Ok(Self(index)) } else { Err(Error::malformed(too_many_chunks(MAX_CHUNKS))) }
    }

    /// Checks the index against what the completion tree can count.
    ///
    /// # Errors
    /// `Malformed` past [`MAX_TREE_CHUNKS`], with advice on how to make fewer.
    pub fn in_tree(self) -> Result<Self> {
        if self.0 < MAX_TREE_CHUNKS { Ok(self) } else { Err(Error::malformed(too_many_chunks(MAX_TREE_CHUNKS))) }
    }

    /// The index as a number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The leaf of the completion tree that counts this chunk.
    pub fn leaf(self) -> u32 {
        self.0 / LEAF_SIZE
    }
}

/// The message for a file that makes more chunks than a batch can have.
pub fn too_many_chunks(most: u32) -> String {
    format!(
        "a batch has at most {most} chunks, and this file needs more; \
         raise CHUNK_SIZE, use the variant chunked, or split the file"
    )
}

impl TryFrom<u32> for ChunkIndex {
    type Error = Error;
    fn try_from(index: u32) -> Result<Self> {
        Self::new(index)
    }
}

impl From<ChunkIndex> for u32 {
    fn from(chunk: ChunkIndex) -> Self {
        chunk.0
    }
}

impl std::fmt::Display for ChunkIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_one_id_in_all_generations_and_no_other_has_it() {
        let batch = BatchId::parse("orders-0123456789ab").unwrap();
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|n| TaskId::of(&batch, n).to_string()).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'8', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
        assert_eq!(TaskId::of(&batch.in_generation(3), 7), TaskId::of(&batch, 7));
        assert_ne!(TaskId::of(&BatchId::parse("orders-0123456789ac").unwrap(), 7), TaskId::of(&batch, 7));
    }

    fn version(v: &str) -> Revision {
        Revision::Version(v.to_owned())
    }

    #[test]
    fn a_repeated_event_gives_the_same_name_and_a_new_upload_another() {
        let first = BatchId::of("bucket", "in/orders.csv", &version("1"));
        assert_eq!(first, BatchId::of("bucket", "in/orders.csv", &version("1")));
        assert_ne!(first, BatchId::of("bucket", "in/orders.csv", &version("2")));
        assert_ne!(first, BatchId::of("bucket", "orders.csv", &version("1")));
        assert_ne!(first, BatchId::of("other", "in/orders.csv", &version("1")));
        let etag = |sequencer: &str| Revision::Etag { etag: "e".into(), sequencer: sequencer.into() };
        assert_ne!(BatchId::of("bucket", "k.csv", &etag("1")), BatchId::of("bucket", "k.csv", &etag("2")));
    }

    #[test]
    fn every_key_gives_a_name_that_parses() {
        for (key, stem) in [
            ("in/orders.csv", "orders"),
            ("a b+c/Bestellungen für März.csv.gz", "Bestellungen-f-r-M-rz"),
            ("orders.tsv.ZST", "orders"),
            ("orders.csv.bz2", "orders"),
            ("v1.2.orders.jsonl", "v1.2.orders"),
            ("../..", "batch"),
            ("データ.csv", "batch"),
            ("年2026.csv", "2026"),
            ("--output.csv", "output"),
            ("_SUCCESS.json", "SUCCESS"),
            (".csv", "batch"),
            ("", "batch"),
            ("a\u{7}b.csv", "a-b"),
        ] {
            let id = BatchId::of("b", key, &version("1"));
            let (front, hex) = id.as_str().rsplit_once('-').unwrap();
            assert_eq!(front, stem, "{key}");
            assert_eq!(hex.len(), 12);
            assert_eq!(BatchId::parse(id.as_str()).unwrap(), id);
        }
        let long = BatchId::of("b", &"x".repeat(1024), &version("1"));
        assert_eq!(long.as_str().len(), 93);
        assert_eq!(BatchId::parse(long.as_str()).unwrap(), long);
    }

    #[test]
    fn a_generation_is_part_of_the_name_and_not_of_the_outputs() {
        let first = BatchId::parse("a.r1-0123456789ab").unwrap();
        assert_eq!((first.generation(), &first.in_generation(0)), (0, &first));
        let second = first.in_generation(2);
        assert_eq!((second.as_str(), second.generation()), ("a.r1-0123456789ab.r2", 2));
        assert_eq!(BatchId::parse(second.as_str()).unwrap(), second);
        assert_eq!((second.in_generation(3).generation(), second.in_generation(0)), (3, first.clone()));
        assert_eq!(second.output_key("summary.json"), first.output_key("summary.json"));
        let chunk = ChunkIndex::new(7).unwrap();
        assert_ne!(second.pending_key(chunk), first.pending_key(chunk));
        assert_eq!(second.chunk_of_pending(&second.pending_key(chunk)), Some(chunk));
        assert_eq!(first.chunk_of_done(&first.done_key(chunk)), Some(chunk));
        assert_eq!(first.chunk_of_done(&second.done_key(chunk)), None);
        assert_eq!(BatchId::of_pending(&second.pending_key(chunk)), Some((second.clone(), chunk)));
        assert_eq!(BatchId::of_pending(&second.done_key(chunk)), None);
        for text in ["a-0123456789ab.r0", "a-0123456789ab.r01", "a-0123456789ab.r1000", "a-0123456789ab.r", "a.r1"] {
            assert!(BatchId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "orders", "orders-0123", "a/b-0123456789ab", "-0123456789ab", "a-0123456789AB"] {
            assert!(BatchId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn chunk_16777217_is_refused_with_a_way_out() {
        assert_eq!(ChunkIndex::new(65_535).unwrap().in_tree().unwrap().leaf(), 255);
        assert_eq!(ChunkIndex::new(16_777_215).unwrap().in_tree().unwrap().leaf(), MAX_LEAVES - 1);
        let refused = ChunkIndex::new(16_777_216).unwrap().in_tree().unwrap_err();
        assert!(refused.to_string().contains("at most 16777216 chunks"), "{refused}");
        assert!(refused.to_string().contains("raise CHUNK_SIZE"));
    }
}
