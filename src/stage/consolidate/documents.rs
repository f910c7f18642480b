//! The documents of a report: all rows as JSON and as CSV, and the data of the one that is printed.

use std::io;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};
use crate::model::fold::Exact;
use crate::model::reporting::end::ReportOutput;
use crate::model::reporting::part::{Column, Rows};
use crate::model::timestamp::Timestamp;
use crate::stage::consolidate::Report;
use crate::store::blob::Blob;
use crate::store::blob::upload::Upload;

/// The most rows of the printed document, which has the totals of all assets. The whole is in the other two.
const MOST_PRINTED: usize = 5_000;
/// The longest reason of a missing part, in characters: there may be as many as a request has assets.
const LONGEST_REASON: usize = 200;

/// The version of the form of data.
const VERSION: u32 = 1;

/// The documents that are being written.
pub struct Documents<'a, B: Blob> {
    output: &'a B,
    report: &'a Report,
    /// The columns, as soon as a part said them, and before that those of a report without parts.
    columns: Columns,
    json: Sheet<'a, B>,
    csv: Sheet<'a, B>,
    /// The assets, for the printed document, with the first rows.
    printed: Vec<Value>,
    printed_rows: usize,
    missing: Vec<Value>,
    totals: Totals,
    rows: u64,
    as_of: Option<Timestamp>,
    /// Where people find the whole data.
    full: Option<String>,
}

enum Columns {
    /// No part had any yet.
    Expected(Vec<Column>),
    /// Those of all parts.
    Known(Vec<Column>),
}

impl Columns {
    fn get(&self) -> &[Column] {
        match self {
            Self::Expected(columns) | Self::Known(columns) => columns,
        }
    }
}

/// What was written.
pub struct Written {
    /// How many rows there are.
    pub rows: u64,
    /// What was known when the oldest part was answered.
    pub as_of: Option<Timestamp>,
    /// The documents.
    pub outputs: Vec<ReportOutput>,
    /// The key of the data that is printed.
    pub data: String,
}

impl<'a, B: Blob> Documents<'a, B> {
    /// Begins the documents.
    pub fn begin(output: &'a B, report: &'a Report, columns: &[Column], page: Option<&str>) -> Self {
        let mut json = Sheet::new(output, "json", report.key("report.json"), "application/json");
        json.text("{\"assets\":[");
        Self {
            output,
            report,
            columns: Columns::Expected(columns.to_vec()),
            json,
            csv: Sheet::new(output, "csv", report.key("report.csv"), "text/csv"),
            printed: Vec::new(),
            printed_rows: 0,
            missing: Vec::new(),
            totals: Totals::default(),
            rows: 0,
            as_of: None,
            full: page.map(|page| format!("{page}{}", report.request.id)),
        }
    }

    /// Adds the rows of an asset, unless they have other columns than those before.
    pub async fn add(&mut self, asset: &str, rows: Rows) -> Result<std::result::Result<(), String>> {
        match &self.columns {
            Columns::Expected(_) => {
                self.csv.row(std::iter::once("asset").chain(rows.columns.iter().map(|column| column.name.as_str())))?;
                self.columns = Columns::Known(rows.columns.clone());
            }
            Columns::Known(columns) if *columns == rows.columns => {}
            Columns::Known(_) => {
                return Ok(Err("its rows have other columns than those of the parts before".to_owned()));
            }
        }
        let Rows { columns, rows, totals, as_of, .. } = rows;
        for row in &rows {
            self.csv.row(std::iter::once(asset.to_owned()).chain(row.iter().map(cell)))?;
        }
        self.totals.add(&columns, totals.as_deref());
        self.as_of = Some(self.as_of.map_or(as_of, |known| known.min(as_of)));
        self.rows += rows.len() as u64;
        if self.json.assets > 0 {
            self.json.text(",");
        }
        self.json.assets += 1;
        self.json.value(&json!({ "name": asset, "rows": rows, "totals": totals }))?;
        let (all, left) = (rows.len(), MOST_PRINTED.saturating_sub(self.printed_rows));
        let shown: Vec<_> = rows.into_iter().take(left).collect();
        self.printed_rows += shown.len();
        let mut printed = json!({ "name": asset, "rows": shown, "totals": totals });
        if shown.len() < all {
            printed["rowCount"] = all.into();
        }
        self.printed.push(printed);
        self.json.flow().await?;
        self.csv.flow().await?;
        Ok(Ok(()))
    }

    /// Notes that a part is missing.
    pub fn miss(&mut self, asset: &str, why: &str) {
        let why: String = why.chars().take(LONGEST_REASON).collect();
        self.missing.push(json!({ "asset": asset, "reason": why }));
    }

    /// Gives the documents up.
    pub async fn abandon(self) {
        self.json.abandon().await;
        self.csv.abandon().await;
    }

