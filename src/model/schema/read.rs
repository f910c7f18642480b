//! Reading a record's JSON, member by member: serde_json's own `Value` takes an object whose first member has one of
//! two private names for a number, or for more JSON in a string, whose depth it counts anew. A record could change
//! on its way, or overflow the stack. It also keeps the last of two members with one name without a word.

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How deep values are read; deeper than an item can be, so that the item's own rule reports most cases.
const MAX_DEPTH: usize = 64;

/// Reads an object.
///
/// # Errors
/// The text is not an object, is nested too deep, or an object in it has a member twice.
pub(super) fn object(text: &str) -> serde_json::Result<Map<String, Value>> {
    members(text, 0)
}

/// Reads a value that will be a member of a record.
///
/// # Errors
/// As for [`object`].
pub(super) fn value(text: &str) -> serde_json::Result<Value> {
    let raw: &RawValue = serde_json::from_str(text)?;
    nested(raw.get(), 1)
}

fn members(text: &str, depth: usize) -> serde_json::Result<Map<String, Value>> {
    let Members(members) = serde_json::from_str(text)?;
    let mut map = Map::with_capacity(members.len());
    for (name, raw) in members {
        let value = nested(raw.get(), depth + 1)?;
        match map.entry(name) {
            serde_json::map::Entry::Vacant(free) => drop(free.insert(value)),
            serde_json::map::Entry::Occupied(taken) => {
                return Err(de::Error::custom(format!("an object has the member {:?} twice", taken.key())));
            }
        }
    }
    Ok(map)
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
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
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
