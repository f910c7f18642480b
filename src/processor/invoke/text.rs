//! What is said of a record that a function was called for. Each reason says whose words it has.

use serde::Deserialize;

use crate::model::answer::quote;

/// The most characters of somebody else's that a reason has.
const MOST: usize = 400;

/// Somebody else's words on one line, not too many.
pub fn cut(words: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = words.trim().chars().take(MOST).map(plain).collect();
    if short.len() < words.trim().len() {
        short.push('…');
    }
    short
}

/// What the function answered of a record.
pub fn answered(words: Option<&str>, status: &str) -> String {
    match words.map(cut).filter(|words| !words.is_empty()) {
        Some(words) => quote(&words),
        None => format!("the function answered {status} without a reason"),
    }
}

/// That the function answered, and left a record out.
pub fn omitted() -> String {
    "the function answered nothing about this record".to_owned()
}

/// That an answer does not keep the contract.
pub fn malformed(contract: &str, problem: &str) -> String {
    format!("the function's answer does not keep the contract {contract}: {problem}")
}

/// That the service takes no such request.
pub fn too_large() -> String {
    "the record is too large to be sent to the function; a request has at most 6 MB".to_owned()
}

/// That no call was made.
pub fn no_time() -> String {
    "no time was left to call the function".to_owned()
}

/// That a call was refused for the time being.
pub fn throttled(words: &str) -> String {
    format!("the function has as many calls as it takes: {}", cut(words))
}

/// That the function was not called.
pub fn not_called(words: &str) -> String {
    format!("the function could not be called: {}", cut(words))
}

/// That a call's end is not known.
pub fn unknown(words: &str) -> String {
    format!("the function was called and did not answer: {}", cut(words))
}

/// How a function failed, from the payload that Lambda returns
/// (<https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html>, and alike for other languages).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failure {
    kind: String,
    words: String,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "errorType")]
    kind: Option<String>,
    #[serde(rename = "errorMessage")]
    words: Option<String>,
}

impl Failure {
    /// Reads what a function returned that failed.
    pub fn read(payload: &[u8]) -> Self {
        match serde_json::from_slice(payload) {
            Ok(Payload { kind, words }) => Self { kind: kind.unwrap_or_default(), words: words.unwrap_or_default() },
            Err(_) => Self { kind: String::new(), words: String::from_utf8_lossy(payload).into_owned() },
        }
    }

    /// Whether it ended in the middle of its work, so that it may have done all or some of it: its time was over, or
    /// its process died.
    pub fn is_unsure(&self) -> bool {
        const KINDS: [&str; 3] = ["Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory"];
        KINDS.contains(&self.kind.as_str()) || self.words.contains("Task timed out after ")
    }

    /// Whether it answered more than Lambda returns, 6 MB
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
    pub fn is_too_large(&self) -> bool {
        const KINDS: [&str; 2] = ["Function.ResponseSizeTooLarge", "RequestEntityTooLarge"];
        KINDS.contains(&self.kind.as_str()) || self.words.contains("maximum allowed payload size")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.kind, &self.words].map(|part| cut(part));
        let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said.join(": ") };
        write!(f, "the function failed: {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_on_one_line() {
        assert_eq!(cut(" a\nb\t"), "a b");
        let long = cut(&"ü".repeat(MOST + 1));
        assert_eq!((long.chars().count(), long.ends_with('…')), (MOST + 1, true));
        assert_eq!(cut(&"ü".repeat(MOST)).chars().count(), MOST);
        assert_eq!(answered(Some(" "), "permanent"), "the function answered permanent without a reason");
    }

    #[test]
    fn a_failure_says_what_lambda_says() {
        let read = |text: &str| Failure::read(text.as_bytes());
        let raised = read(r#"{"errorMessage":"division by zero","errorType":"ZeroDivisionError","stackTrace":[]}"#);
        assert_eq!(raised.to_string(), "the function failed: ZeroDivisionError: division by zero");
        assert!(!raised.is_unsure() && !raised.is_too_large());
        for late in [
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 3.00 seconds"}"#,
            r#"{"errorMessage":"2026-01-01T00:00:00.000Z 1 Task timed out after 3.00 seconds"}"#,
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: killed"}"#,
        ] {
            assert!(read(late).is_unsure(), "{late}");
        }
        let large = r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#;
        assert!(read(large).is_too_large() && !read(large).is_unsure());
        assert_eq!(read("").to_string(), "the function failed: it said nothing");
        assert_eq!(read("oops").to_string(), "the function failed: oops");
        assert_eq!(read(r#"{"errorType":7}"#).to_string(), r#"the function failed: {"errorType":7}"#);
    }
}
