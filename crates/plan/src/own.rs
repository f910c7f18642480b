//! A batch of fanfold itself, as it is deployed by default.

use crate::counted::{self, Requests, Size};
use crate::limits;
use crate::mapping::Ramp;
use crate::rate::Rate;
use crate::run::{self, Passed};
use crate::work::{Batch, Calls, Function, Step};

/// What a file and a pipeline are.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The variant.
    pub variant: String,
    /// Records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Chunks.
    pub chunks: u64,
    /// Records of a chunk, of which the last has what is left.
    pub each: u64,
    /// Units that an item takes to write: one for each KiB.
    pub units: u64,
    /// The most workers at once.
    pub concurrency: u64,
    /// Their memory in MB.
    pub memory: u64,
    /// Units a second that the items table is warmed to; `None` for a new table.
    pub warm: Option<u64>,
}

/// How long calls take: seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// A call to a table or a queue.
    pub table: f64,
    /// A call to a bucket.
    pub bucket: f64,
    /// From an object to the function that is told of it.
    pub notice: f64,
    /// From a message to its function.
    pub hop: f64,
    /// The start of a function.
    pub start: f64,
}

/// The one end of a range: calls as fast as what was fitted to the published runs for alone, quick ones.
pub const QUICK: Network = Network { table: 0.005, bucket: 0.0155, notice: 0.5, hop: 0.05, start: 0.1 };
/// The other: single-digit milliseconds of a table, and the 100 to 200 of a bucket
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>), and what was fitted to the published runs.
pub const SLOW: Network = Network { table: 0.009, bucket: 0.15, notice: 1.1, hop: 0.19, start: 0.3 };

/// MiB that a stage gets through in a second with a whole processor, without calls: `docs/BENCHMARKING.md`, "At the share of a processor".
const SCATTER: f64 = 68.0;
const SCATTER_IN_PLACE: f64 = 1_423.0;
const PROCESS: f64 = 28.9;
const GATHER: f64 = 32.2;
/// Calls under way at once in a function of all variants but `sync`: `CONCURRENT` of the engine.
const WIDTH: f64 = 64.0;
const MIB: f64 = 1_048_576.0;
/// Messages of an invocation, of variants whose unit is a chunk or a record.
const AT_ONCE: (u64, u64) = (4, 10);

/// The memory of scatter and gather, in MB.
pub const WHOLE_MB: u64 = 1_769;

/// Where rates are in a batch's.
const ITEMS: usize = 0;
const LEDGER: usize = 1;
const TASKS: usize = 2;
const WRITES: usize = 3;
const READS: usize = 4;

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// What passes when calls are quick.
    pub quick: Passed,
    /// And when they are slow.
    pub slow: Passed,
    /// The requests of each stage.
    pub requests: Vec<Requests>,
    /// What holds the batch up, and the seconds without it, when calls are slow.
    pub binding: Vec<(String, f64)>,
}

impl Plan {
    fn of_records(&self) -> bool {
        matches!(self.variant.as_str(), "sync" | "async")
    }

    /// What it is made of, with so many invocations of process.
    pub fn size(&self, invocations: u64) -> Size {
        let each = if self.of_records() { 1 } else { self.each };
        Size { records: self.records, bytes: self.bytes, chunks: self.messages(), each, invocations }
    }

    /// The most messages of an invocation.
    pub fn at_once(&self) -> u64 {
        match self.variant.as_str() {
            // Each execution of a map is about one.
            "sfn" => 1,
            _ if self.of_records() => AT_ONCE.1,
            _ => AT_ONCE.0,
        }
    }

    /// Whether the work begins once all of it is listed: Step Functions reads a list that is whole.
    pub fn is_listed(&self) -> bool {
        self.variant == "sfn"
    }

    /// The messages to workers.
    pub fn messages(&self) -> u64 {
        if self.of_records() { self.records } else { self.chunks }
    }

    /// What is predicted of it.
    ///
    /// # Errors
    /// The names of the variants that are known, if this one is not.
    pub fn predict(&self) -> Result<Predicted, String> {
        let requests = counted::requests(&self.variant, &self.size(0))?;
        let quick = run::run(&self.batch(&requests, &QUICK));
        let batch = self.batch(&requests, &SLOW);
        let slow = run::run(&batch);
        // How many invocations there are is known only now.
        let requests = counted::requests(&self.variant, &self.size(slow.invocations))?;
        Ok(Predicted { quick, slow, requests, binding: run::binding(&batch) })
    }

    /// The calls of a stage: each with its rate and the units that it takes of it.
    fn calls(&self, requests: &[Requests], stage: &str, network: &Network) -> Vec<Calls> {
        let of_stage = requests.iter().filter(|of| of.stage == stage && of.many > 0.0);
        let mut calls: Vec<Calls> =
            of_stage.filter_map(|of| self.call(&of.operation, of.many, stage, network)).collect();
        if self.variant == "dynamodb" && stage == "process" {
            // Half of what is written in batches are rows with outcomes.
            let outcomes: Vec<Calls> = calls
                .iter_mut()
                .filter(|calls| calls.rate == Some(ITEMS))
                .map(|calls| {
                    calls.many /= 2.0;
                    calls.units *= 2.0;
                    Calls { rate: Some(TASKS), ..calls.clone() }
                })
                .collect();
            calls.extend(outcomes);
        }
        calls
    }

