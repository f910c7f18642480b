//! What the functions of a batch do.

use crate::mapping::Ramp;
use crate::rate::Rate;

/// Calls of one kind to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// The place of the rate that they use in the batch's; `None` if none limits them.
    pub rate: Option<usize>,
    /// How many.
    pub many: f64,
    /// The units that each takes of the rate.
    pub units: f64,
    /// How long each takes, in seconds.
    pub seconds: f64,
}

/// What a function does in one go: it computes and calls, so many calls at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Seconds of a whole processor.
    pub cpu: f64,
    /// The calls.
    pub calls: Vec<Calls>,
    /// How many are under way at once.
    pub width: f64,
}

impl Step {
    /// The same work so many times.
    #[must_use]
    pub fn times(&self, many: f64) -> Self {
        let calls = self.calls.iter().map(|calls| Calls { many: calls.many * many, ..calls.clone() }).collect();
        Self { cpu: self.cpu * many, calls, width: self.width }
    }

    /// How long it takes a function with that share of a processor, if no rate holds it up: it computes while it waits if it has
    /// several calls under way, and else one after the other.
    pub fn seconds(&self, share: f64) -> f64 {
        let waits = self.calls.iter().map(|calls| calls.many * calls.seconds).sum::<f64>() / self.width;
        let computes = self.cpu / share;
        if self.width > 1.0 { waits.max(computes) } else { waits + computes }
    }
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Function {
    /// Its share of a processor, at most 1 for what computes in one thread.
    pub share: f64,
    /// How long it takes to start, in seconds.
    pub start: f64,
}

/// A batch, as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What services take.
    pub rates: Vec<Rate>,
    /// From the upload until scatter is invoked, in seconds.
    pub notice: f64,
    /// From a message until process is.
    pub hop: f64,
    /// From the end of the last chunk until gather is.
    pub announcement: f64,
    /// Scatter.
    pub scatter: Function,
    /// All that it does.
    pub scattering: Step,
    /// The messages that it sends, while it works.
    pub messages: u64,
    /// Whether they are sent once it is done, and not while it works.
    pub listed: bool,
    /// Process.
    pub process: Function,
    /// How many run at once.
    pub ramp: Ramp,
    /// The most messages of one invocation.
    pub at_once: u64,
    /// What each invocation does, whatever its messages are.
    pub invocation: Step,
    /// What it does for each message.
    pub message: Step,
    /// Gather.
    pub gather: Function,
    /// All that it does.
    pub gathering: Step,
}
