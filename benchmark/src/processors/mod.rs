//! What a pipeline adds to the calls that are made for its records: pipelines beside a loop that makes nothing but the
//! same calls.

mod api;
mod deployed;
mod engine;
mod replay;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use fanfold::model::error::{Error, Result};
use fanfold::model::processing::http::HttpSettings;
use fanfold::model::processing::invoke::InvokeSettings;
use fanfold::model::processing::{Processing, Work};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::web::Request;
use fanfold_http::HttpWeb;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::records::Records;
use api::Api;
use deployed::Deployed;
use engine::Waits;
use table::{Row, Run};

/// The options of `processors`.
#[derive(Debug, Args)]
pub struct Options {
    /// The file of pipelines, as for `make deploy PIPELINES=`: each is measured beside the calls of its processor. The API of
    /// `http` is on this machine, and is provided.
    #[arg(long, env = "PIPELINES", default_value = "benchmark/processors.json")]
    pipelines: PathBuf,
    /// Records per batch.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    count: u64,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// How often each runs first without being measured.
    #[arg(long, default_value_t = 1)]
    warm_up: u32,
    /// Calls that the loop has under way at once: as many as all functions of the pipeline together.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    width: u32,
    /// Milliseconds after which the API answers, and the function of `--in-memory`.
    #[arg(long, default_value_t = 0)]
    wait: u64,
    /// Measure the engine alone, in this process and on stores in memory, with a function in memory.
    #[arg(long)]
    in_memory: bool,
    /// The seed of the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    deployment: PathBuf,
}

/// A pipeline of the file.
#[derive(Debug, Deserialize)]
struct Defined {
    variant: String,
    #[serde(default = "default_chunk_size")]
    chunk_size: u64,
    #[serde(default = "default_processors")]
    processors: Value,
}

fn default_chunk_size() -> u64 {
    500
}

fn default_processors() -> Value {
    json!(["items"])
}

/// What is measured of a pipeline.
struct Subject {
    name: String,
    variant: String,
    calls: Calls,
}

/// The calls of a pipeline for the records, made ready.
enum Calls {
    /// Items are written.
    Items,
    /// A function is called.
    Invoke(Box<InvokeSettings>, Vec<Bytes>),
    /// An API is called.
    Http(Box<HttpSettings>, Vec<Request>),
}

impl Calls {
    async fn of(work: Work, records: &Records, chunk_size: u64) -> Result<Self> {
        Ok(match work {
            Work::Nothing => Self::Items,
            Work::Invoke(settings) => {
                let payloads = replay::payloads(&settings, records, chunk_size).await?;
                Self::Invoke(settings, payloads)
            }
            Work::Http(settings) => {
                let requests = replay::requests(&settings, records, chunk_size).await?;
                Self::Http(settings, requests)
            }
            Work::Usage(_) => return Err(Error::config("parts of reports have no loop to be compared with")),
            Work::Terms | Work::Meter(_) | Work::Bill(_) => {
                return Err(Error::config("billing has no loop to be compared with"));
            }
            Work::Custom => return Err(Error::config("a processor of your own has no loop to be compared with")),
        })
    }
}

/// Measures the pipelines and prints the medians.
///
/// # Errors
/// What prevents it; a batch that went wrong is also an error.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let defined = read(&options.pipelines)?;
    let records = |repeat| {
        let tag = format!("{:x}.{repeat:x}", SystemClock.now().0);
        Records { seed: options.seed, repeat, tag, count: options.count }
    };
    let mut subjects = Vec::new();
    for (name, Defined { variant, chunk_size, processors }) in defined {
        let work = Processing::parse(&processors.to_string())?.work;
        if options.in_memory && work == Work::Nothing {
            // Items in memory have no floor: to write them takes no time.
            continue;
        }
        let calls = Calls::of(work, &records(0), chunk_size).await?;
        subjects.push(Subject { name, variant, calls });
    }
    let (api, wait) = (api_of(&subjects, options).await?, Duration::from_millis(options.wait));
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let deployed = if options.in_memory { None } else { Some(Deployed::open(&options.deployment, &names).await?) };
    let mut rows: Vec<Row> = names.into_iter().map(Row::new).collect();
    for repeat in 1..=options.warm_up + options.repeat {
        for (subject, row) in subjects.iter().zip(&mut rows) {
            let records = records(repeat);
            let (floor, pipeline) = match &deployed {
                Some(deployed) => {
                    let floor = deployed.floor(&subject.calls, &records, options.width as usize).await?;
                    let api = api.as_ref().filter(|_| matches!(subject.calls, Calls::Http(..)));
                    let _ = api.map(Api::requests);
                    let Run { seconds, requests } = deployed.pipeline(subject, &records).await?;
                    (floor, Run { seconds, requests: requests + api.map_or(0, Api::requests) })
                }
                None => in_memory(subject, Waits(wait), &records, options.width as usize).await?,
            };
            if repeat > options.warm_up {
                row.add(floor, pipeline);
            }
            eprintln!("{repeat} {}: {:.3} s, the loop {:.3} s", subject.name, pipeline.seconds, floor.seconds);
        }
    }
    print!("{}", table::markdown(&rows));
    Ok(ExitCode::SUCCESS)
}

