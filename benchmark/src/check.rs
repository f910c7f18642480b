//! Checks that a batch did what it should; only then does its time count.

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::item::Item;
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::store::blob::Blob;
use fanfold::store::items::Items;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::records::{self, HEADER, Records};

/// Items that are read besides the first and last.
const SAMPLE: u64 = 100;
/// Reads under way at once.
const WIDTH: usize = 16;

fn wrong(what: impl Into<String>) -> Error {
    Error::internal(what)
}

/// Checks the summary: the variant, the state, all counts, and that nothing failed.
/// The list of what is wrong.
/// # Errors
/// What is wrong.
pub fn summary(summary: &Summary, variant: &str, count: u64) -> Result<()> {
    let records = summary.records;
    let mut wrongs = Vec::new();
    if summary.variant != variant {
        wrongs.push(format!("the variant is {}", summary.variant));
    }
    if summary.state != BatchState::Succeeded {
        wrongs.push(format!("the state is {}", summary.state.name()));
    }
    if (records.total, records.succeeded, records.failed) != (count, count, 0) {
        wrongs.push(format!(
            "of {count} records {} were read, {} succeeded, {} failed",
            records.total, records.succeeded, records.failed
        ));
    }
    if summary.chunks.failed > 0 {
        wrongs.push(format!("{} chunks failed", summary.chunks.failed));
    }
    if let Some(fault) = &summary.error {
        wrongs.push(format!("{}: {}", fault.code, fault.message));
    }
    if let Some(failure) = summary.failures.first() {
        wrongs.push(format!("record {}: {}", failure.index, failure.message));
    }
    if wrongs.is_empty() { Ok(()) } else { Err(wrong(wrongs.join("; "))) }
}

/// Checks every line of the results file: each record occurs once, in order, unchanged, and successful.
///
/// # Errors
/// The first line that is wrong, or those of the bucket.
pub async fn results(output: &impl Blob, summary: &Summary, records: &Records) -> Result<()> {
    let key = summary.results.as_ref().map(|results| &results.key);
    let key = key.ok_or_else(|| wrong("the summary names no results"))?;
    let body = output.get(key, None).await?.ok_or_else(|| wrong(format!("there are no results at {key}")))?;
    let mut lines = Lines { records, next: 0, header: false, rest: Vec::new() };
    let mut body = body;
    while let Some(piece) = body.try_next().await? {
        lines.push(&piece)?;
    }
    lines.finish()
}

/// Compares lines with the expected records.
struct Lines<'a> {
    records: &'a Records,
    next: u64,
    header: bool,
    rest: Vec<u8>,
}

impl Lines<'_> {
    fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut left = bytes.as_slice();
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            self.line(&left[..end])?;
            left = &left[end + 1..];
        }
        self.rest = left.to_vec();
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let expected = if !self.header {
            format!("{HEADER},success,message")
        } else if self.next < self.records.count {
            self.next += 1;
            format!("{},true,", self.records.get(self.next - 1).line())
        } else {
            return Err(wrong(format!("the results have more than {} records", self.records.count)));
        };
        self.header = true;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line == expected.as_bytes() || cells(line) == cells(expected.as_bytes()) {
            return Ok(());
        }
        let found = String::from_utf8_lossy(line);
        Err(wrong(format!("line {} of the results is {found:?} and should be {expected:?}", self.next + 1)))
    }

    fn finish(mut self) -> Result<()> {
        if !self.rest.is_empty() {
            let last = std::mem::take(&mut self.rest);
            self.line(&last)?;
        }
        if self.next != self.records.count {
            return Err(wrong(format!("the results have {} records instead of {}", self.next, self.records.count)));
        }
        Ok(())
    }
}

/// A line's values, normalised: quotes around a value are the writer's choice.
fn cells(line: &[u8]) -> Option<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line);
    let cells = reader.records().next()?.ok()?;
    Some(records::row(&cells.iter().collect::<Vec<_>>()))
}

/// Checks a sample of the items: all fields, the batch, and the place in it.
///
/// # Errors
/// The first item that is wrong, or those of the table.
pub async fn items(items: &impl Items, batch: &BatchId, records: &Records) -> Result<()> {
    let checks = records.sample(SAMPLE).into_iter().map(|index| async move {
        let key = records.get(index).item_no;
        let item = items.read(&key).await?.ok_or_else(|| wrong(format!("record {index} has no item {key}")))?;
        same_item(&item, batch, records, index)
    });
    stream::iter(checks.collect::<Vec<_>>()).buffer_unordered(WIDTH).try_collect().await
}

fn same_item(item: &Item, batch: &BatchId, records: &Records, index: u64) -> Result<()> {
    if (&item.batch, item.index) != (batch, index) {
        return Err(wrong(format!("item {} is of record {} of batch {}", item.key, item.index, item.batch)));
    }
    let expected = records.get(index).fields();
    let same = expected.len() == item.fields.len()
        && expected.iter().all(|(name, value)| item.fields.get(name).is_some_and(|found| same_value(found, value)));
    if same {
        return Ok(());
    }
    let (found, expected) = (Value::Object(item.fields.clone()), Value::Object(expected));
    Err(wrong(format!("item {} is {found} and should be {expected}", item.key)))
}

