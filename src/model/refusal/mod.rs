//! What fanfold says of a record, a value or a setting that it does not take: one list, which `docs/ERRORS.md` prints.
//!
//! The messages are made where something is refused. Here are their words once more, to be looked up, and tests hold the
//! two together: every entry has an example, and no message that a test sees lacks an entry.

mod billing;
mod calls;
mod http;
mod invoke;
mod records;
mod reports;
mod settings;
mod values;

pub use billing::{BILLING, BILLING_SETTINGS};
pub use calls::CALLS;
pub use http::HTTP_SETTINGS;
pub use invoke::{INVOKE_SETTINGS, INVOKED};
pub use records::{RECORDS, ROWS};
pub use reports::{PARTS, USAGE_SETTINGS};
pub use settings::{FUNCTIONS, SETTINGS};
pub use values::VALUES;

/// One kind of message.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub code: &'static str,
    /// The message without the places that stand before it. `{name}` stands for some text, `{name…}` at the end for
    /// all that follows.
    pub words: &'static str,
    /// What happened, in a sentence.
    pub cause: &'static str,
    /// What to do, in a sentence.
    pub cure: &'static str,
}

const fn refusal(code: &'static str, words: &'static str, cause: &'static str, cure: &'static str) -> Refusal {
    Refusal { code, words, cause, cure }
}

impl Refusal {
    /// All of them.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let settings = [SETTINGS, INVOKE_SETTINGS, HTTP_SETTINGS, USAGE_SETTINGS, BILLING_SETTINGS, FUNCTIONS];
        [RECORDS, CALLS, PARTS, BILLING, ROWS, INVOKED, VALUES].into_iter().chain(settings).flatten()
    }

    /// The refusals that a message consists of, in their order: one of a record may name several values. `None` if some
    /// of its words are of no refusal, or of two; or if the message was cut.
    pub fn of(message: &str) -> Option<Vec<&'static Self>> {
        let clauses = clauses(message);
        let (mut at, mut found) = (0, Vec::new());
        while at < clauses.len() {
            let rest = &clauses[at..];
            let fits = Self::all().filter_map(|refusal| Some((refusal.fits(rest)?, refusal)));
            let fits: Vec<(usize, &Self)> = fits.collect();
            // Of two that begin alike, the longer one is meant.
            let most = fits.iter().map(|(length, _)| *length).max()?;
            let mut longest = fits.into_iter().filter(|(length, _)| *length == most);
            let (Some((length, refusal)), None) = (longest.next(), longest.next()) else {
                return None;
            };
            at += length;
            found.push(refusal);
        }
        Some(found)
    }

    /// How many of the clauses its words take; `None` if it is not what they begin with.
    fn fits(&self, message: &[&str]) -> Option<usize> {
        let words = clauses(self.words);
        let open = self.words.ends_with("…}");
        if message.len() < words.len() {
            return None;
        }
        let same = words.iter().zip(message).enumerate().all(|(place, (words, said))| match place {
            // Before the first stands where it is: a line, a column, a field.
            0 => {
                let places = said.match_indices(": ").map(|(at, colon)| at + colon.len());
                [0].into_iter().chain(places).any(|at| is_like(words, &said[at..]))
            }
            _ => is_like(words, said),
        });
        same.then_some(if open { message.len() } else { words.len() })
    }
}

/// The parts of a message between semicolons, but for those in quotes.
fn clauses(message: &str) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, sign) in message.char_indices() {
        let next = &message[at + sign.len_utf8()..];
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            // A long text is cut there, with its quote or before it.
            '…' if quoted && !next.starts_with('"') => quoted = false,
            ';' if !quoted && next.starts_with(' ') => {
                parts.push(&message[from..at]);
                from = at + 2;
            }
            _ => {}
        }
    }
    parts.push(&message[from..]);
    parts
}

/// Whether a text is the words with something in each place that they leave.
fn is_like(words: &str, text: &str) -> bool {
    let fixed = fixed(words);
    let [first, between @ .., last] = fixed.as_slice() else {
        return words == text;
    };
    let inner = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let found = |rest: &'_ str, part: &&str| rest.find(part).map(|at| at + part.len());
    inner.is_some_and(|mut rest| between.iter().all(|part| found(rest, part).map(|end| rest = &rest[end..]).is_some()))
}

/// The parts of words that are always the same.
fn fixed(words: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), words);
    let mut from = 0;
    while let Some(open) = rest[from..].find('{').map(|at| from + at) {
        let named = rest[open + 1..].starts_with(|c: char| c.is_ascii_lowercase());
        match rest[open..].find('}').filter(|_| named) {
            Some(length) => {
                parts.push(&rest[..open]);
                (rest, from) = (&rest[open + length + 1..], 0);
            }
            None => from = open + 1,
        }
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(message: &str) -> Option<Vec<&'static str>> {
        Refusal::of(message).map(|found| found.into_iter().map(|refusal| refusal.code).collect())
    }

    #[test]
    fn a_message_is_found_by_its_words_wherever_its_place_is() {
        for message in [
            r#"line 3: price: the cell "a; b" is not a number"#,
            r#"price: the cell "is neither true nor false; a\"; b" is not a number"#,
            r#"a/b: the cell "" is not a number"#,
        ] {
            assert_eq!(codes(message), Some(vec!["CELL_NOT_NUMBER"]), "{message}");
        }
        let several = r#"line 3: a: the cell "1,5" is not a number; decimal points are dots; b: 7 was expected"#;
        assert_eq!(codes(several), Some(vec!["DECIMAL_COMMA", "NOT_THE_CONSTANT"]));
        let long = r#"p: "xxx… does not match "^[A-Z]+$"; c: the cell "yyy…" is not a number"#;
        assert_eq!(codes(long), Some(vec!["NOT_THE_PATTERN", "CELL_NOT_NUMBER"]));
        let open = "line 1: the chunk could not be processed: received 5 times; the last error: no; way: out";
        assert_eq!(codes(open), Some(vec!["CHUNK_FAILED"]));
    }

    #[test]
    fn other_words_are_no_refusal() {
        for message in
            ["", "line 3: too young", "the cell is not a number", r#"a: the cell "x" is not a number; or so"#]
        {
            assert_eq!(codes(message), None, "{message}");
        }
    }

    #[test]
    fn no_code_is_given_twice() {
        let files = crate::model::fault::FaultCode::ALL.map(|code| code.name());
        let mut codes: Vec<&str> = Refusal::all().map(|refusal| refusal.code).chain(files).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn words_leave_places_and_say_the_rest() {
        assert_eq!(fixed(r#"{value} is {"a":1} or {s}"#), ["", r#" is {"a":1} or "#, ""]);
        assert!(is_like("item{s}", "item") && is_like("a {b} c {d} e", "a 1 c c 2 e"));
        assert!(!is_like("a{b}a", "a") && !is_like("a {b} c {d} e", "a 1 d 2 e") && !is_like("a", "ab"));
    }
}
