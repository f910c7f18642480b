//! What a pipeline does with its records, as the setting `PROCESSORS` says.

pub mod aggregate;
pub mod arn;
pub mod bill;
pub mod http;
pub mod invoke;
pub mod usage;

use serde_json::Value;

use crate::model::error::{Error, Result};
use crate::model::processing::aggregate::AggregateSettings;
use crate::model::processing::bill::{BillSettings, MeterSettings};
use crate::model::processing::http::HttpSettings;
use crate::model::processing::invoke::{Contract, InvokeSettings, S3Batch};
use crate::model::processing::usage::UsageSettings;
use crate::model::report::ReportColumns;
use crate::model::schema::RecordSchema;

/// What is done with records: what is called for each, and what is stored of those that succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Processing {
    /// What is called.
    pub work: Work,
    /// Whether records become items.
    pub items: bool,
    /// What is counted of the records that succeed, if anything is.
    pub aggregate: Option<AggregateSettings>,
}

/// What is called for each record.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Nothing: records are only stored.
    Nothing,
    /// The processor that the functions are built around.
    Custom,
    /// A Lambda function.
    Invoke(Box<InvokeSettings>),
    /// Each is sent to an HTTP API.
    Http(Box<HttpSettings>),
    /// Each is a part of a report, and is answered from the counters of another pipeline.
    Usage(UsageSettings),
    /// Each has the terms of a client, which are checked.
    Terms,
    /// Each is an event, which is kept to be billed.
    Meter(MeterSettings),
    /// Each is a half month of a client, which is closed.
    Bill(Box<BillSettings>),
}

impl Default for Processing {
    fn default() -> Self {
        Self { work: Work::Nothing, items: true, aggregate: None }
    }
}

/// The names of processors.
pub const KNOWN: &[&str] = &["aggregate", "bill", "custom", "http", "invoke", "items", "meter", "terms", "usage"];

/// One entry of the setting: a name, or an object with a name and what belongs to it.
struct Named {
    name: String,
    of: Value,
}

fn named(entry: Value) -> Option<Named> {
    match entry {
        Value::String(name) => Some(Named { name, of: Value::Null }),
        Value::Object(one) if one.len() == 1 => one.into_iter().next().map(|(name, of)| Named { name, of }),
        _ => None,
    }
}

impl Processing {
    /// Reads the setting: a list such as `["custom","items"]`, or one entry of such a list.
    ///
    /// # Errors
    /// `Config` with every problem, not just the first.
    pub fn parse(text: &str) -> Result<Self> {
        let mut problems = Vec::new();
        let mut processing = Self { work: Work::Nothing, items: false, aggregate: None };
        for Named { name, of } in entries(text)? {
            let plain = |problems: &mut Vec<String>| {
                if !of.is_null() {
                    problems.push(format!("{name} has no settings; give its name alone"));
                }
            };
            match name.as_str() {
                "aggregate" => match AggregateSettings::parse(&of) {
                    Ok(aggregate) => processing.aggregate = Some(aggregate),
                    Err(wrong) => problems.extend(wrong),
                },
                "items" => {
                    plain(&mut problems);
                    processing.items = true;
                }
                "custom" => {
                    plain(&mut problems);
                    processing.call(Work::Custom, &mut problems);
                }
                "invoke" => match InvokeSettings::read(&of) {
                    Ok(settings) => processing.call(Work::Invoke(Box::new(settings)), &mut problems),
                    Err(wrong) => problems.extend(wrong),
                },
                "http" => match HttpSettings::parse(&of) {
                    Ok(settings) => processing.call(Work::Http(Box::new(settings)), &mut problems),
                    Err(found) => problems.extend(found),
                },
                "terms" => {
                    plain(&mut problems);
                    processing.call(Work::Terms, &mut problems);
                }
                "meter" => match MeterSettings::parse(&of) {
                    Ok(settings) => processing.call(Work::Meter(settings), &mut problems),
                    Err(found) => problems.extend(found),
                },
                "bill" => match BillSettings::parse(&of) {
                    Ok(settings) => processing.call(Work::Bill(Box::new(settings)), &mut problems),
                    Err(found) => problems.extend(found),
                },
                "usage" => match UsageSettings::parse(&of) {
                    Ok(settings) => processing.call(Work::Usage(settings), &mut problems),
                    Err(found) => problems.extend(found),
                },
                unknown => problems.push(format!("{unknown:?} is no processor; there is {}", KNOWN.join(", "))),
            }
        }
        if problems.is_empty() {
            Ok(processing)
        } else {
            Err(Error::config(format!("PROCESSORS: {}", problems.join("; "))))
        }
    }