async fn in_memory(subject: &Subject, function: Waits, records: &Records, width: usize) -> Result<(Run, Run)> {
    let (floor, pipeline, requests) = match &subject.calls {
        Calls::Items => return Err(Error::internal("items in memory have no floor")),
        Calls::Invoke(settings, payloads) => (
            replay::invoke(&function, payloads, width).await?,
            engine::invoke(&subject.variant, settings, function, records).await?,
            payloads.len(),
        ),
        Calls::Http(settings, requests) => (
            replay::send(&HttpWeb::new(), requests, width).await?,
            engine::http(&subject.variant, settings, records).await?,
            requests.len(),
        ),
    };
    let run = |seconds| Run { seconds, requests: requests as u64 };
    Ok((run(floor), run(pipeline)))
}

/// The API at the port that the pipelines name, if one is called.
async fn api_of(subjects: &[Subject], options: &Options) -> Result<Option<Api>> {
    let mut ports = subjects.iter().filter_map(|subject| match &subject.calls {
        Calls::Http(settings, _) => Some(settings.call.url.origin.port),
        _ => None,
    });
    match ports.next() {
        Some(port) => {
            let api = Api::start(port, Duration::from_millis(options.wait)).await?;
            eprintln!("the API listens at {}", api.address);
            Ok(Some(api))
        }
        None => Ok(None),
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Defined>> {
    let unreadable = |why: String| Error::config(format!("{} is no file of pipelines: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(processor: Value) -> Work {
        Processing::parse(&processor.to_string()).unwrap().work
    }

    fn subject(name: &str, calls: Calls) -> Subject {
        Subject { name: name.into(), variant: "ranged".into(), calls }
    }

    #[tokio::test]
    async fn loop_and_pipeline_make_the_same_calls() {
        let records = Records { seed: 1, repeat: 1, tag: "t".into(), count: 45 };
        let api = Api::start(0, Duration::ZERO).await.unwrap();
        let url = format!("http://{}/records", api.address);
        let calls =
            Calls::of(work(json!({"http": {"url": url, "rate": null, "concurrency": 4}})), &records, 20).await.unwrap();
        let (floor, pipeline) = in_memory(&subject("http", calls), Waits(Duration::ZERO), &records, 4).await.unwrap();
        assert_eq!((floor.requests, pipeline.requests, api.requests()), (45, 45, 90));
    }

    #[tokio::test]
    async fn a_function_is_called_with_as_many_records_as_a_pipeline_gives_it() {
        let records = Records { seed: 1, repeat: 1, tag: "t".into(), count: 45 };
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:nothing";
        let calls = Calls::of(work(json!({"invoke": {"function_arn": arn, "records_per_call": 10}})), &records, 20);
        let calls = calls.await.unwrap();
        let Calls::Invoke(_, payloads) = &calls else { panic!("another processor") };
        let held =
            |payload: &Bytes| serde_json::from_slice::<Value>(payload).unwrap()["Records"].as_array().unwrap().len();
        assert_eq!(payloads.iter().map(held).collect::<Vec<_>>(), [10, 10, 10, 10, 5]);
        let waits = Waits(Duration::from_millis(1));
        let (floor, _) = in_memory(&subject("invoke", calls), waits, &records, 4).await.unwrap();
        assert_eq!(floor.requests, 5);
    }

    #[test]
    fn the_file_of_pipelines_can_be_deployed_and_read() {
        let defined = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("processors.json")).unwrap();
        assert_eq!(defined.keys().collect::<Vec<_>>(), ["http", "invoke", "items"]);
        for Defined { processors, .. } in defined.values() {
            Processing::parse(&processors.to_string()).unwrap();
        }
    }
}
