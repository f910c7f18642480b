//! The document of a batch, as it is sent.

use sha2::{Digest, Sha256};

use crate::pipelines::Pipeline;
use crate::problem::{Problem, Result};
use crate::watching::Document;
use fanfold::model::error::Error;
use fanfold::model::ids::BatchId;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::{BatchView, Placed};

/// When a client that does not wait is told to ask again, in seconds, at least and at most.
const SOON: u64 = 2;
const LATE: u64 = 30;

/// Reads what a batch is doing; `None` if the ledger does not know it, or not this generation of it.
pub async fn document(pipeline: &Pipeline, name: &str, id: &BatchId) -> Result<Option<Document>> {
    let seen = pipeline.seen(id).await?.filter(|seen| seen.generation >= id.generation());
    let Some(seen) = seen else {
        return Ok(None);
    };
    let is_final = seen.state.is_final();
    let again_in = (!is_final).then(|| again_in(seen.time_left.map(|left| left.seconds)));
    let written = |batch: BatchView| {
        let text = serde_json::to_string(&Placed { pipeline: name.to_owned(), batch });
        text.map_err(|e| Problem::from(Error::internal("the status cannot be shown").because(e)))
    };
    let (settled, shown) = unmoved(&seen);
    let (tag, print) = (digest(&written(settled)?), digest(&written(shown)?));
    Ok(Some(Document { text: written(seen)?, tag, print, is_final, again_in }))
}

/// The view without what changes with the time alone, and without only when it was looked at: what is worth waiting for, and
/// what is shown. Of a batch that is closed, what is shown is without its requests: functions count theirs when they end, which
/// may be later, and whoever was told the end is not told it again for that.
pub fn unmoved(seen: &BatchView) -> (BatchView, BatchView) {
    let mut shown = BatchView { as_of: Timestamp(0), ..seen.clone() };
    let mut settled = BatchView { pace: None, time_left: None, ..shown.clone() };
    if let Some(standstill) = &mut settled.standstill {
        standstill.reasons.iter_mut().for_each(|reason| reason.retain(|c| !c.is_ascii_digit()));
    }
    if shown.state.is_final() {
        shown.costs = None;
        shown.stages.clear();
    }
    (settled, shown)
}

pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(12).fold(String::new(), |tag, byte| tag + &format!("{byte:02x}"))
}

/// When to ask again, in seconds: a quarter of the time that is left, since that is foreseen within a fifth.
pub fn again_in(left: Option<f64>) -> u64 {
    left.map_or(SOON, |left| (left / 4.0).round() as u64).clamp(SOON, LATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(text: &str) -> BatchView {
        serde_json::from_str(text).unwrap()
    }

    fn prints(view: &BatchView) -> (String, String) {
        let (settled, shown) = unmoved(view);
        (digest(&serde_json::to_string(&settled).unwrap()), digest(&serde_json::to_string(&shown).unwrap()))
    }

    #[test]
    fn an_end_is_told_once_whatever_is_counted_after_it() {
        let running = golden(include_str!("../tests/page/golden/million.json"));
        let closed = golden(include_str!("../tests/page/golden/cancelled.json"));
        for (view, ended) in [(running, false), (closed, true)] {
            assert_eq!(view.state.is_final(), ended);
            let mut counted = view.clone();
            counted.stages[0].messages += 1;
            counted.costs.as_mut().unwrap().so_far += 1.0;
            let (before, after) = (prints(&view), prints(&counted));
            assert_ne!(before.0, after.0, "the document is another");
            assert_eq!(before.1 == after.1, ended);
            let redriven = BatchView { generation: view.generation + 1, ..view.clone() };
            assert_ne!(prints(&redriven).1, before.1);
        }
    }
}
