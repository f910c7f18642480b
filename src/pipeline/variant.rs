//! The variants: one pipeline, put together from different parts. Each variant is a Cargo feature; one that is not
//! built in cannot be named.

use crate::batch::chunks::MOST_AT_ONCE;
use crate::batch::dispatch::FanOut;
use crate::model::condition::Condition;
use crate::model::error::{Error, Result};
use crate::model::price::Waiting;
use crate::pipeline::Queue;

/// Calls under way at once where a variant works concurrently.
pub const CONCURRENT: usize = MOST_AT_ONCE as usize;
/// One call after another.
pub const SERIAL: usize = 1;

/// What one message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One record.
    Record,
    /// A chunk of records.
    Chunk,
}

/// Where pending records wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// In the work bucket.
    Bucket,
    /// In the tasks table.
    Table,
    /// In the input itself.
    Input,
}

/// What a variant's pipeline is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The name, as in `VARIANT`.
    pub name: &'static str,
    /// What one message is about.
    pub unit: Unit,
    /// Where pending records wait.
    pub pending: Pending,
    /// The most calls to AWS that one function has under way at once.
    pub width: usize,
    /// How workers learn of the chunks that wait for them.
    pub fan_out: FanOut,
    /// How the end of a batch is noticed.
    pub condition: Condition,
}

/// The variants of this build.
pub const BUILT_IN: &[Variant] = &[
    #[cfg(feature = "sync")]
    Variant {
        name: "sync",
        unit: Unit::Record,
        pending: Pending::Bucket,
        width: SERIAL,
        fan_out: FanOut::Messages,
        condition: Condition::Listing,
    },
    #[cfg(feature = "async")]
    Variant {
        name: "async",
        unit: Unit::Record,
        pending: Pending::Bucket,
        width: CONCURRENT,
        fan_out: FanOut::Messages,
        condition: Condition::Listing,
    },
    #[cfg(feature = "chunked")]
    Variant {
        name: "chunked",
        unit: Unit::Chunk,
        pending: Pending::Bucket,
        width: CONCURRENT,
        fan_out: FanOut::Messages,
        condition: Condition::Tree,
    },
    #[cfg(feature = "dynamodb")]
    Variant {
        name: "dynamodb",
        unit: Unit::Chunk,
        pending: Pending::Table,
        width: CONCURRENT,
        fan_out: FanOut::Messages,
        condition: Condition::Tree,
    },
    #[cfg(feature = "ranged")]
    Variant {
        name: "ranged",
        unit: Unit::Chunk,
        pending: Pending::Input,
        width: CONCURRENT,
        fan_out: FanOut::Messages,
        condition: Condition::Tree,
    },
    #[cfg(feature = "notification")]
    Variant {
        name: "notification",
        unit: Unit::Chunk,
        pending: Pending::Bucket,
        width: CONCURRENT,
        fan_out: FanOut::Notifications,
        condition: Condition::Tree,
    },
    #[cfg(feature = "sns")]
    Variant {
        name: "sns",
        unit: Unit::Chunk,
        pending: Pending::Bucket,
        width: CONCURRENT,
        fan_out: FanOut::Topic,
        condition: Condition::Tree,
    },
    #[cfg(feature = "sfn")]
    Variant {
        name: "sfn",
        unit: Unit::Chunk,
        pending: Pending::Bucket,
        width: CONCURRENT,
        fan_out: FanOut::Map,
        condition: Condition::Tree,
    },
];

impl Variant {
    /// Returns the variant with a name.
    ///
    /// # Errors
    /// `Config`, which lists the names that this build knows.
    pub fn named(name: &str) -> Result<Self> {
        BUILT_IN.iter().find(|variant| variant.name == name).copied().ok_or_else(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|variant| variant.name).collect();
            Error::config(format!(
                "VARIANT {name:?} is not built in; this build has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ))
        })
    }

    /// Returns the default variant: one that reads records in place, if this build has it.
    ///
    /// # Errors
    /// `Config` if this build has none.
    pub fn preferred() -> Result<Self> {
        let first = || BUILT_IN.first().copied();
        let found = BUILT_IN.iter().find(|variant| variant.ranged()).copied().or_else(first);
        found.ok_or_else(|| Error::config("this build has no variant; build with the feature of one"))
    }

    /// Returns the number of records in a chunk, for a deployment that wants at most `chunk_size`.
    pub fn chunk_size(self, chunk_size: usize) -> usize {
        match self.unit {
            Unit::Record => 1,
            Unit::Chunk => chunk_size,
        }
    }

    /// Where the records of a batch wait; `in_place` if its input can be read in ranges.
    pub fn waiting(self, in_place: bool) -> Waiting {
        match self.pending {
            Pending::Table => Waiting::Rows,
            Pending::Input if in_place => Waiting::InPlace,
            Pending::Bucket | Pending::Input => Waiting::Object,
        }
    }

    /// The channel by which workers first hear of a chunk.
    pub fn way(self) -> Queue {
        match self.fan_out {
            FanOut::Messages | FanOut::Notifications => Queue::Process,
            FanOut::Topic => Queue::Topic,
            FanOut::Map => Queue::Machine,
        }
    }

    /// Whether chunks are ranges of the input, where it can be read in ranges.
    pub fn ranged(self) -> bool {
        self.pending == Pending::Input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for variant in BUILT_IN {
            assert_eq!(&Variant::named(variant.name).unwrap(), variant);
        }
        let refused = Variant::named("serial").unwrap_err().to_string();
        assert!(refused.contains("\"serial\" is not built in; this build has: "), "{refused}");
        assert!(BUILT_IN.iter().all(|variant| refused.contains(variant.name)), "{refused}");
    }

    /// The infrastructure goes by the same names.
    #[test]
    fn the_infrastructure_knows_the_same_variants() {
        let told: serde_json::Value = serde_json::from_str(include_str!("../../infra/variants.json")).unwrap();
        let told = told.as_object().unwrap();
        for variant in BUILT_IN {
            let unit = if variant.unit == Unit::Record { "record" } else { "chunk" };
            let pending = match variant.pending {
                Pending::Bucket => "bucket",
                Pending::Table => "table",
                Pending::Input => "input",
            };
            let fan_out = match variant.fan_out {
                FanOut::Messages => "messages",
                FanOut::Notifications => "notifications",
                FanOut::Topic => "topic",
                FanOut::Map => "map",
            };
            let condition = if variant.condition.has_tree() { "tree" } else { "listing" };
            let parts =
                serde_json::json!({"unit": unit, "pending": pending, "fanOut": fan_out, "condition": condition});
            assert_eq!(told.get(variant.name), Some(&parts), "{}", variant.name);
        }
        // The notifications of the work bucket are limited to this suffix.
        let module = include_str!("../../infra/modules/pipeline/main.tf");
        assert!(module.contains(&format!("filter_suffix = \"{}\"", crate::model::ids::PENDING)));
        if cfg!(feature = "default") {
            assert_eq!(BUILT_IN.len(), told.len());
        }
    }

    #[test]
    fn nothing_is_unbounded() {
        assert!(BUILT_IN.iter().all(|variant| (1..=CONCURRENT).contains(&variant.width)));
    }
}
