//! A plan as words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::measure::Measured;
use fanfold::model::cost::{price, writes};
use fanfold::model::price::{AS_OF, LAMBDA_GB_SECOND, LAMBDA_REQUEST, REGION, SQS};
use fanfold_plan::limits::WARM;
use fanfold_plan::own::{Plan, Predicted};

/// What is told of a plan.
pub(super) struct Told {
    plan: Plan,
    estimated: bool,
    bytes: u64,
    predicted: Predicted,
    /// Requests by service.
    requests: BTreeMap<&'static str, f64>,
    dollars: BTreeMap<&'static str, f64>,
    /// What would help, with the seconds that it would take then.
    instead: Option<(String, f64)>,
}

fn service(operation: &str) -> &'static str {
    match operation.split_once('.').map_or(operation, |(service, _)| service) {
        "dynamodb" => "DynamoDB",
        "s3" => "S3",
        "sqs" => "SQS",
        "sns" => "SNS",
        "sfn" => "Step Functions",
        _ => "others",
    }
}

impl Told {
    pub(super) fn of(plan: Plan, measured: &Measured, predicted: Predicted) -> Self {
        let (mut requests, mut dollars) = (BTreeMap::new(), BTreeMap::<&'static str, f64>::new());
        let counts = predicted
            .requests
            .iter()
            .map(|of| [(of.operation.clone(), of.many.round() as u64)].into_iter().collect::<BTreeMap<_, _>>());
        let counts: Vec<_> = counts.collect();
        let rows = writes(counts.iter(), plan.records);
        for of in &predicted.requests {
            let service = service(&of.operation);
            // A transition is none: it is counted for its price.
            if !matches!(of.operation.as_str(), "sfn.Transition" | "sfn.ExpressExecution") {
                *requests.entry(service).or_default() += of.many;
            }
            let units = if of.operation.ends_with("BatchWriteItem") || of.operation.ends_with("TransactWriteItems") {
                plan.units
            } else {
                1
            };
            let each = price(&of.operation, of.many.round() as u64, plan.records, rows).unwrap_or_default();
            *dollars.entry(service).or_default() += each * units as f64;
        }
        let invocations = predicted.slow.invocations as f64 + 2.0;
        let gigabyte_seconds = predicted.gigabyte_seconds(plan.memory);
        dollars.insert("Lambda", invocations * LAMBDA_REQUEST.value() + gigabyte_seconds * LAMBDA_GB_SECOND.value());
        if let Some(sqs) = dollars.get_mut("SQS").filter(|_| !plan.is_listed()) {
            // Lambda receives the messages of an invocation, and deletes them.
            *sqs += 2.0 * predicted.slow.invocations as f64 * SQS.value();
        }
        let instead = Self::instead(&plan, &predicted);
        Self { plan, estimated: measured.estimated, bytes: measured.bytes, predicted, requests, dollars, instead }
    }

    /// What would change what binds.
    fn instead(plan: &Plan, predicted: &Predicted) -> Option<(String, f64)> {
        let (first, _) = predicted.binding.first()?;
        let (what, other) = if first.starts_with("the items table") && plan.warm.is_none() {
            let warm = WARM.value as u64;
            (
                format!("a table warmed to {warm} units a second (--warm {warm})"),
                Plan { warm: Some(warm), ..plan.clone() },
            )
        } else if first.starts_with("how many functions") {
            let more = (plan.concurrency * 4).min(1_000);
            (format!("{more} workers at once (--concurrency {more})"), Plan { concurrency: more, ..plan.clone() })
        } else {
            return None;
        };
        let seconds = other.predict().ok()?.slow.gathered;
        (seconds < 0.9 * predicted.slow.gathered).then_some((what, seconds))
    }

    fn total(&self) -> f64 {
        self.dollars.values().sum()
    }

    /// The plan for programs.
    pub(super) fn document(&self) -> Value {
        let Predicted { quick, slow, requests, binding, .. } = &self.predicted;
        let stages = requests.iter().fold(BTreeMap::<&str, BTreeMap<&str, u64>>::new(), |mut stages, of| {
            let many = of.many.round() as u64;
            if many > 0 {
                stages.entry(&of.stage).or_default().insert(&of.operation, many);
            }
            stages
        });
        let rounded = |many: f64| (many * 1e6).round() / 1e6;
        json!({
            "variant": self.plan.variant,
            "records": self.plan.records,
            "bytes": self.bytes,
            "chunks": self.plan.chunks,
            "estimated": self.estimated,
            "requests": stages,
            "seconds": {"least": rounded(quick.gathered), "most": rounded(slow.gathered)},
            "dollars": {
                "total": rounded(self.total()),
                "services": self.dollars.iter().map(|(name, dollars)| ((*name).to_owned(), json!(rounded(*dollars)))).collect::<serde_json::Map<_, _>>(),
                "asOf": AS_OF, "region": REGION,
            },
            "binding": binding.iter().map(|(name, without)| json!({"limit": name, "secondsWithoutIt": rounded(*without)})).collect::<Vec<_>>(),
            "instead": self.instead.as_ref().map(|(what, seconds)| json!({"what": what, "seconds": rounded(*seconds)})),
        })
    }

    /// The plan for people.
    pub(super) fn words(&self) -> String {
        let Self { plan, predicted, .. } = self;
        let about = if self.estimated { "about " } else { "" };
        let mut words = format!(
            "{about}{} records in {} chunks, {} bytes, variant {}\n\n",
            grouped(plan.records),
            grouped(plan.chunks),
            grouped(self.bytes),
            plan.variant
        );
        let _ = writeln!(words, "{:<16} {:>12} {:>12}", "service", "requests", "dollars");
        for (name, dollars) in &self.dollars {
            let requests = self.requests.get(name).copied().unwrap_or(predicted.slow.invocations as f64 + 2.0);
            let _ =
                writeln!(words, "{name:<16} {:>12} {:>12}", grouped(requests.round() as u64), format!("${dollars:.4}"));
        }
        let _ = writeln!(words, "{:<16} {:>12} {:>12}", "all", "", format!("${:.4}", self.total()));
        let (quick, slow) = (predicted.quick.gathered, predicted.slow.gathered);
        let _ = writeln!(words, "\n{} to {} on AWS, from the upload to the summary", spoken(quick), spoken(slow));
        match predicted.binding.first() {
            Some((name, without)) => {
                let _ = writeln!(words, "what holds it up: {name}; without that, {}", spoken(*without));
            }
            None => words.push_str("nothing holds it up by more than a tenth\n"),
        }
        if let Some((what, seconds)) = &self.instead {
            let _ = writeln!(words, "instead: {what} would make it {}", spoken(*seconds));
        }
        let _ = writeln!(
            words,
            "\nprices of {REGION}, {AS_OF}, without free tiers; calls of processors other than items are left out"
        );
        words
    }
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn spoken(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..600.0 => format!("{seconds:.0} s"),
        ..36_000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
