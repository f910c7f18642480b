//! Every refusal in `docs/ERRORS.md`, by an example of it.

#[path = "refusals/billing.rs"]
mod billing;
#[path = "refusals/http.rs"]
mod http;
#[path = "refusals/reports.rs"]
mod reports;

use std::fmt::Write;
use std::path::Path;

use fanfold::batch::chunks::check_counters;
use fanfold::format::Decoder;
use fanfold::format::detect::detect;
use fanfold::model::error::Result;
use fanfold::model::fair::FairBy;
use fanfold::model::fault::{Fault, FaultCode};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::item::Item;
use fanfold::model::limits::Limits;
use fanfold::model::own::OwnAttributes;
use fanfold::model::processing::Processing;
use fanfold::model::processing::aggregate::AggregateSettings;
use fanfold::model::progress::{BatchState, Stop, Tally};
use fanfold::model::record::Outcome;
use fanfold::model::refusal::{
    BILLING, BILLING_SETTINGS, CALLS, FUNCTIONS, HTTP_SETTINGS, INVOKE_SETTINGS, INVOKED, PARTS, RECORDS, ROWS,
    Refusal, SETTINGS, USAGE_SETTINGS, VALUES,
};
use fanfold::model::schema::{Cells, RecordSchema};
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::processor::each::Each;
use fanfold::processor::items::WriteItems;
use fanfold::processor::{Processor, Record, Reply};
use fanfold::stage::deliver;
use fanfold::stage::gather::Results;
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::items::{Items, Rejection, WriteMode, WriteReport};
use fanfold::store::ledger::{LastFailure, Ledger, Notes, Part};
use fanfold::store::tasks::fitting;
use serde_json::value::to_raw_value;

/// Examples: a message, and the refusals that it consists of.
type Examples = Vec<(&'static [&'static str], String)>;

/// What the records of a file are told, as the decoder and the schema say it.
fn told(name: &str, bytes: &[u8], schema: &str, format: &str) -> Vec<String> {
    let settings = FormatSettings::parse(format).unwrap();
    let format = detect(name, bytes, &settings).unwrap();
    let schema = RecordSchema::parse(schema, "id").unwrap().with_cells(Cells::from(&settings)).unwrap();
    let (mut decoder, mut entries) = (Decoder::new(&format, "id"), Vec::new());
    decoder.push(bytes, &mut entries).unwrap();
    decoder.finish(&mut entries).unwrap();
    let failed = entries.into_iter().filter_map(|entry| {
        let failure = schema.check(&entry, format.layout).err()?;
        Some(Outcome::of(entry, Some(failure)).response.message)
    });
    failed.collect()
}

