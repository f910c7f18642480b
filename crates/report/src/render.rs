//! From a report to a PDF.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;
use typst::WorldExt;
use typst::diag::{SourceDiagnostic, Warned};
use typst::foundations::{Datetime, Smart};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use crate::check;
use crate::document::Document;
use crate::invalid::Invalid;
use crate::report::Report;
use crate::world::Desk;

/// How long [`render`] lets a template go on.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What typst may use for calls within calls, in bytes: it goes by depth, which on a small stack would end the process.
const STACK: usize = 64 << 20;

pub(crate) const TEMPLATE: &str = include_str!("../template/report.typ");

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The data is wrong. Mend it.
    #[error(transparent)]
    Data(#[from] Invalid),
    /// The template is wrong, or makes what is no PDF/UA-1. Mend it.
    #[error("the template failed:{}", lines(.0))]
    Template(Vec<Problem>),
    /// The template went on for longer than it may. Its thread cannot be stopped: end the process soon.
    #[error("the template was not done after {} s; it may be endless", .0.as_secs_f64())]
    TooLong(Duration),
    /// A bug. The thread ended without an answer; what it said is on standard error.
    #[error("the renderer panicked")]
    Panicked,
    /// No thread could be started. Try again.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is wrong with a template.
#[derive(Debug)]
pub struct Problem {
    /// Where it is in the template, both counted from 1; absent if it is nowhere in particular.
    pub place: Option<(usize, usize)>,
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "; hint: {hint}"))
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Sets the report with `template`, or with the embedded one. The same report and template make the same bytes.
///
/// # Errors
/// Those of [`render_within`], which this gives [`LIMIT`].
pub fn render(report: &Report, template: Option<&str>) -> Result<Vec<u8>, RenderError> {
    render_within(report, template, LIMIT)
}

/// Sets the report as [`render`] does, within `limit`.
///
/// A template has its data in `sys.inputs.data` and reads nothing: no files, no packages, no network, no clock. What it takes of time is
/// bounded by `limit`, what it takes of memory by nothing but the process.
///
/// # Errors
/// `Data` if the report is wrong, `Template` if the template is; `TooLong` if it is not done after `limit`. After that, and
/// only then, a thread is left that uses a core and memory until the template ends.
pub fn render_within(report: &Report, template: Option<&str>, limit: Duration) -> Result<Vec<u8>, RenderError> {
    report.check()?;
    let data = serde_json::to_value(&Document::of(report)?).expect("a document of text and numbers is JSON");
    let instant = check::instant(report)?.to_zoned(TimeZone::UTC).datetime();
    let part = |part: i8| u8::try_from(part).expect("parts of a date and of a time are not negative");
    let now = Datetime::from_ymd_hms(
        instant.year().into(),
        part(instant.month()),
        part(instant.day()),
        part(instant.hour()),
        part(instant.minute()),
        part(instant.second()),
    )
    .expect("a date of the calendar is one");
    let desk = Desk::new(template.unwrap_or(TEMPLATE).to_owned(), data, now);
    let id = report.id.clone();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("render".to_owned()).stack_size(STACK).spawn(move || {
        let result = set(&desk, id, now);
        // Nobody takes the result of a template that took too long.
        let _ = sender.send(result);
    })?;
    receiver.recv_timeout(limit).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => RenderError::TooLong(limit),
            RecvTimeoutError::Disconnected => RenderError::Panicked,
        })
    })
}

/// Forgets what typst remembers of a document: it would keep that for the next version of the same one, for ever.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        comemo::evict(0);
    }
}

fn set(desk: &Desk, id: String, now: Datetime) -> Result<Vec<u8>, RenderError> {
    let _forget = Forget;
    let problems =
        |errors: &[SourceDiagnostic]| RenderError::Template(errors.iter().map(|error| problem(desk, error)).collect());
    let Warned { output, .. } = typst::compile::<PagedDocument>(desk);
    let document = output.map_err(|errors| problems(&errors))?;
    let options = PdfOptions {
        ident: Smart::Custom(id),
        creator: Smart::Custom(Some("fanfold".to_owned())),
        timestamp: Some(Timestamp::new_utc(now)),
        standards: PdfStandards::new(&[PdfStandard::Ua_1]).expect("one standard does not contradict itself"),
        ..PdfOptions::default()
    };
    typst_pdf::pdf(&document, &options).map_err(|errors| problems(&errors))
}

fn problem(desk: &Desk, error: &SourceDiagnostic) -> Problem {
    let place = desk.range(error.span).and_then(|range| {
        let lines = desk.template().lines();
        Some((lines.byte_to_line(range.start)? + 1, lines.byte_to_column(range.start)? + 1))
    });
    Problem {
        place,
        message: error.message.to_string(),
        hints: error.hints.iter().map(|hint| hint.v.to_string()).collect(),
    }
}
