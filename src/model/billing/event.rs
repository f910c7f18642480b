//! What a client used, as an event says it: a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::fold::Exact;

/// The longest `source` and `id` together, in bytes: they are a sort key
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const LONGEST_IDENTITY: usize = 1_000;
/// The longest names of clients and of what is metered, in bytes.
pub const LONGEST_NAME: usize = 256;

/// What a client used at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageEvent {
    /// Whoever tells of it.
    pub source: String,
    /// Its id, which its source gives to no other event.
    pub id: String,
    /// Who used it.
    pub client: String,
    /// What is metered.
    pub meter: String,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub quantity: Exact,
}

/// What is wrong with an event: a member's path and what to do, one for each member that is wrong.
pub type Wrong = Vec<(String, String)>;

/// What is wrong with an event, in words.
pub fn in_words(wrong: &Wrong) -> String {
    let told: Vec<String> = wrong.iter().map(|(path, what)| format!("{path} {what}")).collect();
    told.join("; ")
}

impl UsageEvent {
    /// Reads an event: `{"specversion": "1.0", "source", "id", "subject", "type", "time", "data": {"quantity"}}`. Other members say nothing
    /// here, as with every CloudEvent.
    ///
    /// # Errors
    /// What is wrong, by the paths of members.
    pub fn parse(event: &Value) -> Result<Self, Wrong> {
        let Some(members) = event.as_object() else {
            return Err(vec![(String::new(), "the event must be a JSON object".to_owned())]);
        };
        let mut reader = Reader { members, wrong: Vec::new() };
        if members.get("specversion").is_none_or(|version| version != "1.0") {
            reader.note("specversion", "must be \"1.0\"");
        }
        let (source, id) = (reader.text("source", LONGEST_IDENTITY), reader.text("id", LONGEST_IDENTITY));
        let (client, meter) = (reader.text("subject", LONGEST_NAME), reader.text("type", LONGEST_NAME));
        let (at, quantity) = (reader.time(), reader.quantity());
        match (source, id, client, meter, at, quantity) {
            (Some(source), Some(id), Some(client), Some(meter), Some(at), Some(quantity))
                if reader.wrong.is_empty() =>
            {
                let event = Self { source, id, client, meter, at, quantity };
                if event.identity().len() > LONGEST_IDENTITY {
                    let what = format!("must have at most {LONGEST_IDENTITY} bytes together with /source");
                    return Err(vec![("/id".to_owned(), what)]);
                }
                Ok(event)
            }
            _ => Err(reader.wrong),
        }
    }

    /// What makes it one event, however often it comes: its source and its id within that. There is no time in it, since an event that is sent
    /// again may have another one by mistake, and must not be billed twice for that.
    pub fn identity(&self) -> String {
        // A source may hold any sign, and its length tells where it ends.
        format!("{}:{}#{}", self.source.len(), self.source, self.id)
    }

    /// A digest of what it says: of two events of one identity, the same if they say the same, however they write it.
    pub fn content(&self) -> [u8; 32] {
        let (nanoseconds, quantity) = (self.at.as_nanosecond().to_string(), self.quantity.to_string());
        let parts = [self.client.as_str(), &self.meter, &nanoseconds, &quantity];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// Reads members and notes what is wrong with them.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    wrong: Wrong,
}

impl Reader<'_> {
    fn note(&mut self, name: &str, what: impl Into<String>) {
        self.wrong.push((format!("/{name}"), what.into()));
    }

    fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        match self.members.get(name).map(Value::as_str) {
            Some(Some(text)) if (1..=longest).contains(&text.len()) => Some(text.to_owned()),
            Some(Some(_)) => {
                self.note(name, format!("must have 1 to {longest} bytes"));
                None
            }
            Some(None) => {
                self.note(name, "must be a text");
                None
            }
            None => {
                self.note(name, "is missing");
                None
            }
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        let text = self.text("time", 64)?;
        let read = text.parse().ok();
        if read.is_none() {
            self.note("time", "must be a moment as of RFC 3339, as in 2026-02-28T23:59:59.5Z");
        }
        read
    }

