//! S3 Batch Operations' completion report: a row for each record, whose object it names.
//!
//! Its columns are Bucket, Key, VersionId, TaskStatus, HTTPStatusCode, ErrorCode and ResultMessage, without a header row.
//! AWS names them in a `ReportSchema` with the status code after the error code, and writes them the other way round, as
//! its own examples show: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::format::csv::encode;
use crate::model::answer::quoted;
use crate::model::error::Result;
use crate::model::format::{Dialect, Layout};
use crate::model::record::Outcome;
use crate::model::report::{ReportColumns, url_encoded};
use crate::render::records::{Source, cell, divide, faulty_text, fields, no_formula};
use crate::render::{Document, Filter, Render};

/// The name of the report.
pub const REPORT: &str = "report.csv";

/// Returns the report; `source` is the file that the records come from, if it is one.
pub fn report(columns: &ReportColumns, filter: Filter, source: Option<&Source>) -> Document {
    let source = source.filter(|source| source.format.layout == Layout::Csv);
    let render = Report {
        columns: columns.clone(),
        divided: source.map(|source| (source.format.dialect, source.columns.clone())),
    };
    let content_type = Layout::Csv.content_type();
    Document { name: "report", file: REPORT.to_owned(), content_type, filter, render: Box::new(render) }
}

struct Report {
    columns: ReportColumns,
    /// How rows that are not in order are divided, and into which columns.
    divided: Option<(Dialect, Vec<String>)>,
}

impl Report {
    /// The bucket, the key and the version that a record names, as far as it can be read.
    fn object(&self, record: &str) -> Result<[String; 3]> {
        let wanted = [&self.columns.bucket, &self.columns.key, &self.columns.version];
        if let Some(text) = faulty_text(record)? {
            let Some((dialect, columns)) = &self.divided else {
                return Ok(Default::default());
            };
            let cells = divide(&text, dialect);
            let found = |name: &String| columns.iter().position(|column| column == name);
            return Ok(wanted.map(|name| found(name).and_then(|at| cells.get(at)).cloned().unwrap_or_default()));
        }
        if record == "null" {
            return Ok(Default::default());
        }
        let mut fields = fields(record)?;
        fields.retain(|_, value| *value != Value::Null);
        Ok(wanted.map(|name| cell(&fields, name)))
    }
}

impl Render for Report {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let (record, response) = (outcome.request.get(), &outcome.response);
        let [bucket, key, version] = self.object(record)?;
        // A manifest may name a bucket by its ARN.
        let bucket = bucket.rsplit_once(":::").map_or(bucket.as_str(), |(_, name)| name);
        let status = if response.success { "succeeded" } else { "failed" };
        // Nobody was asked about what is no record. AWS has 200 for whatever a function said.
        let code = if record.starts_with('{') { "200" } else { "" };
        let error = if response.success { "" } else { "PermanentFailure" };
        let message = match &outcome.result {
            Some(result) if response.success => text(result),
            // What a function said stands alone there, and the row names its object. fanfold's own words are those of the
            // other outputs, with the line.
            _ => quoted(outcome.reason()).unwrap_or(&response.message).to_owned(),
        };
        let (bucket, key, version) = (no_formula(bucket), no_formula(&url_encoded(&key)), no_formula(&version));
        let row = [&bucket, &key, &version, status, code, error, &no_formula(&message)];
        encode(row.into_iter(), &Dialect::STANDARD, out);
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// A result as text: what a function of S3 Batch Operations answers is a string, and anything else is shown as JSON.
fn text(result: &RawValue) -> String {
    serde_json::from_str(result.get()).unwrap_or_else(|_| result.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::answer::quote;
    use crate::model::format::InputFormat;
    use crate::model::record::Entry;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn row(outcome: &Outcome) -> String {
        let columns = ["bucket", "key", "version"].map(str::to_owned).to_vec();
        let format = InputFormat { columns: columns.clone(), ..InputFormat::plain(Layout::Csv) };
        let source = Source { format, columns, head: None };
        let mut out = Vec::new();
        let mut report = report(&ReportColumns::default(), Filter::All, Some(&source));
        report.render.begin(&mut out);
        report.render.add(outcome, &mut out).unwrap();
        report.render.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn of(record: &str, failure: Option<&str>, result: Option<&str>) -> String {
        let outcome = Outcome::of(Entry::decoded(0, raw(record)), failure.map(str::to_owned));
        row(&Outcome { result: result.map(raw), ..outcome })
    }

    #[test]
    fn a_row_is_what_aws_writes() {
        let record = r#"{"bucket":"photos","key":"a%20b.jpg","version":"v1"}"#;
        assert_eq!(of(record, None, None), "photos,a%20b.jpg,v1,succeeded,200,,\n");
        assert_eq!(
            of(record, None, Some("\"resized, 3\\\"4\"")),
            "photos,a%20b.jpg,v1,succeeded,200,,\"resized, 3\"\"4\"\n"
        );
        assert_eq!(
            of(record, None, Some(r#"{"w":1.50}"#)),
            "photos,a%20b.jpg,v1,succeeded,200,,\"{\"\"w\"\":1.50}\"\n"
        );
        assert_eq!(
            of(record, Some("no such key"), None),
            "photos,a%20b.jpg,v1,failed,200,PermanentFailure,no such key\n"
        );
        let bare = r#"{"bucket":"arn:aws:s3:::photos","key":"a b,c","version":null,"more":1}"#;
        assert_eq!(of(bare, None, None), "photos,a%20b%2Cc,,succeeded,200,,\n");
        assert_eq!(of(record, Some("=1+1"), None), "photos,a%20b.jpg,v1,failed,200,PermanentFailure,'=1+1\n");
    }

    #[test]
    fn a_function_speaks_for_itself() {
        for (reason, message) in [
            (quote("NoSuchKey: it is gone"), "NoSuchKey: it is gone"),
            (quote("SlowDown") + " (tried 5 times)", "SlowDown (tried 5 times)"),
            (quote("=1+1"), "'=1+1"),
            (quote("line 3: it is torn"), "line 3: it is torn"),
            ("the function failed: oops".to_owned(), "line 3: the function failed: oops"),
            ("the record names no key".to_owned(), "line 3: the record names no key"),
        ] {
            let entry = Entry { line: 3, ..Entry::decoded(0, raw(r#"{"bucket":"photos","key":"a"}"#)) };
            let told = row(&Outcome::of(entry, Some(reason)));
            assert_eq!(told, format!("photos,a,,failed,200,PermanentFailure,{message}\n"));
        }
    }

    #[test]
    fn what_is_no_record_is_reported_as_far_as_it_can_be_read() {
        let wide =
            Outcome::of(Entry::faulty(0, Some("photos,\"a%20b\",v1,more"), "4 fields"), Some("4 fields".to_owned()));
        assert_eq!(row(&wide), "photos,a%20b,v1,failed,,PermanentFailure,4 fields\n");
        let large = Outcome::of(Entry::faulty(0, None, "too large"), Some("too large".to_owned()));
        assert_eq!(row(&large), ",,,failed,,PermanentFailure,too large\n");
    }
}
