//! What is said of reports.

use fanfold::model::processing::Processing;
use fanfold::model::processing::usage::UsageSettings;
use fanfold::pipeline::local::Settings;
use fanfold::processor::usage::Usage;
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;
use serde_json::json;

use crate::Examples;

pub fn settings() -> Examples {
    let told = |text: &str| Processing::parse(text).unwrap_err().to_string();
    vec![
        (&["USAGE_NOT_OBJECT"], told(r#"["usage"]"#)),
        (&["USAGE_WITHOUT_COUNTERS"], told(r#"{"usage":{"sum":["kwh"]}}"#)),
        (&["USAGE_NOT_SUMS"], told(r#"{"usage":{"counters_of":"a","sum":["day"]}}"#)),
        (&["USAGE_NOT_HOURS"], told(r#"{"usage":{"counters_of":"a","keep_hours":0}}"#)),
        (&["USAGE_UNKNOWN"], told(r#"{"usage":{"counters_of":"a","of":"b"}}"#)),
    ]
}

pub async fn parts() -> Examples {
    let usage = UsageSettings::parse(&json!({"counters_of": "metering"})).unwrap();
    let usage = || Usage { settings: usage.clone(), counters: MemoryCounters::new(), clock: SystemClock };
    let settings = || Settings { key_field: "part".into(), ..Settings::default() };
    let told = async |record: &str| {
        let pipeline = fanfold::pipeline::local::LocalPipeline::new(&settings(), usage()).unwrap();
        let summary = pipeline.run_file("f.jsonl", record.to_owned()).await.unwrap();
        summary.failures[0].message.clone()
    };
    let days = json!({
        "part": "x/1", "report": "0".repeat(32), "type": "usage", "asset": "a", "from": "yesterday", "to": "2026-01-01",
        "zone": "UTC", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z",
    });
    let mut late = days.clone();
    (late["from"], late["deadline"]) = (json!("2025-12-31"), json!("2026-01-01T00:00:00Z"));
    vec![
        (&["NO_PART"], told("{\"part\":\"x\"}\n").await),
        (&["NO_PART"], told(&days.to_string()).await),
        (&["COUNTERS_NOT_READ"], format!("the counters could not be read (tried {} times)", 5)),
        (&["DEADLINE_PASSED"], told(&late.to_string()).await),
    ]
}