    /// The names of its processors.
    pub fn names(&self) -> Vec<String> {
        let work = match self.work {
            Work::Nothing => None,
            Work::Custom => Some("custom"),
            Work::Invoke(_) => Some("invoke"),
            Work::Http(_) => Some("http"),
            Work::Usage(_) => Some("usage"),
            Work::Terms => Some("terms"),
            Work::Meter(_) => Some("meter"),
            Work::Bill(_) => Some("bill"),
        };
        let items = self.items.then_some("items");
        let aggregate = self.aggregate.as_ref().map(|_| "aggregate");
        work.into_iter().chain(items).chain(aggregate).map(str::to_owned).collect()
    }

    /// The fields that name objects, for a function that is spoken to as S3 Batch Operations does: such a batch has its
    /// completion report.
    pub fn report(&self) -> Option<ReportColumns> {
        let Work::Invoke(settings) = &self.work else {
            return None;
        };
        let Contract::S3Batch(S3Batch { bucket, key, version, .. }) = &settings.contract else {
            return None;
        };
        Some(ReportColumns { bucket: bucket.clone(), key: key.clone(), version: version.clone() })
    }

    /// Compares it with what a record has to be, and with the region of the functions, if that is known.
    ///
    /// # Errors
    /// `Config` with every problem, not just the first.
    pub fn check(&self, schema: &RecordSchema, region: Option<&str>) -> Result<()> {
        let mut problems = Vec::new();
        let lacking: Vec<&str> = self.fields().into_iter().filter(|field| schema.excludes(field)).collect();
        if !lacking.is_empty() {
            let lacking = lacking.join(", ");
            problems.push(format!(
                "PROCESSORS uses {lacking}, and the record schema allows no such field; correct one of them"
            ));
        }
        let elsewhere = match (&self.work, region) {
            (Work::Invoke(settings), Some(region)) => settings.check_region(region).err(),
            (Work::Http(settings), Some(region)) => settings.check_region(region).err(),
            (Work::Bill(settings), Some(region)) => {
                settings.invoices.as_ref().and_then(|invoices| invoices.http.check_region(region).err())
            }
            _ => None,
        };
        problems.extend(elsewhere.map(|error| error.to_string()));
        if problems.is_empty() { Ok(()) } else { Err(Error::config(problems.join("; "))) }
    }

