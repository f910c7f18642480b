//! The settings of the processor `invoke`.

use serde_json::{Map, Value};

use crate::model::error::{Error, Result};
use crate::model::processing::arn::FunctionArn;

/// The names of its settings.
const FIELDS: &[&str] = &[
    "function_arn",
    "contract",
    "schema_version",
    "arguments",
    "records_per_call",
    "concurrency",
    "bucket",
    "key",
    "version",
];
/// The names of contracts, the default first.
const CONTRACTS: &[&str] = &["sqs", "s3batch", "map", "fanfold"];
/// Settings that only some contracts have.
const OF_CONTRACTS: &[(&str, &[&str])] = &[
    ("schema_version", &["s3batch"]),
    ("arguments", &["s3batch", "map", "fanfold"]),
    ("bucket", &["s3batch"]),
    ("key", &["s3batch"]),
    ("version", &["s3batch"]),
];
/// The most records a call can be given: as many messages as SQS gives to a function at most
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>).
const MOST_RECORDS: usize = 10_000;
/// Lambda's default for an account in a region
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MOST_CALLS: usize = 1000;
/// What S3 Batch Operations allows of user arguments
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_LambdaInvokeOperation.html>).
const MOST_ARGUMENTS: usize = 10;

/// Which function is called, and how it is spoken to.
#[derive(Debug, Clone, PartialEq)]
pub struct InvokeSettings {
    /// The function.
    pub function: FunctionArn,
    /// How requests and answers are written.
    pub contract: Contract,
    /// The most records of a call; `None` for as many as fit.
    pub records_per_call: Option<usize>,
    /// Calls under way at once in one function of fanfold.
    pub concurrency: usize,
}

/// How requests and answers are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Contract {
    /// As SQS does it, with partial batch responses.
    Sqs,
    /// As S3 Batch Operations does it.
    S3Batch(S3Batch),
    /// As Step Functions' Distributed Map does it, with this `BatchInput`.
    Map(Option<Value>),
    /// fanfold's own, with these `arguments`.
    Fanfold(Option<Value>),
}

impl Contract {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::S3Batch(_) => "s3batch",
            Self::Map(_) => "map",
            Self::Fanfold(_) => "fanfold",
        }
    }
}

/// What belongs to the contract of S3 Batch Operations.
#[derive(Debug, Clone, PartialEq)]
pub struct S3Batch {
    /// The invocation schema.
    pub schema: InvocationSchema,
    /// The field that names the bucket.
    pub bucket: String,
    /// The field that has the object's key, URL-encoded as in a manifest.
    pub key: String,
    /// The field that has the object's version, if there is one.
    pub version: String,
}

/// The version of S3 Batch Operations' requests.
#[derive(Debug, Clone, PartialEq)]
pub enum InvocationSchema {
    /// 1.0: a bucket is named by its ARN.
    One,
    /// 2.0: a bucket is named by its name; with user arguments, if there are any.
    Two(Option<Map<String, Value>>),
}

