//! Messages in batches, of which a service may refuse some.

use std::collections::BTreeSet;

use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::store::channel::{MOST_SENT, Outgoing};

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html and
// https://docs.aws.amazon.com/sns/latest/dg/sns-batch-api-actions.html (a batch may hold 1 MiB since 2025; 256 KiB is what
// every region and emulator takes).
const BATCH_MESSAGES: usize = MOST_SENT;
const BATCH_BYTES: usize = 256 * 1024;
const RESENDS: usize = 3;

/// Messages that were not accepted, and why: a batch call that succeeds may still report failed entries.
pub(crate) struct Left {
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) codes: BTreeSet<String>,
}

impl Left {
    /// Those of a batch that have these ids, which are their places, with the codes of their errors.
    pub(crate) fn of<'a>(batch: &[Outgoing], failed: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut left = Self { messages: Vec::new(), codes: BTreeSet::new() };
        for (id, code) in failed {
            left.messages.extend(id.parse::<usize>().ok().and_then(|place| batch.get(place)).cloned());
            left.codes.insert(code.to_owned());
        }
        left
    }

    fn is_busy(&self) -> bool {
        self.codes.iter().any(|code| error::is_busy(code))
    }
}

/// What takes messages in batches.
pub(crate) trait Batched: Sync {
    /// Its name.
    fn place(&self) -> &str;

    /// Sends a batch, and returns what of it was not accepted.
    fn send_batch(&self, batch: &[Outgoing]) -> impl Future<Output = Result<Left>> + Send;
}

/// Sends messages in as few batches as it takes, and again what of them was not accepted.
pub(crate) async fn send_all(to: &impl Batched, messages: &[Outgoing]) -> Result<()> {
    for batch in batches(messages) {
        let mut left = to.send_batch(batch).await?;
        for _ in 0..RESENDS {
            if left.messages.is_empty() {
                break;
            }
            left = to.send_batch(&left.messages).await?;
        }
        if !left.messages.is_empty() {
            let (many, codes) = (left.messages.len(), Vec::from_iter(left.codes.iter().cloned()).join(", "));
            let said = format!("{} refused {many} of {} messages: {codes}", to.place(), batch.len());
            return Err(if left.is_busy() { Error::busy(said) } else { Error::transient(said) });
        }
    }
    Ok(())
}

/// What a message counts for: a topic counts its attribute as well, whose name and type are short.
fn size(message: &Outgoing) -> usize {
    message.body.len() + message.group.as_ref().map_or(0, |group| group.id().len() + 16)
}

/// Splits messages into batches that fit into one request.
fn batches(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, message) in messages.iter().enumerate() {
        if at - from == BATCH_MESSAGES || (at > from && bytes + size(message) > BATCH_BYTES) {
            batches.push(&messages[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += size(message);
    }
    if from < messages.len() {
        batches.push(&messages[from..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::error::ErrorKind;
    use std::sync::Mutex;

    #[test]
    fn batches_keep_both_limits() {
        let message = |bytes: usize| Outgoing::new("x".repeat(bytes));
        let sizes = |messages: &[Outgoing]| -> Vec<usize> { batches(messages).iter().map(|b| b.len()).collect() };
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&vec![message(10); 23]), [10, 10, 3]);
        assert_eq!(sizes(&vec![message(100 * 1024); 5]), [2, 2, 1]);
        assert_eq!(sizes(&[message(300 * 1024), message(1)]), [1, 1]);
    }

    /// A queue that refuses one message of a batch, the first time or always, with a code.
    struct Refusing(Mutex<Vec<String>>, bool, &'static str);

    impl Batched for Refusing {
        fn place(&self) -> &str {
            "the queue"
        }

        async fn send_batch(&self, batch: &[Outgoing]) -> Result<Left> {
            let mut sent = self.0.lock().unwrap();
            sent.push(batch.iter().map(|message| message.body.as_str()).collect());
            let refuses = self.1 || sent.len() == 1;
            let place = if batch.len() > 1 { "1" } else { "0" };
            Ok(Left::of(batch, [(place, self.2)].into_iter().filter(|_| refuses)))
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_sent_again_and_told_if_that_does_not_help() {
        let messages: Vec<Outgoing> = (0..3).map(|n| Outgoing::new(n.to_string())).collect();
        let once = Refusing(Mutex::default(), false, "InternalFailure");
        send_all(&once, &messages).await.unwrap();
        assert_eq!(*once.0.lock().unwrap(), ["012", "1"]);
        for (code, kind) in [("ThrottlingException", ErrorKind::Busy), ("InternalFailure", ErrorKind::Transient)] {
            let always = Refusing(Mutex::default(), true, code);
            let error = send_all(&always, &messages).await.unwrap_err();
            assert_eq!(*always.0.lock().unwrap(), ["012", "1", "1", "1"]);
            assert_eq!((error.kind, error.to_string()), (kind, format!("the queue refused 1 of 3 messages: {code}")));
        }
    }
}