    /// A number, or a text of one: not every writer of JSON keeps the digits of a number.
    fn quantity(&mut self) -> Option<Exact> {
        let given = self.members.get("data").and_then(|data| data.get("quantity"));
        let read = match given {
            Some(Value::Number(number)) => Exact::parse(&number.to_string()),
            Some(Value::String(text)) => Exact::of_text(text).and_then(|_| Exact::parse(text)),
            _ => None,
        };
        if read.is_none() {
            let what = match given {
                None => "is missing",
                Some(_) => "must be a number, or a text of one, of at most 38 digits",
            };
            self.note("data/quantity", what);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(members: Value) -> Result<UsageEvent, Wrong> {
        let mut whole = json!({
            "specversion": "1.0", "source": "/meters/7", "id": "1", "subject": "anna", "type": "kwh",
            "time": "2026-02-28T23:59:59.5Z", "data": {"quantity": "1.50"},
        });
        for (name, value) in members.as_object().unwrap() {
            match value {
                Value::Null => whole.as_object_mut().unwrap().remove(name),
                _ => whole.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        UsageEvent::parse(&whole)
    }

    #[test]
    fn an_event_is_one_however_it_is_written() {
        let first = event(json!({})).unwrap();
        for same in [
            json!({"data": {"quantity": 1.5}}),
            json!({"data": {"quantity": 15e-1}}),
            json!({"time": "2026-03-01T00:59:59.500+01:00"}),
            json!({"traceparent": "00-0af7", "data": {"quantity": "1.5", "unit": "kWh"}}),
        ] {
            let again = event(same).unwrap();
            assert_eq!((again.identity(), again.content()), (first.identity(), first.content()));
        }
        for other in [
            json!({"data": {"quantity": "1.51"}}),
            json!({"time": "2026-02-28T23:59:59.500000001Z"}),
            json!({"subject": "bert"}),
            json!({"type": "m3"}),
        ] {
            let again = event(other.clone()).unwrap();
            assert_eq!(again.identity(), first.identity());
            assert_ne!(again.content(), first.content(), "{other}");
        }
    }

    #[test]
    fn no_two_sources_and_ids_make_one_identity() {
        let identity = |source: &str, id: &str| event(json!({"source": source, "id": id})).unwrap().identity();
        assert_ne!(identity("a#b", "c"), identity("a", "b#c"));
        assert_ne!(identity("1:a", "b"), identity("a", "b"));
        assert_eq!(identity("/a", "🚀"), "2:/a#🚀");
    }

    #[test]
    fn clients_and_meters_do_not_run_into_each_other() {
        let content = |subject: &str, meter: &str| event(json!({"subject": subject, "type": meter})).unwrap().content();
        assert_ne!(content("ab", "c"), content("a", "bc"));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_path() {
        for (members, path, words) in [
            (json!({"specversion": "0.3"}), "/specversion", "\"1.0\""),
            (json!({"source": null}), "/source", "is missing"),
            (json!({"id": ""}), "/id", "1 to 1000 bytes"),
            (json!({"id": "x".repeat(995)}), "/id", "together with /source"),
            (json!({"subject": 7}), "/subject", "must be a text"),
            (json!({"type": "x".repeat(257)}), "/type", "1 to 256 bytes"),
            (json!({"time": null}), "/time", "is missing"),
            (json!({"time": "2026-02-29T00:00:00Z"}), "/time", "RFC 3339"),
            (json!({"time": "2026-02-28 23:59"}), "/time", "RFC 3339"),
            (json!({"data": null}), "/data/quantity", "is missing"),
            (json!({"data": {"quantity": "1e3"}}), "/data/quantity", "must be a number"),
            (json!({"data": {"quantity": "NaN"}}), "/data/quantity", "must be a number"),
            (json!({"data": {"quantity": true}}), "/data/quantity", "must be a number"),
            (json!({"data": {"quantity": "1".repeat(39)}}), "/data/quantity", "38 digits"),
        ] {
            let wrong = event(members.clone()).unwrap_err();
            assert!(wrong.iter().any(|(at, what)| at == path && what.contains(words)), "{members}: {wrong:?}");
        }
        assert_eq!(UsageEvent::parse(&json!({})).unwrap_err().len(), 7, "all problems at once");
        assert_eq!(UsageEvent::parse(&json!([])).unwrap_err().len(), 1);
        assert!(event(json!({"data": {"quantity": "-2.5"}})).is_ok(), "a correction is negative");
    }
}
