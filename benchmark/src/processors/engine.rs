//! The engine alone: pipelines in this process, on stores in memory.

use std::time::Duration;

use bytes::Bytes;
use fanfold::model::error::Result;
use fanfold::model::processing::http::{HttpSettings, Secrets};
use fanfold::model::processing::invoke::InvokeSettings;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::processor::Processor;
use fanfold::processor::http::Http;
use fanfold::processor::invoke::Invoke;
use fanfold::store::clock::SystemClock;
use fanfold::store::function::{CallError, Function, Returned};
use fanfold::store::meter::memory::MemoryMeter;
use fanfold_http::HttpWeb;

use crate::check;
use crate::processors::replay::ALL_GOOD;
use crate::records::{HEADER, KEY_FIELD, Records};
use crate::stopwatch::Stopwatch;

/// A function that answers after a while, and does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Waits(pub Duration);

impl Function for Waits {
    async fn invoke(&self, _payload: Bytes, _patience: Duration) -> std::result::Result<Returned, CallError> {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
        Ok(Returned::answer(ALL_GOOD))
    }
}

/// Takes the records through a pipeline that calls a function, and returns the seconds.
///
/// # Errors
/// If one of them does not succeed.
pub async fn invoke(variant: &str, settings: &InvokeSettings, function: Waits, records: &Records) -> Result<f64> {
    run(variant, Invoke::new(settings.clone(), function, SystemClock), records).await
}

/// Takes the records through a pipeline that sends them to an API, and returns the seconds.
///
/// # Errors
/// If one of them does not succeed.
pub async fn http(variant: &str, settings: &HttpSettings, records: &Records) -> Result<f64> {
    let (web, meter, secrets) = (HttpWeb::new(), MemoryMeter::new(), Secrets::default());
    run(variant, Http::new(web, meter, SystemClock, "http", settings.clone(), secrets), records).await
}

async fn run(variant: &str, processor: impl Processor, records: &Records) -> Result<f64> {
    let settings =
        Settings { variant: Some(Variant::named(variant)?), key_field: KEY_FIELD.to_owned(), ..Settings::default() };
    let pipeline = LocalPipeline::new(&settings, processor)?;
    let lines = (0..records.count).map(|index| records.get(index).line() + "\n");
    let file: String = std::iter::once(format!("{HEADER}\n")).chain(lines).collect();
    let watch = Stopwatch::start();
    let summary = pipeline.run_file("records.csv", file).await?;
    let seconds = watch.seconds();
    check::summary(&summary, variant, records.count)?;
    Ok(seconds)
}
