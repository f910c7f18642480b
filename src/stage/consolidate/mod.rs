//! Makes the documents of a report whose batch has ended: all rows in the order of the request, and what is missing by its name.
//!
//! It follows the summary of each generation, and reads nothing that a repetition would find otherwise but the rows, which are
//! written once. So it may run at any time and as often as it likes: it writes the same documents into the folder of its
//! generation, and last what tells readers of them.

mod documents;
mod parts;

use std::pin::pin;

use futures::TryStreamExt;
use futures::future::{Either, select};

use crate::intake::s3_event::{self, Notice};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
use crate::model::progress::BatchState;
use crate::model::reporting::end::{PartCounts, Reason, ReportEnd, ReportOutput, end_key, folder};
use crate::model::reporting::id::ReportId;
use crate::model::reporting::order::Order;
use crate::model::reporting::part::{Column, Part};
use crate::model::reporting::request::ReportRequest;
use crate::model::summary::Summary;
use crate::model::timestamp::Timestamp;
use crate::stage::consolidate::documents::Documents;
use crate::stage::consolidate::parts::{Found, parts};
use crate::stage::reception::{MOST_TRIES, Timetable, left_until};
use crate::stage::summary::SUMMARY;
use crate::stage::{Disposition, Received, Stage, Subject};
use crate::store::Clock;
use crate::store::blob::{Blob, read_all};
use crate::store::items::Items;
use crate::store::press::{Press, Printed};

/// The stage that makes the documents of reports.
pub struct Consolidate<B, I, P, K> {
    /// The bucket of requests.
    pub input: B,
    /// The bucket of summaries, results and documents.
    pub output: B,
    /// The rows of parts.
    pub rows: I,
    /// What prints.
    pub press: P,
    /// The time.
    pub clock: K,
    /// The columns of a report without parts.
    pub columns: Vec<Column>,
    /// Where people find a report, whose id is put behind it; `None` if they have no page.
    pub page: Option<String>,
}

/// A message: an object that was made in the output bucket.
#[derive(Debug)]
pub struct Ended {
    batch: BatchId,
}

impl<B: Blob, I: Items, P: Press, K: Clock> Stage for Consolidate<B, I, P, K> {
    const NAME: &'static str = "consolidate";

    type Message = Ended;

    fn parse(&self, body: &str) -> Result<Option<Ended>> {
        let summaries = s3_event::parse(body)?.into_iter().filter_map(|notice| match notice {
            Notice::Created(created) => created.key.strip_suffix(SUMMARY)?.strip_suffix('/').map(str::to_owned),
            Notice::Nothing(_) => None,
        });
        let mut summaries: Vec<String> = summaries.collect();
        match (summaries.pop(), summaries.is_empty()) {
            (None, _) => Ok(None),
            // S3 writes one record: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
            (Some(batch), true) => Ok(Some(Ended { batch: BatchId::parse(&batch)? })),
            (Some(_), false) => Err(Error::malformed("the S3 event names several objects")),
        }
    }

    fn subject(_message: &Ended) -> Option<Subject> {
        None
    }

    async fn handle(&self, received: &Received<'_, Ended>, deadline: Timestamp) -> Disposition {
        let table = Timetable::new(self.clock.now(), deadline);
        self.consolidate(&received.message.batch, &Try { is_last: received.is_last, table }).await.into()
    }
}

/// One try to make a report.
struct Try {
    /// Whether none follows, unless a service was busy.
    is_last: bool,
    /// How its time is divided.
    table: Timetable,
}

impl Try {
    /// Whether an error ends the report: what is busy is free again at some time.
    fn gives_up(&self, error: &Error) -> bool {
        self.is_last && error.kind != ErrorKind::Busy
    }
}

/// A report that is being made.
struct Report {
    request: ReportRequest,
    order: Order,
    /// Its parts, in the order of the request.
    parts: Vec<Part>,
    summary: Summary,
}

