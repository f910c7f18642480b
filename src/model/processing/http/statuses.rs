//! What the status of a response means.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// What the status of a response says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It succeeded.
    Succeeded,
    /// It failed for good.
    Permanent,
    /// It failed for the time being.
    Temporary,
    /// The API asks for fewer calls; this one was no attempt.
    Busy,
}

impl Class {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "succeeded" => Some(Self::Succeeded),
            "permanent" => Some(Self::Permanent),
            "temporary" => Some(Self::Temporary),
            "busy" => Some(Self::Busy),
            _ => None,
        }
    }
}

/// Statuses, from the first to the last.
pub(super) type Range = RangeInclusive<u16>;

/// The classes of statuses: those given, and for the others the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statuses(pub(super) Vec<(Range, Class)>);

impl Statuses {
    /// The class of a status. `told` says whether the response has a `Retry-After`: with it, a 429 or 503 that would be
    /// temporary is busy.
    pub fn class(&self, status: u16, told: bool) -> Class {
        let given = self.0.iter().find(|(range, _)| range.contains(&status)).map(|(_, class)| *class);
        let class = given.unwrap_or(match status {
            200..=299 => Class::Succeeded,
            429 => Class::Busy,
            // https://www.rfc-editor.org/rfc/rfc9110#status.408, https://www.rfc-editor.org/rfc/rfc8470#section-5.2
            408 | 425 | 500..=599 => Class::Temporary,
            _ => Class::Permanent,
        });
        if class == Class::Temporary && told && matches!(status, 429 | 503) { Class::Busy } else { class }
    }

    /// Reads `{"409": "succeeded", "500-599": "temporary"}`.
    pub(super) fn parse(given: &Map<String, Value>, problems: &mut Vec<String>) -> Self {
        let mut classes: Vec<(Range, Class)> = Vec::with_capacity(given.len());
        for (statuses, class) in given {
            let known = class.as_str().and_then(Class::parse);
            if known.is_none() {
                problems.push(format!(
                    "statuses: {statuses} is {class}; it can be succeeded, permanent, temporary or busy"
                ));
            }
            match range(statuses) {
                None => problems
                    .push(format!("statuses: {statuses:?} is no status and no range of them such as \"500-599\"")),
                Some(range) => {
                    if let Some((other, _)) = classes.iter().find(|(other, _)| overlap(other, &range)) {
                        let (from, to) = (other.start(), other.end());
                        problems.push(format!("statuses: {statuses} and {from}-{to} overlap; give each status once"));
                    }
                    classes.push((range, known.unwrap_or(Class::Permanent)));
                }
            }
        }
        Self(classes)
    }
}

pub(super) fn overlap(a: &Range, b: &Range) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}

/// A status or a range of them: `404`, `500-599`.
pub(super) fn range(text: &str) -> Option<Range> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|status| digits && (200..=599).contains(status))
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (status(from.trim())?, status(to.trim())?);
    (from <= to).then_some(from..=to)
}

/// Reads a list of statuses, `[200, "202-204"]`.
pub(super) fn list(name: &str, value: &Value, problems: &mut Vec<String>) -> Vec<Range> {
    let one = |value: &Value| match value {
        Value::String(text) => range(text),
        Value::Number(number) => range(&number.to_string()),
        _ => None,
    };
    let ranges: Option<Vec<Range>> = value.as_array().and_then(|list| list.iter().map(one).collect());
    ranges.filter(|ranges| !ranges.is_empty()).unwrap_or_else(|| {
        problems.push(format!("look_up: {name} must be a list of statuses such as [200,\"202-204\"]"));
        Vec::new()
    })
}
