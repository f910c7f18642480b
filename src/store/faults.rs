//! Stores that fail on purpose: a wrapper around any of them that asks, before and after each call,
//! what is to go wrong. It keeps the store's contract, which allows calls to fail before or after
//! their effect, and in part.

use std::future::Future;

use crate::model::error::Result;

/// Decides what goes wrong.
pub trait Faults: Clone + Send + Sync + 'static {
    /// Asked before a call has its effect: an error keeps it from having any. May take its time, and
    /// never returns to a caller that is to die here.
    fn before(&self, call: &'static str) -> impl Future<Output = Result<()>> + Send;

    /// Asked after a call had its effect: an error hides that from the caller.
    fn after(&self, call: &'static str) -> impl Future<Output = Result<()>> + Send;

    /// Asked of a call on `many` things: how many of them it reaches before it fails, if it is to
    /// fail midway.
    fn midway(&self, call: &'static str, many: usize) -> Option<usize>;
}

/// A store whose calls fail as `faults` wants.
#[derive(Debug, Clone)]
pub struct Faulty<T, F> {
    /// The store.
    pub store: T,
    /// What goes wrong.
    pub faults: F,
}

impl<T, F: Faults> Faulty<T, F> {
    /// Wraps a store.
    pub fn new(store: T, faults: F) -> Self {
        Self { store, faults }
    }

    /// Makes one call of the store between the two questions.
    ///
    /// # Errors
    /// Those of the faults and of the call.
    pub async fn call<R>(&self, name: &'static str, work: impl Future<Output = Result<R>> + Send) -> Result<R> {
        self.faults.before(name).await?;
        let answer = work.await?;
        self.faults.after(name).await?;
        Ok(answer)
    }
}

/// The error of a call that was made to fail.
pub fn fault(call: &str) -> crate::model::error::Error {
    crate::model::error::Error::transient(format!("{call} was made to fail"))
}