impl Report {
    /// The key of one of its documents.
    fn key(&self, name: &str) -> String {
        let folder = folder(&self.summary.batch_id, self.summary.generation);
        format!("{folder}/{name}")
    }

    /// What is told of its end, without documents.
    fn end(&self, state: BatchState, error: Option<Reason>) -> ReportEnd {
        let total = self.parts.len() as u64;
        let parts = PartCounts { total, succeeded: 0, failed: total };
        ReportEnd { parts, ..end_of(&self.request, &self.summary, state, error) }
    }
}

/// What is told of the end of a report of which no part is known.
fn end_of(request: &ReportRequest, summary: &Summary, state: BatchState, error: Option<Reason>) -> ReportEnd {
    ReportEnd {
        v: 1,
        id: request.id.clone(),
        generation: summary.generation,
        state,
        partial: state != BatchState::Succeeded,
        parts: PartCounts::default(),
        rows: 0,
        as_of: None,
        finished_at: summary.finished_at,
        outputs: Vec::new(),
        error,
    }
}

fn reason(code: &str, message: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), message: message.into() }
}

/// Rows of a part were gone when the documents were made.
const ROWS_EXPIRED: &str = "ROWS_EXPIRED";
/// The PDF cannot be made.
const NO_DOCUMENT: &str = "NO_DOCUMENT";
/// No document could be written.
const NOT_MADE: &str = "NOT_MADE";

fn not_made(why: &str) -> Reason {
    reason(NOT_MADE, format!("{why}; ask for it again"))
}

/// What is said of a part that the results do not tell of.
const UNREACHED: &str = "it was not reached before the report ended";

/// Whether a report failed by its documents, not by its batch: another try may have made them.
fn is_of_documents(end: &ReportEnd) -> bool {
    end.error.as_ref().is_some_and(|error| [ROWS_EXPIRED, NO_DOCUMENT, NOT_MADE].contains(&error.code.as_str()))
}

impl<B: Blob, I: Items, P: Press, K: Clock> Consolidate<B, I, P, K> {
    async fn consolidate(&self, batch: &BatchId, tried: &Try) -> Result<Disposition> {
        let Some(summary) = read_all(&self.output, &batch.output_key(SUMMARY)).await? else {
            return Ok(Disposition::Discarded("the summary was deleted".to_owned()));
        };
        let summary: Summary =
            serde_json::from_slice(&summary).map_err(|e| Error::internal("the summary is not readable").because(e))?;
        let Some(id) = ReportId::of_file(&summary.input.key) else {
            return Ok(Disposition::Discarded(format!("{} is the file of no report", summary.input.key)));
        };
        let Some(request) = read_all(&self.input, &id.request_key()).await? else {
            return Ok(Disposition::Discarded(format!("report {id} has no request")));
        };
        let request = ReportRequest::read(&request)?;
        let key = end_key(&summary.batch_id, summary.generation);
        let end = match request.order() {
            Ok(order) => {
                let parts = request.parts(&order)?.collect();
                self.make(&Report { request, order, parts, summary }, tried).await?
            }
            // Another version let it in, which is no reason never to end.
            Err(wrong) => {
                tracing::error!(report = %id, ?wrong, "order not understood");
                end_of(
                    &request,
                    &summary,
                    BatchState::Failed,
                    Some(not_made("what was asked for is not understood any more")),
                )
            }
        };
        if is_of_documents(&end) && self.was_made(&key).await? {
            return Ok(Disposition::Discarded(format!("report {id} was made before")));
        }
        tracing::info!(batch_id = %batch, report = %id, state = end.state.name(), rows = end.rows, "report consolidated");
        let text = serde_json::to_vec(&end).map_err(|e| Error::internal("an end cannot be written").because(e))?;
        self.output.put(&key, "application/json", text.into()).await?;
        Ok(Disposition::Done)
    }