    /// Ends the documents.
    pub async fn end(mut self, partial: bool) -> Result<Written> {
        if let Columns::Expected(columns) = &self.columns {
            self.csv.row(std::iter::once("asset").chain(columns.iter().map(|column| column.name.as_str())))?;
        }
        let head = self.head(partial);
        self.json.text("]");
        for (name, value) in head.as_object().into_iter().flatten() {
            self.json.text(",");
            self.json.value(name)?;
            self.json.text(":");
            self.json.value(value)?;
        }
        self.json.text("}\n");
        let mut data = head;
        data["full"] = self.full.into();
        data["assets"] = self.printed.into();
        data["chart"] = chart(self.columns.get());
        let data = serde_json::to_vec(&data).map_err(unwritten)?;
        let key = self.report.key("print.json");
        self.output.put(&key, "application/json", data.into()).await?;
        let outputs = vec![self.json.finish().await?, self.csv.finish().await?];
        Ok(Written { rows: self.rows, as_of: self.as_of, outputs, data: key })
    }

    /// All that is told besides the assets.
    fn head(&self, partial: bool) -> Value {
        let (order, request) = (&self.report.order, &self.report.request);
        let days = match order.days().last() {
            Some(last) => format!("{} to {last}", order.from),
            None => format!("no days from {}", order.from),
        };
        let title = format!("{}, {days}", order.kind);
        json!({
            "v": VERSION,
            "id": request.id,
            "type": order.kind,
            "title": title,
            "from": order.from.to_string(),
            "to": order.to.to_string(),
            "zone": order.zone_name,
            // Of a report without parts, what was known when it was asked for.
            "asOf": self.as_of.unwrap_or(request.at),
            "partial": partial,
            "columns": self.columns.get(),
            "totals": self.totals.cells(self.columns.get()),
            "missing": self.missing,
        })
    }
}

/// What is drawn: the last column of numbers.
fn chart(columns: &[Column]) -> Value {
    let numbers = columns.iter().rfind(|column| column.kind.is_number());
    numbers.map_or(Value::Null, |column| json!({ "column": column.name }))
}

/// The sums of the totals of all assets: of a column, as long as each asset has one.
#[derive(Default)]
struct Totals {
    sums: Vec<Option<Exact>>,
    assets: u64,
}

impl Totals {
    fn add(&mut self, columns: &[Column], totals: Option<&[Value]>) {
        let numbers = columns.iter().enumerate().map(|(place, column)| {
            let total = totals.and_then(|totals| totals.get(place)).filter(|_| column.kind.is_number())?;
            Exact::of_text(&cell(total))
        });
        if self.assets == 0 {
            self.sums = numbers.collect();
        } else {
            for (sum, number) in self.sums.iter_mut().zip(numbers) {
                *sum = sum.take().zip(number).map(|(mut sum, number)| {
                    sum.add(&number);
                    sum
                });
            }
        }
        self.assets += 1;
    }

    fn cells(&self, columns: &[Column]) -> Value {
        let cells = columns.iter().zip(&self.sums).map(|(_, sum)| sum.as_ref().map(ToString::to_string));
        if self.assets == 0 { Value::Null } else { cells.collect::<Vec<_>>().into() }
    }
}

/// A cell as text.
fn cell(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unwritten(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("a report cannot be written").because(error)
}

/// A document that is written as a stream, with its digest.
struct Sheet<'a, B: Blob> {
    name: &'static str,
    key: String,
    upload: Upload<'a, B>,
    assets: u64,
    digest: Sha256,
    bytes: u64,
}

impl<'a, B: Blob> Sheet<'a, B> {
    fn new(output: &'a B, name: &'static str, key: String, content_type: &'static str) -> Self {
        let upload = Upload::new(output, key.clone(), content_type);
        Self { name, key, upload, assets: 0, digest: Sha256::new(), bytes: 0 }
    }

    fn text(&mut self, text: &str) {
        self.append(text.as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.upload.buffer().extend_from_slice(bytes);
    }

    fn value(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<()> {
        let text = serde_json::to_vec(value).map_err(unwritten)?;
        self.append(&text);
        Ok(())
    }

    fn row(&mut self, cells: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(cells).map_err(unwritten)?;
        let row = writer.into_inner().map_err(|e| unwritten(io::Error::from(e.into_error().kind())))?;
        self.append(&row);
        Ok(())
    }

    async fn flow(&mut self) -> Result<()> {
        self.upload.flow().await
    }

    async fn abandon(self) {
        self.upload.abandon().await;
    }

    async fn finish(self) -> Result<ReportOutput> {
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.upload.finish().await?;
        Ok(ReportOutput { name: self.name.to_owned(), key: self.key, bytes: self.bytes, sha256 })
    }
}
