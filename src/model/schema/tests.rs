//! The rules of records, one by one.

use super::*;
use crate::model::refusal::Refusal;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

const ORDERS: &str = include_str!("../../../examples/orders.schema.json");

fn check(schema: &str, record: Value, layout: Layout) -> std::result::Result<Valid, String> {
    let entry = Entry::decoded(0, to_raw_value(&record).unwrap());
    let checked = RecordSchema::parse(schema, "itemNo").unwrap().check(&entry, layout);
    checked.inspect_err(|reason| assert!(Refusal::of(reason).is_some(), "docs/ERRORS.md does not list {reason:?}"))
}

#[test]
fn an_attribute_of_an_item_is_no_key() {
    let told: Map<String, Value> = serde_json::from_str(include_str!("../../../infra/own_attributes.json")).unwrap();
    for (called, names) in told {
        let own = OwnAttributes::named(&called).unwrap();
        // Terraform refuses the same ones before it deploys.
        assert_eq!(names, json!(own.names()));
        for name in own.names() {
            let schema = RecordSchema::parse("{}", name).and_then(|schema| schema.with_own(own));
            let refused = schema.unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("another field"), "{refused}");
        }
    }
    assert!(RecordSchema::parse("{}", "updatedAt").is_ok());
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
    assert_eq!(refused, r#"price: the cell "cheap" is not a number"#);
    let refused = check(ORDERS, json!({"itemNo": "1", "price": ""}), Layout::Csv).unwrap_err();
    assert_eq!(refused, "price: the cell is empty, and the field is required");
    let refused = check(ORDERS, json!({"itemNo": "1", "price": "cheap"}), Layout::Json).unwrap_err();
    assert_eq!(refused, r#"price: "cheap" is not of type "number""#);
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
        assert_eq!(error.kind, crate::model::error::ErrorKind::Config, "{text}");
    }
}

