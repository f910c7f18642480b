//! Stores that fail on purpose: a wrapper around any of them that asks, before and after each call,
//! what is to go wrong. It keeps the store's contract, which allows calls to fail before or after
//! their effect, and in part.

use std::future::Future;

use futures::future::BoxFuture;

use crate::model::error::{Error, Result};
use crate::store::surround::{Surround, Surrounded};

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

/// A store whose calls fail as `F` wants.
pub type Faulty<T, F> = Surrounded<T, F>;

impl<F: Faults> Surround for F {
    /// Makes the call between the two questions.
    fn call<'a, R: Send + 'a>(
        &'a self,
        name: &'static str,
        make: impl Fn() -> BoxFuture<'a, Result<R>> + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<R>> {
        Box::pin(async move {
            self.before(name).await?;
            let answer = make().await?;
            self.after(name).await?;
            Ok(answer)
        })
    }

    fn midway(&self, name: &'static str, many: usize) -> Option<usize> {
        Faults::midway(self, name, many)
    }

    /// The connection over which a body comes may be lost.
    fn breaks_off(&self) -> bool {
        true
    }
}

/// The error of a call that was made to fail.
pub fn fault(call: &str) -> Error {
    Error::transient(format!("{call} was made to fail"))
}
