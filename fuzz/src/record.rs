//! The promises about a record on its way to an item, against slow readers of JSON, of cells and of numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::decode::KEY_FIELD;
use fanfold::model::format::Layout;
use fanfold::model::record::Entry;
use fanfold::model::schema::RecordSchema;

/// Columns of every type, none of which is required.
const TYPES: &str = r##"{"$defs":{"money":{"type":"number"}},"properties":{
    "n":{"anyOf":[{"$ref":"#/$defs/money"},{"type":"null"}]},"b":{"type":"boolean"},"l":{"type":"array"},
    "o":{"type":"object"},"s":{"type":"string","maxLength":9},"t":{}}}"##;

/// How deep records are read.
const DEEPEST: usize = 64;

/// A record on its way to an item; the first byte selects the layout. A valid record is stored as it is, the cells of a
/// row as what they stand for, under the one text of its key; an invalid record gets a reason.
pub fn record(data: &[u8]) {
    thread_local! {
        static SCHEMA: RecordSchema = RecordSchema::parse(TYPES, KEY_FIELD).expect("a schema");
    }
    let [layout, text @ ..] = data else { return };
    let layout = if layout % 2 == 0 { Layout::Json } else { Layout::Csv };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(record) = serde_json::from_str::<&RawValue>(text) else { return };
    if !record.get().starts_with('{') {
        return;
    }
    let checked = SCHEMA.with(|schema| schema.check(&Entry::decoded(0, record.to_owned()), layout));
    let Some(fields) = sorted(record.get(), 0) else {
        let reason = checked.expect_err("a record that cannot be read");
        assert!(reason.starts_with("the record cannot be read: "), "{reason}");
        return;
    };
    let valid = match checked {
        Err(reason) => return assert!(!reason.is_empty()),
        Ok(valid) => valid,
    };
    let stored = serde_json::to_string(&valid.fields).expect("fields are JSON");
    match layout {
        Layout::Csv => cells(record.get(), &valid.fields),
        _ => assert_eq!(sorted(&stored, 0), Some(fields)),
    }
    match &valid.fields[KEY_FIELD] {
        Value::String(text) => assert_eq!(&valid.key, text),
        number => assert_eq!(valid.key, plain(&number.to_string())),
    }
    assert!(!valid.key.is_empty());
}

/// What a cell stands for.
#[derive(Debug, PartialEq)]
enum Cell {
    Json(String),
    Nothing,
    Wrong,
}

/// Each cell of a row that is stored was converted as a slow reader converts it.
fn cells(row: &str, stored: &Map<String, Value>) {
    let Members(row) = serde_json::from_str(row).expect("the text was taken for JSON");
    for (column, cell) in row {
        let have =
            stored.get(&column).map_or(Cell::Nothing, |value| Cell::Json(sorted(&value.to_string(), 1).expect("JSON")));
        match serde_json::from_str::<String>(cell.get()) {
            Ok(text) if cell.get().starts_with('"') => {
                assert_eq!(have, converted(&column, &text), "{column}: {text:?}")
            }
            _ => assert_eq!(Some(have), sorted(cell.get(), 1).map(Cell::Json), "{column}"),
        }
    }
}

fn converted(column: &str, text: &str) -> Cell {
    let inner = text.trim();
    let json = |open: char| match serde_json::from_str::<&RawValue>(inner) {
        Ok(value) if inner.starts_with(open) => sorted(value.get(), 1).map_or(Cell::Wrong, Cell::Json),
        _ => Cell::Wrong,
    };
    match column {
        "n" if inner.is_empty() => Cell::Json("null".to_owned()),
        "b" | "l" | "o" if inner.is_empty() => Cell::Nothing,
        "s" if inner.is_empty() && text.chars().count() > 9 => Cell::Nothing,
        "s" if text.chars().count() > 9 => Cell::Wrong,
        "n" => number(inner).map_or(Cell::Wrong, Cell::Json),
        "b" => match inner.to_ascii_lowercase().as_str() {
            word @ ("true" | "false") => Cell::Json(word.to_owned()),
            _ => Cell::Wrong,
        },
        "l" => json('['),
        "o" => json('{'),
        _ => Cell::Json(format!("{text:?}")),
    }
}

