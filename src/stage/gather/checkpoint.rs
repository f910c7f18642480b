//! What gather keeps in the work bucket while it writes the outputs, so that another invocation goes on where it stopped.
//!
//! A checkpoint is one object, so that it is written as a whole or not at all: a line of JSON, then what the documents
//! have not uploaded yet, and the hashes of keys. Its key begins with the attempt, which the lease makes unique: a
//! function whose lease has ended writes under lower keys than the one that took over.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::batch::lane;
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;
use crate::model::progress::Tally;
use crate::model::summary::Failure;
use crate::stage::gather::results::Results;
use crate::stage::gather::write;
use crate::store::blob::{Blob, list_all, read_all};

/// The form of checkpoints, and of what the outputs are made of: any other is not gone on with.
const VERSION: u32 = 1;
const CONTENT_TYPE: &str = "application/octet-stream";

/// How far gather has come, between two outcomes.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// Which outcomes are written out.
    pub results: Results,
    /// Whether results are among the documents: they are not, although wanted, if the input was gone.
    pub whole: bool,
    /// Where each generation stands.
    pub lanes: Vec<lane::Place>,
    /// Whether all outcomes were merged.
    pub ended: bool,
    /// The columns of the documents, once they were begun.
    pub columns: Option<Vec<String>>,
    /// Where the documents stand, once they were begun.
    pub documents: Option<write::Place>,
    /// The counts of the outcomes that were merged.
    pub tally: Tally,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// How many hashes of keys there are, if they are known.
    pub hashes: Option<usize>,
    /// How many records were replaced, once all outcomes were merged and if it is known.
    pub replaced: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    state: T,
}

/// A checkpoint.
pub(super) struct Checkpoint {
    /// How far gather had come.
    pub state: State,
    /// What the documents had not uploaded.
    pub rests: Bytes,
    /// The hashes of keys.
    pub hashes: Option<Vec<u64>>,
}

impl Checkpoint {
    /// The object that holds a checkpoint.
    pub fn encode(state: State, rests: &[u8], hashes: Option<&[u64]>) -> Result<Bytes> {
        let state = State { hashes: hashes.map(<[u64]>::len), ..state };
        let mut bytes = serde_json::to_vec(&Versioned { version: VERSION, state })
            .map_err(|e| Error::internal("a checkpoint cannot be written").because(e))?;
        bytes.push(b'\n');
        bytes.reserve_exact(rests.len() + 8 * hashes.map_or(0, <[u64]>::len));
        bytes.extend_from_slice(rests);
        hashes.into_iter().flatten().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
        Ok(bytes.into())
    }

    /// The checkpoint that an object holds; `None` if it is of another version, or cannot be read.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let head = bytes.split_to(line);
        // Its version first: a state of another version has another form.
        let Versioned::<serde::de::IgnoredAny> { version, .. } = serde_json::from_slice(&head).ok()?;
        if version != VERSION {
            return None;
        }
        let Versioned::<State> { state, .. } = serde_json::from_slice(&head).ok()?;
        let mut rests = bytes.split_off(1);
        let hashes = match state.hashes {
            Some(many) => {
                let tail = rests.split_off(rests.len().checked_sub(many.checked_mul(8)?)?);
                let hashes = tail.chunks_exact(8).map(|hash| hash.try_into().map(u64::from_le_bytes));
                Some(hashes.collect::<std::result::Result<_, _>>().ok()?)
            }
            None => None,
        };
        Some(Self { state, rests, hashes })
    }
}

/// The checkpoints of one batch.
pub(super) struct Checkpoints<'a, B: Blob> {
    work: &'a B,
    id: &'a BatchId,
    attempt: u32,
    /// How many this attempt has written.
    written: u32,
    /// The keys of those that are there, as far as it is known.
    there: Vec<String>,
}

impl<'a, B: Blob> Checkpoints<'a, B> {
    /// Those of an attempt to gather a batch.
    pub fn new(work: &'a B, id: &'a BatchId, attempt: u32) -> Self {
        Self { work, id, attempt, written: 0, there: Vec::new() }
    }

    fn key(&self, number: u32) -> String {
        format!("{}{:06}-{number:06}", self.id.gather_prefix(), self.attempt)
    }

