//! The contracts as one: how a request is written, and how its answer is read.

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::processing::invoke::{Contract, InvokeSettings};
use crate::model::timestamp::Timestamp;
use crate::processor::invoke::task::{Envelope, Task};
use crate::processor::invoke::{fanfold, map, s3batch, sqs, text};
use crate::processor::{Chunk, Record, Reply};

/// How the settings have requests and answers written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spelling<'a>(pub &'a InvokeSettings);

impl Spelling<'_> {
    /// A record as a task.
    ///
    /// # Errors
    /// Why the contract has no words for it: it fails for good.
    pub fn task(self, chunk: &Chunk, place: usize, record: &Record) -> std::result::Result<Task, String> {
        let id = chunk.task(record).to_string();
        let function = &self.0.function;
        let json = match &self.0.contract {
            Contract::Sqs => sqs::task(function, chunk, record, &id).map_err(|e| e.to_string()),
            Contract::S3Batch(own) => s3batch::task(own, function, record, &id),
            Contract::Map(_) => map::task(record).map_err(|e| e.to_string()),
            Contract::Fanfold(_) => fanfold::task(record, &id).map_err(|e| e.to_string()),
        }?;
        Ok(Task { place, id, json })
    }

    /// A request of tasks of a chunk. All requests of a chunk have the same length without their tasks.
    ///
    /// # Errors
    /// `Internal` if JSON has no words for it.
    pub fn request(self, chunk: &Chunk, gives_up: Timestamp, tasks: &[Task]) -> Result<Bytes> {
        let envelope = match &self.0.contract {
            Contract::Sqs => Ok(sqs::envelope()),
            Contract::S3Batch(own) => s3batch::envelope(own, chunk, tasks),
            Contract::Map(input) => Ok(map::envelope(input.as_ref())),
            Contract::Fanfold(arguments) => fanfold::envelope(arguments.as_ref(), chunk, gives_up),
        };
        let envelope: Envelope = envelope.map_err(|e| Error::internal("a request cannot be written").because(e))?;
        Ok(envelope.around(tasks))
    }

    /// The replies that an answer has to the tasks of its request, in their order. An answer that does not keep the
    /// contract is a failure of the call: all tasks failed for the time being.
    pub fn answers(self, payload: &[u8], tasks: &[Task]) -> Vec<Reply> {
        let contract = &self.0.contract;
        let replies = match contract {
            Contract::Sqs => sqs::answers(payload, tasks),
            Contract::S3Batch(_) => s3batch::answers(payload, tasks),
            Contract::Map(_) => Ok(map::answers(payload, tasks)),
            Contract::Fanfold(_) => fanfold::answers(payload, tasks),
        };
        replies.unwrap_or_else(|problem| {
            let reason = text::malformed(contract.name(), &problem);
            tasks.iter().map(|_| Reply::temporary(reason.clone())).collect()
        })
    }
}
