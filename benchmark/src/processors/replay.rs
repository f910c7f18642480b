//! The floor: the calls that a processor makes for the records, without anything around them. They are made ready by the
//! processor itself beforehand, so that both send the same bytes.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::processing::http::{HttpSettings, Secrets};
use fanfold::model::processing::invoke::InvokeSettings;
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::http::Http;
use fanfold::processor::invoke::Invoke;
use fanfold::processor::{Chunk, Processor, Record, Reply, Tried};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::function::memory::MemoryFunction;
use fanfold::store::function::{Function, Returned};
use fanfold::store::meter::memory::MemoryMeter;
use fanfold::store::web::memory::MemoryWeb;
use fanfold::store::web::{Request, Response, Web};
use futures::{StreamExt, TryStreamExt, stream};

use crate::records::Records;
use crate::stopwatch::Stopwatch;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The answer that all records succeeded, in the contract of SQS.
pub const ALL_GOOD: &[u8] = b"{\"batchItemFailures\":[]}";

/// The records in chunks.
fn chunks(records: &Records, size: u64) -> Result<Vec<Chunk>> {
    let (batch, now) = (BatchId::parse("floor-0123456789ab")?, SystemClock.now());
    let later = Timestamp(now.0 + 600_000);
    let starts = (0..records.count).step_by(size.max(1) as usize);
    let chunk = |(at, from): (usize, u64)| {
        let one = |index| {
            let record = records.get(index);
            Record { index, fields: record.fields(), key: record.item_no, tried: Tried::default() }
        };
        let records = (from..records.count.min(from + size)).map(one).collect();
        let index = ChunkIndex::new(u32::try_from(at).unwrap_or(u32::MAX))?;
        let batch = batch.clone();
        Ok(Chunk { batch, index, attempt: 1, sequence: now, now, until: later, deadline: later, records })
    };
    starts.enumerate().map(chunk).collect()
}

/// Has a processor answer for all records, and fails unless all are done.
async fn all(processor: impl Processor, records: &Records, size: u64) -> Result<()> {
    for replies in processor.process(chunks(records, size)?).await {
        if let Some(other) = replies?.into_iter().find(|reply| !matches!(reply, Reply::Done(_))) {
            return Err(Error::internal(format!("a record was not done: {other:?}")));
        }
    }
    Ok(())
}

/// What is called, taken note of.
fn noted<T>(notes: Arc<Mutex<Vec<T>>>) -> Vec<T> {
    std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The payloads with which `invoke` calls a function for the records.
///
/// # Errors
/// If it would not call for all of them.
pub async fn payloads(settings: &InvokeSettings, records: &Records, size: u64) -> Result<Vec<Bytes>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let own = notes.clone();
    let function = MemoryFunction::new(move |payload, _| {
        own.lock().unwrap_or_else(PoisonError::into_inner).push(payload);
        Ok(Returned::answer(ALL_GOOD))
    });
    all(Invoke::new(settings.clone(), function, SystemClock), records, size).await?;
    Ok(noted(notes))
}

/// The requests with which `http` sends the records.
///
/// # Errors
/// If it would not send all of them.
pub async fn requests(settings: &HttpSettings, records: &Records, size: u64) -> Result<Vec<Request>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let own = notes.clone();
    let web = MemoryWeb(move |request| {
        own.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        std::future::ready(Ok(Response { status: 200, ..Response::default() }))
    });
    let (meter, secrets) = (MemoryMeter::new(), Secrets::default());
    all(Http::new(web, meter, SystemClock, "floor", settings.clone(), secrets), records, size).await?;
    Ok(noted(notes))
}

/// Calls a function with each payload, and returns the seconds.
///
/// # Errors
/// The first call that fails.
pub async fn invoke(function: &impl Function, payloads: &[Bytes], width: usize) -> Result<f64> {
    timed(payloads, width, |payload| async move {
        let returned = function.invoke(payload.clone(), PATIENCE).await;
        let returned = returned.map_err(|e| Error::transient(format!("the function cannot be called: {e}")))?;
        match returned.error {
            None => Ok(()),
            Some(error) => Err(Error::transient(format!("the function failed: {error}"))),
        }
    })
    .await
}

/// Sends each request, and returns the seconds.
///
/// # Errors
/// The first that fails.
pub async fn send(web: &impl Web, requests: &[Request], width: usize) -> Result<f64> {
    timed(requests, width, |request| async move {
        let failed = |e| Error::transient(format!("the API did not answer: {e:?}"));
        let line = web.line(&request.origin).await.map_err(failed)?;
        let status = web.send(line, request.clone()).await.map_err(failed)?.status;
        if status == 200 { Ok(()) } else { Err(Error::transient(format!("the API answered {status}"))) }
    })
    .await
}

async fn timed<'a, T, F: Future<Output = Result<()>>>(
    of: &'a [T],
    width: usize,
    call: impl Fn(&'a T) -> F,
) -> Result<f64> {
    let watch = Stopwatch::start();
    let () = stream::iter(of).map(call).buffer_unordered(width).try_collect().await?;
    Ok(watch.seconds())
}
