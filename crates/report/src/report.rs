//! The data of a report.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::invalid::Invalid;

/// The data of a report: one JSON document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The version of this form: 1.
    pub v: u32,
    /// Identifies the report. It is printed on every page, and the PDF's identifier is made of it.
    pub id: String,
    /// What kind of report it is, such as `usage`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The first day, as in `2026-01-01`.
    pub from: String,
    /// The day after the last one, as in `2026-02-01`.
    pub to: String,
    /// The time zone in which days begin, such as `Europe/Berlin`.
    pub zone: String,
    /// The instant of which the data tells, in RFC 3339. It is the date of the document, too.
    pub as_of: String,
    /// Whether something is missing that `missing` need not name, as when the report ended at its deadline.
    #[serde(default)]
    pub partial: bool,
    /// 1 to 16 columns. Each row has as many cells.
    pub columns: Vec<Column>,
    /// In the order in which they were asked for. There may be none.
    pub assets: Vec<Asset>,
    /// The totals of the report: one cell a column, `null` where a column has no total.
    #[serde(default)]
    pub totals: Option<Vec<Cell>>,
    /// The assets that are not in the report, each with its reason.
    #[serde(default)]
    pub missing: Vec<Missing>,
    #[serde(default)]
    pub chart: Option<Chart>,
    /// Where the whole data is to be had as CSV, if it is: an address that begins with `https://` or `http://`.
    #[serde(default)]
    pub full: Option<String>,
}

/// A value of a row, by the kind of its column: text, a date and a decimal are JSON strings, an integer is a JSON number or
/// a string of digits. `null` is empty.
pub type Cell = Value;

/// A column of the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Column {
    /// By which `chart` refers to it; not printed.
    pub name: String,
    /// What the head of the table says.
    pub title: String,
    pub kind: Kind,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Any text.
    Text,
    /// A day, as in `2026-01-31`.
    Date,
    /// An integer of any size.
    Integer,
    /// A decimal as text, as in `"34.50"`, printed with the digits that it has.
    Decimal,
}

impl Kind {
    /// Whether cells are aligned to the right, and can be drawn.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal)
    }
}

/// One part of the report, with a table of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asset {
    /// Any text. What no font can show is replaced, and what is too long is cut.
    pub name: String,
    pub rows: Vec<Vec<Cell>>,
    /// How many rows the asset has, if `rows` holds only the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<u64>,
    /// One cell a column, `null` where a column has no total.
    #[serde(default)]
    pub totals: Option<Vec<Cell>>,
}

/// An asset that is not in the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Missing {
    pub asset: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// What is drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chart {
    /// The name of a column of integers or decimals.
    pub column: String,
    /// What a bar is of; without it, an asset, or a day if there is only one asset and a column of dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Axis>,
}

/// What a bar of the chart is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Axis {
    /// The total of an asset.
    Asset,
    /// The sum of a day over all assets, by the first column of dates.
    Date,
}

impl Report {
    /// Reads the data of a report and checks it.
    ///
    /// # Errors
    /// The first member that is wrong, by its path, and what to do about it.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let report: Self = serde_path_to_error::deserialize(&mut reader).map_err(Invalid::unreadable)?;
        reader.end().map_err(|error| Invalid::new("", format!("there is more than one document: {error}")))?;
        report.check()?;
        Ok(report)
    }
}
