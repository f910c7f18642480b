//! The results of a batch over many objects: one document, each of whose outcomes names its object.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::error::{Error, Result};
use crate::model::record::{Outcome, Response};
use crate::render::{Document, Filter, Render};

/// Returns the document of all outcomes, given the objects' keys.
pub fn results(keys: Vec<String>) -> Document {
    Document {
        name: "results",
        file: RESULTS.to_owned(),
        content_type: "application/jsonl",
        filter: Filter::All,
        render: Box::new(Results { keys }),
    }
}

/// The name of that document.
pub const RESULTS: &str = "results.jsonl";

struct Results {
    keys: Vec<String>,
}

/// An outcome as its line.
#[derive(Serialize)]
struct Line<'a> {
    object: Option<&'a str>,
    index: u64,
    request: &'a RawValue,
    response: &'a Response,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

impl Render for Results {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let object = outcome.object.and_then(|number| self.keys.get(number as usize));
        let line = Line {
            object: object.map(String::as_str),
            index: outcome.index,
            request: &outcome.request,
            response: &outcome.response,
            result: outcome.result.as_deref(),
        };
        serde_json::to_writer(&mut *out, &line)
            .map_err(|e| Error::internal("an outcome cannot be written").because(e))?;
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Entry;
    use serde_json::value::RawValue;

    #[test]
    fn an_outcome_names_its_object_and_not_where_it_lies() {
        let record = || RawValue::from_string(r#"{"id":1.50}"#.to_owned()).unwrap();
        let entry = Entry { object: Some(1), line: 9, ..Entry::decoded(7, record()) };
        let outcome = Outcome { result: Some(record()), ..Outcome::of(entry, None) };
        let mut out = Vec::new();
        results(vec!["a.csv".into(), "b \".csv".into()]).render.add(&outcome, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"object\":\"b \\\".csv\",\"index\":7,\"request\":{\"id\":1.50},\
             \"response\":{\"success\":true,\"message\":\"\"},\"result\":{\"id\":1.50}}\n"
        );
    }
}
