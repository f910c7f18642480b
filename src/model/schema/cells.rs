//! The cells of a CSV row: which value a text stands for.

use std::collections::HashSet;

use jsonschema::{JsonType, JsonTypeSet};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::columns::Way;
use super::document::{NUMBERS, fits};
use super::read;
use crate::model::error::{Error, Result};
use crate::model::format::settings::FormatSettings;

/// Texts that stand for a value in the cells of a CSV file, beside `true` and `false` in any letter case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cells {
    /// Stand for `null`, and for no value in columns that take neither `null` nor text.
    pub null_values: Vec<String>,
    /// Stand for `true`.
    pub true_values: Vec<String>,
    /// Stand for `false`.
    pub false_values: Vec<String>,
}

impl From<&FormatSettings> for Cells {
    fn from(settings: &FormatSettings) -> Self {
        let FormatSettings { null_values, true_values, false_values, .. } = settings.clone();
        Self { null_values, true_values, false_values }
    }
}

/// What a cell becomes.
#[derive(Debug, PartialEq)]
pub(super) enum Converted {
    /// It stays the text that it is.
    Text,
    /// It stands for a value.
    Value(Value),
    /// It stands for no value.
    Absent,
}

impl Cells {
    /// Checks that every text stands for one value.
    ///
    /// # Errors
    /// `Config` if a text is in two of the lists, contradicts `true` or `false`, or is empty where an empty cell
    /// has another meaning.
    pub fn check(&self) -> Result<()> {
        let lists = [
            ("null_values", &self.null_values),
            ("true_values", &self.true_values),
            ("false_values", &self.false_values),
        ];
        let mut seen = HashSet::new();
        for (name, texts) in lists {
            let wrong = |text: &str, why: &str| Err(Error::config(format!("{name} has {text:?}, {why}")));
            for text in texts.iter().collect::<HashSet<_>>() {
                let means = default_boolean(text).filter(|_| name != "null_values");
                if !seen.insert(text) {
                    return wrong(text, "which another list has too; a text stands for one value");
                } else if text.trim().is_empty() && name != "null_values" {
                    return wrong(text, "but an empty cell is no value; leave it out");
                } else if means.is_some_and(|means| means != (name == "true_values")) {
                    return wrong(text, "which means the opposite");
                }
            }
        }
        Ok(())
    }

    /// The value of a cell, by what its column takes: as text if the column takes the text, otherwise as the first
    /// of null, boolean, number and JSON that the column takes.
    pub(super) fn convert(&self, cell: &Value, ways: &[Way]) -> Converted {
        let Value::String(text) = cell else { return Converted::Text };
        let types = ways.iter().fold(JsonTypeSet::empty(), |types, way| types.union(way.types));
        let takes = |value: &Value| ways.iter().any(|way| way.takes(value));
        let allows = |value: &Value| ways.iter().any(|way| way.allows(value));
        let may_be_text = types.contains(JsonType::String);
        // Spaces mean something in text only.
        let inner = text.trim();
        let null = self.null_values.iter().any(|null| null == text || !may_be_text && null == inner);
        if null && allows(&Value::Null) {
            return Converted::Value(Value::Null);
        }
        let stays = if inner.is_empty() { allows(cell) } else { takes(cell) };
        if may_be_text && stays {
            return Converted::Text;
        }
        if inner.is_empty() || null && !may_be_text {
            return if allows(&Value::Null) { Converted::Value(Value::Null) } else { Converted::Absent };
        }
        self.value(inner, types, takes).map_or(Converted::Text, Converted::Value)
    }

    /// The first value that a text may stand for and the column takes; if the column takes none, the first, of which
    /// the record's validation will say what is wrong with it.
    fn value(&self, text: &str, types: JsonTypeSet, takes: impl Fn(&Value) -> bool) -> Option<Value> {
        let boolean = || if types.contains(JsonType::Boolean) { self.boolean(text).map(Value::Bool) } else { None };
        let number = || if types.intersect(NUMBERS).is_empty() { None } else { number(text).map(Value::Number) };
        let json = || if text.starts_with(['[', '{']) { read::value(text).ok() } else { None };
        let may_be_text = types.contains(JsonType::String);
        let mut first = None;
        for reading in [&boolean as &dyn Fn() -> Option<Value>, &number, &json] {
            match reading() {
                Some(value) if takes(&value) => return Some(value),
                Some(value) if first.is_none() && !may_be_text && fits(types, &value) => first = Some(value),
                _ => {}
            }
        }
        first
    }

    fn boolean(&self, text: &str) -> Option<bool> {
        let listed = |texts: &[String]| texts.iter().any(|listed| listed == text);
        match (listed(&self.true_values), listed(&self.false_values)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => default_boolean(text),
        }
    }

    /// Whether a cell stands for no value in a column that takes no text.
    pub(super) fn is_nothing(&self, text: &str) -> bool {
        let inner = text.trim();
        inner.is_empty() || self.null_values.iter().any(|null| null == text || null == inner)
    }
}

fn default_boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// The number that a text is, as people write numbers in cells: a plus sign, zeros before the first digit, and no
/// digit before or after the point are no matter. All other digits are kept.
pub(crate) fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let known = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !known || power.is_empty() || !digits(power) {
        return None;
    }
    let leads = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || leads || text.starts_with('+') || mantissa.ends_with('.') {
        let sign = if text.starts_with('-') { "-" } else { "" };
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        let power = &unsigned[mantissa.len()..];
        return serde_json::from_str(&format!("{sign}{whole}{point}{fraction}{power}")).ok();
    }
    serde_json::from_str(text).ok()
}
