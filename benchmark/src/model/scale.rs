//! Batches of a million records and more, as the model sees them: nobody has run them here.

use fanfold::model::cost::{price, writes};
use fanfold::model::error::Result;
use fanfold::model::ids::{MAX_CHUNKS, MAX_TREE_CHUNKS};
use fanfold::model::price::{LAMBDA_GB_SECOND, LAMBDA_REQUEST};
use fanfold::pipeline::variant::BUILT_IN;
use fanfold_plan::own::{Plan, Predicted};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use crate::report::plot::Figure;
use crate::report::plot::axes::{Axes, GREY, INK, LEFT, script};
use crate::report::plot::canvas::{Canvas, HEIGHT, Script, Stroke};
use crate::report::plot::figure::look;

/// Bytes of a record.
const RECORD: u64 = 100;
/// Records of a chunk, by default.
const CHUNK: u64 = 500;

/// A batch of so many records.
pub struct Scaled {
    pub variant: &'static str,
    pub records: u64,
    /// Chunks, and whether a batch may have as many.
    pub chunks: (u64, bool),
    pub seconds: (f64, f64),
    pub dollars: f64,
    /// What holds it up.
    pub binding: Option<String>,
}

/// Batches of a million to a billion records in all variants.
pub fn all() -> Vec<Scaled> {
    let counts = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
    BUILT_IN.iter().flat_map(|variant| counts.map(|records| scaled(variant.name, records))).collect()
}

fn scaled(variant: &'static str, records: u64) -> Scaled {
    let of_records = matches!(variant, "sync" | "async");
    let (chunks, most) = if of_records { (records, MAX_CHUNKS) } else { (records.div_ceil(CHUNK), MAX_TREE_CHUNKS) };
    let plan = Plan {
        variant: variant.to_owned(),
        records,
        bytes: records * RECORD,
        chunks: records.div_ceil(CHUNK),
        each: CHUNK,
        units: 1,
        concurrency: 50,
        memory: 512,
        warm: None,
    };
    let Ok(predicted) = plan.predict() else { unreachable!("every variant was counted") };
    Scaled {
        variant,
        records,
        chunks: (chunks, chunks <= u64::from(most)),
        seconds: (predicted.quick.gathered, predicted.slow.gathered),
        dollars: dollars(&plan, &predicted),
        binding: predicted.binding.first().map(|(name, _)| name.clone()),
    }
}

fn dollars(plan: &Plan, predicted: &Predicted) -> f64 {
    let counts = predicted.requests.iter().map(|of| [(of.operation.clone(), of.many as u64)].into());
    let rows = writes(counts.collect::<Vec<_>>().iter(), plan.records);
    let requests = predicted.requests.iter().filter_map(|of| price(&of.operation, of.many as u64, plan.records, rows));
    let invoked = (predicted.slow.invocations + 2) as f64 * LAMBDA_REQUEST.value();
    requests.sum::<f64>() + invoked + predicted.gigabyte_seconds(plan.memory) * LAMBDA_GB_SECOND.value()
}

const HOUR: f64 = 3600.0;

/// The hours of all variants over their records.
pub struct Scales<'a>(pub &'a [Scaled]);

impl Figure for Scales<'_> {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<()> {
        let points: Vec<(f64, f64)> = self.0.iter().map(|one| (one.records as f64, one.seconds.1 / HOUR)).collect();
        let axes = Axes::around(&points);
        canvas.clear()?;
        axes.grid(canvas, "records", "hours")?;
        let title = Script { bold: true, ..script(INK, 25.0, HPos::Left) };
        canvas.text("On paper: hours on AWS with a new table and 50 workers", (LEFT, 28.0), title)?;
        let mut names: Vec<&str> = self.0.iter().map(|one| one.variant).collect();
        names.dedup();
        for (place, name) in names.into_iter().enumerate() {
            let (look, y) = (look(name), 100.0 + 26.0 * place as f64);
            let of: Vec<(f64, f64)> = self
                .0
                .iter()
                .filter(|one| one.variant == name)
                .map(|one| axes.at((one.records as f64, one.seconds.1 / HOUR)))
                .collect();
            canvas.line(&of, Stroke { color: look.color, alpha: 0.9, width: 2.0, dashes: &[] })?;
            for (at, one) in of.iter().zip(self.0.iter().filter(|one| one.variant == name)) {
                // Pale where it would be refused.
                canvas.marker(look.shape, *at, 11.0, look.color, if one.chunks.1 { 1.0 } else { 0.3 })?;
            }
            canvas.marker(look.shape, (996.0, y), 12.0, look.color, 1.0)?;
            canvas.text(name, (1012.0, y), Script { bold: true, ..script(look.color, 19.0, HPos::Left) })?;
        }
        let legend = "The slower end of each range. Pale: more chunks than a batch may have.";
        canvas.text(legend, (LEFT, f64::from(HEIGHT) - 20.0), script(GREY, 15.0, HPos::Left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_times_the_records_cost_a_thousand_times_as_much() {
        let all = all();
        assert_eq!(all.len(), 4 * BUILT_IN.len());
        for variant in BUILT_IN {
            let of: Vec<&Scaled> = all.iter().filter(|one| one.variant == variant.name).collect();
            let times = of[3].dollars / of[0].dollars;
            assert!((700.0..1_300.0).contains(&times), "{}: {times}", variant.name);
            assert!(of.windows(2).all(|two| two[0].seconds.1 < two[1].seconds.1), "{}", variant.name);
            assert_eq!(of[3].chunks.1, !matches!(variant.name, "sync" | "async"));
        }
    }
}
