//! What has to hold of a report's data.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date};
use serde_json::Value;

use crate::invalid::Invalid;
use crate::report::{Axis, Cell, Kind, Report};

/// The most columns that a page has room for.
pub const MOST_COLUMNS: usize = 16;

impl Report {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// The first member that is wrong, by its path.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.v != 1 {
            return Err(Invalid::new(
                "v",
                format!("version {} is unknown; this version of fanfold-report reads 1", self.v),
            ));
        }
        for (path, text) in [("id", &self.id), ("title", &self.title), ("zone", &self.zone)] {
            if text.trim().is_empty() {
                return Err(Invalid::new(path, "it is empty; a document needs one"));
            }
        }
        self.check_range()?;
        self.check_columns()?;
        for (index, asset) in self.assets.iter().enumerate() {
            for (row, cells) in asset.rows.iter().enumerate() {
                self.check_row(cells, || format!("assets[{index}].rows[{row}]"))?;
            }
            if let Some(totals) = &asset.totals {
                self.check_row(totals, || format!("assets[{index}].totals"))?;
            }
            let given = asset.rows.len() as u64;
            if asset.row_count.is_some_and(|count| count < given) {
                let problem = format!("there are {given} rows; give at least as many, or leave it out");
                return Err(Invalid::new(format!("assets[{index}].rowCount"), problem));
            }
        }
        if let Some(totals) = &self.totals {
            self.check_row(totals, || "totals".to_owned())?;
        }
        self.check_chart()?;
        match &self.full {
            Some(link) if !(link.starts_with("https://") || link.starts_with("http://")) => {
                Err(Invalid::new("full", format!("{} is no address of the web; begin it with https://", shown(link))))
            }
            _ => Ok(()),
        }
    }

    fn check_range(&self) -> Result<(), Invalid> {
        let (from, to) = (date("from", &self.from)?, date("to", &self.to)?);
        if from >= to {
            return Err(Invalid::new("to", format!("{to} is not after {from}; it is the day after the last one")));
        }
        instant(self).map(drop)
    }

    fn check_columns(&self) -> Result<(), Invalid> {
        if self.columns.is_empty() || self.columns.len() > MOST_COLUMNS {
            let problem = format!("there are {}; give 1 to {MOST_COLUMNS}", self.columns.len());
            return Err(Invalid::new("columns", problem));
        }
        let mut names = BTreeSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            if !names.insert(&column.name) {
                let problem = format!("{} is the name of an earlier column; give it another", shown(&column.name));
                return Err(Invalid::new(format!("columns[{index}].name"), problem));
            }
        }
        Ok(())
    }

    /// Checks one row, `path` being where it is.
    fn check_row(&self, cells: &[Cell], path: impl Fn() -> String) -> Result<(), Invalid> {
        if cells.len() != self.columns.len() {
            let problem = format!(
                "there are {} cells, but {} columns; give null where one is empty",
                cells.len(),
                self.columns.len()
            );
            return Err(Invalid::new(path(), problem));
        }
        for (index, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
            if let Some(wanted) = unlike(cell, column.kind) {
                let problem = format!("{} is not {wanted}", shown(&cell.to_string()));
                return Err(Invalid::new(format!("{}[{index}]", path()), problem));
            }
        }
        Ok(())
    }

    fn check_chart(&self) -> Result<(), Invalid> {
        let Some(chart) = &self.chart else { return Ok(()) };
        let numbers: Vec<&str> = self.columns.iter().filter(|c| c.kind.is_number()).map(|c| c.name.as_str()).collect();
        if !numbers.contains(&chart.column.as_str()) {
            let problem = match numbers.as_slice() {
                [] => "no column has numbers; leave the chart out".to_owned(),
                _ => format!("{} is no column of numbers; those are {}", shown(&chart.column), numbers.join(", ")),
            };
            return Err(Invalid::new("chart.column", problem));
        }
        if chart.by == Some(Axis::Date) && !self.columns.iter().any(|column| column.kind == Kind::Date) {
            return Err(Invalid::new("chart.by", "no column has dates; draw a bar for each asset"));
        }
        Ok(())
    }
}

/// The instant of the data.
pub(crate) fn instant(report: &Report) -> Result<Timestamp, Invalid> {
    report.as_of.parse().map_err(|_| {
        let problem = format!("{} is no instant; give one as in 2026-02-01T03:04:05Z", shown(&report.as_of));
        Invalid::new("asOf", problem)
    })
}

/// A day, as in `2026-01-31` and in no other form.
pub(crate) fn date(path: &str, text: &str) -> Result<Date, Invalid> {
    parsed(text).ok_or_else(|| Invalid::new(path, format!("{} is no day; give one as in 2026-01-31", shown(text))))
}

fn parsed(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

/// What a cell should be, if it is not.
fn unlike(cell: &Cell, kind: Kind) -> Option<&'static str> {
    let fits = match (cell, kind) {
        (Value::Null, _) | (Value::String(_), Kind::Text) => true,
        (Value::String(text), Kind::Date) => parsed(text).is_some(),
        (Value::String(text), Kind::Integer) => is_integer(text),
        (Value::Number(number), Kind::Integer) => is_integer(&number.to_string()),
        (Value::String(text), Kind::Decimal) => is_decimal(text),
        _ => false,
    };
    let wanted = match kind {
        Kind::Text => "text; give a string, or null",
        Kind::Date => "a day; give one as in \"2026-01-31\", or null",
        Kind::Integer => "an integer; give one as in 12, or null",
        Kind::Decimal => "a decimal as text; give one as in \"34.50\", or null",
    };
    (!fits).then_some(wanted)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    match text.split_once('.') {
        Some((whole, part)) => is_integer(whole) && !part.starts_with('-') && is_integer(part),
        None => is_integer(text),
    }
}

/// A value in an error, cut where it is long.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "an empty string".to_owned(),
        None => text.to_owned(),
    }
}
