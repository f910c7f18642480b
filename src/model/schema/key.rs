//! The key of a record that is known to be valid, without validating it once more.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::cells::Converted;
use super::{RecordSchema, read};
use crate::model::format::Layout;
use crate::model::item::key_of;
use crate::model::record::Entry;

impl RecordSchema {
    /// The key of the item that a valid record became. `None` for a record that is not valid.
    pub fn key<'a>(&self, record: &'a RawValue, layout: Layout) -> Option<Cow<'a, str>> {
        let column = self.columns.of(&self.key_field);
        let as_it_is = layout != Layout::Csv || column.any_text;
        if !as_it_is && self.columns.alternatives() > 1 {
            // Only the whole record tells which of the ways to satisfy the schema it takes.
            let valid = self.check(&Entry::decoded(0, record.to_owned()), layout).ok()?;
            return Some(Cow::Owned(valid.key));
        }
        let text = member(record.get(), &self.key_field)?;
        let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        if let Some(plain) = plain.filter(|text| as_it_is && !text.is_empty() && !text.contains('\\')) {
            return Some(Cow::Borrowed(plain));
        }
        let mut value = read::value(text).ok()?;
        if !as_it_is && let Converted::Value(converted) = self.cells.convert(&value, column.ways(None)) {
            value = converted;
        }
        let fields: Map<String, Value> = [(self.key_field.clone(), value)].into_iter().collect();
        key_of(&fields, &self.key_field).ok().map(Cow::Owned)
    }
}

/// The text of an object's member.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Member(name)).ok().map(RawValue::get)
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = &'de RawValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object with the member {:?}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<&'de RawValue, A::Error> {
        let mut found = None;
        while let Some(same) = map.next_key_seed(Is(self.0))? {
            if same {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| A::Error::custom("no such member"))
    }
}

/// Whether a member's name is this one.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    const SCHEMAS: [&str; 6] = [
        "{}",
        r#"{"properties":{"id":{"type":"integer"}}}"#,
        r#"{"properties":{"id":{"type":["number","string"]}}}"#,
        r#"{"properties":{"id":{"enum":["x",1,true]}}}"#,
        r#"{"anyOf":[{"properties":{"id":{"type":"number"},"n":{"const":1}}},{"properties":{"id":{"type":"string"}}}]}"#,
        r#"{"patternProperties":{"^i":{"type":"number"}}}"#,
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        #[test]
        fn a_valid_record_has_the_key_that_its_item_has(
            schema in select(SCHEMAS.to_vec()),
            id in prop_oneof![
                select(vec![json!("x"), json!("1"), json!(" 1"), json!("01"), json!("1e0"), json!("a\\b\"ü\n"), json!("")]),
                select(vec![json!(1), json!(1.0), json!(-0.0), json!(true), json!(null), json!([1]), json!("x".repeat(3000))]),
            ],
            n in select(vec![json!("1"), json!(1), json!("y")]),
            before: bool,
            csv: bool,
        ) {
            let schema = RecordSchema::parse(schema, "id").unwrap();
            let layout = if csv { Layout::Csv } else { Layout::Jsonl };
            let (id, n) = if csv { (text(&id), text(&n)) } else { (id, n) };
            let record = if before { json!({"id": id, "n": n}) } else { json!({"n": n, "id": id}) };
            let record = RawValue::from_string(record.to_string()).unwrap();
            if let Ok(valid) = schema.check(&Entry::decoded(0, record.clone()), layout) {
                prop_assert_eq!(schema.key(&record, layout), Some(valid.key.into()));
            }
        }
    }

    /// A cell of a CSV row is text, whatever it stands for.
    fn text(value: &Value) -> Value {
        if value.is_string() { value.clone() } else { Value::String(value.to_string()) }
    }

    #[test]
    fn what_is_no_record_has_no_key() {
        let schema = RecordSchema::parse("{}", "id").unwrap();
        for text in ["null", "\"id\"", "[]", "{}", r#"{"ID":"1"}"#, r#"{"id":null}"#, r#"{"id":""}"#] {
            let record = RawValue::from_string(text.to_owned()).unwrap();
            assert_eq!(schema.key(&record, Layout::Json), None, "{text}");
        }
    }
}
