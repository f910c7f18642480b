//! What makes a record valid: a JSON Schema (draft 2020-12), and the field that is the key.

use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::item::{OWN_ATTRIBUTES, check_fields, key_of};
use crate::model::record::Entry;

/// How many of a record's violations its message names.
const SHOWN: usize = 3;
/// How deep values are read; deeper than an item can be, so that the item's own rule reports most cases.
const MAX_DEPTH: usize = 64;

/// A record that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Valid {
    /// The item's key.
    pub key: String,
    /// The record's fields, a CSV row's values converted by the schema's types.
    pub fields: Map<String, Value>,
}

/// A compiled record schema.
#[derive(Debug, Clone)]
pub struct RecordSchema {
    validator: Arc<jsonschema::Validator>,
    key_field: String,
    cells: Map<String, Value>,
}

impl RecordSchema {
    /// Compiles a schema document.
    ///
    /// # Errors
    /// `Config` if it is not JSON, not a valid schema of draft 2020-12, or refers to another document; or if
    /// the key field is one of fanfold's own attributes, so that no record could have it.
    pub fn parse(text: &str, key_field: &str) -> Result<Self> {
        if OWN_ATTRIBUTES.contains(&key_field) {
            let message = format!("KEY_FIELD is {key_field:?}, which every item has already; name another field");
            return Err(Error::config(message));
        }
        let schema: Value = serde_json::from_str(text)
            .map_err(|e| Error::config("the record schema is not JSON; correct SCHEMA").because(e))?;
        let validator = jsonschema::draft202012::new(&schema).map_err(|e| {
            Error::config(format!("the record schema is not a JSON Schema of draft 2020-12; correct SCHEMA: {e}"))
        })?;
        let cells = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Self { validator: Arc::new(validator), key_field: key_field.to_owned(), cells })
    }

    /// Decides whether a record may be stored.
    ///
    /// # Errors
    /// The reason why not, in words for the record's outcome.
    pub fn check(&self, entry: &Entry, layout: Layout) -> std::result::Result<Valid, String> {
        if let Some(fault) = &entry.fault {
            return Err(fault.clone());
        }
        let mut fields = members(entry.record.get(), 0).map_err(|e| format!("the record cannot be read: {e}"))?;
        if layout == Layout::Csv {
            fields = self.convert(fields);
        }
        let record = Value::Object(fields);
        if !self.validator.is_valid(&record) {
            return Err(self.violations(&record));
        }
        let Value::Object(fields) = record else {
            return Err("the record is not an object".to_owned());
        };
        let key = key_of(&fields, &self.key_field)?;
        check_fields(&fields)?;
        Ok(Valid { key, fields })
    }

    fn violations(&self, record: &Value) -> String {
        let mut shown: Vec<String> = Vec::new();
        for error in self.validator.iter_errors(record).take(SHOWN) {
            let path = error.instance_path().to_string();
            let path = path.trim_start_matches('/');
            shown.push(if path.is_empty() { error.to_string() } else { format!("{path}: {error}") });
        }
        shown.join("; ")
    }

    /// Converts the cells of a CSV row to the types that the schema gives their columns.
    fn convert(&self, row: Map<String, Value>) -> Map<String, Value> {
        row.into_iter()
            .filter_map(|(column, cell)| match (self.cells.get(&column), cell) {
                (Some(rule), Value::String(text)) => convert_cell(rule, text).map(|value| (column, value)),
                (_, cell) => Some((column, cell)),
            })
            .collect()
    }
}

/// Converts a cell by its column's rule. An empty cell in a non-string column is `null` where the rule allows
/// that, otherwise an absent field. A cell that does not convert stays text, which the schema rejects in its
/// own words.
fn convert_cell(rule: &Value, text: String) -> Option<Value> {
    let allows = |name: &str| match rule.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(types)) => types.iter().any(|t| t == name),
        _ => false,
    };
    if allows("string") || rule.get("type").is_none() {
        return Some(Value::String(text));
    }
    if text.is_empty() {
        return allows("null").then_some(Value::Null);
    }
    let parsed = serde_json::from_str::<&RawValue>(&text).ok().and_then(|raw| nested(raw.get(), 1).ok());
    let fits = match &parsed {
        Some(Value::Number(_)) => allows("number") || allows("integer"),
        Some(Value::Bool(_)) => allows("boolean"),
        Some(Value::Array(_)) => allows("array"),
        Some(Value::Object(_)) => allows("object"),
        _ => false,
    };
    Some(parsed.filter(|_| fits).unwrap_or(Value::String(text)))
}

/// The fields of a record, read member by member: serde_json's own `Value` takes an object whose first member
/// has one of two private names for a number, or for more JSON in a string, whose depth it counts anew. A
/// record could change on its way, or overflow the stack.
fn members(text: &str, depth: usize) -> serde_json::Result<Map<String, Value>> {
    let Members(members) = serde_json::from_str(text)?;
    members.into_iter().map(|(name, raw)| Ok((name, nested(raw.get(), depth + 1)?))).collect()
}

