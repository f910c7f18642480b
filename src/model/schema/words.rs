//! What is wrong with a record, in words for the author of its file.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, JsonTypeSet, ValidationError, Validator};
use serde_json::{Map, Value};

use super::cells::{Cells, number};
use super::document::NUMBERS;
use super::read;
use crate::model::item::like;

/// How many of a record's violations its message names.
const SHOWN: usize = 3;
/// The longest value that a message repeats, in bytes.
const LONGEST: usize = 80;

/// The row that a record was made of.
pub(super) struct Row<'a> {
    pub(super) cells: &'a Cells,
    pub(super) texts: &'a Map<String, Value>,
}

impl Row<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        self.texts.get(column)?.as_str()
    }

    /// The text of a cell that stands for nothing.
    pub(super) fn nothing(&self, column: &str) -> Option<String> {
        let text = self.text(column).filter(|text| self.cells.is_nothing(text))?;
        Some(if text.trim().is_empty() {
            "the cell is empty".into()
        } else {
            format!("the cell {} is no value", quoted(text))
        })
    }
}

/// How a record violates the schema; `row` is what it was made of, if it comes from a CSV file.
pub(super) fn violations(validator: &Validator, record: &Value, row: Option<&Row<'_>>) -> String {
    let mut shown: Vec<String> = Vec::new();
    for error in validator.iter_errors(record) {
        for reason in reasons(&error, row) {
            if !shown.contains(&reason) {
                shown.push(reason);
            }
        }
        if shown.len() >= SHOWN {
            break;
        }
    }
    shown.truncate(SHOWN);
    shown.join("; ")
}

fn reasons(error: &ValidationError<'_>, row: Option<&Row<'_>>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let types = context.iter().map(|branch| refused_types(error, branch));
            match (types.collect::<Option<Vec<_>>>(), closest(error, context)) {
                (Some(types), _) => {
                    let types = types.into_iter().fold(JsonTypeSet::empty(), JsonTypeSet::union);
                    vec![placed(error, wrong_type(error, types, row))]
                }
                (None, Some(branch)) => branch.iter().flat_map(|error| reasons(error, row)).collect(),
                (None, None) => vec![reason(error, row)],
            }
        }
        _ => vec![reason(error, row)],
    }
}

/// The types that a branch asks for, if that is all that it finds wrong with the value.
fn refused_types(whole: &ValidationError<'_>, branch: &[ValidationError<'_>]) -> Option<JsonTypeSet> {
    let [error] = branch else { return None };
    types_asked(error).filter(|_| error.instance_path() == whole.instance_path())
}

/// The branch that comes closest to taking the value: the one whose constants fit and that finds the least wrong. Those
/// of another type are not close.
fn closest<'a>(
    whole: &ValidationError<'_>,
    branches: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a Vec<ValidationError<'static>>> {
    let misses = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. })
    };
    let near = branches.iter().filter(|branch| !branch.is_empty() && refused_types(whole, branch).is_none());
    near.min_by_key(|branch| (branch.iter().any(misses), branch.len()))
}

fn types_asked(error: &ValidationError<'_>) -> Option<JsonTypeSet> {
    match error.kind() {
        ValidationErrorKind::Type { kind: TypeKind::Single(one) } => Some(JsonTypeSet::from(*one)),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(types) } => Some(*types),
        _ => None,
    }
}

fn placed(error: &ValidationError<'_>, reason: String) -> String {
    let path = error.instance_path().to_string();
    let path = path.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
    if path.is_empty() { reason } else { format!("{path}: {reason}") }
}

fn reason(error: &ValidationError<'_>, row: Option<&Row<'_>>) -> String {
    let reason = match error.kind() {
        ValidationErrorKind::Required { property } => return placed(error, missing(error, property, row)),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| quoted(name)).collect();
            let kind = if row.is_some() { "column" } else { "field" };
            let (of, are) = if names.len() > 1 { (format!("{kind}s"), "are") } else { (kind.to_owned(), "is") };
            format!("the {of} {} {are} not in the schema", names.join(", "))
        }
        ValidationErrorKind::FalseSchema => "the schema allows no value here".to_owned(),
        _ => match types_asked(error) {
            Some(types) => wrong_type(error, types, row),
            None => told(error),
        },
    };
    placed(error, reason)
}

/// The validator's own words; a long value is cut, so that what is wrong with it is told.
fn told(error: &ValidationError<'_>) -> String {
    let value = error.instance().to_string();
    if value.len() <= LONGEST { error.to_string() } else { error.masked_with(shortened(&value)).to_string() }
}

