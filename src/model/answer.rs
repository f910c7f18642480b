//! What was answered for a record, as it is kept until its chunk is done.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What is known of earlier tries of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// How often it was tried and failed for the time being. A function that died says nothing, so there may have been more.
    pub times: u32,
    /// Whether a try may have had its effect all the same, as after a time-out.
    pub unsure: bool,
}

/// The final answer for a record.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It succeeded.
    Done {
        /// The result, if there is one.
        result: Option<Box<RawValue>>,
        /// What is stored instead of the record.
        item: Option<Map<String, Value>>,
    },
    /// It failed for this reason.
    Failed(String),
}

/// What a reason begins with that a function gave.
const QUOTED: &str = "the function answered: ";

/// The reason of a failure, in the words of the function that said so.
pub fn quote(words: &str) -> String {
    format!("{QUOTED}{words}")
}

/// The function's words of such a reason; `None` if the reason is fanfold's own.
pub fn quoted(reason: &str) -> Option<&str> {
    reason.strip_prefix(QUOTED)
}

/// A line of what is known of a chunk: a final answer, or one more try that gave none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The record's place in the input, from 0.
    pub index: u64,
    /// Whether it succeeded; `None` for a try that gave no final answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Why it failed, for good or for the time being.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether the try may have had its effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// The result of a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// What is stored instead of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Map<String, Value>>,
}

impl Line {
    /// A final answer.
    pub fn answer(index: u64, answer: &Answer) -> Self {
        let (success, message, result, item) = match answer.clone() {
            Answer::Done { result, item } => (Some(true), String::new(), result, item),
            Answer::Failed(reason) => (Some(false), reason, None, None),
        };
        Self { index, success, message, unsure: false, result, item }
    }

    /// A try that failed for the time being.
    pub fn tried(index: u64, reason: &str, unsure: bool) -> Self {
        Self { index, success: None, message: reason.to_owned(), unsure, result: None, item: None }
    }

    /// The final answer, if it is one.
    pub fn into_answer(self) -> Option<Answer> {
        Some(match self.success? {
            true => Answer::Done { result: self.result, item: self.item },
            false => Answer::Failed(self.message),
        })
    }
}