/// What the one record of a file that fails is told.
fn one(name: &str, bytes: impl AsRef<[u8]>, schema: &str, format: &str) -> String {
    let mut told = told(name, bytes.as_ref(), schema, format);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn csv(text: &str) -> String {
    one("f.csv", text, "{}", "{}")
}

fn json(record: &str) -> String {
    one("f.jsonl", record, "{}", "{}")
}

fn records() -> Examples {
    let large = "x".repeat(7 << 20);
    let quoted = "\\\"".repeat(3 << 20);
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    vec![
        (&["TEXT_AFTER_QUOTE"], csv("id,a\n1,\"a \\\"b\\\" c\"\n")),
        (&["TEXT_AFTER_QUOTE"], one("f.csv", "id,a\n1,'a'b'\n", "{}", r#"{"quote":"'"}"#)),
        (&["UNCLOSED_QUOTE"], csv("id,a\n1,\"a\n2,b\n")),
        (&["RECORD_TOO_LARGE", "UNCLOSED_QUOTE"], csv(&format!("id,a\n1,\"{large}\n"))),
        (&["WRONG_NUMBER_OF_FIELDS"], csv("id,a\n1,2,3\n")),
        (&["WRONG_NUMBER_OF_COLUMNS"], one("f.csv", "1,2\n3\n", "{}", r#"{"columns":["id","a","b"]}"#)),
        (&["TOO_MANY_CELLS"], csv(&format!("id,a\n1{}\n", ",".repeat(70_000)))),
        (&["CELL_WITHOUT_COLUMN"], csv("id,\n1,x\n")),
        (&["WINDOWS_BYTE"], one("f.csv", b"id,a\n1,caf\xe9\n", "{}", "{}")),
        (&["WINDOWS_BYTE"], one("f.jsonl", b"{\"id\":\"\xe9\"}", "{}", "{}")),
        (&["BYTE_NOT_UTF8"], one("f.json", b"[{\"id\":\"\xc3\xbc\xff\"}]", "{}", "{}")),
        (&["BYTE_OF_NO_CHARACTER"], one("f.csv", b"id,a\n1,\xa5\n", "{}", r#"{"encoding":"iso-8859-3"}"#)),
        (&["RECORD_TOO_LARGE"], csv(&format!("id,a\n1,{large}\n"))),
        (&["RECORD_TOO_LARGE"], json(&format!("{{\"id\":\"{large}\"}}"))),
        (&["LINE_NOT_JSON", "RECORD_NOT_REPEATED"], json(&format!("{{\"id\":\"{}\"", &quoted[..5 << 20]))),
        (&["LINE_NOT_JSON"], json("{\"id\":NaN}")),
        (&["LINE_NOT_OBJECT"], json("[1]")),
        (&["ELEMENT_NOT_JSON"], one("f.json", "[{\"id\":1,}]", "{}", "{}")),
        (&["ELEMENT_NOT_OBJECT"], one("f.json", "[7]", "{}", "{}")),
        (&["MEMBER_TWICE"], json(r#"{"id":1,"id":2}"#)),
        (&["BROKEN_ESCAPE"], json(r#"{"id":"\ud83d"}"#)),
        (&["BROKEN_ESCAPE"], json(r#"{"id":"\ud83d\n"}"#)),
        (&["NO_KEY"], json(r#"{"a":1}"#)),
        (&["KEY_MISSPELT"], json(r#"{"ID":1}"#)),
        (&["KEY_OF_OTHER_TYPE"], json(r#"{"id":null}"#)),
        (&["KEY_EMPTY"], json(r#"{"id":""}"#)),
        (&["KEY_TOO_LONG"], json(&format!("{{\"id\":\"{}\"}}", &large[..3000]))),
        (&["KEY_CELL_EMPTY"], one("f.csv", "id,a\n,1\n", r#"{"properties":{"id":{"type":"number"}}}"#, "{}")),
        (
            &["KEY_CELL_WITHOUT_VALUE"],
            one("f.csv", "id,a\nN/A,1\n", r#"{"properties":{"id":{"type":"number"}}}"#, r#"{"null_values":["N/A"]}"#),
        ),
        (&["OWN_FIELD"], json(r#"{"id":1,"fanfoldBatchId":1}"#)),
        (&["ITEM_TOO_LARGE"], json(&format!("{{\"id\":1,\"a\":\"{}\"}}", &large[..500_000]))),
        (&["NESTED_TOO_DEEP"], json(&format!("{{\"id\":1,\"a\":{deep}}}"))),
        (&["NESTED_TOO_DEEP"], json(&format!("{{\"id\":1,\"a\":{}}}", deep.replace('1', &deep)))),
        (&["TOO_MANY_DIGITS"], json(&format!("{{\"id\":1,\"a\":1{}1}}", "0".repeat(40)))),
        (&["NUMBER_OUT_OF_RANGE"], json(r#"{"id":1,"a":1e200}"#)),
        (&["NUMBER_OUT_OF_RANGE"], json(r#"{"id":1e9999}"#)),
    ]
}

/// What a cell of a column is told.
fn cell(column: &str, text: &str) -> String {
    let row = format!("id,c\n1,\"{}\"\n", text.replace('"', "\"\""));
    one("f.csv", row, &format!(r#"{{"required":["c"],"properties":{{"c":{column}}}}}"#), r#"{"null_values":["N/A"]}"#)
}

/// What a field of an object is told.
fn field(schema: &str, value: &str) -> String {
    one("f.jsonl", format!("{{\"id\":1,\"c\":{value}}}"), &format!(r#"{{"properties":{{"c":{schema}}}}}"#), "{}")
}

fn values() -> Examples {
    let number = r#"{"type":"number"}"#;
    let slow = r#"{"pattern":"^(a|a)*\\1b"}"#;
    vec![
        (&["FIELD_MISSING"], one("f.jsonl", r#"{"id":1}"#, r#"{"required":["c"]}"#, "{}")),
        (&["FIELD_MISSPELT"], one("f.jsonl", r#"{"id":1,"C":1}"#, r#"{"required":["c"]}"#, "{}")),
        (&["CELL_EMPTY"], cell(number, "")),
        (&["CELL_WITHOUT_VALUE"], cell(number, "N/A")),
        (&["CELL_NOT_NUMBER"], cell(number, "cheap")),
        (&["CELL_NOT_WHOLE_NUMBER"], cell(r#"{"type":"integer"}"#, "1.5")),
        (&["DECIMAL_COMMA"], cell(number, "12,50")),
        (&["DIGIT_SEPARATORS"], cell(number, "1,234,567")),
        (&["INFINITE_NUMBER"], cell(number, "-inf")),
        (&["WORD_FOR_NOTHING"], cell(r#"{"type":["number","boolean"]}"#, "NaN")),
        (&["CELL_NOT_BOOLEAN"], cell(r#"{"type":"boolean"}"#, "maybe")),
        (&["OTHER_WORD_FOR_BOOLEAN"], cell(r#"{"type":"boolean"}"#, "yes")),
        (&["CELL_NOT_ARRAY"], cell(r#"{"type":"array"}"#, "x")),
        (&["CELL_NOT_OBJECT"], cell(r#"{"type":"object"}"#, "x")),
        (&["CELL_NOT_JSON"], cell(r#"{"type":"object"}"#, "{x}")),
        (&["CELL_WITH_MEMBER_TWICE"], cell(r#"{"type":"object"}"#, r#"{"a":1,"a":2}"#)),
        (&["CELL_NESTED_TOO_DEEP"], cell(r#"{"type":"array"}"#, &format!("{}1{}", "[".repeat(90), "]".repeat(90)))),
        (&["CELL_OF_NO_TYPE"], cell(r#"{"type":["number","array"]}"#, "x")),
        (&["CELL_OF_NO_TYPE"], cell(r#"{"type":["integer","boolean"]}"#, "x")),
        (&["CELL_NOT_EMPTY"], cell(r#"{"type":"null"}"#, "x")),
        (&["WRONG_TYPE"], field(number, "\"1\"")),
        (&["WRONG_TYPE"], field(r#"{"type":["number","array"]}"#, "true")),
        (
            &["FIELD_NOT_IN_SCHEMA"],
            one("f.csv", "id,a,b\n1,2,3\n", r#"{"additionalProperties":false,"properties":{"id":{}}}"#, "{}"),
        ),
        (&["FIELD_NOT_IN_SCHEMA"], field(r#"{"unevaluatedProperties":false}"#, r#"{"a":1}"#)),
        (&["FIELD_NOT_ALLOWED"], field("false", "1")),
        (&["NOT_ONE_OF_THE_VALUES"], field(r#"{"enum":["S","M"]}"#, "\"XL\"")),
        (&["NOT_THE_CONSTANT"], field(r#"{"const":7}"#, "8")),
        (&["WRONG_FORMAT"], field(r#"{"format":"date"}"#, "\"26.11.2026\"")),
        (&["NOT_THE_PATTERN"], field(r#"{"pattern":"^[A-Z]+$"}"#, "\"a; b\"")),
        (&["NOT_THE_PATTERN"], field(r#"{"propertyNames":{"pattern":"^[A-Z]+$"}}"#, r#"{"a":1}"#)),
        (&["PATTERN_TOO_SLOW"], field(slow, &format!("\"{}!\"", "a".repeat(40)))),
        (&["TOO_SMALL"], field(r#"{"minimum":2}"#, "1")),
        (&["NOT_ABOVE"], field(r#"{"exclusiveMinimum":2}"#, "2")),
        (&["TOO_GREAT"], field(r#"{"maximum":2}"#, "3")),
        (&["NOT_BELOW"], field(r#"{"exclusiveMaximum":2}"#, "2")),
        (&["NOT_A_MULTIPLE"], field(r#"{"multipleOf":2}"#, "3")),
        (&["TOO_SHORT"], field(r#"{"minLength":1}"#, "\"\"")),
        (&["TOO_LONG"], field(r#"{"maxLength":2}"#, "\"abc\"")),
        (&["TOO_FEW_ELEMENTS"], field(r#"{"minItems":1}"#, "[]")),
        (&["TOO_MANY_ELEMENTS"], field(r#"{"maxItems":2}"#, "[1,2,3]")),
        (&["ELEMENT_TWICE"], field(r#"{"uniqueItems":true}"#, "[1,1]")),
        (&["ELEMENT_MISSING"], field(r#"{"contains":{"const":1}}"#, "[2]")),
        (&["ELEMENT_NOT_IN_SCHEMA"], field(r#"{"prefixItems":[true],"unevaluatedItems":false}"#, "[1,2]")),
        (&["FIELD_NOT_ALLOWED"], field(r#"{"prefixItems":[true],"items":false}"#, "[1,2]")),
        (&["TOO_FEW_FIELDS"], field(r#"{"minProperties":1}"#, "{}")),
        (&["TOO_MANY_FIELDS"], field(r#"{"maxProperties":1}"#, r#"{"a":1,"b":2}"#)),
        (&["FORBIDDEN_VALUE"], field(r#"{"not":{"const":1}}"#, "1")),
        (&["SEVERAL_ALTERNATIVES"], field(r#"{"oneOf":[{"minimum":1},{"maximum":3}]}"#, "2")),
        (&["NOT_THE_CONSTANT", "TOO_SMALL"], field(r#"{"allOf":[{"const":1},{"minimum":3}]}"#, "2")),
    ]
}

fn settings() -> Examples {
    let format = |text: &str| FormatSettings::parse(text).map(drop);
    let limits = |text: &str| Limits::parse(text).map(drop);
    let cells = |text: &str| Cells::from(&FormatSettings::parse(text).unwrap()).check();
    let schema = |text: &str| RecordSchema::parse(text, "id").map(drop);
    let processors = |text: &str| Processing::parse(text).map(drop);
    let examples: Vec<(&'static [&'static str], Result<()>)> = vec![
        (&["UNKNOWN_VARIANT"], Variant::named("serial").map(drop)),
        (&["UNKNOWN_RESULTS"], Results::named("some").map(drop)),
        (&["UNKNOWN_WRITE_MODE"], WriteMode::named("fast").map(drop)),
        (&["UNKNOWN_FAIR_BY"], FairBy::named("tenant").map(drop)),
        (&["WRONG_TOLERANCE"], Tolerance::parse("half").map(drop)),
        (&["UNKNOWN_ITEM_ATTRIBUTES"], OwnAttributes::named("short").map(drop)),
        (&["KEY_FIELD_TAKEN"], RecordSchema::parse("{}", "fanfoldBatchId").map(drop)),
        (&["FORMAT_NOT_OBJECT"], format(";")),
        (&["FORMAT_UNREADABLE"], format(r#"{"delimeter":";"}"#)),
        (&["FORMAT_UNREADABLE"], format(r#"{"delimiter":";""#)),
        (&["FORMAT_UNREADABLE"], format(r#"{"delimiter":";;"}"#)),
        (&["UNKNOWN_ENCODING"], format(r#"{"encoding":"utf-16"}"#)),
        (&["SIGN_NOT_ASCII"], format(r#"{"delimiter":"ü"}"#)),
        (&["SIGN_TWICE"], format(r#"{"delimiter":"'","quote":"'"}"#)),
        (&["WRONG_RECORDS_PATH"], format(r#"{"records_path":"a..b"}"#)),
        (&["WRONG_IGNORE_PATTERN"], format(r#"{"ignore":["a*b"]}"#)),
        (&["WRONG_MAX_HEADER"], format(r#"{"max_header":100000}"#)),
        (&["EMPTY_COLUMN"], format(r#"{"columns":["id",""]}"#)),
        (&["COLUMN_TWICE"], format(r#"{"columns":["id","id"]}"#)),
        (&["COLUMNS_TOO_LONG"], format(r#"{"columns":["id"],"max_header":4}"#)),
        (&["LIMITS_NOT_OBJECT"], limits("7")),
        (&["LIMITS_UNREADABLE"], limits(r#"{"euros":7}"#)),
        (&["LIMITS_UNREADABLE"], limits(r#"{"records":-7}"#)),
        (&["LIMIT_NOT_POSITIVE"], limits(r#"{"writtenBytes":0}"#)),
        (&["LIMIT_NOT_POSITIVE"], limits(r#"{"dollars":-1.5}"#)),
        (&["TEXT_OF_TWO_VALUES"], cells(r#"{"true_values":["x"],"false_values":["x"]}"#)),
        (&["EMPTY_TEXT_OF_BOOLEAN"], cells(r#"{"true_values":[" "]}"#)),
        (&["TEXT_OF_OPPOSITE"], cells(r#"{"false_values":["True"]}"#)),
        (&["PROCESSORS_NOT_LIST"], processors("[]")),
        (&["PROCESSORS_NOT_LIST"], processors(r#"{"items":null,"custom":null}"#)),
        (&["PROCESSORS_NOT_JSON"], processors("items, custom")),
        (&["UNKNOWN_PROCESSOR"], processors(r#"["items","sort; fold"]"#)),
        (&["PROCESSOR_WITHOUT_SETTINGS"], processors(r#"[{"items":{"a":1}}]"#)),
        (&["SEVERAL_PROCESSORS"], processors(r#"["custom","items","custom"]"#)),
        (&["UNKNOWN_PROCESSOR", "AGGREGATE_NOT_OBJECT"], processors(r#"["sort","aggregate"]"#)),
        (&["PROCESSOR_FIELD_NOT_IN_SCHEMA"], {
            let counted = Processing::parse(r#"{"aggregate":{"group_by":["client","day"]}}"#).unwrap();
            let schema = r#"{"properties":{"id":{}},"additionalProperties":false}"#;
            counted.check(&RecordSchema::parse(schema, "id").unwrap(), None)
        }),
        (&["AGGREGATE_NOT_OBJECT"], processors(r#"["aggregate"]"#)),
        (&["AGGREGATE_WITHOUT_GROUP"], processors(r#"{"aggregate":{"sum":["a"]}}"#)),
        (&["AGGREGATE_NOT_FIELDS"], processors(r#"{"aggregate":{"group_by":["a"],"sum":["b","b"]}}"#)),
        (&["AGGREGATE_UNKNOWN"], processors(r#"{"aggregate":{"group_by":["a"],"avg":["b"]}}"#)),
        (&["SCHEMA_NOT_JSON"], schema("{")),
        (&["SCHEMA_NOT_VALID"], schema(r#"{"properties":{"a":{"type":"strin"}}}"#)),
        (&["SCHEMA_NOT_VALID"], schema(r#"{"pattern":"("}"#)),
        (&["SCHEMA_NOT_VALID"], schema(r#"{"$ref":"https://example.com/x"}"#)),
    ];
    examples.into_iter().map(|(codes, refused)| (codes, refused.unwrap_err().to_string())).collect()
}

/// What the one record of a file is told that a pipeline fails with.
async fn failure(pipeline: &LocalPipeline) -> String {
    let summary = pipeline.run_file("f.jsonl", "{\"id\":1}\n").await.unwrap();
    summary.failures[0].message.clone()
}

fn processed_by(processor: impl Processor) -> LocalPipeline {
    LocalPipeline::new(&Settings::default(), processor).unwrap()
}

/// An items table that takes nothing.
struct Full;

impl Items for Full {
    fn most(&self) -> usize {
        25
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        let reason = "Type mismatch for key id expected: N; actual: S".to_owned();
        let rejected = (0..items.len()).map(|position| Rejection { position, reason: reason.clone() }).collect();
        Ok(WriteReport { rejected, ..WriteReport::default() })
    }

    async fn read(&self, _key: &str) -> Result<Option<Item>> {
        Ok(None)
    }
}

/// A batch whose chunk waits, and what its record is told after something has happened to it.
async fn waiting(happens: impl AsyncFnOnce(&LocalPipeline, &BatchId)) -> String {
    let pipeline = LocalPipeline::of_items(&Settings::default()).unwrap();
    let (batch, event) = pipeline.upload("f.jsonl", "{\"id\":1}\n");
    pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    pipeline.handle(0, &delivery).await;
    pipeline.stores.queues[0].delete(&delivery.receipt).await.unwrap();
    happens(&pipeline, &batch).await;
    pipeline.run().await.unwrap();
    pipeline.summary(&batch).unwrap().failures[0].message.clone()
}

async fn stopped(state: BatchState, fault: Fault) -> String {
    waiting(async |pipeline, batch| {
        let stop = Stop { state, fault, at: SystemClock.now() };
        pipeline.stores.ledger.stop(batch, &stop).await.unwrap();
    })
    .await
}

/// The chunk is buried after five attempts, of which the ledger may know the last error.
async fn buried(last: Option<&str>) -> String {
    waiting(async |pipeline, batch| {
        let (variant, input_bucket) = (Variant::preferred().unwrap(), INPUT.to_owned());
        let bury = Pipeline::new(pipeline.stores.clone(), variant, input_bucket).bury().unwrap();
        if let Some(message) = last {
            let last = LastFailure { attempt: 5, message: message.to_owned() };
            let (part, now) = (Part::Chunk(ChunkIndex::new(0).unwrap()), SystemClock.now());
            pipeline.stores.ledger.note_failure(batch, part, &last, now).await.unwrap();
        }
        let delivery = pipeline.stores.queues[1].receive(1).await.unwrap().remove(0);
        deliver(&bury, &delivery, SystemClock.now().plus_seconds(60)).await;
        pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
    })
    .await
}

const FAILURES: Tally = Tally { succeeded: 1_940, failed: 110, failed_chunks: 0 };

async fn at_work() -> Examples {
    let long = |_: Record| async { Ok(Reply::Done(Some(to_raw_value(&"x".repeat(20_000)).unwrap()))) };
    let large = format!("{{\"id\":1,\"a\":\"{}\"}}\n", "x".repeat(400_000));
    let entry = {
        let (mut decoder, mut entries) =
            (Decoder::new(&detect("f.jsonl", large.as_bytes(), &FormatSettings::default()).unwrap(), "id"), Vec::new());
        decoder.push(large.as_bytes(), &mut entries).unwrap();
        fitting(&entries[0])
    };
    vec![
        (&["RECORD_TOO_LARGE_FOR_ROW"], entry.fault.unwrap()),
        (&["RESULT_TOO_LONG"], failure(&processed_by(Each(long))).await),
        (&["CHUNK_FAILED"], buried(Some("the service is busy; try later")).await),
        (&["TABLE_REFUSES"], failure(&processed_by(WriteItems::new(Full))).await),
        (&["CHUNK_WITHOUT_ANSWER"], buried(None).await),
        (&["OTHER_KEY_FIELD"], under_another_key().await),
        (&["BATCH_CANCELLED"], stopped(BatchState::Cancelled, Fault::cancelled()).await),
        (&["BATCH_FAILS_TOO_OFTEN"], stopped(BatchState::Failed, Tolerance::share(500).fault(FAILURES)).await),
        (&["BATCH_GIVEN_UP"], stopped(BatchState::Failed, Fault::gave_up(25)).await),
    ]
}

/// Records that cannot be counted.
fn uncounted() -> Examples {
    let aggregate = AggregateSettings::parse(&serde_json::json!({"group_by": ["a"], "sum": ["n"]})).unwrap();
    let told = |record: &str| {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        aggregate.contribution(record.as_object().unwrap()).unwrap_err()
    };
    let fold = [aggregate.contribution(&[("a".to_owned(), 1.into())].into_iter().collect()).unwrap()];
    vec![
        (&["NO_GROUP"], told("{}")),
        (&["GROUP_MISSPELT"], told(r#"{"A":1}"#)),
        (&["GROUP_OF_OTHER_TYPE"], told(r#"{"a":[1]}"#)),
        (&["GROUP_TOO_LONG"], told(&format!(r#"{{"a":"{}"}}"#, "x".repeat(3000)))),
        (&["COUNTER_NOT_A_NUMBER"], told(r#"{"a":1,"n":"one; two"}"#)),
        (&["COUNTER_OUT_OF_RANGE"], told(r#"{"a":1,"n":1e999999}"#)),
        (&["NO_GROUP", "COUNTER_NOT_A_NUMBER"], told(r#"{"n":true}"#)),
        (&["COUNTERS_TOO_LARGE"], check_counters(Some(&fold.into_iter().collect()), 10).unwrap_err()),
    ]
}

/// What the records of a batch are told if the items table has another key by now.
async fn under_another_key() -> String {
    let began = LocalPipeline::of_items(&Settings::default()).unwrap();
    let (batch, event) = began.upload("f.csv", "id,sku\na,1\n");
    let queue = &began.stores.queues[0];
    queue.send(vec![Outgoing::new(event)]).await.unwrap();
    let delivery = queue.receive(1).await.unwrap().remove(0);
    began.handle(0, &delivery).await;
    queue.delete(&delivery.receipt).await.unwrap();
    let settings = Settings { key_field: "sku".to_owned(), ..Settings::default() };
    let items = WriteItems::new(MemoryItems::new());
    let later = LocalPipeline::sharing(&settings, began.stores.clone(), items).unwrap();
    assert!(later.run().await.unwrap().is_empty());
    later.summary(&batch).unwrap().failures.remove(0).message
}

fn check(examples: &Examples, all: &[Refusal]) {
    for (codes, message) in examples {
        let found = Refusal::of(message).map(|found| found.iter().map(|refusal| refusal.code).collect());
        assert_eq!(found, Some(codes.to_vec()), "{message}");
    }
    for Refusal { code, .. } in all {
        assert!(examples.iter().any(|(codes, _)| codes.contains(code)), "{code} has no example");
    }
}

#[tokio::test]
async fn every_refusal_of_a_record_is_said_in_its_words() {
    let mut examples = records();
    examples.extend(uncounted());
    examples.extend(at_work().await);
    check(&examples, RECORDS);
}

#[test]
fn every_refusal_of_a_value_is_said_in_its_words() {
    check(&values(), VALUES);
}

#[test]
fn every_refusal_of_a_setting_is_said_in_its_words() {
    check(&settings(), SETTINGS);
}

#[test]
fn every_refusal_of_a_setting_of_http_is_said_in_its_words() {
    check(&http::settings(), HTTP_SETTINGS);
}

#[tokio::test]
async fn every_refusal_of_reports_is_said_in_its_words() {
    check(&reports::settings(), USAGE_SETTINGS);
    check(&reports::parts().await, PARTS);
}

#[tokio::test]
async fn every_refusal_of_billing_is_said_in_its_words() {
    check(&billing::settings(), BILLING_SETTINGS);
    check(&billing::records().await, BILLING);
}

/// The rows of the page's tables, by the heading above them.
fn tables() -> String {
    let mut page = String::new();
    let files = FaultCode::ALL.map(|code| format!("| `{code}` | {} | {} |", code.cause(), code.cure()));
    let row = |refusal: &Refusal| {
        let Refusal { code, words, cause, cure } = refusal;
        format!("| `{code}` | `{words}` | {cause} | {cure} |")
    };
    let tables = [
        ("Files and batches", files.to_vec()),
        ("Records", RECORDS.iter().map(row).collect()),
        ("Records that an API is called for", CALLS.iter().map(row).collect()),
        ("Parts of reports", PARTS.iter().map(row).collect()),
        ("Records of billing", BILLING.iter().map(row).collect()),
        ("Rows of Parquet files", ROWS.iter().map(row).collect()),
        ("Records given to a function", INVOKED.iter().map(row).collect()),
        ("Values", VALUES.iter().map(row).collect()),
        ("Settings", SETTINGS.iter().map(row).collect()),
        ("Settings of invoke", INVOKE_SETTINGS.iter().map(row).collect()),
        ("Settings of http", HTTP_SETTINGS.iter().map(row).collect()),
        ("Settings of usage", USAGE_SETTINGS.iter().map(row).collect()),
        ("Settings of billing", BILLING_SETTINGS.iter().map(row).collect()),
        ("Functions", FUNCTIONS.iter().map(row).collect()),
    ];
    for (heading, rows) in tables {
        writeln!(page, "## {heading}\n{}", rows.join("\n")).unwrap();
    }
    page
}

#[test]
fn the_page_of_errors_lists_every_refusal_with_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/ERRORS.md")).unwrap();
    let (expected, mut found) = (tables(), String::new());
    for line in page.lines().filter(|line| line.starts_with("## ") || line.starts_with("| `")) {
        if line == "## Deployments" {
            break;
        }
        writeln!(found, "{line}").unwrap();
    }
    let wanted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("errors.md");
    std::fs::write(&wanted, &expected).unwrap();
    assert!(found == expected, "docs/ERRORS.md differs from the code; its tables should be as in {}", wanted.display());
}
