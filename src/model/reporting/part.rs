//! A part of a report: what is asked about one asset, and the rows that answer it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::decimal::Decimal;
use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;

/// The field that is a part's key.
pub const KEY_FIELD: &str = "part";
/// The most columns of rows.
pub const MOST_COLUMNS: usize = 16;
/// The longest text of a number, in digits.
const LONGEST_NUMBER: usize = 400;

/// What is asked about one asset: a record of the report's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The key of its rows.
    pub part: String,
    /// The report.
    pub report: ReportId,
    /// Which report.
    #[serde(rename = "type")]
    pub kind: String,
    /// The asset.
    pub asset: String,
    /// The first day.
    pub from: String,
    /// The day after the last.
    pub to: String,
    /// The zone whose days these are.
    pub zone: String,
    /// The moment at which the first day begins there.
    pub since: Timestamp,
    /// The moment at which the last day ends there.
    pub until: Timestamp,
    /// When it is left out of the report, if it has no rows by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

impl Part {
    /// Whether the other asks the same in the same place. The moments are not compared: another version of the time zone database may
    /// have others for the same days.
    pub fn is_same(&self, other: &Self) -> bool {
        let whose = |part: &Self| (part.report.clone(), part.part.clone(), part.kind.clone());
        whose(self) == whose(other) && self.question() == other.question()
    }

    /// What is asked, as it stands beside the rows, so that those of another question are told from them.
    fn question(&self) -> [(&'static str, &String); 4] {
        [("asset", &self.asset), ("from", &self.from), ("to", &self.to), ("zone", &self.zone)]
    }
}

/// A column of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, of its own.
    pub name: String,
    /// What stands above it.
    pub title: String,
    /// What its cells are.
    pub kind: Kind,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, title: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), title: title.into(), kind }
    }
}

/// What the cells of a column are. An empty one is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    Text,
    /// A day, as in `"2026-01-31"`.
    Date,
    /// A whole number: a number, or its digits as a text.
    Integer,
    /// A decimal as a text, as in `"34.50"`.
    Decimal,
}

impl Kind {
    /// Whether its cells are numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal)
    }

    fn takes(self, cell: &Value) -> bool {
        match (self, cell) {
            (_, Value::Null) | (Self::Text, Value::String(_)) => true,
            (Self::Date, Value::String(text)) => text.len() == 10 && Date::strptime("%Y-%m-%d", text).is_ok(),
            (Self::Integer, Value::Number(number)) => is_number(&number.to_string(), true),
            (Self::Integer, Value::String(text)) => is_number(text, true),
            (Self::Decimal, Value::String(text)) => is_number(text, false),
            _ => false,
        }
    }
}

/// Whether a text is a number in plain notation, perhaps a whole one.
fn is_number(text: &str, whole: bool) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_digit() || (byte == b'.' && !whole);
    let ends =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    ends(digits)
        && digits.len() <= LONGEST_NUMBER
        && digits.bytes().all(plain)
        && digits.matches('.').count() <= 1
        && Decimal::parse(text).is_some()
}

