//! Whatever the bytes of a file are: its records cover it, none is lost untold, and `failed` repeats those that failed as
//! they are.

use std::future::Future;

use bytes::Bytes;
use fanfold::format::detect::detect;
use fanfold::format::scan::Scanner;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::record::MAX_RECORD_BYTES;
use fanfold::model::refusal::Refusal;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::store::channel::{Channel, Outgoing};
use proptest::prelude::*;
use proptest::sample::select;

const SCHEMA: &str = r#"{"properties":{"a":{"type":"number"}}}"#;

/// What a batch left: its summary, and the file of failed records.
struct Left {
    summary: Summary,
    failed: Option<Bytes>,
}

async fn run(variant: Variant, key: &str, bytes: &[u8], format: &FormatSettings) -> Left {
    let (schema, key_field, format) = (SCHEMA.into(), "k".into(), format.clone());
    let settings = Settings { variant: Some(variant), schema, key_field, format, ..Settings::default() };
    let pipeline = LocalPipeline::of_items(&Settings { chunk_size: 3, ..settings }).unwrap();
    let (batch, event) = pipeline.upload(key, bytes.to_vec());
    pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    told_in_listed_words(&summary);
    let failed = summary.failed.as_ref().map(|failed| pipeline.stores.output.read(&failed.key).unwrap());
    Left { summary, failed }
}

/// The bytes of each record, cut from the file, and how much of a CSV file names its columns.
fn spans<'a>(format: &InputFormat, bytes: &'a [u8]) -> (Vec<&'a [u8]>, usize) {
    let (mut scanner, mut claims) = (Scanner::new(format, "k", 1, MAX_RECORD_BYTES), Vec::new());
    // A file that breaks has the records before the break.
    let _ = scanner.push(bytes, &mut claims).and_then(|()| scanner.finish(&mut claims));
    let place = |offset: u64| usize::try_from(offset).unwrap();
    let span = |range: std::ops::Range<u64>| &bytes[place(range.start)..place(range.end)];
    (claims.iter().map(|claim| span(claim.range.bytes())).collect(), place(scanner.header()))
}

/// What lies between the records of a file that is read to its end.
fn gaps(layout: Layout, bytes: &[u8], spans: &[&[u8]], header: usize) -> Vec<u8> {
    let (mut at, mut gaps) = (header, Vec::new());
    for span in spans {
        let start = span.as_ptr() as usize - bytes.as_ptr() as usize;
        assert!(start >= at, "records in order");
        gaps.extend_from_slice(&bytes[at..start]);
        at = start + span.len();
    }
    gaps.extend_from_slice(&bytes[at..]);
    if layout == Layout::Json { Vec::new() } else { gaps }
}

