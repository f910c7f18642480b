//! The records that failed before, to be cut into chunks again.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::outcomes::Outcomes;
use crate::stage::scatter::rows::Entries;

/// Streams the records that failed among these outcomes, in order.
pub fn failed(outcomes: Outcomes<'_>) -> Entries<'_> {
    let outcomes = stream::try_unfold(outcomes, |mut outcomes| async move {
        Ok(outcomes.next().await?.map(|outcome| (outcome, outcomes)))
    });
    outcomes.try_filter_map(async |outcome| Ok((!outcome.response.success).then(|| Ok(outcome.into_entry())))).boxed()
}
