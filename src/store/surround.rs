//! Stores whose every call is surrounded by something: faults for tests, or the patience that a busy service asks for.

use std::future::Future;

use futures::future::BoxFuture;

use crate::model::error::Result;

/// How often in a row a caller was refused what it wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// The refusals, from 0.
    pub refused: u32,
    /// What the surrounding knew when the caller began, or was refused the last time.
    pub known: u64,
}

impl Patience {
    /// Begins anew if there was progress.
    pub fn renewed(&mut self, progress: bool) {
        if progress {
            self.refused = 0;
        }
    }
}

/// What surrounds every call to a store.
pub trait Surround: Clone + Send + Sync + 'static {
    /// Makes a call of this name, perhaps several times.
    ///
    /// # Errors
    /// Those of the call, and its own.
    fn call<'a, R: Send + 'a>(
        &'a self,
        name: &'static str,
        make: impl Fn() -> BoxFuture<'a, Result<R>> + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<R>>;

    /// Asked of a call on `many` things: how many of them it reaches before it fails, if it is to fail midway.
    fn midway(&self, _name: &'static str, _many: usize) -> Option<usize> {
        None
    }

    /// The patience of a caller that begins.
    fn patience(&self) -> Patience {
        Patience::default()
    }

    /// Asked after a call that left some things undone: whether it is to be made again for those, once this returns.
    ///
    /// # Errors
    /// `Busy` if there is no time left for that.
    fn again(&self, _patience: &mut Patience) -> impl Future<Output = Result<bool>> + Send {
        async { Ok(false) }
    }

    /// Whether the body of an object may break off, at a piece of which [`Surround::midway`] says so.
    fn breaks_off(&self) -> bool {
        false
    }
}

/// A store whose calls are surrounded.
#[derive(Debug, Clone)]
pub struct Surrounded<T, A> {
    /// The store.
    pub store: T,
    /// What surrounds its calls.
    pub around: A,
}

impl<T, A: Surround> Surrounded<T, A> {
    /// Wraps a store.
    pub fn new(store: T, around: A) -> Self {
        Self { store, around }
    }
}
