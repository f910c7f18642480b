//! A batch of fanfold on an emulator: one process answers all requests, one after the other, so that its rate is the only one.

use crate::counted::Requests;
use crate::mapping::Ramp;
use crate::own::Plan;
use crate::published::median;
use crate::rate::Rate;
use crate::run;
use crate::work::{Batch, Calls, Function, Step};

/// What an emulator takes: seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// An item that is written with others.
    pub item: f64,
    /// Any request.
    pub request: f64,
    /// An execution that a map starts, and what happens in it.
    pub execution: f64,
    /// From an object to the function that is told of it.
    pub notice: f64,
    /// From a message to its function.
    pub hop: f64,
}

impl Default for Rates {
    /// Where fitting begins.
    fn default() -> Self {
        Self { item: 1e-4, request: 1e-3, execution: 3e-3, notice: 0.02, hop: 0.02 }
    }
}

/// Where one of the rates is.
pub type Place = fn(&mut Rates) -> &mut f64;

/// Their names and places.
pub const FITTED: [(&str, Place); 5] = [
    ("an item that is written with others", |rates| &mut rates.item),
    ("any request", |rates| &mut rates.request),
    ("an execution that a map starts", |rates| &mut rates.execution),
    ("from an object to the function that is told of it", |rates| &mut rates.notice),
    ("from a message to its function", |rates| &mut rates.hop),
];

/// A batch that was run on the emulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it was.
    pub plan: Plan,
    /// Its requests.
    pub requests: Vec<Requests>,
    /// From the upload to the summary.
    pub seconds: f64,
}

/// Several functions at once, however many.
const WIDTH: f64 = 64.0;

impl Run {
    fn step(&self, stage: &str, rates: &Rates) -> Step {
        // An execution is counted where the map is started, and takes its time when a worker does.
        let place = |of: &Requests| {
            if of.operation == "sfn.ExpressExecution" { "process".to_owned() } else { of.stage.clone() }
        };
        let of_stage =
            self.requests.iter().filter(|of| place(of) == stage && of.many > 0.0 && of.operation != "sfn.Transition");
        let calls = of_stage.map(|of| {
            let records = self.plan.records as f64;
            let units = match of.operation.as_str() {
                "sfn.ExpressExecution" => rates.execution,
                // Of a tasks table, outcomes are written as well.
                "dynamodb.BatchWriteItem" if self.plan.variant == "dynamodb" => {
                    rates.request + 2.0 * records / of.many * rates.item
                }
                "dynamodb.BatchWriteItem" | "dynamodb.TransactWriteItems" => {
                    rates.request + records / of.many * rates.item
                }
                // Rows are read by the page.
                "dynamodb.Query" => rates.request + records / of.many * rates.item / 2.0,
                _ => rates.request,
            };
            Calls { rate: Some(0), many: of.many, units, seconds: units }
        });
        let width = if self.plan.variant == "sync" { 1.0 } else { WIDTH };
        Step { cpu: 0.0, calls: calls.collect(), width }
    }

    fn batch(&self, rates: &Rates) -> Batch {
        let function = Function { share: 1.0, start: 0.0 };
        let nothing = Step { cpu: 0.0, calls: Vec::new(), width: 1.0 };
        let messages = self.plan.messages().max(1);
        Batch {
            rates: vec![Rate::new("the emulator", 1.0)],
            notice: rates.notice,
            hop: rates.hop,
            announcement: rates.hop,
            scatter: function,
            scattering: self.step("scatter", rates),
            messages,
            listed: self.plan.is_listed(),
            process: function,
            ramp: Ramp::at_once(self.plan.concurrency as f64),
            at_once: self.plan.at_once(),
            invocation: nothing,
            message: self.step("process", rates).times(1.0 / messages as f64),
            gather: function,
            gathering: self.step("gather", rates),
        }
    }

    /// How many seconds it is predicted to take.
    pub fn predicted(&self, rates: &Rates) -> f64 {
        run::run(&self.batch(rates)).gathered
    }

    /// By how much that is off, as a part of what it took.
    pub fn error(&self, rates: &Rates) -> f64 {
        (self.predicted(rates) - self.seconds).abs() / self.seconds
    }
}

/// Fits the rates to runs: one after the other is changed by a factor for as long as that makes the mean error smaller.
pub fn fit(runs: &[Run]) -> Rates {
    let cost = |rates: &Rates| runs.iter().map(|run| run.error(rates).min(3.0)).sum::<f64>();
    let mut rates = Rates::default();
    let mut least = cost(&rates);
    for factor in [2.0, 1.3, 1.1, 1.03] {
        loop {
            let before = least;
            for (_, place) in FITTED {
                for by in [factor, 1.0 / factor] {
                    let mut other = rates;
                    *place(&mut other) *= by;
                    let tried = cost(&other);
                    if tried < least {
                        (rates, least) = (other, tried);
                    }
                }
            }
            if least >= before {
                break;
            }
        }
    }
    rates
}

/// The error in the middle of those of each variant's runs, and how many there are.
pub fn by_variant(runs: &[Run], rates: &Rates) -> Vec<(String, f64, usize)> {
    let mut names: Vec<&str> = runs.iter().map(|run| run.plan.variant.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of =
        |name: &str| runs.iter().filter(|run| run.plan.variant == name).map(|run| run.error(rates)).collect::<Vec<_>>();
    names.into_iter().map(|name| (name.to_owned(), median(of(name)), of(name).len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counted;

    fn run(variant: &str, records: u64) -> Run {
        let chunks = records.div_ceil(500);
        let plan = Plan {
            variant: variant.to_owned(),
            records,
            bytes: records * 84,
            chunks,
            each: 500,
            units: 1,
            concurrency: 50,
            memory: 512,
            warm: None,
        };
        let requests = counted::requests(variant, &plan.size(chunks)).unwrap();
        Run { plan, requests, seconds: 0.0 }
    }

    #[test]
    fn rates_that_made_runs_are_found_again() {
        let own = Rates { item: 2e-4, request: 2e-3, execution: 3e-3, notice: 0.05, hop: 0.01 };
        let made = |variant: &str, records| {
            let run = run(variant, records);
            Run { seconds: run.predicted(&own), ..run }
        };
        let runs: Vec<Run> = [10, 100, 1_000, 10_000, 100_000]
            .into_iter()
            .flat_map(|records| [made("chunked", records), made("ranged", records)])
            .collect();
        let found = fit(&runs);
        assert!(by_variant(&runs, &found).iter().all(|(_, error, _)| *error < 0.05), "{found:?}");
        assert!(
            (found.item / own.item - 1.0).abs() < 0.15 && (found.request / own.request - 1.0).abs() < 0.3,
            "{found:?}"
        );
    }

    #[test]
    fn what_an_emulator_answers_one_after_the_other_adds_up() {
        let rates = Rates { item: 1e-4, request: 0.0, execution: 0.0, notice: 0.0, hop: 0.0 };
        let seconds = run("ranged", 100_000).predicted(&rates);
        assert!((seconds / 10.0 - 1.0).abs() < 0.01, "{seconds}");
    }
}