impl InvokeSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every problem, not just the first.
    pub fn read(of: &Value) -> std::result::Result<Self, Vec<String>> {
        let Value::Object(fields) = of else {
            return Err(vec!["invoke needs an object of settings, with function_arn at least".to_owned()]);
        };
        let mut reader = Reader { fields, problems: Vec::new() };
        reader.refuse_unknown();
        let function = reader.function();
        let contract = reader.contract();
        let records_per_call = reader.count("records_per_call", MOST_RECORDS);
        let concurrency = reader.count("concurrency", MOST_CALLS).unwrap_or(4);
        match (function, contract) {
            (Some(function), Some(contract)) if reader.problems.is_empty() => {
                let usual = match contract {
                    Contract::Sqs => Some(10),
                    Contract::S3Batch(_) => Some(1),
                    Contract::Map(_) | Contract::Fanfold(_) => None,
                };
                Ok(Self { function, contract, records_per_call: records_per_call.or(usual), concurrency })
            }
            _ => Err(reader.problems),
        }
    }

    /// Checks that the function is where the pipeline is.
    ///
    /// # Errors
    /// `Config` if it is in another region.
    pub fn check_region(&self, region: &str) -> Result<()> {
        let other = &self.function.region;
        if other == region {
            return Ok(());
        }
        Err(Error::config(format!(
            "function_arn is of {other}, but the pipeline is in {region}; name a function of {region}"
        )))
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn refuse_unknown(&mut self) {
        for name in self.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            self.problems.push(format!("invoke has no setting {name:?}; it has {}", FIELDS.join(", ")));
        }
    }

    fn function(&mut self) -> Option<FunctionArn> {
        let text = self.text("function_arn").unwrap_or_default();
        FunctionArn::parse(&text).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn contract(&mut self) -> Option<Contract> {
        let name = self.text("contract").unwrap_or_else(|| CONTRACTS[0].to_owned());
        if !CONTRACTS.contains(&name.as_str()) {
            self.problems.push(format!("contract is {name:?}; it can be {}", CONTRACTS.join(", ")));
            return None;
        }
        for (field, contracts) in OF_CONTRACTS {
            if self.fields.contains_key(*field) && !contracts.contains(&name.as_str()) {
                self.problems
                    .push(format!("{field} belongs to the contract {}, not to {name}", contracts.join(" or ")));
            }
        }
        let arguments = self.fields.get("arguments").filter(|given| !given.is_null()).cloned();
        Some(match name.as_str() {
            "s3batch" => Contract::S3Batch(self.s3batch(arguments)),
            "map" => Contract::Map(arguments),
            "fanfold" => Contract::Fanfold(arguments),
            _ => Contract::Sqs,
        })
    }

    fn s3batch(&mut self, arguments: Option<Value>) -> S3Batch {
        let version = self.text("schema_version");
        let schema = match version.as_deref() {
            Some("2.0") => InvocationSchema::Two(self.user_arguments(arguments)),
            None | Some("1.0") => {
                if arguments.is_some() {
                    self.problems.push("arguments need schema_version 2.0".to_owned());
                }
                InvocationSchema::One
            }
            Some(other) => {
                self.problems.push(format!("schema_version is {other:?}; it can be 1.0 or 2.0"));
                InvocationSchema::One
            }
        };
        let mut column = |name: &str| self.text(name).unwrap_or_else(|| name.to_owned());
        S3Batch { schema, bucket: column("bucket"), key: column("key"), version: column("version") }
    }

    fn user_arguments(&mut self, arguments: Option<Value>) -> Option<Map<String, Value>> {
        match arguments? {
            Value::Object(given) if given.len() <= MOST_ARGUMENTS && given.values().all(Value::is_string) => {
                Some(given)
            }
            _ => {
                let told = format!("arguments of s3batch must be an object of at most {MOST_ARGUMENTS} texts");
                self.problems.push(told);
                None
            }
        }
    }

    /// A setting that is a text of at least one character.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            other => {
                self.problems.push(format!("{name} must be a text, and is {other}"));
                None
            }
        }
    }

    fn count(&mut self, name: &str, most: usize) -> Option<usize> {
        let given = self.fields.get(name)?;
        let count = given.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|n| (1..=most).contains(n));
        if count.is_none() {
            self.problems.push(format!("{name} must be a whole number from 1 to {most}, and is {given}"));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::refusal::{INVOKE_SETTINGS, Refusal};

    const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:enrich:live";

    fn read(of: Value) -> InvokeSettings {
        InvokeSettings::read(&of).unwrap()
    }

    #[test]
    fn each_contract_has_its_defaults() {
        let sqs = read(json!({"function_arn": ARN}));
        assert_eq!((&sqs.contract, sqs.records_per_call, sqs.concurrency), (&Contract::Sqs, Some(10), 4));
        assert_eq!(sqs.function.as_str(), ARN);
        let s3 = read(json!({"function_arn": ARN, "contract": "s3batch"}));
        let own = |name: &str| name.to_owned();
        let usual =
            S3Batch { schema: InvocationSchema::One, bucket: own("bucket"), key: own("key"), version: own("version") };
        assert_eq!((s3.contract, s3.records_per_call), (Contract::S3Batch(usual), Some(1)));
        let map = read(json!({"function_arn": ARN, "contract": "map", "arguments": [1], "concurrency": 9}));
        assert_eq!((map.contract, map.records_per_call, map.concurrency), (Contract::Map(Some(json!([1]))), None, 9));
        let own = read(json!({"function_arn": ARN, "contract": "fanfold", "records_per_call": 7}));
        assert_eq!((own.contract, own.records_per_call), (Contract::Fanfold(None), Some(7)));
        let two = json!({"schema_version": "2.0", "arguments": {"a": "1"}, "key": "k"});
        let mut two = two.as_object().cloned().unwrap();
        two.extend([("function_arn".to_owned(), json!(ARN)), ("contract".to_owned(), json!("s3batch"))]);
        let two = Value::Object(two);
        let Contract::S3Batch(two) = read(two).contract else { panic!() };
        assert_eq!(two.schema, InvocationSchema::Two(json!({"a": "1"}).as_object().cloned()));
        assert_eq!((two.bucket.as_str(), two.key.as_str()), ("bucket", "k"));
    }

    #[test]
    fn all_problems_are_told_together() {
        let of = json!({
            "function_arn": "enrich", "contract": "sqs", "schema_version": "2.0", "key": 7, "arn": 1,
            "records_per_call": 0, "concurrency": "many",
        });
        let told = InvokeSettings::read(&of).unwrap_err().join("; ");
        for part in [
            "function_arn is \"enrich\", a name; write the function's ARN, such as arn:",
            "schema_version belongs to the contract s3batch, not to sqs",
            "key belongs to the contract s3batch",
            "invoke has no setting \"arn\"; it has function_arn, contract,",
            "records_per_call must be a whole number from 1 to 10000, and is 0",
            "concurrency must be a whole number from 1 to 1000, and is \"many\"",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn every_refusal_is_listed() {
        let told = |of: Value| InvokeSettings::read(&of).unwrap_err().join("; ");
        let with = |name: &str, value: Value| {
            let mut of = json!({"function_arn": ARN});
            of[name] = value;
            told(of)
        };
        let batch = |others: Value| {
            let mut of = json!({"function_arn": ARN, "contract": "s3batch"});
            of.as_object_mut().unwrap().extend(others.as_object().cloned().unwrap());
            told(of)
        };
        let region = read(json!({"function_arn": ARN})).check_region("us-east-1").unwrap_err().to_string();
        let examples = [
            ("INVOKE_WITHOUT_SETTINGS", told(json!(7))),
            ("UNKNOWN_INVOKE_SETTING", with("function", json!("f"))),
            ("NOT_A_FUNCTION_ARN", told(json!({"function_arn": "https://x.lambda-url.eu-central-1.on.aws/"}))),
            ("FUNCTION_OF_OTHER_REGION", region),
            ("UNKNOWN_CONTRACT", with("contract", json!("sns"))),
            ("SETTING_OF_OTHER_CONTRACT", with("arguments", json!({}))),
            ("ARGUMENTS_OF_SCHEMA_1", batch(json!({"arguments": {"a": "1"}}))),
            ("UNKNOWN_SCHEMA_VERSION", batch(json!({"schema_version": "3.0"}))),
            ("USER_ARGUMENTS_NOT_TEXTS", batch(json!({"schema_version": "2.0", "arguments": {"a": 1}}))),
            ("INVOKE_SETTING_NOT_A_TEXT", batch(json!({"key": 7}))),
            ("INVOKE_SETTING_NOT_A_COUNT", with("concurrency", json!(1.5))),
        ];
        for (code, message) in &examples {
            let found = Refusal::of(message).unwrap_or_else(|| panic!("{message}"));
            assert_eq!(found.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [*code], "{message}");
        }
        assert!(INVOKE_SETTINGS.iter().all(|refusal| examples.iter().any(|(code, _)| *code == refusal.code)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (of, part) in [
            (json!(null), "invoke needs an object of settings"),
            (json!("arn"), "invoke needs an object of settings"),
            (json!({}), "function_arn is \"\", no ARN"),
            (json!({"function_arn": 7}), "function_arn must be a text, and is 7"),
            (
                json!({"function_arn": ARN, "contract": "sns"}),
                "contract is \"sns\"; it can be sqs, s3batch, map, fanfold",
            ),
            (
                json!({"function_arn": ARN, "arguments": 1}),
                "arguments belongs to the contract s3batch or map or fanfold",
            ),
            (json!({"function_arn": ARN, "contract": "s3batch", "arguments": {"a": "1"}}), "need schema_version 2.0"),
            (json!({"function_arn": ARN, "contract": "s3batch", "schema_version": "3"}), "it can be 1.0 or 2.0"),
            (
                json!({"function_arn": ARN, "contract": "s3batch", "schema_version": "2.0", "arguments": {"a": 1}}),
                "must be an object of at most 10 texts",
            ),
            (json!({"function_arn": ARN, "contract": "s3batch", "bucket": ""}), "bucket must be a text"),
        ] {
            let told = InvokeSettings::read(&of).unwrap_err().join("; ");
            assert!(told.contains(part), "{of}: {told}");
        }
    }

    #[test]
    fn a_function_of_another_region_is_refused() {
        let settings = read(json!({"function_arn": ARN}));
        settings.check_region("eu-central-1").unwrap();
        let told = settings.check_region("us-east-1").unwrap_err().to_string();
        assert_eq!(
            told,
            "function_arn is of eu-central-1, but the pipeline is in us-east-1; name a function of us-east-1"
        );
    }
}
