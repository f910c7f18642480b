//! Stores the records that succeeded, where a processor's successes are stored.

use crate::model::answer::Answer;
use crate::model::error::{Error, Result};
use crate::model::schema::RecordSchema;
use crate::processor::{Chunk, Processor, Record, Reply};
use crate::stage::process::answers::Unsaved;
use crate::stage::process::{Job, Process, Step};
use crate::store::Stores;

/// A chunk all of whose records are answered.
pub(super) struct Answered<'a> {
    pub(super) job: Job<'a>,
    /// The valid records, if successes are stored.
    pub(super) chunk: Chunk,
    /// The answers for them, in their order.
    pub(super) answers: Vec<Answer>,
    pub(super) unsaved: Unsaved,
}

impl<S: Stores, P: Processor> Process<S, P> {
    /// Has items counted instead of the records that they replace. One that cannot be counted fails.
    fn recount(&self, one: &mut Answered<'_>) {
        for (answer, counted) in one.answers.iter_mut().zip(&mut one.job.contributions) {
            if let Answer::Done { item: Some(item), .. } = answer {
                match self.contribution(item) {
                    Ok(contribution) => *counted = contribution.unwrap_or_else(|| counted.clone()),
                    Err(reason) => *answer = Answer::Failed(format!("the item that it was answered with: {reason}")),
                }
            }
        }
    }

    /// The answer for a record of a pipeline without an items table.
    fn unstored(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Done { item: Some(_), .. } if self.aggregate.is_none() => Answer::Failed(
                "it was answered with an item, and the pipeline has no items table: add items to PROCESSORS".to_owned(),
            ),
            answer => answer,
        }
    }

    /// Stores what succeeded, and says what there is to do for each chunk, in order.
    pub(super) async fn store<'a>(&self, mut answered: Vec<Answered<'a>>) -> Vec<Step<'a>> {
        answered.iter_mut().for_each(|one| self.recount(one));
        if !self.processor.stores() {
            return answered
                .into_iter()
                .map(|one| {
                    Step::Keep(
                        one.job,
                        one.answers.into_iter().map(|answer| self.unstored(answer)).collect(),
                        one.unsaved,
                    )
                })
                .collect();
        }
        let chunks: Vec<Chunk> = answered.iter_mut().map(successes).collect();
        let given: Vec<bool> = chunks.iter().map(|chunk| !chunk.records.is_empty()).collect();
        let chunks: Vec<Chunk> = chunks.into_iter().filter(|chunk| !chunk.records.is_empty()).collect();
        let mut replies = if chunks.is_empty() { Vec::new() } else { self.processor.store(chunks).await }.into_iter();
        let mut steps = Vec::with_capacity(answered.len());
        for (mut one, given) in answered.into_iter().zip(given) {
            let replies = if given { replies.next().unwrap_or_else(|| Ok(Vec::new())) } else { Ok(Vec::new()) };
            steps.push(match replies.and_then(|replies| settle(&mut one.answers, replies)) {
                Ok(()) => Step::Keep(one.job, one.answers, one.unsaved),
                Err(error) => {
                    // They were dear to get.
                    self.keep_unsaved(one.unsaved).await;
                    Step::End(one.job.message, Err(error))
                }
            });
        }
        steps
    }
}

/// The records of a chunk that are to be stored. One whose item cannot be stored fails.
fn successes(one: &mut Answered<'_>) -> Chunk {
    let records = std::mem::take(&mut one.chunk.records);
    let mut stored = Vec::with_capacity(records.len());
    for (record, answer) in records.into_iter().zip(&mut one.answers) {
        match to_store(record, answer, one.job.schema.as_ref()) {
            Ok(record) => stored.extend(record),
            Err(reason) => *answer = Answer::Failed(reason),
        }
    }
    one.chunk.with_records(stored)
}

fn to_store(
    record: Record,
    answer: &mut Answer,
    schema: Option<&RecordSchema>,
) -> std::result::Result<Option<Record>, String> {
    let Answer::Done { item, .. } = answer else {
        return Ok(None);
    };
    let (Some(item), Some(schema)) = (item.take(), schema) else {
        return Ok(Some(record));
    };
    record.replaced(item, schema).map(Some)
}

/// Turns the answers for records that could not be stored into failures.
fn settle(answers: &mut [Answer], replies: Vec<Reply>) -> Result<()> {
    let mut replies = replies.into_iter();
    for answer in answers {
        if matches!(answer, Answer::Failed(_)) {
            continue;
        }
        match replies.next() {
            Some(Reply::Done(_) | Reply::Replaced { .. }) => {}
            Some(Reply::Failed(reason)) => *answer = Answer::Failed(reason),
            Some(Reply::Temporary { reason, .. } | Reply::Untried(reason)) => return Err(Error::transient(reason)),
            None => return Err(Error::internal("the processor said too little about what it stored")),
        }
    }
    Ok(())
}