    fn call(&self, operation: &str, many: f64, stage: &str, network: &Network) -> Option<Calls> {
        let items = self.records as f64 * self.units as f64;
        let tasks = self.variant == "dynamodb";
        let (rate, units, seconds) = match operation {
            "dynamodb.BatchWriteItem" => (Some(ITEMS), items / many, network.table),
            "dynamodb.TransactWriteItems" => (Some(TASKS), 2.0 * items / many, network.table),
            "dynamodb.PutItem" if tasks && stage == "process" => (Some(TASKS), 1.0, network.table),
            "dynamodb.PutItem" | "dynamodb.UpdateItem" | "dynamodb.DeleteItem" => (Some(LEDGER), 1.0, network.table),
            "s3.PutObject" | "s3.UploadPart" | "s3.ListObjectsV2" | "s3.DeleteObject" => {
                (Some(WRITES), 1.0, network.bucket)
            }
            "s3.GetObject" => (Some(READS), 1.0, network.bucket),
            "sfn.Transition" | "sfn.ExpressExecution" => return None,
            _ => (None, 0.0, network.table),
        };
        Some(Calls { rate, many, units, seconds })
    }

    fn batch(&self, requests: &[Requests], network: &Network) -> Batch {
        let of_table = |name: &str| {
            let rate = Rate::new(
                format!("the {name} table: {} units a second at first, when it is new", limits::TABLE_WRITES.value),
                limits::TABLE_WRITES.value,
            );
            rate.doubling(limits::TABLE_DOUBLES.value, limits::TABLE_MOST.value)
        };
        let items = match self.warm {
            Some(units) => {
                let warm = Rate::new(format!("the items table: warmed to {units} units a second"), units as f64);
                warm.doubling(limits::TABLE_DOUBLES.value, limits::TABLE_MOST.value)
            }
            None => of_table("items"),
        };
        let width = if self.variant == "sync" { 1.0 } else { WIDTH };
        let mib = self.bytes as f64 / MIB;
        let whole = Function { share: 1.0, start: network.start };
        let share = (self.memory as f64 / limits::ONE_CPU.value).min(1.0);
        let step = |stage: &str, cpu: f64| Step { cpu, calls: self.calls(requests, stage, network), width };
        let messages = self.messages();
        let scatter = if self.variant == "ranged" { SCATTER_IN_PLACE } else { SCATTER };
        let most = (self.concurrency as f64).min(limits::ACCOUNT.value);
        let ramp = if self.variant == "sfn" {
            Ramp::at_once(most.min(limits::MAP_MOST.value))
        } else {
            Ramp { first: limits::MAPPING_FIRST.value.min(most), growth: limits::MAPPING_GROWTH.value / 60.0, most }
        };
        let scattering = step("scatter", mib / scatter);
        Batch {
            rates: vec![
                items,
                of_table("ledger"),
                of_table("tasks"),
                Rate::new("the prefix of a bucket: writes", limits::PREFIX_WRITES.value),
                Rate::new("the prefix of a bucket: reads", limits::PREFIX_READS.value),
            ],
            notice: network.notice,
            hop: network.hop,
            announcement: network.hop,
            scatter: whole,
            scattering,
            messages,
            listed: self.is_listed(),
            process: Function { share, start: network.start },
            ramp,
            at_once: self.at_once(),
            // The state of the batch is read.
            invocation: Step {
                cpu: 0.0,
                calls: vec![Calls { rate: None, many: 2.0, units: 0.0, seconds: network.table }],
                width: 1.0,
            },
            message: step("process", mib / PROCESS).times(1.0 / messages.max(1) as f64),
            gather: whole,
            gathering: step("gather", mib / GATHER),
        }
    }
}

impl Predicted {
    /// GB of memory for a second: of scatter and gather with a whole processor, and of workers with their own.
    pub fn gigabyte_seconds(&self, memory: u64) -> f64 {
        let of = |passed: &Passed| {
            let whole = passed.scattered + passed.gathering;
            let workers = (passed.billed - whole).max(0.0);
            (whole * WHOLE_MB as f64 + workers * memory as f64) / 1024.0
        };
        f64::midpoint(of(&self.quick), of(&self.slow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(variant: &str, records: u64) -> Plan {
        let chunks = records.div_ceil(500);
        Plan {
            variant: variant.to_owned(),
            records,
            bytes: records * 84,
            chunks,
            each: 500,
            units: 1,
            concurrency: 50,
            memory: 512,
            warm: None,
        }
    }

    #[test]
    fn a_million_items_take_a_new_table_its_four_minutes_and_a_warm_one_less() {
        let new = plan("ranged", 1_000_000).predict().unwrap();
        assert!((250.0..300.0).contains(&new.slow.gathered), "{:?}", new.slow);
        assert!(new.binding[0].0.starts_with("the items table"), "{:?}", new.binding);
        let warm = Plan { warm: Some(40_000), ..plan("ranged", 1_000_000) }.predict().unwrap();
        assert!(warm.slow.gathered < 0.5 * new.slow.gathered, "{:?}", warm.slow);
        assert!(warm.quick.gathered <= warm.slow.gathered);
    }

    #[test]
    fn a_few_records_take_seconds_that_nothing_but_starts_decide() {
        for variant in ["chunked", "dynamodb", "ranged", "notification", "sns", "sfn", "sync", "async"] {
            let told = plan(variant, 10).predict().unwrap();
            assert!(
                told.quick.gathered > 0.3 && told.slow.gathered < 10.0,
                "{variant}: {:?} {:?}",
                told.quick,
                told.slow
            );
        }
        assert!(plan("serial", 10).predict().is_err());
    }

    #[test]
    fn a_record_in_each_message_takes_longer_than_a_chunk() {
        let of = |variant| plan(variant, 10_000).predict().unwrap().slow.gathered;
        assert!(of("sync") > 3.0 * of("chunked"));
        assert!(of("sync") > of("async") && of("async") > of("ranged"));
    }
}
