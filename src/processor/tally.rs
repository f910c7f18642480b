//! What a processor's calls took, counted for its owner.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::spent::Spent;

/// A running count; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Spent>>);

impl Tally {
    /// Adds what calls took.
    pub fn add(&self, spent: Spent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(spent);
    }

    /// What was added since the last time, and begins anew.
    pub fn take(&self) -> Spent {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_counted_again() {
        let tally = Tally::default();
        tally.clone().add(Spent { calls: 2, ..Spent::default() });
        assert_eq!((tally.take().calls, tally.take().calls), (2, 0));
    }
}
