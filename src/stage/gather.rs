//! The aggregator: merges the chunks' results into the outputs, writes the summary last, and
//! closes the batch.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::batches::{Batches, Condition};
use super::{Clock, Outcome, Stage, Stores};
use crate::blob::upload::Upload;
use crate::blob::{Blob, read_all};
use crate::channel::Delivery;
use crate::codec::outputs::{Kind, OutputEncoder};
use crate::ledger::{Ledger, Taken};
use crate::model::error::{Error, Result};
use crate::model::format::{InputFormat, Layout};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::message::GatherMessage;
use crate::model::progress::{Batch, Sealing, Tally};
use crate::model::record;
use crate::model::summary::{ChunkCounts, Failure, OutputRef, RecordCounts, SHOWN_FAILURES, Summary, final_state};
use crate::model::timestamp::Timestamp;

const SUMMARY: &str = "summary.json";

/// The gather stage.
pub struct Gather<S: Stores> {
    /// Where the chunks' results are kept, and batch state.
    pub batches: Batches<S>,
    /// Where outputs go.
    pub output: S::Blob,
    /// The time.
    pub clock: S::Clock,
    /// Results that are read ahead.
    pub width: usize,
}

impl<S: Stores> Stage for Gather<S> {
    const NAME: &'static str = "gather";

    fn batch_of(&self, body: &str) -> Option<BatchId> {
        GatherMessage::parse(body).ok().map(|message| message.batch_id)
    }

    async fn handle(&self, delivery: &Delivery, deadline: Timestamp) -> Outcome {
        self.take(delivery, deadline).await.into()
    }
}