/// Where in a number a character is.
#[derive(PartialEq, PartialOrd)]
enum At {
    Start,
    Whole,
    Fraction,
    Power,
    Exponent,
}

/// The number that a cell is, read character by character and written as JSON.
fn number(text: &str) -> Option<String> {
    let (mut at, mut minus) = (At::Start, false);
    let (mut whole, mut fraction, mut exponent) = (String::new(), String::new(), String::new());
    for c in text.chars() {
        at = match (at, c) {
            (At::Start, '+' | '-') => {
                minus = c == '-';
                At::Whole
            }
            (At::Start | At::Whole, '0'..='9') => {
                whole.push(c);
                At::Whole
            }
            (At::Start | At::Whole, '.') => At::Fraction,
            (At::Fraction, '0'..='9') => {
                fraction.push(c);
                At::Fraction
            }
            (At::Whole | At::Fraction, 'e' | 'E') if !(whole.is_empty() && fraction.is_empty()) => At::Power,
            (At::Power, '+' | '-') => {
                exponent.extend((c == '-').then_some('-'));
                At::Exponent
            }
            (At::Power | At::Exponent, '0'..='9') => {
                exponent.push(c);
                At::Exponent
            }
            _ => return None,
        };
    }
    let powerless = at >= At::Power && !exponent.ends_with(|c: char| c.is_ascii_digit());
    let digitless = whole.is_empty() && fraction.is_empty();
    (!powerless && !digitless).then(|| written(minus, whole, &fraction, &exponent))
}

fn written(minus: bool, mut whole: String, fraction: &str, exponent: &str) -> String {
    while whole.len() > 1 && whole.starts_with('0') {
        whole.remove(0);
    }
    let before = |mark: &str, part: &str| if part.is_empty() { String::new() } else { format!("{mark}{part}") };
    let whole = if whole.is_empty() { "0" } else { &whole };
    format!("{}{whole}{}{}", if minus { "-" } else { "" }, before(".", fraction), before("e", exponent))
}

/// A number without an exponent and without idle zeros: the point is moved place by place.
fn plain(number: &str) -> String {
    let unsigned = number.trim_start_matches('-').to_lowercase();
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((&unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.chars().chain(fraction.chars()).all(|digit| digit == '0') {
        return "0".to_owned();
    }
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    let exponent: i32 = exponent.parse().expect("an item has no such number");
    for _ in 0..exponent.unsigned_abs() {
        if exponent > 0 {
            whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
        } else {
            fraction.insert(0, whole.pop().unwrap_or('0'));
        }
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if number.starts_with('-') { "-" } else { "" })
}

/// JSON with its members sorted by name, and strings in one notation. `None` if an object has a member twice, a string is
/// no text, or values are nested deeper than records are read.
fn sorted(text: &str, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    Some(match text.as_bytes()[0] {
        b'{' => {
            let Members(all) = serde_json::from_str(text).ok()?;
            let count = all.len();
            let members: BTreeMap<String, &RawValue> = all.into_iter().collect();
            if members.len() < count {
                return None;
            }
            let inner =
                |(name, value): (String, &RawValue)| Some(format!("{name:?}:{}", sorted(value.get(), depth + 1)?));
            format!("{{{}}}", members.into_iter().map(inner).collect::<Option<Vec<_>>>()?.join(","))
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let elements = elements.into_iter().map(|value| sorted(value.get(), depth + 1));
            format!("[{}]", elements.collect::<Option<Vec<_>>>()?.join(","))
        }
        b'"' => format!("{:?}", serde_json::from_str::<String>(text).ok()?),
        // serde_json writes every exponent with its sign, as in 1e+5.
        _ => text.to_lowercase().replace('+', ""),
    })
}

/// All members of an object, those of one name too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect::<Result<_, _>>().map(Members)
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
