//! The splitter: cuts an uploaded file into chunks, sends a claim check for each, and seals the
//! batch when the last one is sent.

use futures::stream::{self, TryStreamExt};

use super::batches::Batches;
use super::splitter::{Chunk, Cut, End, Splitter};
use super::{Clock, Outcome, Stage, Stores};
use crate::blob::Blob;
use crate::channel::{Channel, Delivery, Outgoing};
use crate::codec::s3_event::{self, Created, Notice};
use crate::ledger::completion::Progress;
use crate::ledger::{Ledger, Opened};
use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;
use crate::model::ids::BatchId;
use crate::model::message::{ProcessMessage, to_body};
use crate::model::progress::{Opening, Sealing};
use crate::model::summary::{Fault, InputRef};
use crate::model::timestamp::Timestamp;

/// Claim checks that go out in one request.
const MESSAGES: usize = 10;

/// The scatter stage.
pub struct Scatter<S: Stores> {
    /// Where inputs are uploaded.
    pub input: S::Blob,
    /// The name of that bucket; events of another are refused.
    pub input_bucket: String,
    /// To the workers.
    pub process: S::Channel,
    /// Where chunks wait, and batch state.
    pub batches: Batches<S>,
    /// The time.
    pub clock: S::Clock,
    /// The variant's name.
    pub variant: String,
    /// The field that is the items' key.
    pub key_field: String,
    /// Records in a chunk.
    pub chunk_size: usize,
    /// Chunks that are written at once.
    pub width: usize,
}

impl<S: Stores> Stage for Scatter<S> {
    const NAME: &'static str = "scatter";

    fn batch_of(&self, body: &str) -> Option<BatchId> {
        s3_event::parse(body).ok()?.iter().find_map(|notice| match notice {
            Notice::Created(created) => Some(BatchId::of(&created.bucket, &created.key, &created.revision)),
            Notice::Nothing(_) => None,
        })
    }

    async fn handle(&self, delivery: &Delivery, _deadline: Timestamp) -> Outcome {
        self.take(&delivery.body).await.into()
    }
}

impl<S: Stores> Scatter<S> {
    async fn take(&self, body: &str) -> Result<Outcome> {
        let mut discarded = None;
        for notice in s3_event::parse(body)? {
            discarded = match notice {
                Notice::Nothing(reason) => Some(reason),
                Notice::Created(created) => self.scatter(created).await?,
            };
        }
        Ok(discarded.map_or(Outcome::Done, Outcome::Discarded))
    }

    /// Scatters one upload, or says why there is nothing to do.
    async fn scatter(&self, created: Created) -> Result<Option<String>> {
        if created.bucket != self.input_bucket {
            return Err(Error::malformed(format!("the event is of another bucket: {}", created.bucket)));
        }
        let started_at = self.clock.now();
        let id = BatchId::of(&created.bucket, &created.key, &created.revision);
        let version = created.revision.version();
        let Some(body) = self.input.get(&created.key, version).await? else {
            return Ok(Some("the object is gone".to_owned()));
        };
        let format = InputFormat::of_key(&created.key);
        let opening = Opening {
            id: id.clone(),
            variant: self.variant.clone(),
            input: InputRef {
                version_id: version.map(str::to_owned),
                bucket: created.bucket,
                key: created.key,
                bytes: created.bytes,
                format: format.as_ref().ok().map(InputFormat::to_string),
            },
            started_at,
        };
        let before = match self.batches.ledger.open(&opening).await? {
            Opened::Before(batch) if batch.sealing.is_some() => Some(batch),
            _ => None,
        };
        let progress = match before {
            Some(batch) if batch.state.is_final() => Progress::Open,
            Some(batch) if self.batches.is_complete(&batch).await? => Progress::Complete,
            Some(_) => Progress::Open,
            None => {
                let end = match format {
                    Ok(format) => self.send(&id, format, body).await?,
                    Err(fault) => End::unreadable(fault),
                };
                tracing::info!(batch_id = %id, records = end.records, chunks = end.chunks, "batch scattered");
                self.batches.seal(&id, &self.sealing(end)).await?
            }
        };
        self.batches.announce(&id, progress).await?;
        Ok(None)
    }

    /// Writes each chunk and then sends its claim check. A repeat writes and sends the same again.
    async fn send(&self, id: &BatchId, format: InputFormat, body: crate::blob::Body) -> Result<End> {
        let splitter =
            Splitter::new(body, format, &self.key_field, self.chunk_size, self.batches.condition.most_chunks());
        let cuts = stream::try_unfold(splitter, |mut splitter| async move {
            Ok::<_, Error>(splitter.next().await?.map(|cut| (cut, splitter)))
        });
        let mut end = None;
        let sent = cuts.map_ok(|cut| async move {
            match cut {
                Cut::Chunk(chunk) => self.put(id, format, chunk).await.map(Ok),
                Cut::End(end) => Ok(Err(end)),
            }
        });
        let mut groups = std::pin::pin!(sent.try_buffer_unordered(self.width).try_chunks(MESSAGES));
        while let Some(group) = groups.try_next().await.map_err(|e| e.1)? {
            let mut messages = Vec::with_capacity(group.len());
            for sent in group {
                match sent {
                    Ok(message) => messages.push(Outgoing::new(to_body(&message))),
                    Err(last) => end = Some(last),
                }
            }
            if !messages.is_empty() {
                self.process.send(messages).await?;
            }
        }
        end.ok_or_else(|| Error::internal("the input had no end"))
    }

    async fn put(&self, id: &BatchId, format: InputFormat, chunk: Chunk) -> Result<ProcessMessage> {
        self.batches.chunks.put(id, chunk.index, &chunk.entries, self.clock.now()).await?;
        let records = u32::try_from(chunk.entries.len()).map_err(|e| Error::internal("a chunk too long").because(e))?;
        Ok(ProcessMessage::new(id.clone(), chunk.index, records, format.layout))
    }

    fn sealing(&self, end: End) -> Sealing {
        Sealing {
            records: end.records,
            chunks: end.chunks,
            columns: end.columns,
            error: end.fault,
            scattered_at: self.clock.now(),
        }
    }
}

impl End {
    /// The end of a file that can not be read at all.
    fn unreadable(fault: Fault) -> Self {
        Self { records: 0, chunks: 0, columns: None, fault: Some(fault) }
    }
}
