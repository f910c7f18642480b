//! Parts of reports that are answered from the counters of another pipeline: what was counted of an asset, day by day.

use serde_json::Value;

use crate::model::fold::Totals;
use crate::model::reporting::part::{Column, Kind};

/// For how long rows are kept, in hours, unless that is set.
const KEEP_HOURS: i64 = 7 * 24;
/// The longest that they may be kept, and the shortest.
const MOST_HOURS: i64 = 366 * 24;

/// Which counters make the rows of a report. They are grouped by an asset and a day, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSettings {
    /// The pipeline that keeps the counters.
    pub counters_of: String,
    /// The fields whose sums are columns, besides the count of records.
    pub sum: Vec<String>,
    /// For how long the rows of a part are kept, in hours.
    pub keep_hours: i64,
}

impl UsageSettings {
    /// Reads the settings, such as `{"counters_of":"metering","sum":["kwh"]}`.
    ///
    /// # Errors
    /// Every problem, in words.
    pub fn parse(settings: &Value) -> Result<Self, Vec<String>> {
        let Value::Object(given) = settings else {
            return Err(vec![
                "usage must be an object such as {\"counters_of\":\"metering\",\"sum\":[\"kwh\"]}".to_owned(),
            ]);
        };
        let (mut problems, mut counters_of, mut sum, mut keep_hours) = (Vec::new(), None, Vec::new(), KEEP_HOURS);
        for (name, value) in given {
            match name.as_str() {
                "counters_of" => counters_of = value.as_str().filter(|name| !name.is_empty()).map(str::to_owned),
                "sum" => match names(value) {
                    Some(names) => sum = names,
                    None => problems.push(format!(
                        "usage: sum must be a list of at most {} names of fields that the other pipeline sums, each given once",
                        MOST_SUMS
                    )),
                },
                "keep_hours" => match value.as_i64().filter(|hours| (1..=MOST_HOURS).contains(hours)) {
                    Some(hours) => keep_hours = hours,
                    None => problems.push(format!("usage: keep_hours must be a whole number from 1 to {MOST_HOURS}")),
                },
                _ => problems.push(format!("usage: {name:?} is no setting; there is counters_of, sum, keep_hours")),
            }
        }
        match counters_of {
            Some(counters_of) if problems.is_empty() => Ok(Self { counters_of, sum, keep_hours }),
            Some(_) => Err(problems),
            None => {
                problems
                    .push("usage: counters_of must name the pipeline whose counters the report is made of".to_owned());
                Err(problems)
            }
        }
    }

    /// The columns of its rows: the day, the count of records, and the sums.
    pub fn columns(&self) -> Vec<Column> {
        let own = [Column::new(DAY, "Day", Kind::Date), Column::new(RECORDS, "Records", Kind::Integer)];
        own.into_iter().chain(self.sum.iter().map(|field| Column::new(field, field, Kind::Decimal))).collect()
    }

    /// A row: `first`, and what was counted. A field of which nothing was summed has the sum 0.
    pub fn row(&self, first: Value, totals: &Totals) -> Vec<Value> {
        let sum = |field: &String| totals.sums.get(field).map_or_else(|| "0".to_owned(), ToString::to_string).into();
        [first, totals.count.into()].into_iter().chain(self.sum.iter().map(sum)).collect()
    }
}

const DAY: &str = "day";
const RECORDS: &str = "records";
/// The most sums: a row has 16 columns.
const MOST_SUMS: usize = 14;

fn names(list: &Value) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in list.as_array()? {
        let name = name.as_str().filter(|name| !name.is_empty() && ![DAY, RECORDS].contains(name))?;
        if names.iter().any(|known| known == name) {
            return None;
        }
        names.push(name.to_owned());
    }
    (names.len() <= MOST_SUMS).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_read_and_make_columns() {
        let read = UsageSettings::parse(&json!({"counters_of": "metering", "sum": ["kwh"], "keep_hours": 2})).unwrap();
        let columns: Vec<String> = read.columns().into_iter().map(|column| column.name).collect();
        assert_eq!((columns, read.keep_hours), (["day", "records", "kwh"].map(str::to_owned).to_vec(), 2));
        let row = read.row("2026-01-01".into(), &Totals { count: 3, ..Totals::default() });
        assert_eq!(row, [json!("2026-01-01"), json!(3), json!("0")]);
    }

    #[test]
    fn all_problems_are_told_together() {
        let wrong = json!({"sum": ["day"], "keep_hours": 0, "of": 1});
        let told = UsageSettings::parse(&wrong).unwrap_err().join("; ");
        for part in
            ["sum must be a list", "keep_hours must be a whole number", "\"of\" is no setting", "counters_of must name"]
        {
            assert!(told.contains(part), "{told}");
        }
        for bad in [
            json!(null),
            json!([]),
            json!({}),
            json!({"counters_of": ""}),
            json!({"counters_of": "a", "sum": ["b", "b"]}),
        ] {
            assert!(UsageSettings::parse(&bad).is_err(), "{bad}");
        }
    }
}