    /// Looks for those of earlier attempts.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn find(&mut self) -> Result<()> {
        if self.attempt > 1 {
            let before = self.key(0);
            self.there = list_all(self.work, &self.id.gather_prefix()).await?;
            self.there.retain(|key| *key < before);
        }
        Ok(())
    }

    /// Reads the newest one; `None` if there is none that can be gone on with.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn newest(&self) -> Result<Option<Checkpoint>> {
        let Some(key) = self.there.last() else {
            return Ok(None);
        };
        let found = read_all(self.work, key).await?.and_then(Checkpoint::decode);
        if found.is_none() {
            tracing::warn!(%key, "checkpoint not readable: the outputs are written from the beginning");
        }
        Ok(found)
    }

    /// Whether there are any, so that another attempt would go on from one.
    pub fn are_used(&self) -> bool {
        !self.there.is_empty()
    }

    /// Whether this attempt has written one.
    pub fn progressed(&self) -> bool {
        self.written > 0
    }

    /// Writes the next one, and deletes those before it.
    ///
    /// # Errors
    /// Those of the bucket, unless only the deletion fails.
    pub async fn write(&mut self, body: Bytes) -> Result<()> {
        let (key, bytes) = (self.key(self.written), body.len());
        self.work.put(&key, CONTENT_TYPE, body).await?;
        tracing::info!(%key, bytes, "checkpoint written");
        self.written += 1;
        self.clear().await;
        self.there.push(key);
        Ok(())
    }

    /// Deletes all that are there. The work bucket's lifecycle rule deletes what is left.
    pub async fn clear(&mut self) {
        let mut left = Vec::new();
        for key in std::mem::take(&mut self.there) {
            if let Err(error) = self.work.delete(&key).await {
                tracing::warn!(%key, %error, "checkpoint not deleted");
                left.push(key);
            }
        }
        self.there = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blob::memory::MemoryBlob;

    fn state() -> State {
        State {
            results: Results::All,
            whole: true,
            lanes: vec![lane::Place::default()],
            ended: false,
            columns: Some(vec!["a\nb".to_owned()]),
            documents: None,
            tally: Tally { succeeded: 3, failed: 1, failed_chunks: 0 },
            failures: Vec::new(),
            hashes: None,
            replaced: None,
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let hashes = [7, u64::MAX, u64::from_le_bytes(*b"\n\n\n\n\n\n\n\n")];
        for kept in [Some(&hashes[..]), Some(&[]), None] {
            let found = Checkpoint::decode(Checkpoint::encode(state(), b"rest\n\xff", kept).unwrap()).unwrap();
            assert_eq!((&found.rests[..], found.hashes.as_deref()), (&b"rest\n\xff"[..], kept));
            assert_eq!((found.state.tally, found.state.columns), (state().tally, state().columns));
        }
    }

    #[test]
    fn what_is_no_checkpoint_of_this_version_is_told() {
        let whole = Checkpoint::encode(state(), b"", Some(&[1, 2])).unwrap();
        assert!(Checkpoint::decode(whole.clone()).is_some());
        for length in 0..whole.len() - 16 {
            assert!(Checkpoint::decode(whole.slice(..length)).is_none(), "{length}");
        }
        let text = String::from_utf8_lossy(&whole).replace("\"version\":1", "\"version\":2");
        assert!(Checkpoint::decode(text.into_bytes().into()).is_none());
    }

    #[tokio::test]
    async fn the_newest_checkpoint_counts_and_none_of_a_later_attempt() {
        let (work, id) = (MemoryBlob::new(), BatchId::parse("orders-0123456789ab").unwrap());
        let body = |records| {
            let tally = Tally { succeeded: records, ..Tally::default() };
            Checkpoint::encode(State { tally, ..state() }, b"", None).unwrap()
        };
        for (key, records) in [("000001-000009", 1), ("000002-000000", 2), ("000002-000001", 3), ("000004-000000", 4)] {
            work.put(&format!("{}{key}", id.gather_prefix()), CONTENT_TYPE, body(records)).await.unwrap();
        }
        let mut third = Checkpoints::new(&work, &id, 3);
        third.find().await.unwrap();
        assert_eq!(third.newest().await.unwrap().unwrap().state.tally.succeeded, 3);
        third.write(body(5)).await.unwrap();
        let left = ["000003-000000", "000004-000000"].map(|key| format!("{}{key}", id.gather_prefix()));
        assert_eq!(work.keys(), left);
        third.clear().await;
        assert_eq!(work.keys(), left[1..]);
    }
}
