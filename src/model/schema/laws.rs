//! What holds for every schema and every cell.

use proptest::prelude::*;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::{RecordSchema, columns};
use crate::model::format::Layout;
use crate::model::record::Entry;
use crate::model::refusal::Refusal;

/// Schemas of a column, built of the keywords that name types.
fn column() -> impl Strategy<Value = Value> {
    let kinds = ["string", "number", "integer", "boolean", "null", "array", "object"];
    let kind = prop::sample::select(kinds.to_vec());
    let constants = r#"["a", "1", "", 1, 7, 1.5, true, null, [1], {"a": 1}]"#;
    let constant = prop::sample::select(serde_json::from_str::<Vec<Value>>(constants).unwrap());
    let leaf = prop_oneof![
        kind.clone().prop_map(|kind| json!({ "type": kind })),
        prop::collection::btree_set(kind, 1..4).prop_map(|kinds| json!({ "type": kinds })),
        constant.clone().prop_map(|value| json!({ "const": value })),
        prop::collection::vec(constant, 1..4).prop_map(|mut values| {
            values.sort_by_key(Value::to_string);
            values.dedup();
            json!({ "enum": values })
        }),
        Just(json!({"type": "string", "pattern": "^[A-Z]*$"})),
        Just(json!({"type": "string", "minLength": 1})),
        Just(json!({"type": "number", "minimum": 2})),
        Just(json!({"$ref": "#/$defs/number"})),
        Just(json!({"$ref": "#/$defs/optional"})),
        Just(json!(true)),
        Just(json!({})),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            several.clone().prop_map(|all| json!({ "allOf": all })),
            several.clone().prop_map(|any| json!({ "anyOf": any })),
            several.prop_map(|one| json!({ "oneOf": one })),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
        ]
    })
}

/// Schemas of a record with a column `c`, and whether the schema names types of it, so that a cell may be something other
/// than text.
fn schema() -> impl Strategy<Value = (Value, bool)> {
    (column(), column(), 0..7_u8, any::<bool>()).prop_map(|(one, other, form, required)| {
        let with = |column: &Value| json!({"properties": {"c": column}});
        let mut schema = match form {
            0 => with(&one),
            1 => json!({"patternProperties": {"^c": one}}),
            2 => json!({"properties": {"id": {}}, "additionalProperties": one}),
            3 => json!({"allOf": [with(&one), {"patternProperties": {"c$": other}}]}),
            4 => json!({"anyOf": [with(&one), with(&other)]}),
            5 => json!({"if": {"properties": {"id": {"const": "1"}}}, "then": with(&one), "else": with(&other)}),
            _ => json!({"oneOf": [with(&one), with(&other)]}),
        };
        let named = match form {
            0..=2 => names_types(&one),
            3 => names_types(&one) || names_types(&other),
            4 | 5 => names_types(&one) && names_types(&other),
            // A value that both take is no value of `oneOf`, although each way takes it.
            _ => false,
        };
        schema["$defs"] = json!({"number": {"type": "number"}, "optional": {"anyOf": [{"$ref": "#/$defs/number"}, {"type": "null"}]}});
        if required {
            schema["required"] = json!(["c"]);
        }
        (schema, named)
    })
}

fn text() -> impl Strategy<Value = String> {
    let known =
        ["", " ", "a", "A", "1", "1.0", " 7 ", "+1", "007", "1.5", ".5", "true", "False", "[1]", r#"{"a":1}"#, "x,y"];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[-+0-9.eE]{1,5}"]
}

/// The values that a text may stand for, found the slow way.
fn readings(text: &str) -> Vec<Value> {
    let inner = text.trim();
    let mut found = vec![Value::String(text.to_owned())];
    if inner.is_empty() {
        found.push(Value::Null);
    }
    found.extend(
        ["true", "false"].iter().filter(|word| inner.to_lowercase() == **word).map(|word| json!(*word == "true")),
    );
    let float = inner.parse::<f64>().ok().filter(|_| inner.bytes().any(|byte| byte.is_ascii_digit()));
    // Beyond these, no item can hold it.
    let held = |number: &f64| *number == 0.0 || (1e-130..1e126).contains(&number.abs());
    found.extend(float.filter(held).map(|number| json!(number)));
    found.extend(serde_json::from_str::<Value>(inner).ok().filter(|value| value.is_array() || value.is_object()));
    found
}

/// Whether a schema names a type in every way to satisfy it.
fn names_types(schema: &Value) -> bool {
    let all = |keyword: &str| schema[keyword].as_array().is_some_and(|branches| branches.iter().all(names_types));
    let branch = |keyword: &str| schema.get(keyword).is_some_and(names_types);
    ["type", "const", "enum", "$ref"].iter().any(|keyword| schema.get(keyword).is_some())
        || schema["allOf"].as_array().is_some_and(|branches| branches.iter().any(names_types))
        || all("anyOf")
        || all("oneOf")
        || branch("then") && branch("else")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_row_that_is_valid_as_text_stays_so((schema, _) in schema(), text in text()) {
        let record = json!({"id": "1", "c": text});
        let validator = columns::options().build(&schema).unwrap();
        if validator.is_valid(&record) {
            let entry = Entry::decoded(0, to_raw_value(&record).unwrap());
            let checked = RecordSchema::parse(&schema.to_string(), "id").unwrap().check(&entry, Layout::Csv);
            prop_assert!(checked.is_ok(), "{schema} refuses {text:?}: {checked:?}");
        }
    }

    #[test]
    fn a_cell_passes_if_its_column_takes_any_reading_of_it((schema, named) in schema(), text in text()) {
        let validator = columns::options().build(&schema).unwrap();
        let mut rows: Vec<Value> = readings(&text).into_iter().map(|value| json!({"id": "1", "c": value})).collect();
        if text.trim().is_empty() {
            rows.push(json!({"id": "1"}));
        }
        let valid: Vec<Value> = rows.into_iter().filter(|row| validator.is_valid(row)).collect();
        let entry = Entry::decoded(0, to_raw_value(&json!({"id": "1", "c": text})).unwrap());
        let checked = RecordSchema::parse(&schema.to_string(), "id").unwrap().check(&entry, Layout::Csv);
        match checked {
            // Whatever is stored is valid, and one of the readings.
            Ok(stored) => prop_assert!(validator.is_valid(&Value::Object(stored.fields))),
            Err(reason) => {
                prop_assert!(!named || valid.is_empty(), "{schema} refuses {text:?}: {reason}");
                prop_assert!(Refusal::of(&reason).is_some(), "docs/ERRORS.md does not list {reason:?}");
            }
        }
    }
}
