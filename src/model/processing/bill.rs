//! The settings of the processors of billing: where the terms of clients are, what is billed where, and the API for invoices.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::model::billing::aggregate::Grain;
use crate::model::billing::sending::Guarantees;
use crate::model::processing::http::{HttpSettings, LookUp};

/// How events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterSettings {
    /// The pipeline with the processor `bill`, in whose tables they are.
    pub billed_by: String,
}

/// How half months are closed and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct BillSettings {
    /// The pipeline whose items are the terms of clients.
    pub clients_of: String,
    /// The API that makes invoices; without one, packages are sealed and not sent.
    pub invoices: Option<InvoiceSettings>,
    /// What there are sums of.
    pub usage_by: Grain,
}

/// An API that makes invoices.
#[derive(Debug, Clone, PartialEq)]
pub struct InvoiceSettings {
    /// The request that makes one, as of the processor `http`. Its rate is that of all requests.
    pub http: HttpSettings,
    /// The request that finds one by its package.
    pub look_up: LookUp,
    /// Requests a second.
    pub rate: f64,
    /// What is relied on.
    pub guarantees: Guarantees,
}

/// What is relied on if nothing is said: the least that is known of such an API (Qonto's thirty minutes), and a generous minute.
const RETENTION: i64 = 30 * 60;
const VISIBLE: i64 = 60;
const LONGEST: i64 = 400 * 86_400;
/// The longest time-out of a request, in seconds.
const LONGEST_REQUEST: u64 = 30;

impl MeterSettings {
    /// Reads `{"billed_by": "billing"}`.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(of: &Value) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let members = members("meter", of, &["billed_by"], &mut problems);
        let billed_by = text("meter", members, "billed_by", "the pipeline with the processor bill", &mut problems);
        billed_by.filter(|_| problems.is_empty()).map(|billed_by| Self { billed_by }).ok_or(problems)
    }
}

impl BillSettings {
    /// Reads `{"clients_of": "clients", "usage_by": "hour", "invoices": {…}}`.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(of: &Value) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let known = members("bill", of, &["clients_of", "usage_by", "invoices"], &mut problems);
        let clients_of = text("bill", known, "clients_of", "the pipeline whose items are the terms", &mut problems);
        let invoices = match known.and_then(|known| known.get("invoices")).filter(|invoices| !invoices.is_null()) {
            None => None,
            Some(given) => match InvoiceSettings::parse(given) {
                Ok(invoices) => Some(invoices),
                Err(wrong) => {
                    problems.extend(wrong);
                    None
                }
            },
        };
        let usage_by = known.and_then(|known| known.get("usage_by")).filter(|given| !given.is_null());
        let usage_by = usage_by.map_or(Some(Grain::Day), |given| Grain::deserialize(given).ok());
        if usage_by.is_none() {
            problems.push("bill: usage_by must be \"day\" or \"hour\": hours are counted besides days".to_owned());
        }
        let both = clients_of.zip(usage_by).filter(|_| problems.is_empty());
        both.map(|(clients_of, usage_by)| Self { clients_of, invoices, usage_by }).ok_or(problems)
    }
}

impl InvoiceSettings {
    fn parse(of: &Value) -> Result<Self, Vec<String>> {
        let Some(given) = of.as_object() else {
            return Err(vec!["bill: invoices must be an object with url, look_up and rate".to_owned()]);
        };
        let (mut given, mut problems) = (given.clone(), Vec::new());
        let retention = seconds(&mut given, "key_retention", RETENTION, &mut problems);
        let visible = seconds(&mut given, "visible_after", VISIBLE, &mut problems);
        for not_here in ["body", "concurrency", "method"] {
            if given.get(not_here).is_some_and(|value| !value.is_null()) {
                problems
                    .push(format!("bill: invoices: {not_here} is no setting here: a package is sent as it was sealed"));
            }
        }
        let http = match HttpSettings::parse(&Value::Object(given)) {
            Ok(http) => http,
            Err(wrong) => {
                problems
                    .extend(wrong.iter().map(|told| format!("bill: invoices: {}", told.trim_start_matches("http: "))));
                return Err(problems);
            }
        };
        let (rate, look_up) = (http.rate, http.look_up.clone());
        if rate.is_none() {
            problems.push("bill: invoices: rate must be a number: requests a second".to_owned());
        }
        if look_up.is_none() {
            let what = "an invoice must be found by its package, as in {\"url\": \"https://api.example.com/invoices?package={package}\"}";
            problems.push(format!("bill: invoices: look_up must be given: {what}"));
        }
        let strange: Vec<&str> = http.fields().into_iter().filter(|field| !FIELDS.contains(field)).collect();
        if !strange.is_empty() {
            let (strange, known) = (strange.join(", "), FIELDS.join(", "));
            problems.push(format!("bill: invoices: requests have {strange}, and a package has {known}"));
        }
        if http.timeout > LONGEST_REQUEST * 1000 {
            let what = "packages are sent a minute at a time";
            problems.push(format!("bill: invoices: timeout is more than {LONGEST_REQUEST}: {what}"));
        }
        // A request ends within whole seconds.
        let request_timeout = i64::try_from(http.timeout.div_ceil(1000)).unwrap_or(i64::MAX);
        let guarantees = Guarantees { key_retention: retention, visible_after: visible, request_timeout };
        match (rate, look_up) {
            (Some(rate), Some(look_up)) if problems.is_empty() => Ok(Self { http, look_up, rate, guarantees }),
            _ => Err(problems),
        }
    }
}

