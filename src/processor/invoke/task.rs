//! Records as requests hold them, and the replies to them as answers hold those.

use std::collections::HashMap;

use bytes::Bytes;

use crate::processor::Reply;

/// A record as a request holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The record's place in its chunk.
    pub place: usize,
    /// Its id.
    pub id: String,
    /// Its JSON.
    pub json: String,
}

/// What stands around the tasks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    head: String,
}

const TAIL: &str = "]}";

impl Envelope {
    /// A JSON object, to which the list of tasks is added under this name.
    pub fn new(object: &str, list: &str) -> Self {
        let members = object.strip_suffix('}').unwrap_or("{");
        let comma = if members.len() > 1 { "," } else { "" };
        Self { head: format!("{members}{comma}\"{list}\":[") }
    }

    /// A request of these tasks.
    pub fn around(self, tasks: &[Task]) -> Bytes {
        let bytes: usize = tasks.iter().map(|task| task.json.len() + 1).sum();
        let mut request = self.head;
        request.reserve(bytes + TAIL.len());
        for (at, task) in tasks.iter().enumerate() {
            if at > 0 {
                request.push(',');
            }
            request.push_str(&task.json);
        }
        request.push_str(TAIL);
        request.into()
    }
}

/// Divides tasks into calls of at most `records` tasks, whose JSON with its commas takes at most `bytes`. The tasks
/// keep their order; one that is longer is a call of its own.
pub fn parts(tasks: Vec<Task>, records: usize, bytes: usize) -> Vec<Vec<Task>> {
    let (mut parts, mut part, mut held) = (Vec::new(), Vec::new(), 0);
    for task in tasks {
        let more = task.json.len() + 1;
        if !part.is_empty() && (part.len() >= records || held + more > bytes + 1) {
            parts.push(std::mem::take(&mut part));
            held = 0;
        }
        held += more;
        part.push(task);
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

/// The replies to the tasks of a call, as they are found in its answer.
pub struct Replies<'a> {
    places: HashMap<&'a str, usize>,
    found: Vec<Option<Reply>>,
}

impl<'a> Replies<'a> {
    /// None yet.
    pub fn to(tasks: &'a [Task]) -> Self {
        let places = tasks.iter().enumerate().map(|(at, task)| (task.id.as_str(), at)).collect();
        Self { places, found: tasks.iter().map(|_| None).collect() }
    }

    /// Keeps the reply to a task; whether there was one already.
    ///
    /// # Errors
    /// If no task has this id.
    pub fn keep(&mut self, id: &str, reply: Reply) -> Result<bool, String> {
        let place = self.places.get(id).and_then(|at| self.found.get_mut(*at));
        let place = place.ok_or_else(|| format!("no task has the id {:?}", super::text::cut(id)))?;
        Ok(place.replace(reply).is_some())
    }

    /// The replies in the order of their tasks; where there is none, this one.
    pub fn or(self, missing: impl Fn() -> Reply) -> Vec<Reply> {
        self.found.into_iter().map(|reply| reply.unwrap_or_else(&missing)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(place: usize, bytes: usize) -> Task {
        Task { place, id: place.to_string(), json: "x".repeat(bytes) }
    }

    #[test]
    fn an_envelope_may_have_other_members() {
        let tasks = [task(0, 1), task(1, 2)];
        assert_eq!(Envelope::new("{}", "Items").around(&tasks), r#"{"Items":[x,xx]}"#);
        assert_eq!(Envelope::new(r#"{"a":1}"#, "tasks").around(&[]), r#"{"a":1,"tasks":[]}"#);
    }

    proptest! {
        #[test]
        fn every_task_is_in_one_call_within_its_limits(
            sizes in prop::collection::vec(1usize..60, 0..80), records in 1usize..20, bytes in 60usize..200,
        ) {
            let tasks: Vec<Task> = sizes.iter().enumerate().map(|(at, size)| task(at, *size)).collect();
            let envelope = Envelope::new("{}", "tasks");
            let around = envelope.clone().around(&[]).len();
            let parts = parts(tasks.clone(), records, bytes);
            for (at, part) in parts.iter().enumerate() {
                prop_assert!(!part.is_empty() && part.len() <= records);
                prop_assert!(envelope.clone().around(part).len() <= around + bytes);
                // No call is made that the one before it had room for.
                if let Some(next) = parts.get(at + 1) {
                    let joined: Vec<Task> = part.iter().chain(&next[..1]).cloned().collect();
                    prop_assert!(joined.len() > records || envelope.clone().around(&joined).len() > around + bytes);
                }
            }
            prop_assert_eq!(parts.concat(), tasks);
        }
    }
}
