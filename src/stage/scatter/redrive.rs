//! The records that failed before, to be cut into chunks again.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::outcomes::Outcomes;
use crate::model::reason::{Reason, ReasonId};
use crate::model::record::Response;
use crate::stage::scatter::rows::Entries;

/// Streams the records that failed among these outcomes, in order; `only` those that failed for that reason, if there is one.
pub fn failed(outcomes: Outcomes<'_>, only: Option<ReasonId>) -> Entries<'_> {
    let outcomes = stream::try_unfold(outcomes, |mut outcomes| async move {
        Ok(outcomes.next().await?.map(|outcome| (outcome, outcomes)))
    });
    let failed = outcomes.try_filter(move |outcome| {
        let Response { success, message, .. } = &outcome.response;
        let wanted = !success && only.as_ref().is_none_or(|only| Reason::of(message).id() == *only);
        std::future::ready(wanted)
    });
    failed.map_ok(|outcome| Ok(outcome.into_entry())).boxed()
}