fn nested(text: &str, depth: usize) -> serde_json::Result<Value> {
    if depth > MAX_DEPTH {
        return Err(de::Error::custom(format!("values are nested deeper than {MAX_DEPTH} levels")));
    }
    if text.starts_with('{') {
        members(text, depth).map(Value::Object)
    } else if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text)?;
        elements
            .into_iter()
            .map(|raw| nested(raw.get(), depth + 1))
            .collect::<serde_json::Result<_>>()
            .map(Value::Array)
    } else {
        serde_json::from_str(text)
    }
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, value::to_raw_value};

    const ORDERS: &str = include_str!("../../examples/orders.schema.json");

    fn check(schema: &str, record: Value, layout: Layout) -> std::result::Result<Valid, String> {
        let entry = Entry::decoded(0, to_raw_value(&record).unwrap());
        RecordSchema::parse(schema, "itemNo").unwrap().check(&entry, layout)
    }

    #[test]
    fn an_attribute_of_an_item_is_no_key() {
        for name in OWN_ATTRIBUTES {
            let refused = RecordSchema::parse("{}", name).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("another field"), "{refused}");
        }
        // Terraform refuses the same ones before it deploys.
        let told: Vec<String> = serde_json::from_str(include_str!("../../infra/own_attributes.json")).unwrap();
        assert_eq!(told, OWN_ATTRIBUTES);
    }

    #[test]
    fn a_csv_number_keeps_its_digits_and_a_json_string_stays_one() {
        let row = json!({"itemNo": "0042", "price": "12.50", "note": "7"});
        let valid = check(ORDERS, row.clone(), Layout::Csv).unwrap();
        assert_eq!(valid.key, "0042");
        assert_eq!(valid.fields["price"].to_string(), "12.50");
        assert_eq!(valid.fields["note"], "7");
        let refused = check(ORDERS, row, Layout::Json).unwrap_err();
        assert!(refused.contains("price") && refused.contains("number"), "{refused}");
    }

    #[test]
    fn a_violation_names_the_field_and_the_rule() {
        let refused = check(ORDERS, json!({"itemNo": "1", "price": "cheap"}), Layout::Csv).unwrap_err();
        assert_eq!(refused, r#"price: "cheap" is not of type "number""#);
        let refused = check(ORDERS, json!({"itemNo": "1", "price": ""}), Layout::Csv).unwrap_err();
        assert_eq!(refused, r#""price" is a required property"#);
        let refused = check("{}", json!({"price": 1}), Layout::Json).unwrap_err();
        assert!(refused.contains("no field \"itemNo\""), "{refused}");
    }

    #[test]
    fn cells_convert_by_their_columns_types() {
        let schema = r#"{"properties":{"n":{"type":["integer","null"]},"b":{"type":"boolean"},
            "o":{"type":"number"},"l":{"type":"array"},"t":{}}}"#;
        let row = json!({"itemNo":"1","n":"","b":"true","o":"","l":"[1]","t":"3"});
        let fields = check(schema, row, Layout::Csv).unwrap().fields;
        assert_eq!(Value::Object(fields), json!({"itemNo":"1","n":null,"b":true,"l":[1],"t":"3"}));
    }

    #[test]
    fn names_that_mean_something_to_serde_json_mean_nothing_here() {
        for inner in [r#"{"$serde_json::private::Number":"12"}"#, r#"{"$serde_json::private::RawValue":"[1]"}"#] {
            let row = format!(r#"{{"itemNo":"1","a":{inner},"b":[{inner}]}}"#);
            let entry = Entry::decoded(0, serde_json::value::RawValue::from_string(row.clone()).unwrap());
            let valid = RecordSchema::parse("{}", "itemNo").unwrap().check(&entry, Layout::Json).unwrap();
            assert_eq!(serde_json::to_string(&valid.fields).unwrap(), row);
            let schema = r#"{"properties":{"o":{"type":"object"}}}"#;
            let valid = check(schema, json!({"itemNo":"1","o":inner}), Layout::Csv).unwrap();
            assert_eq!(valid.fields["o"].to_string(), inner);
        }
    }

    #[test]
    fn depth_is_counted_through_everything() {
        let mut text = "1".to_owned();
        for _ in 0..200 {
            let inner = format!("{}{text}{}", "[".repeat(120), "]".repeat(120));
            let escaped = inner.replace('\\', "\\u005c").replace('"', "\\u0022");
            text = format!(r#"{{"$serde_json::private::RawValue":"{escaped}"}}"#);
        }
        for value in [text, format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))] {
            let record = RawValue::from_string(format!(r#"{{"itemNo":"1","l":[{value}],"o":{value}}}"#)).unwrap();
            let checked = RecordSchema::parse("{}", "itemNo").unwrap().check(&Entry::decoded(0, record), Layout::Json);
            // Text in a string stays a string, and is too large for an item.
            let refused = checked.unwrap_err();
            assert!(refused.contains("409600") || refused.contains("nested deeper"), "{refused}");
        }
    }

    #[test]
    fn a_bad_schema_is_a_matter_of_configuration() {
        for text in ["", "{", r#"{"type":"strin"}"#, r#"{"$ref":"https://example.com/x"}"#] {
            let error = RecordSchema::parse(text, "k").unwrap_err();
            assert_eq!(error.kind, super::super::error::ErrorKind::Config, "{text}");
        }
    }

    #[test]
    fn numbers_of_38_digits_pass_unchanged() {
        let digits = "12345678901234567890.123456789012345678";
        let record: Value = serde_json::from_str(&format!(r#"{{"itemNo":"1","price":{digits}}}"#)).unwrap();
        let valid = check(ORDERS, record, Layout::Json).unwrap();
        assert_eq!(valid.fields["price"].to_string(), digits);
    }
}
