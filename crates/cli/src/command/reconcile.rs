//! `fanfold reconcile`: make batches of uploads whose event never arrived.

use std::process::ExitCode;

use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::command::{Common, Context};
use crate::output::{line, note};
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::{KEPT_SECONDS, Ledger};
use fanfold_aws::deployment::Resources;
use fanfold_aws::s3::{S3Blob, Uploaded};
use fanfold_aws::sqs::SqsChannel;

/// How many batches are looked up at once.
const WIDTH: usize = 16;

/// Make batches of uploads of the last 30 days whose event was lost: those that the ledger does not know.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Only uploads from this moment on, such as 2026-11-26T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only uploads that are that many minutes old: events mostly arrive within seconds, but may take a minute or longer.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
    #[arg(long, value_name = "MINUTES", default_value_t = 5)]
    min_age: u32,
    /// Only say which uploads these are.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

fn moment(text: &str) -> std::result::Result<Timestamp, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| "write it as in 2026-11-26T08:00:00Z".to_owned())
}

/// An upload that the ledger does not know.
struct Lost {
    batch: BatchId,
    input: InputRef,
    at: Timestamp,
}

impl Reconcile {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let resources = &context.resources;
        let queue = resources.queues.get("scatter");
        let queue =
            queue.ok_or_else(|| Error::config("the deployment names no scatter queue; run `make deploy` again"))?;
        let scatter = SqsChannel::new(context.clients.sqs.clone(), queue);
        let input = S3Blob::new(context.clients.s3.clone(), &resources.input_bucket);
        let wanted = Wanted::new(resources, self.since, self.min_age, SystemClock.now())?;
        let (mut found, mut uploads, mut from) = (Vec::new(), 0, None);
        loop {
            let (page, next) = input.versions(&resources.parameters.input_prefix, from.as_ref()).await?;
            let page: Vec<Uploaded> = page.into_iter().filter(|upload| wanted.takes(upload)).collect();
            uploads += page.len();
            for lost in unknown(&context.ledger(), &resources.input_bucket, page).await? {
                if !self.dry_run {
                    send(&scatter, &lost).await?;
                }
                if self.common.json {
                    let (key, version) = (&lost.input.key, &lost.input.version_id);
                    let batch = json!({"batchId": lost.batch, "key": key, "versionId": version, "uploadedAt": lost.at});
                    found.push(batch);
                } else {
                    line(format_args!("{} {} s3://{}/{}", lost.batch, lost.at, lost.input.bucket, lost.input.key))?;
                    found.push(Value::Null);
                }
            }
            from = next;
            if from.is_none() {
                break;
            }
        }
        if self.common.json {
            line(json!({"dryRun": self.dry_run, "uploads": uploads, "batches": found}))?;
        } else {
            note(format_args!("{}", told(found.len(), uploads, self.dry_run)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(found: usize, uploads: usize, dry_run: bool) -> String {
    let sent = if dry_run { "; nothing was sent" } else { "; their events were sent" };
    let sent = if found == 0 { "" } else { sent };
    format!("{found} of {uploads} uploads have no batch{sent}")
}

/// Sends the event that S3 would have sent. One that arrives after all makes the same batch, and so does a repeat.
async fn send(scatter: &impl Channel, lost: &Lost) -> Result<()> {
    let event = event_of(&lost.input).ok_or_else(|| Error::internal("an upload without a version"))?;
    scatter.send(vec![Outgoing::new(event)]).await
}

/// Which uploads should have a batch.
struct Wanted<'a> {
    resources: &'a Resources,
    format: FormatSettings,
    from: Timestamp,
    until: Timestamp,
}

impl<'a> Wanted<'a> {
    fn new(resources: &'a Resources, since: Option<Timestamp>, minutes: u32, now: Timestamp) -> Result<Self> {
        // The ledger forgets a batch that long after it began; what was uploaded later, and has none, never had one.
        let kept = now.plus_seconds(-KEPT_SECONDS);
        Ok(Self {
            resources,
            format: resources.format()?,
            // S3 lists the second of an upload alone: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
            from: since.map_or(kept, |since| Timestamp(since.epoch_seconds() * 1000).max(kept)),
            until: now.plus_seconds(-60 * i64::from(minutes)),
        })
    }

    fn takes(&self, upload: &Uploaded) -> bool {
        let placeholder = upload.key.ends_with('/') && upload.bytes == 0;
        (self.from..=self.until).contains(&upload.at)
            && self.resources.announces(&upload.key)
            && !placeholder
            && self.format.ignored(&upload.key).is_none()
    }
}

/// Those of the uploads to a bucket of which the ledger knows no batch, in their order.
async fn unknown(ledger: &impl Ledger, bucket: &str, uploads: Vec<Uploaded>) -> Result<Vec<Lost>> {
    let looked = stream::iter(uploads).map(|upload| async move {
        let Uploaded { key, version, bytes, at } = upload;
        let batch = BatchId::of(bucket, &key, &Revision::Version(version.clone()));
        let known = ledger.read(&batch).await?.is_some();
        let (bucket, version_id) = (bucket.to_owned(), Some(version));
        let input = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
        Ok::<_, Error>((!known).then_some(Lost { batch, input, at }))
    });
    let looked: Vec<Option<Lost>> = looked.buffered(WIDTH).try_collect().await?;
    Ok(looked.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::intake::s3_event::{Notice, parse};
    use fanfold::model::condition::Condition;
    use fanfold::store::channel::memory::MemoryChannel;
    use fanfold::store::ledger::memory::MemoryLedger;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: i64 = 24 * 3600;

    fn upload(key: &str, version: &str, seconds_ago: i64) -> Uploaded {
        let at = NOW.plus_seconds(-seconds_ago);
        Uploaded { key: key.to_owned(), version: version.to_owned(), bytes: 7, at }
    }

    fn resources() -> Resources {
        let text = r#"{"input_bucket":"in","work_bucket":"w","output_bucket":"o","items_table":"t","ledger_table":"l",
            "queues":{},"dead_letter_queues":{},"parameters":{"input_prefix":"in/","input_suffix":".csv"}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_uploads_that_should_have_a_batch_by_now_are_looked_up() {
        let resources = resources();
        let wanted = |since| Wanted::new(&resources, since, 5, NOW).unwrap();
        let all = wanted(None);
        assert!(all.takes(&upload("in/a.csv", "v", 300)) && all.takes(&upload("in/a.csv", "v", 29 * DAY)));
        for (key, seconds) in
            [("in/a.csv", 299), ("in/a.csv", 31 * DAY), ("a.csv", 300), ("in/a.json", 300), ("in/_tmp/a.csv", 300)]
        {
            assert!(!all.takes(&upload(key, "v", seconds)), "{key}, {seconds} s ago");
        }
        let recent = wanted(Some(NOW.plus_seconds(-DAY)));
        assert!(recent.takes(&upload("in/a.csv", "v", DAY)) && !recent.takes(&upload("in/a.csv", "v", DAY + 1)));
        let within = wanted(Some(Timestamp(NOW.plus_seconds(-DAY).0 + 999)));
        assert!(within.takes(&upload("in/a.csv", "v", DAY)), "S3 tells the second in which it was uploaded");
        let early = wanted(Some(NOW.plus_seconds(-90 * DAY)));
        assert!(!early.takes(&upload("in/a.csv", "v", 31 * DAY)), "the ledger may have known it");
        assert_eq!(moment("2027-01-15T08:00:00Z"), Ok(NOW));
        assert!(moment("yesterday").is_err());
    }

    #[tokio::test]
    async fn an_upload_that_the_ledger_does_not_know_gets_the_event_that_was_lost() {
        let (ledger, scatter) = (MemoryLedger::new(), MemoryChannel::new());
        let created = |body: &str| match parse(body).unwrap().remove(0) {
            Notice::Created(created) => created,
            Notice::Nothing(why) => panic!("{why}"),
        };
        let key = "in/für a+b%.csv";
        let uploads = || vec![upload(key, "v1", 600), upload(key, "v2", 500)];
        let lost = unknown(&ledger, "in", uploads()).await.unwrap();
        assert_eq!(lost.len(), 2);
        send(&scatter, &lost[1]).await.unwrap();
        let event = created(&scatter.bodies()[0]);
        assert_eq!((event.key.as_str(), event.bytes, event.batch()), (key, 7, lost[1].batch.clone()));
        ledger.open(&event.opening("chunked", Condition::Tree, NOW)).await.unwrap();
        let lost = unknown(&ledger, "in", uploads()).await.unwrap();
        assert_eq!(lost.iter().map(|lost| lost.input.version_id.as_deref()).collect::<Vec<_>>(), [Some("v1")]);
    }

    #[test]
    fn it_says_what_it_did() {
        assert_eq!(told(0, 9, false), "0 of 9 uploads have no batch");
        assert_eq!(told(2, 9, true), "2 of 9 uploads have no batch; nothing was sent");
    }
}
