//! The failed records of a batch, by the reasons for which they failed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::reason::Reason;
use crate::model::record::Outcome;

/// The most examples that are kept of a reason.
pub const MOST_EXAMPLES: usize = 3;
/// The most bytes of an example's message.
const EXAMPLE_BYTES: usize = 400;

/// A record that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Example {
    /// The record's place in the input, from 0.
    pub index: u64,
    /// The place of the record's object among those of the batch, if it was made of many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
    /// Why it failed.
    pub message: String,
}

/// A reason, and records that failed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The reason.
    pub reason: Reason,
    /// At most [`MOST_EXAMPLES`].
    pub examples: Vec<Example>,
}

/// What the failed records of a chunk have in common: each reason with its count, and examples of it.
#[derive(Debug, Default)]
pub struct Reasons(BTreeMap<Reason, (u64, Vec<Example>)>);

impl Reasons {
    /// The reasons of outcomes.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut reasons = Self::default();
        for outcome in outcomes.iter().filter(|outcome| !outcome.response.success) {
            let message = &outcome.response.message;
            let (count, examples) = reasons.0.entry(Reason::of(message)).or_default();
            *count += 1;
            if examples.len() < MOST_EXAMPLES {
                let message = message[..message.floor_char_boundary(EXAMPLE_BYTES)].to_owned();
                examples.push(Example { index: outcome.index, object: outcome.object, message });
            }
        }
        reasons
    }

    /// Each with its count and examples, the most frequent first.
    pub fn into_counted(self) -> Vec<(Reason, u64, Vec<Example>)> {
        let mut counted: Vec<_> =
            self.0.into_iter().map(|(reason, (count, examples))| (reason, count, examples)).collect();
        counted.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        counted
    }
}