/// What requests may have of a package.
const FIELDS: [&str; 4] = ["package", "client", "half", "sequence"];

fn members<'a>(
    whose: &str,
    of: &'a Value,
    known: &[&str],
    problems: &mut Vec<String>,
) -> Option<&'a Map<String, Value>> {
    let members = of.as_object();
    let told = known.join(", ");
    for name in members.iter().flat_map(|members| members.keys()).filter(|name| !known.contains(&name.as_str())) {
        problems.push(format!("{whose}: {name:?} is no setting; there is {told}"));
    }
    members
}

fn text(
    whose: &str,
    members: Option<&Map<String, Value>>,
    name: &str,
    what: &str,
    problems: &mut Vec<String>,
) -> Option<String> {
    let text = members.and_then(|members| members.get(name)).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text.is_none() {
        problems.push(format!("{whose}: {name} must name {what}"));
    }
    text.map(str::to_owned)
}

/// Takes a number of seconds out of the settings.
fn seconds(of: &mut Map<String, Value>, name: &str, usual: i64, problems: &mut Vec<String>) -> i64 {
    let given = of.remove(name).filter(|given| !given.is_null()).unwrap_or_else(|| json!(usual));
    let seconds = given.as_i64().filter(|seconds| (0..=LONGEST).contains(seconds));
    if seconds.is_none() {
        problems.push(format!("bill: invoices: {name} is {given}; it must be whole seconds, from 0 to {LONGEST}"));
    }
    seconds.unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let bill = BillSettings::parse(&json!({"clients_of": "clients", "invoices": {
            "url": "https://api.example.com/invoices", "rate": 10, "timeout": 2.5, "key_retention": 86400,
            "look_up": {"url": "https://api.example.com/invoices?package={package}"},
        }}))
        .unwrap();
        let invoices = bill.invoices.unwrap();
        assert_eq!((bill.clients_of.as_str(), invoices.rate), ("clients", 10.0));
        assert_eq!(invoices.guarantees, Guarantees { key_retention: 86_400, visible_after: 60, request_timeout: 3 });
        let plain = BillSettings::parse(&json!({"clients_of": "c", "usage_by": null, "invoices": null})).unwrap();
        assert_eq!((plain.invoices, plain.usage_by), (None, Grain::Day));
        let hours = BillSettings::parse(&json!({"clients_of": "c", "usage_by": "hour"})).unwrap();
        assert_eq!(hours.usage_by, Grain::Hour);
        assert_eq!(MeterSettings::parse(&json!({"billed_by": "billing"})).unwrap().billed_by, "billing");
    }

    #[test]
    fn all_problems_are_told_together() {
        let told = BillSettings::parse(&json!({"of": 1, "usage_by": "minute", "invoices": {
            "url": "https://api.example.com/{record}", "rate": null, "body": "{x}", "visible_after": -1,
        }}))
        .unwrap_err()
        .join("; ");
        for part in [
            "bill: \"of\" is no setting; there is clients_of, usage_by, invoices",
            "usage_by must be \"day\" or \"hour\"",
            "bill: clients_of must name",
            "visible_after is -1",
            "body is no setting here",
            "rate must be a number",
            "look_up must be given",
            "requests have record",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(BillSettings::parse(&json!({"clients_of": "c", "invoices": "x"})).is_err());
        for wrong in [json!(null), json!({}), json!({"billed_by": ""}), json!({"billed_by": "b", "x": 1})] {
            assert!(MeterSettings::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
