//! The rules of cells, one by one.

use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::{Cells, RecordSchema};
use crate::model::error::ErrorKind;
use crate::model::format::Layout;
use crate::model::record::Entry;
use crate::model::refusal::Refusal;

fn check(schema: &Value, cells: &Cells, row: &Value) -> Result<Map<String, Value>, String> {
    let entry = Entry::decoded(0, to_raw_value(row).unwrap());
    let schema = RecordSchema::parse(&schema.to_string(), "id").unwrap().with_cells(cells.clone()).unwrap();
    let checked = schema.check(&entry, Layout::Csv).map(|valid| valid.fields);
    checked.inspect_err(|reason| assert!(Refusal::of(reason).is_some(), "docs/ERRORS.md does not list {reason:?}"))
}

/// The value of a cell in a column of some schema, `None` if it stands for none.
fn cell(column: &Value, text: &str) -> Result<Option<Value>, String> {
    let schema = json!({"properties": {"c": column}});
    check(&schema, &Cells::default(), &json!({"id": "1", "c": text})).map(|fields| fields.get("c").cloned())
}

fn value(column: &Value, text: &str) -> String {
    cell(column, text).unwrap().map_or("absent".to_owned(), |value| value.to_string())
}

fn refused(column: &Value, text: &str) -> String {
    cell(column, text).unwrap_err()
}

