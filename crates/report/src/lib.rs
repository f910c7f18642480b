//! Turns the data of a report into a PDF document: a title, totals, a chart and a table for each asset.
//!
//! [`Report::parse`] reads the data, [`render`] sets the document with typst. The document is PDF/UA-1 by the exporter's own
//! checks, and the same data and template make the same bytes, in every process.
//!
//! ```
//! let data = br#"{
//!     "v": 1, "id": "r-1", "type": "usage", "title": "Usage", "from": "2026-01-01", "to": "2026-02-01",
//!     "zone": "Europe/Berlin", "asOf": "2026-02-01T03:04:05Z", "partial": false,
//!     "columns": [{"name": "day", "title": "Day", "kind": "date"}, {"name": "records", "title": "Records", "kind": "integer"}],
//!     "assets": [{"name": "pump 1", "rows": [["2026-01-01", 12]], "totals": [null, 12]}],
//!     "totals": [null, 12], "missing": [], "full": null
//! }"#;
//! let report = fanfold_report::Report::parse(data)?;
//! let pdf = fanfold_report::render(&report, None)?;
//! assert!(pdf.starts_with(b"%PDF-"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::disallowed_methods)]

mod chart;
mod check;
pub mod command;
mod document;
mod fonts;
pub mod function;
mod invalid;
mod layout;
mod render;
mod report;
mod text;
mod world;

pub use check::MOST_COLUMNS;
pub use document::{MOST_CELLS, MOST_CHARACTERS, MOST_LISTED, MOST_MISSING, MOST_ROWS, MOST_SECTIONS};
pub use invalid::Invalid;
pub use render::{LIMIT, Problem, RenderError, render, render_within};
pub use report::{Asset, Axis, Cell, Chart, Column, Kind, Missing, Report};
