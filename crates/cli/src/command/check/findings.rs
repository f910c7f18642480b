//! What would become of some records.

use serde_json::{Deserializer, Value};

use super::sample::Sample;
use fanfold::model::format::Layout;
use fanfold::model::record::cut;
use fanfold::model::schema::{RecordSchema, Valid};

/// What the cells of a column can become: a name for programs, and one for people.
pub(super) const KINDS: [(&str, &str); 7] = [
    ("text", "text"),
    ("number", "number"),
    ("boolean", "true/false"),
    ("array", "JSON array"),
    ("object", "JSON object"),
    ("null", "null"),
    ("absent", "absent"),
];

/// What became of the cells of a column, over the records that would succeed.
pub(super) struct Column {
    pub(super) name: String,
    /// How many became each of [`KINDS`].
    pub(super) counts: [u64; KINDS.len()],
}

/// Records that would fail for one reason.
pub(super) struct Failure {
    reason: String,
    /// What is wrong with the first.
    pub(super) message: String,
    /// The place of the first among the records, from 0.
    pub(super) index: u64,
    /// The line on which the first begins.
    pub(super) line: Option<u64>,
    pub(super) records: u64,
}

/// What would become of some records.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) succeeded: u64,
    pub(super) columns: Vec<Column>,
    /// Columns that the schema requires and the file lacks.
    pub(super) missing: Vec<String>,
    /// In the order of the first of each reason.
    pub(super) failures: Vec<Failure>,
}

impl Findings {
    /// Checks the records as a worker does.
    pub(super) fn of(sample: &Sample, schema: &RecordSchema, layout: Layout) -> Self {
        let named = sample.columns.iter().flatten().filter(|name| !name.is_empty());
        let columns = named.map(|name| Column { name: name.clone(), counts: [0; KINDS.len()] }).collect();
        let mut findings = Self { columns, ..Self::default() };
        for (place, entry) in sample.entries.iter().enumerate() {
            match schema.check(entry, layout) {
                Ok(valid) => findings.succeed(&valid),
                Err(message) => findings.fail(cut(message), entry.index, sample.lines.get(place).copied()),
            }
        }
        // Where a record succeeds, nothing that it lacks is required of it.
        if let Some(columns) = sample.columns.as_ref().filter(|_| findings.succeeded == 0) {
            findings.missing = schema.required().into_iter().filter(|name| !columns.contains(name)).collect();
        }
        findings
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.iter().map(|failure| failure.records).sum()
    }

    fn succeed(&mut self, valid: &Valid) {
        self.succeeded += 1;
        for column in &mut self.columns {
            let kind = match valid.fields.get(&column.name) {
                Some(Value::String(_)) => 0,
                Some(Value::Number(_)) => 1,
                Some(Value::Bool(_)) => 2,
                Some(Value::Array(_)) => 3,
                Some(Value::Object(_)) => 4,
                Some(Value::Null) => 5,
                None => 6,
            };
            column.counts[kind] += 1;
        }
    }

    fn fail(&mut self, message: String, index: u64, line: Option<u64>) {
        let reason = reason(&message);
        match self.failures.iter_mut().find(|failure| failure.reason == reason) {
            Some(failure) => failure.records += 1,
            None => self.failures.push(Failure { reason, message, index, line, records: 1 }),
        }
    }
}

/// A message without the values and places in it, which differ between records that fail for one reason.
fn reason(message: &str) -> String {
    let (mut reason, mut rest) = (String::new(), message);
    while let Some(next) = rest.chars().next() {
        let value = value_at(rest, &reason);
        match value {
            Some(_) => reason.push('…'),
            None => reason.push(next),
        }
        rest = &rest[value.unwrap_or(next.len_utf8())..];
    }
    reason
}

/// The length of the value of a record, or of the number of a place, that stands here in a message; `None` for names.
fn value_at(rest: &str, before: &str) -> Option<usize> {
    let begins = before.is_empty() || before.ends_with("; ");
    if rest.starts_with('"') {
        let mut text = Deserializer::from_str(rest).into_iter::<String>();
        text.next()?.ok()?;
        let length = text.byte_offset();
        let is_value = begins || before.ends_with(": ") || before.ends_with("the cell ");
        return (is_value && !rest[length..].starts_with(" is a required property")).then_some(length);
    }
    let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    // A field may have a number as its name.
    let is_value = if begins { !rest[length..].starts_with(": ") } else { before.ends_with([' ', '-']) };
    (is_value && rest.starts_with(|c: char| c.is_ascii_digit())).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_fail_for_one_reason_whatever_their_values_and_places_are() {
        for (one, other) in [
            ("price: the cell \"cheap\" is not a number", "price: the cell \"a \\\"b\" is not a number"),
            ("line 3: the row has 2 fields", "line 14: the row has 5 fields"),
            ("n: -5 is less than the minimum of 0", "n: -1.5 is less than the minimum of 0"),
            ("day: \"x\" is not a \"date\"", "day: \"2026\" is not a \"date\""),
        ] {
            assert_eq!(reason(one), reason(other));
        }
        for (one, other) in [
            ("\"a\" is a required property", "\"b\" is a required property"),
            ("x/0: \"a\" is a required property", "x/0: \"b\" is a required property"),
            ("the column \"a\" is not in the schema", "the column \"b\" is not in the schema"),
            ("day: \"x\" is not a \"date\"", "day: \"x\" is not a \"time\""),
            ("2025: the cell \"x\" is not a number", "2026: the cell \"x\" is not a number"),
            ("line1: the cell \"x\" is not a number", "line2: the cell \"x\" is not a number"),
        ] {
            assert_ne!(reason(one), reason(other));
        }
    }
}