#[test]
fn an_optional_field_of_a_pydantic_model_converts() {
    let schema = json!({
        "$defs": {"Size": {"enum": ["S", "M"], "type": "string"}, "Money": {"type": "number", "minimum": 0}},
        "properties": {
            "price": {"anyOf": [{"$ref": "#/$defs/Money"}, {"type": "null"}], "default": null},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
            "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "paid": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        },
        "required": ["id"], "title": "Order", "type": "object",
    });
    let row = json!({"id": "1", "price": "1.50", "count": "3", "size": "M", "due": "2026-11-26", "paid": "True"});
    let fields = check(&schema, &Cells::default(), &row).unwrap();
    let want = r#"{"id":"1","price":1.50,"count":3,"size":"M","due":"2026-11-26","paid":true}"#;
    assert_eq!(serde_json::to_string(&fields).unwrap(), want);
    let row = json!({"id": "1", "price": "", "count": "", "size": "", "due": "", "paid": ""});
    let fields = check(&schema, &Cells::default(), &row).unwrap();
    assert_eq!(Value::Object(fields), json!({"id":"1","price":null,"count":null,"size":null,"due":null,"paid":null}));
    for (column, text, want) in [
        ("price", "12,50", r#"price: the cell "12,50" is not a number; decimal points are dots"#),
        ("price", "-1", "price: -1 is less than the minimum of 0"),
        ("count", "1.5", r#"count: the cell "1.5" is not a whole number"#),
        ("size", "XL", r#"size: "XL" is not one of "S" or "M""#),
        ("due", "26.11.2026", r#"due: "26.11.2026" is not a "date""#),
        ("paid", "maybe", r#"paid: the cell "maybe" is neither true nor false"#),
    ] {
        let row = json!({"id": "1", column: text});
        assert_eq!(check(&schema, &Cells::default(), &row).unwrap_err(), want);
    }
}

#[test]
fn a_cell_stays_text_where_its_column_takes_the_text() {
    for column in [
        json!({}),
        json!(true),
        json!({"minimum": 5}),
        json!({"type": "string"}),
        json!({"type": ["integer", "string"]}),
        json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        json!({"type": ["string", "null"]}),
    ] {
        for text in ["007", "3", "true", "", " 3 "] {
            assert_eq!(value(&column, text), json!(text).to_string(), "{column}");
        }
    }
    let column = json!({"anyOf": [{"type": "string", "pattern": "^[A-Z]+$"}, {"type": "integer"}]});
    assert_eq!(value(&column, "ABC"), r#""ABC""#);
    assert_eq!(value(&column, "12"), "12");
}

#[test]
fn the_types_of_a_column_are_found_through_every_keyword() {
    for column in [
        json!({"$ref": "#/$defs/n"}),
        json!({"$ref": "#/$defs/loop"}),
        json!({"$ref": "#named"}),
        json!({"allOf": [{"type": ["number", "string"]}, {"type": ["number", "null"]}]}),
        json!({"oneOf": [{"type": "number"}, {"type": "boolean"}]}),
        json!({"enum": [3, 4.0]}),
        json!({"const": 3}),
        json!({"if": {"type": "number"}, "then": {"type": "number"}, "else": {"type": "null"}}),
    ] {
        let schema = json!({
            "$defs": {"n": {"type": "number"}, "a": {"$anchor": "named", "$ref": "#/$defs/n"},
                      "loop": {"anyOf": [{"type": "integer"}, {"allOf": [{"$ref": "#/$defs/n"}]}]}},
            "properties": {"c": column}
        });
        let fields = check(&schema, &Cells::default(), &json!({"id": "1", "c": "3"})).unwrap();
        assert_eq!(fields["c"], json!(3), "{schema}");
    }
    assert_eq!(value(&json!({"enum": ["a", 1]}), "a"), r#""a""#);
    assert_eq!(value(&json!({"enum": ["a", 1]}), "1"), "1");
    assert_eq!(value(&json!({"enum": ["1", 1]}), "1"), r#""1""#);
}

#[test]
fn the_schemas_of_a_column_are_found_from_the_root() {
    let number = json!({"type": "number"});
    for schema in [
        json!({"$ref": "#/$defs/order", "$defs": {"order": {"properties": {"c": number}}}}),
        json!({"$id": "https://x.test/s", "$ref": "https://x.test/s#/$defs/o", "$defs": {"o": {"properties": {"c": number}}}}),
        json!({"allOf": [{"properties": {"id": {}}}, {"properties": {"c": number}}]}),
        json!({"anyOf": [{"properties": {"c": number}}, {"properties": {"c": {"type": "null"}}}]}),
        json!({"if": {"required": ["id"]}, "then": {"properties": {"c": number}}}),
        json!({"dependentSchemas": {"id": {"properties": {"c": number}}}}),
        json!({"patternProperties": {"^c": number}}),
        json!({"properties": {"id": {}}, "additionalProperties": number}),
        json!({"properties": {"id": {}}, "unevaluatedProperties": number}),
    ] {
        for _ in 0..2 {
            let fields = check(&schema, &Cells::default(), &json!({"id": "1", "c": "3"})).unwrap();
            assert_eq!(fields["c"], json!(3), "{schema}");
        }
    }
}

#[test]
fn a_row_is_read_in_each_way_to_satisfy_the_schema() {
    let schema = json!({"oneOf": [
        {"properties": {"kind": {"const": "text"}, "v": {"type": "string"}}},
        {"properties": {"kind": {"const": "count"}, "v": {"type": "integer"}}},
    ]});
    let row = |kind: &str, v: &str| check(&schema, &Cells::default(), &json!({"id": "1", "kind": kind, "v": v}));
    assert_eq!(row("text", "3").unwrap()["v"], json!("3"));
    assert_eq!(row("count", "3").unwrap()["v"], json!(3));
    assert_eq!(row("count", "x").unwrap_err(), r#"v: the cell "x" is not a whole number"#);
}

#[test]
fn circles_of_references_end() {
    let schema = json!({
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]},
                  "tree": {"properties": {"left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}}},
        "$ref": "#/$defs/tree",
        "properties": {"n": {"$ref": "#/$defs/b"}, "left": {"$ref": "#/$defs/tree"}}
    });
    assert!(RecordSchema::parse(&schema.to_string(), "id").is_ok());
    let schema = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
        "type": "object", "properties": {"left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}}}});
    let fields = check(&schema, &Cells::default(), &json!({"id": "1", "left": r#"{"left":{"left":null}}"#})).unwrap();
    assert_eq!(fields["left"], json!({"left": {"left": null}}));
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let number = json!({"type": "number"});
    for (text, want) in [
        ("+5", "5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("007", "7"),
        ("-007.10", "-7.10"),
        (" 1.50 ", "1.50"),
        ("1e3", "1e+3"),
        ("+1.E-3", "1e-3"),
        ("0", "0"),
        ("00", "0"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ] {
        assert_eq!(value(&number, text), want, "{text}");
    }
    assert_eq!(value(&json!({"type": "integer"}), "1.0"), "1.0");
    for (text, hint) in [
        ("12,50", "decimal points are dots"),
        ("1,234", "without separators"),
        ("1,234,567.89", "without separators"),
        ("1.234,56", "without separators"),
        ("1 234", "without separators"),
        ("NaN", "null_values"),
        ("NULL", "null_values"),
        ("-inf", "no number is infinite"),
    ] {
        let reason = refused(&number, text);
        assert!(reason.starts_with(&format!("c: the cell {text:?} is not a number; ")), "{reason}");
        assert!(reason.ends_with(hint) || reason.contains(hint), "{reason}");
    }
    for text in [".", "+", "-", "e5", "1e", "1e+", "--1", "+-1", "0x1F", "1.2.3", "٣", "5 EUR", "1e1e1", "\"5\"", "[5]"]
    {
        let reason = refused(&number, text);
        assert!(reason.contains("is not a number"), "{text}: {reason}");
    }
}

#[test]
fn booleans_are_read_in_any_letter_case() {
    let boolean = json!({"type": "boolean"});
    for text in ["true", "True", "TRUE", " tRuE "] {
        assert_eq!(value(&boolean, text), "true");
        assert_eq!(value(&boolean, &text.to_lowercase().replace("true", "FALSE")), "false");
    }
    assert_eq!(refused(&boolean, "maybe"), r#"c: the cell "maybe" is neither true nor false"#);
    assert!(refused(&boolean, "yes").contains("true_values"));
    assert!(refused(&boolean, "1").contains("true_values"));
}

#[test]
fn an_empty_cell_is_text_or_null_or_absent() {
    for (column, want) in [
        (json!({"type": "string"}), r#""""#),
        (json!({"type": ["string", "null"]}), r#""""#),
        (json!({"type": ["number", "null"]}), "null"),
        (json!({"type": "number"}), "absent"),
        (json!({"type": "string", "format": "date"}), "absent"),
        (json!({"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}), "null"),
        (json!({"type": "array"}), "absent"),
        (json!({"enum": ["S", "M", null]}), "null"),
    ] {
        assert_eq!(value(&column, ""), want, "{column}");
    }
    assert_eq!(value(&json!({"type": "number"}), "  "), "absent");
    let schema =
        json!({"required": ["c"], "properties": {"c": {"type": "string", "minLength": 1}, "id": {"type": "number"}}});
    let refused = check(&schema, &Cells::default(), &json!({"id": "1", "c": ""})).unwrap_err();
    assert_eq!(refused, "c: the cell is empty, and the field is required");
    let refused = check(&schema, &Cells::default(), &json!({"id": "", "c": "x"})).unwrap_err();
    assert_eq!(refused, "id: the cell is empty, and it is the key");
}

#[test]
fn listed_texts_stand_for_null_true_and_false() {
    let cells: Cells = serde_json::from_value(json!({
        "null_values": ["NULL", "N/A", ""], "true_values": ["yes", "1"], "false_values": ["no", "0"]}))
    .unwrap();
    let schema = json!({"properties": {
        "b": {"type": "boolean"}, "n": {"type": ["number", "null"]}, "o": {"type": "number"},
        "s": {"type": "string"}, "t": {"type": ["string", "null"]}}});
    let row = json!({"id": "NULL", "b": "yes", "n": "N/A", "o": "NULL", "s": "NULL", "t": "NULL"});
    let fields = check(&schema, &cells, &row).unwrap();
    assert_eq!(Value::Object(fields), json!({"id": "NULL", "b": true, "n": null, "s": "NULL", "t": null}));
    let row = json!({"id": "1", "b": "0", "n": "1", "o": " N/A ", "s": "", "t": ""});
    let fields = check(&schema, &cells, &row).unwrap();
    assert_eq!(Value::Object(fields), json!({"id": "1", "b": false, "n": 1, "s": "", "t": null}));
    let schema = json!({"required": ["o"], "properties": {"o": {"type": "number"}}});
    let refused = check(&schema, &cells, &json!({"id": "1", "o": "N/A"})).unwrap_err();
    assert_eq!(refused, r#"o: the cell "N/A" is no value, and the field is required"#);
}

#[test]
fn a_text_that_would_stand_for_two_values_is_a_matter_of_configuration() {
    for cells in [
        json!({"true_values": ["x"], "false_values": ["x"]}),
        json!({"true_values": ["x"], "null_values": ["x"]}),
        json!({"true_values": [""]}),
        json!({"false_values": [" "]}),
        json!({"true_values": ["False"]}),
        json!({"false_values": ["TRUE"]}),
    ] {
        let read: Cells = serde_json::from_value(cells.clone()).unwrap();
        let error = RecordSchema::parse("{}", "id").unwrap().with_cells(read).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{cells}");
    }
    for cells in [json!({"null": []}), json!({"true_values": "yes"})] {
        assert!(serde_json::from_value::<Cells>(cells).is_err());
    }
}

#[test]
fn cells_of_json_are_read_as_strictly_as_records() {
    let object = json!({"type": "object"});
    assert_eq!(value(&object, r#" {"a":[1.50]} "#), r#"{"a":[1.50]}"#);
    let reason = refused(&object, r#"{"a":{"b":1,"b":2}}"#);
    assert!(reason.contains("is not a JSON object; an object has the member \"b\" twice"), "{reason}");
    assert_eq!(
        refused(&json!({"type": ["array", "object"]}), "x"),
        r#"c: the cell "x" is neither a JSON array nor a JSON object"#
    );
}

#[test]
fn text_passes_where_the_schema_takes_it_in_a_way_that_no_type_shows() {
    let branch =
        |n: usize, kind: &str| json!({"properties": {"kind": {"const": format!("k{n}")}, "v": {"type": kind}}});
    let many: Vec<Value> = (0..100).map(|n| branch(n, if n < 99 { "integer" } else { "string" })).collect();
    let nested = json!({
        "$ref": "https://x.test/inner", "unevaluatedProperties": {"type": "integer"},
        "$defs": {"inner": {"$id": "https://x.test/inner", "properties": {"id": {}, "kind": {}, "v": {"type": "string"}}}}
    });
    for schema in [json!({"oneOf": many}), nested] {
        let row = json!({"id": "1", "kind": "k99", "v": "3"});
        let fields = check(&schema, &Cells::default(), &row).unwrap();
        assert_eq!(fields["v"], json!("3"));
    }
}
