//! Records are given to a Lambda function of the user's, and each gets its outcome.
//!
//! Inside there is one meaning: a task succeeded, failed for the time being, or failed for good. How that is written is
//! the contract's, so that functions that were made for SQS, for S3 Batch Operations or for Step Functions run as they
//! are. A task has the same id in every try: it is what a function can tell a repeat by.

mod call;
mod fanfold;
mod map;
mod s3batch;
mod sheet;
mod spelling;
mod sqs;
mod task;
#[cfg(test)]
mod tests;
mod text;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Semaphore;

use crate::model::error::Result;
use crate::model::processing::invoke::InvokeSettings;
use crate::model::spent::Spent;
use crate::processor::invoke::call::{Caller, Patience, Refusal, gives_up};
use crate::processor::invoke::sheet::Sheet;
use crate::processor::invoke::spelling::Spelling;
use crate::processor::invoke::task::{Task, parts};
use crate::processor::tally::Tally;
use crate::processor::{Chunk, Processor, Reply};
use crate::store::Clock;
use crate::store::function::{Function, MAX_REQUEST_BYTES};

/// Gives records to a function.
#[derive(Debug)]
pub struct Invoke<F, K> {
    settings: InvokeSettings,
    caller: Caller<F, K>,
}

impl<F: Function, K: Clock> Invoke<F, K> {
    /// A processor that calls a function.
    pub fn new(settings: InvokeSettings, function: F, clock: K) -> Self {
        let permits = Semaphore::new(settings.concurrency);
        let (tally, patience) = (Tally::default(), Patience::default());
        Self { settings, caller: Caller { function, clock, permits, tally, patience } }
    }

    /// Divides the records of a chunk into calls. Those that no call can be made for have their replies at once.
    fn plan(&self, chunk: &Chunk, sheet: &mut Sheet) -> Result<Vec<Vec<Task>>> {
        let spelling = Spelling(&self.settings);
        let room = MAX_REQUEST_BYTES.saturating_sub(spelling.request(chunk, gives_up(chunk), &[])?.len());
        let mut tasks = Vec::with_capacity(chunk.records.len());
        for (place, record) in chunk.records.iter().enumerate() {
            match spelling.task(chunk, place, record) {
                Ok(task) if task.json.len() <= room => tasks.push(task),
                Ok(_) => sheet.put(place, Reply::Failed(text::too_large())),
                Err(reason) => sheet.put(place, Reply::Failed(reason)),
            }
        }
        Ok(parts(tasks, self.settings.records_per_call.unwrap_or(usize::MAX), room))
    }
}

impl<F: Function, K: Clock> Processor for Invoke<F, K> {
    fn spent(&self) -> Spent {
        self.caller.tally.take()
    }

    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let (spelling, refusal) = (Spelling(&self.settings), Refusal::default());
        let (mut sheets, mut calls) = (Vec::with_capacity(chunks.len()), Vec::new());
        for (at, chunk) in chunks.iter().enumerate() {
            let mut sheet = Sheet::of(chunk.records.len());
            match self.plan(chunk, &mut sheet) {
                Ok(parts) => calls.extend(parts.into_iter().map(|part| (at, chunk, part))),
                Err(error) => sheet.fail(error),
            }
            sheets.push(sheet);
        }
        let calls: Vec<BoxFuture<'_, _>> = calls
            .into_iter()
            .map(|(at, chunk, part)| self.caller.call(spelling, chunk, part, &refusal).map(move |to| (at, to)).boxed())
            .collect();
        let mut answered = stream::iter(calls).buffer_unordered(self.settings.concurrency);
        while let Some((at, replies)) = answered.next().await {
            if let Some(sheet) = sheets.get_mut(at) {
                replies.into_iter().for_each(|(place, reply)| sheet.put(place, reply));
            }
        }
        sheets.into_iter().map(|sheet| sheet.close(refusal.get())).collect()
    }
}
