//! What the handlers work with.

use crate::once::Once;
use crate::pipelines::Pipelines;

/// The pipelines, and what was done.
#[derive(Debug)]
pub struct Desk {
    pub pipelines: Pipelines,
    pub once: Once,
    /// Whether answers reach those who asked while they are being written.
    pub streams: bool,
}
