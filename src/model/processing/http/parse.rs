//! The settings as JSON has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::body::Body;
use super::secrets::SecretSource;
use super::statuses::{Statuses, list, overlap};
use super::template::Template;
use super::url::UrlTemplate;
use super::{CallTemplate, HttpSettings, LookUp};

const METHODS: &[&str] = &["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
const CALL: &[&str] = &["url", "method", "headers"];
const SETTINGS: &[&str] = &["body", "rate", "concurrency", "timeout", "statuses", "look_up", "secrets", "insecure"];
/// What fanfold sets, and what belongs to a connection and not to a request
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>).
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Far above what one item of a table can hand out, and what one waits for.
const MOST_RATE: f64 = 100_000.0;
const MOST_CONCURRENCY: u64 = 10_000;
const DEFAULT_TIMEOUT: f64 = 10.0;
/// A function has at most 15 minutes.
const MOST_TIMEOUT: f64 = 600.0;

/// Reads settings and gathers their problems.
pub(super) struct Reader<'a> {
    of: &'a Map<String, Value>,
    problems: Vec<String>,
}

/// A member; null, which Terraform makes of what is left out, is none.
fn member<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    of.get(name).filter(|value| !value.is_null())
}

impl<'a> Reader<'a> {
    pub fn new(of: &'a Map<String, Value>) -> Self {
        Self { of, problems: Vec::new() }
    }

    pub fn problems(self) -> Vec<String> {
        self.problems
    }

    fn add(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    pub fn settings(&mut self) -> Option<HttpSettings> {
        let of = self.of;
        self.known("", "http", of, &[CALL, SETTINGS].concat());
        let insecure = self.truth("insecure");
        let call = self.call("", of, "POST", insecure);
        let rate = self.rate();
        let concurrency = self.concurrency();
        let timeout = self.timeout();
        let statuses = self.statuses();
        let look_up = self.look_up(insecure);
        let secrets = self.secrets();
        let settings = HttpSettings { call: call?, rate, concurrency, timeout, statuses, look_up, secrets };
        for template in settings.templates() {
            for name in template.secrets().filter(|name| !settings.secrets.contains_key(*name)) {
                self.problems.push(format!("{{@secret.{name}}} is not among secrets; add it there"));
            }
        }
        Some(settings)
    }

    fn known(&mut self, place: &str, whose: &str, of: &Map<String, Value>, known: &[&str]) {
        for name in of.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(format!("{place}{name:?} is no setting of {whose}; there is {}", known.join(", ")));
        }
    }

    fn truth(&mut self, name: &str) -> bool {
        let value = member(self.of, name);
        if value.is_some_and(|value| !value.is_boolean()) {
            self.add(format!("{name} must be true or false"));
        }
        value.and_then(Value::as_bool).unwrap_or_default()
    }

    fn call(&mut self, place: &str, of: &Map<String, Value>, method: &str, insecure: bool) -> Option<CallTemplate> {
        let method = match member(of, "method") {
            None => method,
            Some(given) => given.as_str().filter(|given| METHODS.contains(given)).unwrap_or_else(|| {
                self.add(format!("{place}method is {given}; it can be {}", METHODS.join(", ")));
                method
            }),
        };
        let url = match member(of, "url").map(|url| url.as_str()) {
            Some(Some(url)) => UrlTemplate::parse(url, insecure)
                .map_err(|found| found.into_iter().for_each(|problem| self.add(format!("{place}url: {problem}"))))
                .ok(),
            _ => {
                self.add(format!("{place}url must be given, such as \"https://api.example.com/orders/{{id}}\""));
                None
            }
        };
        let mut headers = self.headers(place, of);
        // The content of the others has no meaning of its own: https://www.rfc-editor.org/rfc/rfc9110#section-9.3
        let carries = place.is_empty() && !matches!(method, "DELETE" | "GET" | "HEAD");
        let body = Body::parse(member(of, "body").filter(|_| place.is_empty()), carries, &mut self.problems);
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(content_type) = body.content_type().filter(|_| !typed) {
            headers.push(("Content-Type".to_owned(), Template::parse(content_type).unwrap_or_default()));
        }
        Some(CallTemplate { method: method.to_owned(), url: url?, headers, body })
    }