/// The rows that answer a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    /// The columns of each row.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// A cell for each column, `null` where it has no total.
    #[serde(default)]
    pub totals: Option<Vec<Value>>,
    /// What was known then.
    pub as_of: Timestamp,
    /// From when on the rows count as deleted, in seconds of the epoch, as the table's time to live takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Rows {
    /// Reads the rows from the item of a part.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn of_item(item: &Map<String, Value>, part: &Part) -> Result<Self, String> {
        let other = |(name, asked): &(&str, &String)| item.get(*name).is_some_and(|told| told != asked.as_str());
        if let Some((name, _)) = part.question().iter().find(|question| other(question)) {
            return Err(format!("its rows answer another question: they have another {name}"));
        }
        let rows: Self = serde_json::from_value(Value::Object(item.clone())).map_err(|e| format!("its rows: {e}"))?;
        rows.check()?;
        Ok(rows)
    }

    /// The item of these rows.
    ///
    /// # Errors
    /// Never in practice.
    pub fn into_item(self, part: &Part) -> Result<Map<String, Value>, serde_json::Error> {
        let mut item = Map::new();
        item.insert(KEY_FIELD.to_owned(), part.part.clone().into());
        item.extend(part.question().map(|(name, asked)| (name.to_owned(), asked.clone().into())));
        if let Value::Object(rows) = serde_json::to_value(self)? {
            item.extend(rows);
        }
        Ok(item)
    }

    /// Whether they count as deleted. DynamoDB itself deletes within days of that moment
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>).
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now.epoch_seconds())
    }

    fn check(&self) -> Result<(), String> {
        let columns = &self.columns;
        if !(1..=MOST_COLUMNS).contains(&columns.len()) {
            return Err(format!("its rows have {} columns; give 1 to {MOST_COLUMNS}", columns.len()));
        }
        for (place, column) in columns.iter().enumerate() {
            if column.name.is_empty() || columns.iter().take(place).any(|other| other.name == column.name) {
                return Err(format!("its column {place} has no name of its own"));
            }
        }
        let named = |row: String, cells: &[Value]| {
            if cells.len() != columns.len() {
                return Err(format!("{row} has {} cells for {} columns", cells.len(), columns.len()));
            }
            match cells.iter().zip(columns).find(|(cell, column)| !column.kind.takes(cell)) {
                Some((_, column)) => Err(format!("{row}: {} is no {:?}", column.name, column.kind).to_lowercase()),
                None => Ok(()),
            }
        };
        for (place, row) in self.rows.iter().enumerate() {
            named(format!("its row {place}"), row)?;
        }
        self.totals.as_ref().map_or(Ok(()), |totals| named("its row of totals".to_owned(), totals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(change: impl FnOnce(&mut Value)) -> Map<String, Value> {
        let mut item = json!({
            "part": "r/000000", "asset": "株", "from": "2026-02-28", "to": "2026-03-02", "zone": "UTC",
            "columns": [
                {"name": "day", "title": "Day", "kind": "date"},
                {"name": "n", "title": "Records", "kind": "integer"},
                {"name": "kwh", "title": "kWh", "kind": "decimal"},
                {"name": "note", "title": "Note", "kind": "text"},
            ],
            "rows": [["2026-02-28", 3, "-0.50", null], ["2026-03-01", "12345678901234567890", null, ""]],
            "totals": [null, 4, "0", null],
            "asOf": "2026-03-02T00:00:00.000Z",
            "expiresAt": 1_800_000_000,
        });
        change(&mut item);
        item.as_object().unwrap().clone()
    }

    fn part() -> Part {
        serde_json::from_value(json!({
            "part": "r/000000", "report": "0".repeat(32), "type": "usage", "asset": "株", "from": "2026-02-28", "to": "2026-03-02",
            "zone": "UTC", "since": "2026-02-28T00:00:00Z", "until": "2026-03-02T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn rows_are_read_from_their_item_again() {
        let (item, part) = (item(|_| {}), part());
        let rows = Rows::of_item(&item, &part).unwrap();
        assert_eq!(rows.clone().into_item(&part).unwrap(), item);
        let at = |seconds: i64| rows.is_expired(Timestamp(seconds * 1000));
        assert!(!at(1_799_999_999) && at(1_800_000_000));
        assert!(!Rows { expires_at: None, ..rows.clone() }.is_expired(Timestamp(i64::MAX)));
    }

    #[test]
    fn what_is_no_row_is_refused_in_words() {
        type Change = fn(&mut Value);
        let wrong: [(Change, &str); 12] = [
            (|item| item["rows"][1] = json!([]), "row 1 has 0 cells"),
            (|item| item["rows"][0][0] = json!("2026-2-28"), "row 0: day is no date"),
            (|item| item["rows"][0][0] = json!("2026-02-29"), "row 0: day is no date"),
            (|item| item["rows"][0][1] = json!(1.5), "n is no integer"),
            (|item| item["rows"][0][2] = json!(1.5), "kwh is no decimal"),
            (|item| item["rows"][0][2] = json!("1e3"), "kwh is no decimal"),
            (|item| item["totals"][3] = json!(1), "totals: note is no text"),
            (|item| item["columns"] = json!([]), "0 columns"),
            (|item| item["columns"][1]["name"] = json!("day"), "column 1 has no name of its own"),
            (|item| item["asOf"] = Value::Null, "its rows"),
            (|item| item["asset"] = json!("other"), "another asset"),
            (|item| item["to"] = json!("2026-03-03"), "another to"),
        ];
        for (change, words) in wrong {
            let told = Rows::of_item(&item(change), &part()).unwrap_err();
            assert!(told.contains(words), "{words}: {told}");
        }
        let silent = item(|item| {
            item.as_object_mut().unwrap().retain(|name, _| !["asset", "from", "to", "zone"].contains(&name.as_str()))
        });
        assert!(Rows::of_item(&silent, &part()).is_ok(), "those of a function need not say what they answer");
    }
}
