//! Records that say what a user's function does with them, and what the functions noted
//! (`crates/cli/tests/functions`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fanfold::model::ids::{BatchId, TaskId};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::world::{World, variable};

/// Who kills the functions of the pipeline `own` holds this alone: who counts its calls to the last one would find a call
/// repeated whose answer was lost with the function that waited for it.
pub static KILLS_OF_OWN: RwLock<()> = RwLock::const_new(());

/// How often a record is tried that fails for the time being.
const MOST_TRIES: u32 = 5;
/// More often than any record is tried.
pub const ALWAYS: u32 = 9;

/// A record: what the function does with it, and in how many tries before all is well.
#[derive(Debug, Clone, Copy)]
pub struct Case(pub &'static str, pub u32);

impl Case {
    /// How often the function is asked about it, if it does nothing worse than to fail for the time being.
    pub fn tries(self) -> u32 {
        (self.1 + 1).min(MOST_TRIES)
    }

    /// Whether it fails in the end.
    pub fn fails(self) -> bool {
        self.1 >= MOST_TRIES
    }
}

/// What is counted of a group: records, and hundredths of their prices.
pub type Fold = BTreeMap<String, (u64, u64)>;

/// A file of such records.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub cases: Vec<Case>,
}

impl File {
    /// A file whose records have keys and groups of this run alone.
    pub fn new(name: &str, cases: &[Case]) -> Self {
        Self { name: format!("{name}-{}", std::process::id()), cases: cases.to_vec() }
    }

    pub fn key(&self, n: usize) -> String {
        format!("{}-{n}", self.name)
    }

    pub fn group(&self, n: usize) -> String {
        format!("{}-{}", self.name, n % 2)
    }

    /// A record as a row of a CSV file.
    pub fn row(&self, n: usize) -> String {
        let Case(mode, wrong) = self.cases[n];
        format!("{},{n}.25,{},{mode},{wrong}", self.key(n), self.group(n))
    }

    pub fn csv(&self) -> String {
        let rows: String = (0..self.cases.len()).map(|n| self.row(n) + "\n").collect();
        format!("{HEADER}\n{rows}")
    }

    /// The same as JSON Lines.
    pub fn jsonl(&self) -> String {
        let line = |(n, Case(mode, wrong)): (usize, &Case)| {
            let price = n as f64 + 0.25;
            json!({"itemNo": self.key(n), "price": price, "group": self.group(n), "mode": mode, "wrong": wrong})
        };
        self.cases.iter().enumerate().map(|case| line(case).to_string() + "\n").collect()
    }

    /// What is counted if these records succeed, and no others.
    pub fn fold(&self, succeeds: impl Fn(Case) -> bool) -> Fold {
        let mut fold = Fold::new();
        for n in 0..self.cases.len() {
            let (count, sum) = fold.entry(self.group(n)).or_default();
            if succeeds(self.cases[n]) {
                (*count, *sum) = (*count + 1, *sum + 100 * n as u64 + 25);
            }
        }
        fold
    }
}

pub const HEADER: &str = "itemNo,price,group,mode,wrong";

/// Checks that the command tells of these groups what a plain fold comes to.
pub fn check_counters(world: &World, fold: &Fold) {
    for (group, (count, sum)) in fold {
        let told = world.counted(group);
        assert_eq!(told["count"], json!(count), "{group}: {told}");
        let price = told["sum"]["price"].as_str().unwrap_or("0");
        assert_eq!(price.parse::<f64>().unwrap() * 100.0, *sum as f64, "{group}: {told}");
    }
}

/// What functions noted.
pub struct Notes(PathBuf);

impl Notes {
    pub fn open() -> Self {
        Self(variable("FANFOLD_TEST_NOTES").into())
    }

    /// The notes of a kind about a task.
    pub fn of(&self, kind: &str, task: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.join(kind).join(task)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The calls about a record.
    pub fn calls(&self, batch: &BatchId, n: usize) -> Vec<Value> {
        self.of("calls", &TaskId::of(batch, n as u64).to_string())
    }

    /// How often a record had its effect.
    pub fn effects(&self, batch: &BatchId, n: usize) -> usize {
        self.of("effects", &TaskId::of(batch, n as u64).to_string()).len()
    }

    /// How many of so many records have had their effect.
    pub fn had_effects(&self, batch: &BatchId, records: usize) -> usize {
        (0..records).filter(|n| self.effects(batch, *n) > 0).count()
    }

    /// Turns a switch that functions look at.
    pub fn turn(&self, switch: &str, on: bool) {
        let file = self.0.join("switches").join(switch);
        if on {
            std::fs::write(file, "").unwrap();
        } else if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
}

/// The tries that calls about a record were made in, each once: who dies, or whose time ends, before it has kept an answer leaves the
/// same try to the next one.
pub fn tries(calls: &[Value]) -> Vec<u64> {
    calls.iter().map(|call| call["attempt"].as_u64().unwrap()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// How many calls the notes about some records are of.
pub fn distinct(notes: &[Value]) -> usize {
    notes.iter().map(|note| note["call"].as_str().unwrap()).collect::<BTreeSet<_>>().len()
}