    fn headers(&mut self, place: &str, of: &Map<String, Value>) -> Vec<(String, Template)> {
        let Some(given) = member(of, "headers") else {
            return Vec::new();
        };
        let Some(given) = given.as_object() else {
            self.add(format!("{place}headers must be an object such as {{\"X-Tenant\":\"{{tenant}}\"}}"));
            return Vec::new();
        };
        let mut headers: Vec<(String, Template)> = Vec::with_capacity(given.len());
        for (name, value) in given {
            // https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let lower = name.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(fine) {
                self.add(format!("{place}headers: {name:?} is no name of a header; use letters, digits and hyphens"));
            } else if OWN_HEADERS.contains(&lower.as_str()) {
                self.add(format!("{place}headers: {name} is set by fanfold; leave it out"));
            } else if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                self.add(format!(
                    "{place}headers: {name} is given twice, since letter case makes no difference; leave one out"
                ));
            }
            let Some(text) = value.as_str().filter(|text| !text.chars().any(|c| c.is_control() && c != '\t')) else {
                self.add(format!("{place}headers: {name} must be a text without line ends"));
                continue;
            };
            match Template::parse(text) {
                Ok(template) => headers.push((name.clone(), template)),
                Err(found) => {
                    self.problems.extend(found.into_iter().map(|told| format!("{place}headers: {name}: {told}")));
                }
            }
        }
        headers
    }

    fn rate(&mut self) -> Option<f64> {
        let given = self.of.get("rate");
        match given {
            Some(Value::Null) => None,
            Some(rate) => {
                let number = rate.as_f64().filter(|rate| *rate > 0.0 && *rate <= MOST_RATE);
                if number.is_none() {
                    self.add(format!("rate is {rate}; it must be calls per second, above 0 and at most {MOST_RATE}"));
                }
                number
            }
            None => {
                self.add("rate must be given: calls per second over all functions, or null for no limit");
                None
            }
        }
    }

    fn concurrency(&mut self) -> Option<u32> {
        let given = member(self.of, "concurrency")?;
        let number = given.as_u64().filter(|n| (1..=MOST_CONCURRENCY).contains(n));
        if number.is_none() {
            self.add(format!("concurrency is {given}; it must be calls at once, from 1 to {MOST_CONCURRENCY}"));
        }
        number.and_then(|n| u32::try_from(n).ok())
    }

    fn timeout(&mut self) -> u64 {
        let given = member(self.of, "timeout");
        let seconds = given.map_or(Some(DEFAULT_TIMEOUT), Value::as_f64);
        let seconds = seconds.filter(|seconds| (0.1..=MOST_TIMEOUT).contains(seconds));
        if let (None, Some(given)) = (seconds, given) {
            self.add(format!("timeout is {given}; it must be seconds, from 0.1 to {MOST_TIMEOUT}"));
        }
        (seconds.unwrap_or(DEFAULT_TIMEOUT) * 1000.0) as u64
    }

    fn statuses(&mut self) -> Statuses {
        match member(self.of, "statuses") {
            None => Statuses::default(),
            Some(Value::Object(given)) => Statuses::parse(given, &mut self.problems),
            Some(_) => {
                self.add("statuses must be an object such as {\"409\":\"succeeded\",\"500-599\":\"temporary\"}");
                Statuses::default()
            }
        }
    }

    fn look_up(&mut self, insecure: bool) -> Option<LookUp> {
        let given = member(self.of, "look_up")?;
        let Some(of) = given.as_object() else {
            self.add("look_up must be an object such as {\"url\":\"https://api.example.com/orders/{id}\"}");
            return None;
        };
        self.known("look_up: ", "look_up", of, &[CALL, &["found", "absent"]].concat());
        let call = self.call("look_up: ", of, "GET", insecure);
        let mut ranges = |name: &str, usual: u16| match member(of, name) {
            None => vec![usual..=usual],
            Some(given) => list(name, given, &mut self.problems),
        };
        let (found, absent) = (ranges("found", 200), ranges("absent", 404));
        if found.iter().any(|one| absent.iter().any(|other| overlap(one, other))) {
            self.add("look_up: found and absent overlap; give each status to one of them");
        }
        Some(LookUp { call: call?, found, absent })
    }

    fn secrets(&mut self) -> BTreeMap<String, SecretSource> {
        let Some(given) = member(self.of, "secrets") else {
            return BTreeMap::new();
        };
        let Some(given) = given.as_object() else {
            self.add(
                "secrets must be an object such as {\"token\":\"arn:aws:ssm:eu-west-1:123456789012:parameter/token\"}",
            );
            return BTreeMap::new();
        };
        let mut secrets = BTreeMap::new();
        for (name, arn) in given {
            match SecretSource::parse(arn.as_str().unwrap_or_default()) {
                Ok(source) => {
                    secrets.insert(name.clone(), source);
                }
                Err(problem) => self.add(format!("secrets: {name}: {problem}")),
            }
        }
        secrets
    }
}
