//! Items as the items table will hold them, and the table's limits.

use serde_json::{Map, Number, Value};

use crate::model::decimal::Decimal;
use crate::model::ids::BatchId;
use crate::model::own::OwnAttributes;
use crate::model::timestamp::Timestamp;

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const MAX_ITEM_BYTES: usize = 400 * 1024;
const MAX_KEY_BYTES: usize = 2048;
const MAX_DEPTH: usize = 32;
const MAX_DIGITS: usize = 38;
const BEYOND: &str = "the number is beyond what DynamoDB can hold";
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;
// The size of fanfold's own attributes without their names: a batch id, two numbers, and the order with a batch id.
const OWN_BYTES: usize = 98 + 2 * 12 + 120;

/// One item: a record under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The value of the key field.
    pub key: String,
    /// All fields of the record, the key field included.
    pub fields: Map<String, Value>,
    /// The batch that wrote it.
    pub batch: BatchId,
    /// The record's place in the batch.
    pub index: u64,
    /// When it was written.
    pub updated_at: Timestamp,
    /// Orders its batch among all batches.
    pub sequence: Timestamp,
}

impl Item {
    /// The text that ordered writes compare: first the batch, then the record.
    pub fn order(&self) -> String {
        format!("{:013}#{}#{:012}", self.sequence.0.max(0), self.batch.in_generation(0), self.index)
    }
}

/// The key of a record: its text, or the plain notation of a number, since the table's key is always a string.
/// Numbers of one value are one key, however they are written.
///
/// # Errors
/// What is wrong with the key field, in words for the record's outcome.
pub fn key_of(fields: &Map<String, Value>, key_field: &str) -> Result<String, String> {
    let key = match fields.get(key_field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            let plain = Decimal::parse(number.as_str()).and_then(|decimal| decimal.plain(MAX_KEY_BYTES));
            plain.ok_or_else(|| format!("{key_field}: {BEYOND}"))?
        }
        Some(_) => return Err(format!("{key_field}: the key must be a string or a number")),
        None => {
            let like = like(fields, key_field).map(|name| format!("; it has {name:?}")).unwrap_or_default();
            return Err(format!("the record has no field {key_field:?}, which is its key{like}"));
        }
    };
    if key.is_empty() {
        return Err(format!("{key_field}: the key is empty"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(format!("{key_field}: the key is longer than {MAX_KEY_BYTES} bytes"));
    }
    Ok(key)
}

/// A field whose name is meant to be another: it differs in the case of letters, or in spaces around it.
pub fn like<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let folded = |name: &str| name.trim().to_lowercase();
    let wanted = folded(name);
    fields.keys().map(String::as_str).find(|field| *field != name && folded(field) == wanted)
}

/// Checks that the items table can hold the fields of a record beside its `own` attributes.
///
/// # Errors
/// Which limit the fields exceed, in words for the record's outcome.
pub fn check_fields(fields: &Map<String, Value>, own: &OwnAttributes) -> Result<(), String> {
    let names = own.names();
    if let Some(name) = names.iter().find(|name| fields.contains_key(**name)) {
        return Err(format!("{name}: this field is written by fanfold itself; rename it in the input"));
    }
    let mut bytes = OWN_BYTES + names.iter().map(|name| name.len()).sum::<usize>();
    for (name, value) in fields {
        bytes += name.len() + size_of(value, 1).map_err(|reason| format!("{name}: {reason}"))?;
    }
    if bytes > MAX_ITEM_BYTES {
        return Err(format!("the item would take {bytes} bytes, but DynamoDB allows at most {MAX_ITEM_BYTES}"));
    }
    Ok(())
}

