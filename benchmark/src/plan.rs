//! The batches of a run, and their order.

use std::time::Duration;

use fanfold::model::error::{Error, Result};

/// The name of the bare loop, where variants are named.
pub const FLOOR: &str = "floor";

/// What is known about a variant before it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traits {
    /// The maximum number of records to measure it with, since its time grows with every record.
    pub cap: u64,
    /// The expected records per second, for the time left.
    pub usual_rate: f64,
    /// The records per second below which a batch is given up.
    pub least_rate: f64,
}

/// The traits of a variant; an unknown one is treated like `chunked`.
pub fn traits(variant: &str) -> Traits {
    match variant {
        "sync" => Traits { cap: 10_000, usual_rate: 25.0, least_rate: 2.0 },
        "async" | "dynamodb" => Traits { cap: 100_000, usual_rate: 40.0, least_rate: 4.0 },
        _ => Traits { cap: 10_000_000, usual_rate: 2500.0, least_rate: 50.0 },
    }
}

/// One batch to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The variant, or [`FLOOR`].
    pub variant: String,
    /// Its records.
    pub count: u64,
    /// Which repeat, from 1.
    pub repeat: u32,
}

impl Step {
    /// How long to wait for the batch: a minute for what every batch needs, and the rest by its size.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(60.0 + self.count as f64 / traits(&self.variant).least_rate)
    }

    /// The expected duration of the batch, in seconds.
    pub fn expected(&self) -> f64 {
        1.0 + self.count as f64 / traits(&self.variant).usual_rate
    }
}

/// The steps of a run: variants take turns, so that a change on the machine or in the network during the run
/// does not affect just one of them.
///
/// # Errors
/// `Config` for a count of 0 or above a variant's cap, or if there is nothing to do.
pub fn steps(variants: &[String], counts: &[u64], repeats: u32, lift_caps: bool) -> Result<Vec<Step>> {
    if variants.is_empty() || counts.is_empty() || repeats == 0 {
        return Err(Error::config("nothing to measure: name at least one variant, one count and one repeat"));
    }
    if let Some(twice) = variants.iter().enumerate().find(|(at, name)| variants[..*at].contains(name)) {
        return Err(Error::config(format!("variant {:?} is named twice", twice.1)));
    }
    let mut steps = Vec::new();
    for &count in counts {
        for repeat in 1..=repeats {
            for variant in variants {
                check(variant, count, lift_caps)?;
                steps.push(Step { variant: variant.clone(), count, repeat });
            }
        }
    }
    Ok(steps)
}

fn check(variant: &str, count: u64, lift_caps: bool) -> Result<()> {
    if count == 0 {
        return Err(Error::config("a count is 0: a batch without records has nothing to measure"));
    }
    let cap = traits(variant).cap;
    if count > cap && !lift_caps {
        return Err(Error::config(format!(
            "{count} records are over the cap of {variant}, {cap}: leave out the count or the variant, or lift the caps \
             with --lift-caps"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn variants_take_turns_within_each_repeat_of_each_count() {
        let steps = steps(&names(&["sync", "chunked", FLOOR]), &[10, 100], 2, false).unwrap();
        let order: Vec<String> = steps.iter().map(|s| format!("{} {} {}", s.count, s.repeat, s.variant)).collect();
        assert_eq!(
            order,
            [
                "10 1 sync",
                "10 1 chunked",
                "10 1 floor",
                "10 2 sync",
                "10 2 chunked",
                "10 2 floor",
                "100 1 sync",
                "100 1 chunked",
                "100 1 floor",
                "100 2 sync",
                "100 2 chunked",
                "100 2 floor",
            ]
        );
    }

    #[test]
    fn caps_hold_until_they_are_lifted() {
        for (variant, cap) in [("sync", 10_000), ("async", 100_000), ("dynamodb", 100_000), ("chunked", 10_000_000)] {
            let variants = names(&[variant]);
            assert!(steps(&variants, &[cap], 1, false).is_ok());
            let told = steps(&variants, &[10, cap + 1], 1, false).unwrap_err().to_string();
            assert!(told.contains(&format!("the cap of {variant}, {cap}")) && told.contains("--lift-caps"), "{told}");
            assert_eq!(steps(&variants, &[cap + 1], 1, true).unwrap().len(), 1);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let some = names(&["sync"]);
        assert!(steps(&some, &[10, 0], 1, true).unwrap_err().to_string().contains("a count is 0"));
        assert!(steps(&some, &[], 1, false).is_err());
        assert!(steps(&[], &[1], 1, false).is_err());
        assert!(steps(&some, &[1], 0, false).is_err());
        assert!(steps(&names(&["sync", "sync"]), &[1], 1, false).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn patience_grows_with_the_records() {
        let step = |variant: &str, count| Step { variant: variant.into(), count, repeat: 1 };
        assert!(step("sync", 10_000).patience() > step("sync", 10).patience());
        assert!(step("sync", 10_000).patience().as_secs_f64() > step("sync", 10_000).expected() * 5.0);
    }
}
