//! Why records fail, in groups: what their messages have in common.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most bytes of a reason's words.
const MOST_BYTES: usize = 160;
/// What stands for a value that is left out.
const VALUE: char = '…';
/// What a number follows that tells one kind of failure from another.
const BEFORE_CODES: [&str; 5] = ["answered", "code", "error", "http", "status"];
/// The most digits of such a number.
const CODE_DIGITS: usize = 5;
/// The most reasons of a batch that are told apart.
pub const MOST_REASONS: usize = 48;
/// A short name of a reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ReasonId(String);

impl ReasonId {
    /// An id as it was kept.
    pub fn kept(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id under which those reasons are counted together that a batch has no place for.
    pub fn other() -> Self {
        Self("other".to_owned())
    }

    /// The id as text: letters and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the messages of records have in common that failed alike: their words without the place that they begin with, and
/// without values. A value is what stands in double quotes, or a word with a digit in it; but for a number of up to five
/// digits after a word such as "status".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// The reason of a message.
    pub fn of(message: &str) -> Self {
        let (mut words, mut rest, mut before) = (String::new(), without_place(message), "");
        while words.len() < MOST_BYTES {
            let Some(sign) = rest.chars().next() else {
                break;
            };
            let quoted = quoted(rest);
            let length = match quoted {
                Some(quoted) => quoted.len(),
                None if is_of_word(sign) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
                None => sign.len_utf8(),
            };
            let (part, left) = rest.split_at(length);
            if quoted.is_some() || (is_value(part) && !(is_code(part) && announces(before))) {
                words.push(VALUE);
            } else if sign.is_whitespace() {
                // Spaces and line ends may differ where the words do not.
                words.push_str(if words.ends_with(' ') { "" } else { " " });
            } else {
                words.push_str(part);
            }
            if is_of_word(sign) {
                before = part;
            }
            rest = left;
        }
        words.truncate(words.floor_char_boundary(MOST_BYTES));
        words.truncate(words.trim_end().len());
        Self(words)
    }

    /// A reason as it was kept.
    pub fn kept(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// Its words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A short name of it: 12 hexadecimal digits.
    pub fn id(&self) -> ReasonId {
        ReasonId(Sha256::digest(&self.0)[..6].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message without where its record lies: `line 7: `, `row 12: `, `line 3, column 9: `.
fn without_place(message: &str) -> &str {
    let place = |text: &str| {
        let words = ["line ", "row "].iter().find_map(|word| text.strip_prefix(word))?;
        let (place, rest) = words.split_once(": ")?;
        let is_place = place.split(", column ").all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        is_place.then_some(rest.len())
    };
    place(message).map_or(message, |left| &message[message.len() - left..])
}

/// The text in quotes that begins here, with its quotes. One that was cut ends with an ellipsis, and maybe without its
/// last quote.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, sign) in inner.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[..at + 2]),
            VALUE if !inner[at + VALUE.len_utf8()..].starts_with('"') => {
                return Some(&text[..1 + at + VALUE.len_utf8()]);
            }
            _ => {}
        }
    }
    None
}

/// Whether a sign stands inside of words, names and numbers rather than between them.
fn is_of_word(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '_' | '-' | '+' | '/' | '@' | '#' | '.')
}

fn is_value(word: &str) -> bool {
    word.contains(|sign: char| sign.is_numeric())
}

fn is_code(word: &str) -> bool {
    let digits = word.trim_end_matches('.');
    (1..=CODE_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn announces(word: &str) -> bool {
    BEFORE_CODES.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_that_differ_in_values_have_one_reason() {
        for (messages, reason) in [
            (
                vec![
                    r#"line 3: price: the cell "free" is not a number"#,
                    r#"line 4711: price: the cell "12 \"o\" 5" is not a number"#,
                    r#"row 8: price: the cell "a very long te…" is not a number"#,
                    r#"price: the cell "a very long te… is not a number"#,
                ],
                "price: the cell … is not a number",
            ),
            (
                vec![
                    "the function answered: no customer C-1234 in eu-1",
                    "the function answered: no customer 99\tin 7",
                ],
                "the function answered: no customer … in …",
            ),
            (
                vec!["the API answered 503: try again at 12:00:05", "the API answered 503: try  again at 13:59:00"],
                "the API answered 503: try again at …:…:…",
            ),
            (vec!["the API answered 404: gone"], "the API answered 404: gone"),
            (vec!["error 1234567 of x"], "error … of x"),
            (vec!["line 3, column 17: the line is not JSON"], "the line is not JSON"),
            (vec!["line of credit: too small"], "line of credit: too small"),
            (vec!["", "  "], ""),
            (vec!["\"open"], "\"open"),
        ] {
            for message in messages {
                assert_eq!(Reason::of(message).as_str(), reason, "{message}");
            }
        }
    }

    #[test]
    fn reasons_are_short_and_have_names() {
        let long = Reason::of(&"für ".repeat(100));
        assert!(long.as_str().len() <= MOST_BYTES && long.as_str().ends_with('r'), "{long}");
        assert_eq!(long.id().as_str().len(), 12);
        assert_ne!(long.id(), Reason::of("für").id());
    }

    proptest! {
        #[test]
        fn any_message_has_a_short_reason_on_one_line(message in "(line [0-9]{1,3}: )?[a-z \"\\\\0-9.,:…ü-]{0,200}") {
            let reason = Reason::of(&message);
            prop_assert!(reason.as_str().len() <= MOST_BYTES);
            prop_assert!(!reason.as_str().contains("  "));
        }
    }
}