    /// Makes the documents in the time that there is, and returns what is told of them. Whoever waits is told in the end, also if that
    /// cannot be done.
    async fn make(&self, report: &Report, tried: &Try) -> Result<ReportEnd> {
        let left = left_until(self.clock.now(), tried.table.work());
        let late = pin!(self.clock.sleep(left));
        let end = match select(pin!(self.write(report, tried)), late).await {
            Either::Left((end, _)) => end,
            Either::Right(_) => Err(Error::transient("the documents were not made in the time of a function")),
        };
        match end {
            Err(error) if tried.gives_up(&error) => {
                tracing::error!(%error, report = %report.request.id, "report not made");
                let told = format!("its documents could not be written in {MOST_TRIES} tries");
                Ok(report.end(BatchState::Failed, Some(not_made(&told))))
            }
            end => end,
        }
    }

    /// Whether an earlier try made the documents whose end has this key. A message may come again long after that.
    async fn was_made(&self, key: &str) -> Result<bool> {
        let earlier = read_all(&self.output, key).await?;
        let earlier = earlier.and_then(|text| serde_json::from_slice::<ReportEnd>(&text).ok());
        Ok(earlier.is_some_and(|earlier| !is_of_documents(&earlier)))
    }

    /// Writes the documents, and returns what is told of them. If this is the last try, a report does without the document that
    /// cannot be printed, rather than never to end.
    async fn write(&self, report: &Report, tried: &Try) -> Result<ReportEnd> {
        let summary = &report.summary;
        let fault = summary.error.as_ref().map(|fault| reason(fault.code.name(), &fault.message));
        let mut documents = Documents::begin(&self.output, report, &self.columns, self.page.as_deref());
        let mut counts = PartCounts { total: report.parts.len() as u64, ..PartCounts::default() };
        let mut next = 0;
        if let Some(results) = &summary.results {
            let parts = parts(&self.output, &results.key, &report.parts, &self.rows, &self.clock).await?;
            let mut parts = pin!(parts);
            while let Some((place, found)) = parts.try_next().await? {
                // What comes twice was not written by the API.
                if place < next {
                    continue;
                }
                report.parts[next..place].iter().for_each(|part| documents.miss(&part.asset, UNREACHED));
                next = place + 1;
                let asset = &report.parts[place].asset;
                match found {
                    Found::Rows(rows) => match documents.add(asset, rows).await? {
                        Ok(()) => counts.succeeded += 1,
                        Err(why) => documents.miss(asset, &why),
                    },
                    Found::Missing(why) => documents.miss(asset, &why),
                    Found::Expired => {
                        documents.abandon().await;
                        let told =
                            format!("the rows of {asset:?} expired before the report was made; ask for it again");
                        return Ok(report.end(BatchState::Failed, Some(reason(ROWS_EXPIRED, told))));
                    }
                }
            }
        }
        report.parts[next..].iter().for_each(|part| documents.miss(&part.asset, UNREACHED));
        counts.failed = counts.total - counts.succeeded;
        let state = match summary.state {
            // Its records succeeded, and their items are no rows.
            BatchState::Succeeded if counts.failed > 0 => BatchState::PartiallyFailed,
            state => state,
        };
        let mut end = ReportEnd { parts: counts, ..report.end(state, fault) };
        let written = documents.end(end.partial).await?;
        (end.rows, end.as_of, end.outputs) = (written.rows, written.as_of, written.outputs);
        let key = report.key("report.pdf");
        let patience = left_until(self.clock.now(), tried.table.handover());
        let printed = match self.press.print(&written.data, &key, patience).await {
            Err(error) if tried.gives_up(&error) => {
                tracing::error!(%error, report = %report.request.id, "document not printed");
                Printed::Refused(format!(
                    "the document could not be printed in {MOST_TRIES} tries; the other forms are there"
                ))
            }
            printed => printed?,
        };
        match printed {
            Printed::Done { bytes, sha256 } => {
                end.outputs.push(ReportOutput { name: "pdf".to_owned(), key, bytes, sha256 });
            }
            Printed::Refused(why) => {
                end.state = BatchState::Failed;
                end.error = Some(reason(NO_DOCUMENT, why));
            }
        }
        Ok(end)
    }
}
