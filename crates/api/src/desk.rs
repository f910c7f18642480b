//! What the handlers work with.

use crate::document::document;
use crate::once::Once;
use crate::pipelines::Pipelines;
use crate::problem::{Problem, Result};
use crate::reports::report::Report;
use crate::sockets::Sockets;
use crate::watching::{Following, Watching};
use fanfold::model::ids::BatchId;

/// The pipelines, what was done, and who waits for what.
#[derive(Debug, Default)]
pub struct Desk {
    /// Those whose batches are shown.
    pub pipelines: Pipelines,
    /// Those that make reports.
    pub makers: Pipelines,
    /// Whether who asks operates the system.
    pub operated: bool,
    pub once: Once,
    pub watching: Watching,
    /// Where clients connect that wait, if they can.
    pub sockets: Option<Sockets>,
    /// Whether answers reach those who asked while they are being written.
    pub streams: bool,
}

impl Desk {
    /// Follows a batch of a pipeline.
    pub fn follow(&self, name: &str, id: &BatchId) -> Result<Following> {
        let pipeline = self.pipelines.named(name)?.clone();
        let (name, id) = (name.to_owned(), id.clone());
        let watched = (name.clone(), id.to_string());
        Ok(self.watching.follow(watched, move || {
            let (pipeline, name, id) = (pipeline.clone(), name.clone(), id.clone());
            async move { document(&pipeline, &name, &id).await }
        }))
    }

    /// Refuses where answers do not stream.
    pub fn streaming(&self) -> Result<()> {
        let refused = || Problem::missing("there are no events here; ask again, with the ETag of what you have");
        self.streams.then_some(()).ok_or_else(refused)
    }

    /// Follows a report.
    pub fn follow_report(&self, report: Report) -> Following {
        let watched = (report.name.clone(), report.request.id.to_string());
        self.watching.follow(watched, move || {
            let report = report.clone();
            async move { report.document().await.map(Some) }
        })
    }
}
