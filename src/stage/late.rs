//! Truth that comes late: an object that was written may not be readable yet, nor a policy in force. After versions were
//! enabled for a bucket for the first time, S3 may answer for up to 15 minutes that there is no such object:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>. What a message is about is
//! therefore gone only if it is still missing a while after the message first arrived.

use crate::model::error::{Error, Result};
use crate::model::timestamp::Timestamp;
use crate::stage::Disposition;
use crate::store::channel::Delivery;

/// How long an object is looked for.
pub const PATIENCE_SECONDS: i64 = 15 * 60;
/// The pause before it is looked for again: as long as it was missing, from the first value to the second.
const FIRST_PAUSE: i64 = 5_000;
const LONGEST_PAUSE: i64 = 300_000;

/// When to look again for what a message is about; `None` if it was looked for long enough, or if nobody knows since when.
pub fn again(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    let since = delivery.first_received?;
    let end = since.plus_seconds(PATIENCE_SECONDS);
    let pause = (now.0 - since.0).clamp(FIRST_PAUSE, LONGEST_PAUSE);
    (now < end).then(|| Timestamp((now.0 + pause).min(end.0)))
}

/// What becomes of a message, which comes again at that moment if what kept it from being worked on may pass.
pub fn concluded(result: Result<Disposition>, again: Option<Timestamp>) -> Disposition {
    match (result, again) {
        (Err(error), Some(at)) if error.may_pass() => Disposition::Later(at, error),
        (result, _) => result.into(),
    }
}

/// Says that an object is missing, and for how long it was looked for.
pub fn told(delivery: &Delivery, error: &Error) -> String {
    let long = if delivery.first_received.is_some() { "was looked for during 15 minutes, so it " } else { "" };
    format!("{error}; it {long}was deleted or overwritten after it was uploaded; upload it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_looked_for_ever_more_rarely_for_15_minutes() {
        let first = Timestamp(1_000_000);
        let body = String::new();
        let delivery = Delivery { id: "m".into(), receipt: "r".into(), body, attempt: 1, first_received: Some(first) };
        let mut looks = vec![first];
        while let Some(at) = again(&delivery, looks[looks.len() - 1]) {
            looks.push(at);
        }
        let seconds: Vec<i64> = looks.iter().map(|at| (at.0 - first.0) / 1000).collect();
        assert_eq!(seconds, [0, 5, 10, 20, 40, 80, 160, 320, 620, 900]);
        assert_eq!(again(&Delivery { first_received: None, ..delivery }, first), None);
    }
}