/// The size of a value as DynamoDB counts it:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size_of(value: &Value, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("values are nested deeper than {MAX_DEPTH} levels"));
    }
    match value {
        Value::Null | Value::Bool(_) => Ok(1),
        Value::String(text) => Ok(text.len()),
        Value::Number(number) => number_size(number),
        Value::Array(values) => values.iter().try_fold(3, |sum, value| Ok(sum + 1 + size_of(value, depth + 1)?)),
        Value::Object(fields) => {
            fields.iter().try_fold(3, |sum, (name, value)| Ok(sum + 1 + name.len() + size_of(value, depth + 1)?))
        }
    }
}

fn number_size(number: &Number) -> Result<usize, String> {
    let decimal = Decimal::parse(number.as_str()).ok_or(BEYOND)?;
    match decimal.significant() {
        0 => Ok(1),
        digits if digits > MAX_DIGITS => Err(format!("the number has more than {MAX_DIGITS} significant digits")),
        digits if EXPONENTS.contains(&decimal.magnitude()) => Ok(digits.div_ceil(2) + 2),
        _ => Err(BEYOND.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(record: Value) -> Result<(), String> {
        check_fields(record.as_object().unwrap(), &OwnAttributes::default())
    }

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn keys_are_strings_or_numbers_and_never_empty() {
        assert_eq!(key_of(&fields(json!({"k": "a"})), "k").unwrap(), "a");
        assert_eq!(key_of(&fields(json!({"k": 12})), "k").unwrap(), "12");
        for bad in [json!({"k": ""}), json!({"k": null}), json!({}), json!({"k": "x".repeat(2049)})] {
            assert!(key_of(&fields(bad), "k").is_err());
        }
    }

    #[test]
    fn a_number_is_one_key_however_it_is_written() {
        for (number, want) in [("1", "1"), ("1.0", "1"), ("1e0", "1"), ("10e-1", "1"), ("-0", "0"), ("-1.50", "-1.5")] {
            let value: Value = serde_json::from_str(number).unwrap();
            assert_eq!(key_of(&fields(json!({"k": value.clone()})), "k").unwrap(), want);
        }
        for beyond in ["1e2048", "1e-99999999999999999999", "1e9223372036854775807"] {
            let value: Value = serde_json::from_str(beyond).unwrap();
            assert_eq!(key_of(&fields(json!({"k": value})), "k").unwrap_err(), format!("k: {BEYOND}"));
        }
    }

    #[test]
    fn a_key_of_other_letter_case_is_pointed_at() {
        let refused = key_of(&fields(json!({"name": "x", "ID": "1"})), "id").unwrap_err();
        assert_eq!(refused, r#"the record has no field "id", which is its key; it has "ID""#);
        let refused = key_of(&fields(json!({"name": "x", " id": "1"})), "id").unwrap_err();
        assert!(refused.ends_with(r#"it has " id""#), "{refused}");
        let refused = key_of(&fields(json!({"name": "x"})), "id").unwrap_err();
        assert!(refused.ends_with("its key"), "{refused}");
    }

    #[test]
    fn numbers_beyond_the_table_are_refused() {
        for good in ["0", "-0.0", "1e125", "1e-130", "12345678901234567890123456789012345678", "0.10"] {
            let value: Value = serde_json::from_str(good).unwrap();
            assert!(size_of(&value, 1).is_ok(), "{good}");
        }
        for bad in ["1e126", "1e-131", "1.2345678901234567890123456789012345678901", "1e99999999999999999999"] {
            let value: Value = serde_json::from_str(bad).unwrap();
            assert!(size_of(&value, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_of_size_depth_and_names_hold() {
        assert!(check(json!({"k": "x".repeat(409_000)})).is_ok());
        assert!(check(json!({"k": "x".repeat(409_600)})).unwrap_err().contains("409600"));
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        assert!(check(json!({"k": deep})).unwrap_err().contains("nested"));
        assert!(check(json!({"fanfoldBatchId": 1})).unwrap_err().contains("rename"));
        assert!(check(json!({"batchId": 1})).is_ok());
        let bare = check_fields(&fields(json!({"batchId": 1})), &OwnAttributes::BARE);
        assert!(bare.unwrap_err().contains("rename"));
    }
}