impl<S: Stores> Gather<S> {
    async fn take(&self, delivery: &Delivery, deadline: Timestamp) -> Result<Outcome> {
        let id = GatherMessage::parse(&delivery.body)?.batch_id;
        let Some(batch) = self.batches.ledger.read(&id).await? else {
            return Err(Error::malformed(format!("the ledger does not know batch {id}")));
        };
        if batch.state.is_final() {
            return Ok(Outcome::Done);
        }
        if !self.batches.is_complete(&batch).await? {
            if batch.sealing.is_none() {
                // Whoever completes it will say so.
                return Ok(Outcome::Discarded(format!("batch {id} is not complete")));
            }
            // A repeated scatter may put back what a listing had found gone. This message must stay:
            // for five minutes the queue drops another with the same deduplication id.
            return Err(Error::transient(format!("batch {id} has pending chunks again")));
        }
        // A message that failed comes again with the same id, and goes on with what it holds.
        let owner = delivery.id.clone();
        match self.batches.ledger.take(&id, &owner, self.clock.now(), deadline).await? {
            Taken::Closed(_) => Ok(Outcome::Done),
            Taken::Held(_) => Err(Error::transient(format!("batch {id} is being gathered by another function"))),
            Taken::Yes(batch) => {
                self.gather(*batch, &owner).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn gather(&self, batch: Batch, owner: &str) -> Result<()> {
        let id = batch.opening.id.clone();
        let summary = match self.written_before(&batch).await? {
            Some(summary) => summary,
            None => self.write(&batch).await?,
        };
        let tally = Tally {
            succeeded: summary.records.succeeded,
            failed: summary.records.failed,
            failed_chunks: summary.chunks.failed,
        };
        self.batches.ledger.close(&id, owner, summary.state, tally, summary.finished_at).await?;
        let (state, records, failed) = (summary.state.name(), summary.records.total, tally.failed);
        tracing::info!(batch_id = %id, state, records, failed, "batch closed");
        Ok(())
    }

    /// The summary that an earlier taker wrote before it could close the batch: it stays as it is.
    async fn written_before(&self, batch: &Batch) -> Result<Option<Summary>> {
        if batch.gather_attempts < 2 {
            return Ok(None);
        }
        let summary = read_all(&self.output, &batch.opening.id.output_key(SUMMARY)).await?;
        Ok(summary.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn write(&self, batch: &Batch) -> Result<Summary> {
        let id = &batch.opening.id;
        let sealing = sealed(batch)?;
        let outputs = match InputFormat::of_key(&batch.opening.input.key) {
            Ok(format) if sealing.error.is_none() || sealing.records > 0 => {
                self.write_outputs(id, &sealing, format.layout).await?
            }
            _ => Outputs::default(),
        };
        self.check(id, &sealing, outputs.tally).await?;
        let summary = self.summary(batch, sealing, outputs);
        let text = serde_json::to_vec_pretty(&summary)
            .map_err(|e| Error::internal("the summary can not be written").because(e))?;
        self.output.put(&id.output_key(SUMMARY), "application/json", text.into()).await?;
        Ok(summary)
    }

    fn summary(&self, batch: &Batch, sealing: Sealing, outputs: Outputs) -> Summary {
        let tally = outputs.tally;
        Summary {
            batch_id: batch.opening.id.clone(),
            variant: batch.opening.variant.clone(),
            state: final_state(tally.failed, sealing.error.as_ref()),
            input: batch.opening.input.clone(),
            records: RecordCounts { total: sealing.records, succeeded: tally.succeeded, failed: tally.failed },
            chunks: ChunkCounts { total: u64::from(sealing.chunks), failed: tally.failed_chunks },
            started_at: batch.opening.started_at,
            scattered_at: sealing.scattered_at,
            gather_started_at: batch.gather_started_at.unwrap_or(sealing.scattered_at),
            finished_at: self.clock.now(),
            results: outputs.results.map(|key| OutputRef { key }),
            failed: outputs.failed.map(|key| OutputRef { key }),
            error: sealing.error,
            failures: outputs.failures,
        }
    }

    /// The outcomes that were merged must be those that were counted, each record once.
    async fn check(&self, id: &BatchId, sealing: &Sealing, merged: Tally) -> Result<()> {
        let counted = match self.batches.condition {
            Condition::Tree => {
                let leaves = self.batches.ledger.read_leaves(id, 0..sealing.leaves()).await?;
                leaves.iter().fold(Tally::default(), |sum, leaf| sum + leaf.tally)
            }
            Condition::Listing => merged,
        };
        if (counted.succeeded, counted.failed) == (merged.succeeded, merged.failed)
            && merged.succeeded + merged.failed == sealing.records
        {
            return Ok(());
        }
        Err(Error::internal(format!(
            "batch {id} has {} records; {} succeeded and {} failed by their results, {} and {} by their counters",
            sealing.records, merged.succeeded, merged.failed, counted.succeeded, counted.failed
        )))
    }

    async fn write_outputs(&self, id: &BatchId, sealing: &Sealing, layout: Layout) -> Result<Outputs> {
        let columns = sealing.columns.as_deref().unwrap_or_default();
        let mut outputs = Outputs::default();
        let mut results = Output::begin(&self.output, id, Kind::Results, layout, columns);
        let mut failed = None;
        let chunks = (0..sealing.chunks).map(|index| self.result_of(id, index));
        let mut chunks = std::pin::pin!(stream::iter(chunks).buffered(self.width));
        while let Some(outcomes) = chunks.try_next().await? {
            for outcome in outcomes {
                results.add(&outcome).await?;
                if outcome.response.success {
                    outputs.tally.succeeded += 1;
                    continue;
                }
                outputs.tally.failed += 1;
                let begin = || Output::begin(&self.output, id, Kind::Failed, layout, columns);
                failed.get_or_insert_with(begin).add(&outcome).await?;
                if outputs.failures.len() < SHOWN_FAILURES {
                    outputs.failures.push(Failure { index: outcome.index, message: outcome.response.message });
                }
            }
        }
        if let Some(failed) = failed {
            outputs.failed = Some(failed.end().await?);
        }
        outputs.results = Some(results.end().await?);
        Ok(outputs)
    }

    async fn result_of(&self, id: &BatchId, index: u32) -> Result<Vec<record::Outcome>> {
        self.batches.chunks.result(id, ChunkIndex::new(index)?).await
    }
}

/// What was written beside the summary.
#[derive(Default)]
struct Outputs {
    results: Option<String>,
    failed: Option<String>,
    failures: Vec<Failure>,
    tally: Tally,
}

/// One output file on its way.
struct Output<'a, B: Blob> {
    encoder: OutputEncoder,
    upload: Upload<'a, B>,
    key: String,
}

impl<'a, B: Blob> Output<'a, B> {
    fn begin(blob: &'a B, id: &BatchId, kind: Kind, layout: Layout, columns: &[String]) -> Self {
        let name = match kind {
            Kind::Results => "results",
            Kind::Failed => "failed",
        };
        let key = id.output_key(&format!("{name}.{}", layout.extension()));
        let encoder = OutputEncoder::new(kind, layout, columns);
        let mut upload = Upload::new(blob, key.clone(), layout.content_type());
        encoder.begin(upload.buffer());
        Self { encoder, upload, key }
    }

    async fn add(&mut self, outcome: &record::Outcome) -> Result<()> {
        self.encoder.add(outcome, self.upload.buffer())?;
        self.upload.flow().await
    }

    async fn end(mut self) -> Result<String> {
        self.encoder.end(self.upload.buffer());
        self.upload.finish().await?;
        Ok(self.key)
    }
}

fn sealed(batch: &Batch) -> Result<Sealing> {
    let sealing = batch.sealing.clone();
    sealing.ok_or_else(|| Error::internal("a batch was gathered before it was sealed"))
}
