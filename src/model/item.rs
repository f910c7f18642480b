//! Items as the items table will hold them, and the table's limits.

use serde_json::{Map, Number, Value};

use crate::model::ids::BatchId;
use crate::model::timestamp::Timestamp;

/// The attributes that fanfold adds to each item; a record cannot have fields of these names.
pub const OWN_ATTRIBUTES: [&str; 4] = ["batchId", "recordIndex", "updatedAt", ORDER];
/// The attribute by which ordered writes compare items.
pub const ORDER: &str = "fanfoldOrder";

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const MAX_ITEM_BYTES: usize = 400 * 1024;
const MAX_KEY_BYTES: usize = 2048;
const MAX_DEPTH: usize = 32;
const MAX_DIGITS: usize = 38;
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;
// The size of these attributes: their names, a batch id, two numbers, and the order with a batch id.
const OWN_BYTES: usize = 39 + 98 + 2 * 12 + 120;

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

/// The key of a record: its text, or the digits of a number, since the table's key is always a string.
///
/// # Errors
/// What is wrong with the key field, in words for the record's outcome.
pub fn key_of(fields: &Map<String, Value>, key_field: &str) -> Result<String, String> {
    let key = match fields.get(key_field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(format!("{key_field}: the key must be a string or a number")),
        None => return Err(format!("the record has no field {key_field:?}, which is its key")),
    };
    if key.is_empty() {
        return Err(format!("{key_field}: the key is empty"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(format!("{key_field}: the key is longer than {MAX_KEY_BYTES} bytes"));
    }
    Ok(key)
}

/// Checks that the items table can hold the fields of a record.
///
/// # Errors
/// Which limit the fields exceed, in words for the record's outcome.
pub fn check_fields(fields: &Map<String, Value>) -> Result<(), String> {
    if let Some(name) = OWN_ATTRIBUTES.iter().find(|name| fields.contains_key(**name)) {
        return Err(format!("{name}: this field is written by fanfold itself; rename it in the input"));
    }
    let mut bytes = OWN_BYTES;
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
    let text = number.as_str();
    let unsigned = text.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0').len();
    if significant == 0 {
        return Ok(1);
    }
    if significant > MAX_DIGITS {
        return Err(format!("the number has more than {MAX_DIGITS} significant digits"));
    }
    let magnitude = exponent.parse::<i64>().ok().and_then(|e| e.checked_add(whole.len() as i64 - 1 - leading as i64));
    match magnitude {
        Some(m) if EXPONENTS.contains(&m) => Ok(significant.div_ceil(2) + 2),
        _ => Err("the number is beyond what DynamoDB can hold".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert!(check_fields(&fields(json!({"k": "x".repeat(409_000)}))).is_ok());
        assert!(check_fields(&fields(json!({"k": "x".repeat(409_600)}))).unwrap_err().contains("409600"));
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        assert!(check_fields(&fields(json!({"k": deep}))).unwrap_err().contains("nested"));
        assert!(check_fields(&fields(json!({"batchId": 1}))).unwrap_err().contains("rename"));
    }
}