/// A failure without the places that it names.
fn reason(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn reasons(summary: &Summary) -> Vec<String> {
    summary.failures.iter().map(|failure| reason(&failure.message)).collect()
}

async fn covers(named: Layout, bytes: &[u8], settings: &FormatSettings) {
    let key = format!("any.{}", named.extension());
    let found = detect(&key, bytes, settings);
    let Some(format) = found.as_ref().ok().filter(|format| format.is_in_place()) else {
        // Of another kind, or packed: no bytes of the file are a record's.
        for variant in BUILT_IN {
            let Left { summary, .. } = run(*variant, &key, bytes, settings).await;
            let refused = found.as_ref().err().is_none_or(|fault| summary.error.as_ref() == Some(fault));
            assert!(refused, "{}: {:?}", variant.name, summary.error);
        }
        return;
    };
    let (layout, (spans, header)) = (format.layout, spans(format, bytes));
    let mut seen: Option<(Summary, Option<Bytes>)> = None;
    for variant in BUILT_IN {
        let Left { summary, failed } = run(*variant, &key, bytes, settings).await;
        let counts = (summary.records.total, summary.records.succeeded, summary.records.failed);
        assert_eq!(counts.0, spans.len() as u64, "{}: {:?}", variant.name, summary.error);
        if summary.error.is_none() {
            let between = gaps(layout, bytes, &spans, header);
            let blank = between.iter().all(|byte| byte.is_ascii_whitespace());
            assert!(blank || between.starts_with(b"\xef\xbb\xbf"), "{}", between.escape_ascii());
        }
        if let Some((first, same)) = &seen {
            assert_eq!((&first.records, &first.error), (&summary.records, &summary.error), "{}", variant.name);
            assert_eq!((reasons(first), same), (reasons(&summary), &failed), "{}", variant.name);
        } else {
            if let Some(failed) = &failed {
                repeats(format, settings, (bytes, &spans, header), failed, &summary).await;
            }
            seen = Some((summary, failed));
        }
    }
}

/// What is wrong with a record is told in the words that `docs/ERRORS.md` lists.
fn told_in_listed_words(summary: &Summary) {
    for failure in &summary.failures {
        assert!(Refusal::of(&failure.message).is_some(), "docs/ERRORS.md does not list {:?}", failure.message);
    }
}

/// `failed` repeats records byte for byte, in their order; uploaded unchanged, they fail alike.
async fn repeats(
    format: &InputFormat,
    settings: &FormatSettings,
    (bytes, spans, header): (&[u8], &[&[u8]], usize),
    failed: &[u8],
    summary: &Summary,
) {
    let (layout, (again, head)) =
        (format.layout, self::spans(&InputFormat { records_path: Vec::new(), ..format.clone() }, failed));
    assert_eq!(again.len() as u64, summary.records.failed);
    assert!(layout != Layout::Csv || failed[..head].starts_with(bytes[..header].trim_ascii_end()));
    let mut all = spans.iter().map(|span| span.trim_ascii());
    for record in again {
        let record = record.trim_ascii();
        assert!(all.any(|span| span == record), "{} is not in the file", record.escape_ascii());
    }
    // A line that begins with a byte order mark of its own would lose it as the first of a file.
    let headless = !format.columns.is_empty();
    if (layout != Layout::Csv || headless) && failed.starts_with(b"\xef\xbb\xbf") {
        return;
    }
    let name = format!("again.{}", layout.extension());
    // Without a header, the first row tells how many columns there are and what divides them.
    if headless && detect(&name, failed, settings).ok().as_ref() != Some(format) {
        return;
    }
    let left = run(BUILT_IN[0], &name, failed, settings).await;
    assert_eq!((left.summary.records.failed, &left.summary.error), (summary.records.failed, &None));
    assert_eq!(reasons(&left.summary), reasons(summary));
    assert_eq!(left.failed.as_deref(), Some(failed));
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

const TOKENS: &[&[u8]] = &[
    b",",
    b",",
    b"\"",
    b"\"\"",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"1",
    b"2,3\n",
    b"x",
    b"x,y\n",
    b"\xff",
    b"\xe9",
    b"4,\"5\"\n",
    b"\"6\",7\n",
    "\u{fc}".as_bytes(),
    b"{}",
    b"{\"k\":1}",
    b"{\"k\":2,\"a\":\"b\"}\n",
    b"{\"k\":NaN}",
    b"{",
    b"}",
    b"}{",
    b"[1]",
    b"tru",
    b"null",
    b"{\"k\":\n3}",
    b":",
    b"\\",
    b"\"k\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn records_cover_the_file_and_failed_repeats_them_byte_for_byte(
        tokens in proptest::collection::vec(select(TOKENS), 0..24),
        head in select(vec!["k,a\n", "a,k\r\n", "\u{feff}k,a\r", "k,,a\n", "sep=,\r\n\r\nk,a\r\n"]),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let text = tokens.concat();
        let (usual, headless) = (FormatSettings::default(), FormatSettings::parse(r#"{"columns":["k","a"]}"#).unwrap());
        for body in [&text, &bytes] {
            wait(covers(Layout::Csv, &[head.as_bytes(), body].concat(), &usual));
            wait(covers(Layout::Csv, body, &headless));
            wait(covers(Layout::Csv, &[b"1,2\n", body.as_slice()].concat(), &headless));
            wait(covers(Layout::Jsonl, body, &usual));
            wait(covers(Layout::Json, &[b"{\"records\":[", body.as_slice(), b"]}"].concat(), &usual));
            wait(covers(Layout::Json, body, &usual));
        }
    }
}
