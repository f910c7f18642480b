//! The failed records of a closed batch, or those that failed for one reason, in the form in which they were uploaded.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::batch::Batches;
use crate::batch::objects::Objects;
use crate::batch::outcomes::{self, Outcomes};
use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::progress::Batch;
use crate::model::reason::{Reason, ReasonId};
use crate::model::record::Outcome;
use crate::render::Render;
use crate::render::records::{Source, columns_of, failed};
use crate::store::Stores;

/// Bytes that are collected until they are passed on.
const PIECE: usize = 64 * 1024;

/// Reads failed records.
pub struct Failures<S: Stores> {
    /// Where results are kept, and batch state.
    pub batches: Batches<S>,
    /// The work bucket, where what is known of the objects of a batch is kept.
    pub work: S::Blob,
    /// Results that are read ahead.
    pub width: usize,
}

/// A file of them.
pub struct FailedFile<'a> {
    /// What it may be called.
    pub name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes; none if no record failed like this.
    pub pieces: BoxStream<'a, Result<Bytes>>,
}

/// What is left to be written.
struct Writing<'a> {
    outcomes: Outcomes<'a>,
    only: Option<ReasonId>,
    source: Source,
    /// Begun with the first record.
    render: Option<Box<dyn Render>>,
}

impl Writing<'_> {
    fn holds(&self, outcome: &Outcome) -> bool {
        let wanted = |only: &ReasonId| Reason::of(&outcome.response.message).id() == *only;
        !outcome.response.success && self.only.as_ref().is_none_or(wanted)
    }

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let source = &mut self.source;
        let render = self.render.get_or_insert_with(|| {
            if source.format.layout == Layout::Csv && source.columns.is_empty() {
                source.columns = columns_of(outcome);
            }
            let mut render = failed(source, "failed").render;
            render.begin(out);
            render
        });
        render.add(outcome, out)
    }

    /// The next piece, and whether there may be more.
    async fn piece(&mut self) -> Result<(Bytes, bool)> {
        let mut out = Vec::new();
        while out.len() < PIECE {
            let Some(outcome) = self.outcomes.next().await? else {
                if let Some(render) = &mut self.render {
                    render.end(&mut out);
                }
                return Ok((out.into(), false));
            };
            if self.holds(&outcome) {
                self.add(&outcome, &mut out)?;
            }
        }
        Ok((out.into(), true))
    }
}

impl<S: Stores> Failures<S> {
    /// The failed records of all generations of a closed batch, of which this is the latest; `only` those that failed for
    /// that reason, if one is given.
    ///
    /// # Errors
    /// `Conflict` if there is no such file: the batch is not closed, or is made of many objects, each with a file of its own
    /// among its outputs. Those of the stores.
    pub async fn of(&self, batch: &Batch, only: Option<ReasonId>) -> Result<FailedFile<'_>> {
        let id = &batch.opening.id;
        if !batch.state.is_final() {
            return Err(Error::conflict(format!(
                "batch {id} is not closed: its failed records can be had then; `fanfold status` has examples until then"
            )));
        }
        if Objects::of(&self.work, batch).await?.is_some() {
            return Err(Error::conflict(format!(
                "batch {id} is made of many objects: each has its failed records in a file of its own, \
                 which `fanfold status {id} --output DIR` downloads"
            )));
        }
        let format = batch.opening.input.format()?;
        let generations = outcomes::generations(&self.batches, batch).await?;
        let sealing = generations.first().and_then(|first| first.sealing.clone());
        let (columns, head) = sealing.map(|sealing| (sealing.columns, sealing.head)).unwrap_or_default();
        let columns = columns.unwrap_or_else(|| format.columns.clone());
        let source = Source { format, columns, head };
        let document = failed(&source, "failed");
        let outcomes = Outcomes::failed(&self.batches, &generations, Vec::new(), self.width);
        let writing = Writing { outcomes, only, source, render: None };
        let pieces = stream::try_unfold(Some(writing), |writing| async move {
            let Some(mut writing) = writing else {
                return Ok(None);
            };
            let (piece, more) = writing.piece().await?;
            Ok(Some((piece, more.then_some(writing))))
        });
        Ok(FailedFile { name: document.file, content_type: document.content_type, pieces: pieces.boxed() })
    }
}