/// Compares two values; DynamoDB returns a number without trailing zeros.
fn same_value(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
        _ => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes_of::put;
    use fanfold::model::timestamp::Timestamp;
    use fanfold::store::blob::memory::MemoryBlob;
    use fanfold::store::items::memory::MemoryItems;
    use serde_json::json;

    mod bytes_of {
        use super::*;
        /// Stores a text under a key.
        pub async fn put(blob: &MemoryBlob, key: &str, text: String) {
            blob.put(key, "text/csv", text.into()).await.unwrap();
        }
    }

    fn records(count: u64) -> Records {
        Records { seed: 3, repeat: 1, tag: "t".into(), count }
    }

    fn good(count: u64) -> Summary {
        serde_json::from_value(json!({
            "batchId": "b-0123456789ab", "variant": "chunked", "state": "SUCCEEDED",
            "input": {"bucket": "i", "key": "b.csv", "versionId": "1", "bytes": 1, "format": "csv"},
            "records": {"total": count, "succeeded": count, "failed": 0}, "chunks": {"total": 1, "failed": 0},
            "startedAt": "2026-01-01T00:00:00.000Z", "scatteredAt": "2026-01-01T00:00:00.000Z",
            "gatherStartedAt": "2026-01-01T00:00:00.000Z", "finishedAt": "2026-01-01T00:00:00.000Z",
            "results": {"key": "r.csv"}, "failed": null, "error": null, "failures": []
        }))
        .unwrap()
    }

    #[test]
    fn a_summary_that_is_not_all_success_is_wrong() {
        assert!(summary(&good(10), "chunked", 10).is_ok());
        let told = |change: fn(&mut Summary), count| {
            let mut changed = good(10);
            change(&mut changed);
            summary(&changed, "chunked", count).unwrap_err().to_string()
        };
        assert!(told(|_| {}, 11).contains("of 11 records 10 were read"));
        assert!(told(|s| s.records.succeeded = 9, 10).contains("9 succeeded"));
        assert!(told(|s| s.state = BatchState::PartiallyFailed, 10).contains("PARTIALLY_FAILED"));
        assert!(told(|s| s.variant = "sync".into(), 10).contains("the variant is sync"));
        assert!(told(|s| s.chunks.failed = 1, 10).contains("1 chunks failed"));
    }

    fn text(records: &Records) -> String {
        let lines = (0..records.count).map(|index| format!("{},true,\n", records.get(index).line()));
        format!("{HEADER},success,message\n") + &lines.collect::<String>()
    }

    #[tokio::test]
    async fn every_line_of_the_results_is_compared() {
        let all = records(50);
        let text = text(&all);
        let without =
            |at: usize| text.lines().enumerate().filter(move |(n, _)| *n != at).map(|(_, l)| format!("{l}\n"));
        let last = all.get(49).line();
        for (content, said) in [
            (text.clone(), ""),
            (text.replace("true,", "\"true\",\"\""), ""),
            (text.trim_end().to_owned(), ""),
            (without(20).collect(), "line 21 of the results"),
            (without(50).collect(), "49 records instead of 50"),
            (without(0).collect(), "line 1 of the results"),
            (text.clone() + &last + ",true,\n", "more than 50"),
            (text.replacen("true", "false", 7).replacen("false", "true", 6), "line 8 of the results"),
        ] {
            let blob = MemoryBlob::new();
            put(&blob, "r.csv", content).await;
            match results(&blob, &good(50), &all).await {
                Ok(()) => assert_eq!(said, ""),
                Err(error) => assert!(!said.is_empty() && error.to_string().contains(said), "{error}"),
            }
        }
        assert!(results(&MemoryBlob::new(), &good(50), &all).await.unwrap_err().to_string().contains("no results"));
    }

    #[tokio::test]
    async fn items_are_compared_with_all_their_fields() {
        let (all, batch) = (records(40), BatchId::parse("b-0123456789ab").unwrap());
        let item = |index| {
            let record = all.get(index);
            let (key, fields) = (record.item_no.clone(), record.fields());
            Item { key, fields, batch: batch.clone(), index, updated_at: Timestamp(1), sequence: Timestamp(1) }
        };
        let whole: Vec<Item> = (0..40).map(item).collect();
        let table = MemoryItems::new();
        table.write(&whole[..39]).await.unwrap();
        assert!(items(&table, &batch, &all).await.unwrap_err().to_string().contains("record 39 has no item"));
        table.write(&whole[39..]).await.unwrap();
        items(&table, &batch, &all).await.unwrap();
        let changes: [fn(&mut Item); 4] = [
            |item| item.index = 4,
            |item| item.batch = BatchId::parse("b-ffffffffffff").unwrap(),
            |item| drop(item.fields.insert("note".into(), json!("other"))),
            |item| drop(item.fields.insert("price".into(), json!(0.001))),
        ];
        for change in changes {
            let mut wrong = whole[0].clone();
            change(&mut wrong);
            table.write(&[wrong]).await.unwrap();
            assert!(items(&table, &batch, &all).await.is_err());
        }
    }
}
