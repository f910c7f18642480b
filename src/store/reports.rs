//! How reports stand, as those are told who asked for them.

use std::future::Future;

use crate::model::error::Result;
use crate::model::reporting::id::ReportId;

/// The document of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its text, which is the same in every way to wait.
    pub text: String,
    /// Whether it is the last one.
    pub is_final: bool,
    /// Which redrive of its batch it tells of, from 0.
    pub generation: u32,
}

/// Tells how reports stand.
pub trait Reports: Send + Sync + 'static {
    /// The document of a report as it is now; `None` if there is no such report. `operated` says whether it is for someone who
    /// operates the system. What was written before is in it.
    ///
    /// # Errors
    /// Those of the stores.
    fn tell(&self, report: &ReportId, operated: bool) -> impl Future<Output = Result<Option<Told>>> + Send;
}
