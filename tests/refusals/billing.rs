//! What is said of billing.

use fanfold::model::billing::admission::Terms;
use fanfold::model::billing::aggregate::Grain;
use fanfold::model::error::{Error, Result};
use fanfold::model::processing::Processing;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::processor::Processor;
use fanfold::processor::billing::close::Close;
use fanfold::processor::billing::daily::Daily;
use fanfold::processor::billing::halves::Halves;
use fanfold::processor::billing::metering::Metering;
use fanfold::processor::billing::terms::CheckTerms;
use fanfold::store::billing::Clients;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::clock::SystemClock;
use serde_json::json;

use crate::Examples;

pub fn settings() -> Examples {
    let told = |text: &str| Processing::parse(text).unwrap_err().to_string();
    let url = r#""url":"https://api.example.com/""#;
    let found = r#""look_up":{"url":"https://api.example.com/{package}"}"#;
    let invoices = |of: &str| told(&format!(r#"{{"bill":{{"clients_of":"c","invoices":{of}}}}}"#));
    vec![
        (&["METER_UNKNOWN"], told(r#"{"meter":{"billed_by":"b","of":"c"}}"#)),
        (&["METER_WITHOUT_PIPELINE"], told(r#"["meter"]"#)),
        (&["BILL_UNKNOWN"], told(r#"{"bill":{"clients_of":"c","of":"c"}}"#)),
        (&["BILL_WITHOUT_CLIENTS"], told(r#"{"bill":{}}"#)),
        (&["BILL_USAGE_BY"], told(r#"{"bill":{"clients_of":"c","usage_by":"minute"}}"#)),
        (&["INVOICES_NOT_OBJECT"], invoices("7")),
        (&["INVOICES_NOT_SECONDS"], invoices(&format!(r#"{{{url},{found},"rate":1,"key_retention":-1}}"#))),
        (&["INVOICES_SETTING_OF_HTTP"], invoices(&format!(r#"{{{url},{found},"rate":1,"concurrency":3}}"#))),
        (&["INVOICES_WITHOUT_RATE"], invoices(&format!(r#"{{{url},{found},"rate":null}}"#))),
        (&["INVOICES_WITHOUT_LOOK_UP"], invoices(&format!(r#"{{{url},"rate":1}}"#))),
        (&["INVOICES_TOO_SLOW"], invoices(&format!(r#"{{{url},{found},"rate":1,"timeout":31}}"#))),
        (&["INVOICES_FIELD"], invoices(&format!(r#"{{"url":"https://api.example.com/{{x}}",{found},"rate":1}}"#))),
        (&["URL_NOT_GIVEN"], invoices(&format!(r#"{{{found},"rate":1}}"#))),
    ]
}

/// Anna, and one whose terms cannot be read.
#[derive(Clone)]
struct Known;

impl Clients for Known {
    async fn terms(&self, client: &str) -> Result<Option<Terms>> {
        match client {
            "anna" => Ok(Some(Terms::parse(json!({"zone": "UTC"}).as_object().unwrap()).unwrap())),
            "broken" => Err(Error::malformed("what is stored of client \"broken\" are no terms: zone is missing")),
            _ => Ok(None),
        }
    }

    async fn all(&self) -> Result<Vec<(String, Option<Terms>)>> {
        Ok(Vec::new())
    }
}

async fn told(processor: impl Processor, records: &str) -> String {
    let pipeline = LocalPipeline::new(&Settings { key_field: "id".into(), ..Settings::default() }, processor).unwrap();
    let summary = pipeline.run_file("f.jsonl", records.to_owned()).await.unwrap();
    assert_eq!(summary.failures.len(), 1, "{:?}", summary.failures);
    summary.failures[0].message.clone()
}

pub async fn records() -> Examples {
    let store = MemoryBilling::new();
    let metered = async |record: serde_json::Value| {
        let records = format!("{record}\n");
        told(Metering::new(store.clone(), Known, SystemClock), &records).await
    };
    let event = |client: &str, time: &str| {
        json!({
            "specversion": "1.0", "source": "/m", "id": time, "subject": client, "type": "kwh", "time": time,
            "data": {"quantity": "1"},
        })
    };
    let now = jiff::Timestamp::now().to_string();
    // Twice, with other contents.
    let twice = format!("{}\n{}\n", event("anna", &now), event("anna", &now).to_string().replace("\"1\"}", "\"2\"}"));
    let taken = told(Metering::new(store.clone(), Known, SystemClock), &twice).await;
    let halves = async |record: &str| {
        let (events, packages) = (MemoryBilling::new(), MemoryBilling::new());
        let (output, clock, settles) = (MemoryBlob::new(), SystemClock, std::time::Duration::ZERO);
        let daily = Daily { aggregates: MemoryBilling::new(), grain: Grain::Day };
        told(Halves { close: Close { events, packages, clients: Known, output, clock, settles }, daily }, record).await
    };
    vec![
        (&["NO_TERMS"], told(CheckTerms, "{\"id\":\"anna\",\"zone\":\"Mars\",\"horizon_days\":0}\n").await),
        (&["NO_EVENT"], metered(json!({"id": "1", "time": 3})).await),
        (&["EVENT_TAKEN"], taken),
        (&["EVENT_AHEAD"], metered(event("anna", "2999-01-01T00:00:00Z")).await),
        (&["EVENT_TOO_OLD"], metered(event("anna", "2000-01-01T00:00:00Z")).await),
        (&["EVENT_OF_NOBODY"], metered(event("bert", "2026-01-01T00:00:00Z")).await),
        (&["NO_HALF"], halves("{\"id\":\"1\",\"client\":\"anna\"}\n").await),
        (&["NO_HALF"], halves("{\"id\":\"1\",\"client\":\"anna\",\"half\":\"2026-02\"}\n").await),
        (&["HALF_MOVING"], format!("events came in, or a second run closed it, meanwhile (tried {} times)", 5)),
        (&["BILLING_FAILED"], halves("{\"id\":\"1\",\"client\":\"broken\",\"half\":\"2026-02-H1\"}\n").await),
    ]
}