#[test]
fn numbers_of_38_digits_pass_unchanged() {
    let digits = "12345678901234567890.123456789012345678";
    let record: Value = serde_json::from_str(&format!(r#"{{"itemNo":"1","price":{digits}}}"#)).unwrap();
    let valid = check(ORDERS, record, Layout::Json).unwrap();
    assert_eq!(valid.fields["price"].to_string(), digits);
}

#[test]
fn an_object_with_a_member_twice_is_refused_at_any_depth() {
    for (record, name) in [
        (r#"{"itemNo":"2","itemNo":"3"}"#, "itemNo"),
        (r#"{"itemNo":"2","a":{"b":[{"c":1,"d":2,"c":1}]}}"#, "c"),
        (r#"{"itemNo":"2","o":{"e":1,"\u0065":2}}"#, "e"),
    ] {
        let entry = Entry::decoded(0, RawValue::from_string(record.to_owned()).unwrap());
        let refused = RecordSchema::parse("{}", "itemNo").unwrap().check(&entry, Layout::Json).unwrap_err();
        assert_eq!(refused, format!("the record cannot be read: an object has the member {name:?} twice"));
    }
}

#[test]
fn a_required_property_of_other_letter_case_is_pointed_at() {
    let schema = r#"{"required":["id"],"properties":{"o":{"required":["zip"]}}}"#;
    let refused = check(schema, json!({"itemNo": "1", "ID": "2", "o": {"Zip": 1}}), Layout::Json).unwrap_err();
    assert!(refused.contains(r#""id" is a required property; there is "ID""#), "{refused}");
    assert!(refused.contains(r#"o: "zip" is a required property; there is "Zip""#), "{refused}");
    let refused = check("{}", json!({"ITEMNO": "1"}), Layout::Csv).unwrap_err();
    assert_eq!(refused, r#"the record has no field "itemNo", which is its key; it has "ITEMNO""#);
}

#[test]
fn formats_are_checked() {
    for (format, good, bad) in [
        ("date", "2026-11-26", "2026-02-30"),
        ("date-time", "2026-11-26T06:31:28Z", "2026-11-26 06:31"),
        ("time", "06:31:28Z", "25:00:00Z"),
        ("email", "a@example.org", "a at example.org"),
        ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08"),
        ("uri", "https://example.org/x?y=1", "example"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8"),
        ("hostname", "example.org", "-example-"),
        ("duration", "P1DT2H", "1 day"),
        ("regex", "^a+$", "("),
    ] {
        let schema = json!({"properties": {"f": {"type": "string", "format": format}}}).to_string();
        for layout in [Layout::Csv, Layout::Json] {
            assert!(check(&schema, json!({"itemNo": "1", "f": good}), layout).is_ok(), "{format}");
            let refused = check(&schema, json!({"itemNo": "1", "f": bad}), layout).unwrap_err();
            assert_eq!(refused, format!("f: {} is not a {format:?}", json!(bad)));
        }
    }
}

#[test]
fn violations_read_well() {
    let schema = r#"{"additionalProperties":false,"properties":{"itemNo":{},
        "e":{"enum":["S","M","L"]},"p":{"pattern":"^[A-Z]+$"},"m":{"type":"integer","maximum":12},
        "u":{"anyOf":[{"type":"integer"},{"type":"null"}]},"x":false,
        "d":{"anyOf":[{"type":"string","format":"date"},{"type":"null"}]}}}"#;
    let long = "x".repeat(5000);
    let cut = format!(r#"p: "{}… does not match "^[A-Z]+$""#, "x".repeat(79));
    for (field, value, want) in [
        ("e", json!("XL"), r#"e: "XL" is not one of "S", "M" or "L""#),
        ("p", json!("abc"), r#"p: "abc" does not match "^[A-Z]+$""#),
        ("p", json!(long), cut.as_str()),
        ("m", json!(13), "m: 13 is greater than the maximum of 12"),
        ("u", json!("x"), r#"u: "x" is not of types "null", "integer""#),
        ("d", json!("x"), r#"d: "x" is not a "date""#),
        ("n", json!(1), r#"the field "n" is not in the schema"#),
        ("x", json!(1), "x: the schema allows no value here"),
    ] {
        assert_eq!(check(schema, json!({"itemNo": "1", field: value}), Layout::Json).unwrap_err(), want);
    }
    let refused = check(schema, json!({"itemNo": "1", "n": "1", "o": "2", "q": ""}), Layout::Csv).unwrap_err();
    assert_eq!(refused, r#"the columns "n", "o" are not in the schema"#);
}

#[test]
fn the_key_of_a_number_is_the_same_however_it_is_written() {
    let schema = r#"{"properties":{"itemNo":{"type":"number"}}}"#;
    for text in ["7", "7.0", "70e-1", "+7", "007", "7."] {
        let valid = check(schema, json!({"itemNo": text}), Layout::Csv).unwrap();
        assert_eq!(valid.key, "7", "{text}");
    }
    let valid = check(schema, json!({"itemNo": "7.00"}), Layout::Csv).unwrap();
    assert_eq!((valid.key.as_str(), valid.fields["itemNo"].to_string().as_str()), ("7", "7.00"));
    let refused = check(schema, json!({"itemNo": "1e2000"}), Layout::Csv).unwrap_err();
    assert!(refused.contains("beyond what DynamoDB can hold"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_schema_is_told_with_its_place() {
    let error = RecordSchema::parse(r#"{"properties":{"a":{"type":"strin"}}}"#, "k").unwrap_err().to_string();
    assert!(error.contains("correct SCHEMA at /properties/a/type: \"strin\""), "{error}");
}

#[test]
fn required_fields_are_found_through_references() {
    let schema = r##"{"allOf":[{"$ref":"#/$defs/a"},{"required":["b","a"]}],"properties":{"c":{"required":["x"]}},
        "$defs":{"a":{"required":["a"]}}}"##;
    assert_eq!(RecordSchema::parse(schema, "k").unwrap().required(), ["a", "b"]);
    assert_eq!(RecordSchema::parse("{}", "k").unwrap().required(), [""; 0]);
}