fn missing(error: &ValidationError<'_>, property: &Value, row: Option<&Row<'_>>) -> String {
    let name = property.as_str().unwrap_or_default();
    if let Some(nothing) = row.filter(|_| error.instance_path().is_empty()).and_then(|row| row.nothing(name)) {
        return format!("{name}: {nothing}, and the field is required");
    }
    let other = error.instance().as_object().and_then(|fields| like(fields, name));
    let other = other.map(|other| format!("; there is {}", quoted(other))).unwrap_or_default();
    format!("{} is a required property{other}", quoted(name))
}

/// Words for a value of another type, or for a cell that cannot be converted.
fn wrong_type(error: &ValidationError<'_>, types: JsonTypeSet, row: Option<&Row<'_>>) -> String {
    let path = error.instance_path().to_string();
    let column = path.strip_prefix('/').filter(|name| !name.contains('/'));
    let column = column.map(|name| name.replace("~1", "/").replace("~0", "~"));
    match (column.and_then(|column| row?.text(&column)), error.instance().as_str()) {
        (Some(text), Some(_)) => cell(text, types),
        _ => {
            let names: Vec<String> = types.iter().map(|kind| format!("\"{kind}\"")).collect();
            let types = if names.len() == 1 { "type" } else { "types" };
            format!("{} is not of {types} {}", shortened(&error.instance().to_string()), names.join(", "))
        }
    }
}

fn cell(text: &str, types: JsonTypeSet) -> String {
    format!("the cell {} {}{}", quoted(text), is_not(types), hint(text.trim(), types))
}

/// Says that something is of none of the types.
fn is_not(types: JsonTypeSet) -> String {
    let named: Vec<&str> = [
        (types.contains(JsonType::Integer) && !types.contains(JsonType::Number), "a whole number"),
        (types.contains(JsonType::Number), "a number"),
        (types.contains(JsonType::Array), "a JSON array"),
        (types.contains(JsonType::Object), "a JSON object"),
    ]
    .into_iter()
    .filter_map(|(asked, name)| asked.then_some(name))
    .collect();
    match (named.as_slice(), types.contains(JsonType::Boolean)) {
        ([], true) => "is neither true nor false".to_owned(),
        ([], false) if types.contains(JsonType::Null) => "is not empty, and the column takes nothing else".to_owned(),
        ([one], false) => format!("is not {one}"),
        (several, false) => format!("is neither {}", several.join(" nor ")),
        (several, true) => format!("is neither {} nor true nor false", several.join(" nor ")),
    }
}

/// What would help a cell to one of the types.
fn hint(text: &str, types: JsonTypeSet) -> String {
    const WORDS: [&str; 10] = ["yes", "no", "y", "n", "t", "f", "on", "off", "1", "0"];
    let json = types.contains(JsonType::Array) || types.contains(JsonType::Object);
    if json && text.starts_with(['[', '{']) {
        read::value(text).err().map(|error| format!("; {error}")).unwrap_or_default()
    } else if !types.intersect(NUMBERS).is_empty() {
        number_hint(text).to_owned()
    } else if types.contains(JsonType::Boolean) && WORDS.contains(&text.to_lowercase().as_str()) {
        "; true_values and false_values name other texts".to_owned()
    } else {
        String::new()
    }
}

/// What is meant by a text that is nearly a number.
fn number_hint(text: &str) -> &'static str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.trim_start_matches(['+', '-']);
    let bare: String =
        text.chars().filter(|c| !matches!(c, ',' | '.' | '\'' | '’' | '_' | ' ' | '\u{a0}' | '\u{202f}')).collect();
    let comma = unsigned.split_once(',').filter(|(whole, fraction)| digits(whole) && digits(fraction));
    if number(text).is_some() {
        ""
    } else if comma.is_some_and(|(_, fraction)| fraction.len() != 3) {
        "; decimal points are dots"
    } else if number(&bare).is_some() {
        "; write digits without separators, and decimal points as dots"
    } else if ["inf", "infinity", "∞"].contains(&unsigned.to_lowercase().as_str()) {
        "; no number is infinite"
    } else if ["nan", "null", "none", "nil", "na", "n/a", "#n/a", "-", "\\n", "<na>"]
        .contains(&text.to_lowercase().as_str())
    {
        "; null_values names texts that stand for no value"
    } else {
        ""
    }
}

fn quoted(text: &str) -> String {
    Value::String(shortened(text)).to_string()
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}