    /// The fields of a record that it uses, each once.
    fn fields(&self) -> Vec<&str> {
        let mut fields = match &self.work {
            Work::Http(settings) => settings.fields(),
            Work::Invoke(settings) => match &settings.contract {
                Contract::S3Batch(S3Batch { bucket, key, .. }) => vec![bucket.as_str(), key.as_str()],
                _ => Vec::new(),
            },
            Work::Terms => vec!["zone"],
            Work::Nothing | Work::Custom | Work::Usage(_) | Work::Meter(_) | Work::Bill(_) => Vec::new(),
        };
        let counted = self.aggregate.iter().flat_map(|of| [&of.group_by, &of.sum, &of.min, &of.max]);
        fields.extend(counted.flatten().map(String::as_str));
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Whether records that succeed are stored.
    pub fn stores(&self) -> bool {
        self.items || self.aggregate.is_some()
    }

    fn call(&mut self, work: Work, problems: &mut Vec<String>) {
        if self.work != Work::Nothing {
            let told = "a record can be given to one processor only, besides those that store it; name one of bill, custom, http, invoke, meter, terms and usage";
            problems.push(told.to_owned());
        }
        self.work = work;
    }
}

fn entries(text: &str) -> Result<Vec<Named>> {
    let wanted =
        || Error::config("PROCESSORS must be a JSON list of processors, each a name or an object, such as [\"items\"]");
    // A single name needs no quotes.
    let bare = text.trim();
    let value = if KNOWN.contains(&bare) {
        Value::from(bare)
    } else {
        serde_json::from_str(text).map_err(|e| wanted().because(e))?
    };
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let entries: Option<Vec<Named>> = list.into_iter().map(named).collect();
    entries.filter(|entries| !entries.is_empty()).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_list_and_an_object_are_read() {
        let items = Processing::default();
        for text in ["items", "\"items\"", "[\"items\"]", "{\"items\":null}"] {
            assert_eq!(Processing::parse(text).unwrap(), items, "{text}");
        }
        let custom = Processing::parse(r#"["custom","items"]"#).unwrap();
        assert_eq!(custom, Processing { work: Work::Custom, ..Processing::default() });
    }

    #[test]
    fn counters_are_kept_beside_items_or_alone() {
        let both = Processing::parse(r#"["items",{"aggregate":{"group_by":["client"]}}]"#).unwrap();
        assert!(both.items && both.aggregate.is_some());
        let alone = Processing::parse(r#"{"aggregate":{"group_by":["client"]}}"#).unwrap();
        assert!(!alone.items && alone.aggregate == both.aggregate);
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:enrich";
        let invoke = Processing::parse(&format!(r#"{{"invoke":{{"function_arn":"{arn}"}}}}"#)).unwrap();
        assert!(matches!(invoke.work, Work::Invoke(settings) if settings.function.as_str() == arn) && !invoke.items);
    }

    #[test]
    fn fields_that_no_record_has_are_refused() {
        let closed = r#"{"properties":{"id":{},"customer":{}},"additionalProperties":false}"#;
        let closed = RecordSchema::parse(closed, "id").unwrap();
        let open = RecordSchema::parse(r#"{"properties":{"id":{}}}"#, "id").unwrap();
        let aggregate = |field: &str| {
            let text = format!(r#"["items",{{"aggregate":{{"group_by":["customer.name"],"sum":["{field}"]}}}}]"#);
            Processing::parse(&text).unwrap()
        };
        let told = aggregate("quantity").check(&closed, None).unwrap_err().to_string();
        assert!(told.starts_with("PROCESSORS uses quantity, and the record schema allows no such field"), "{told}");
        aggregate("quantity").check(&open, None).unwrap();
        aggregate("id").check(&closed, None).unwrap();
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:enrich";
        let invoke = Processing::parse(&format!(r#"{{"invoke":{{"function_arn":"{arn}"}}}}"#)).unwrap();
        invoke.check(&closed, Some("eu-central-1")).unwrap();
        assert!(invoke.check(&closed, Some("us-east-1")).unwrap_err().to_string().contains("eu-central-1"));
    }

    #[test]
    fn all_problems_are_told_together() {
        let wrong =
            r#"["custom","custom","sort",{"items":{"a":1}},"invoke",{"aggregate":{"group_by":[],"avg":["a"]}}]"#;
        let told = Processing::parse(wrong).unwrap_err().to_string();
        for part in [
            "one processor only",
            "\"sort\" is no processor; there is",
            "items has no settings",
            "group_by must name at least one field",
            "\"avg\" is no setting",
            "invoke needs an object of settings",
        ] {
            assert!(told.contains(part), "{told}");
        }
        for text in ["", "[]", "7", "[7]", "{}", r#"{"items":null,"custom":null}"#] {
            let told = Processing::parse(text).unwrap_err().to_string();
            assert!(told.starts_with("PROCESSORS must be a JSON list"), "{text}: {told}");
        }
    }
}
