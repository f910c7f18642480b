//! What a batch of the file would make and cost.

use serde_json::{Value, json};

use super::sample::Sample;
use fanfold::model::fault::Fault;
use fanfold::model::format::InputFormat;
use fanfold::model::limits::{Estimate, Limits};
use fanfold::model::record::Entry;
use fanfold::pipeline::variant::Variant;
use fanfold::stage::scatter::cut::CHUNK_BYTES;

/// What a batch would make, and in which variant.
pub(super) struct Estimated {
    variant: Variant,
    estimate: Estimate,
    whole: bool,
}

impl Estimated {
    /// Estimates the work of a file of that many bytes by its first records, as `chunk_size` of them are in a chunk; `None`
    /// if they do not say how many there are.
    pub(super) fn of(
        sample: &Sample,
        format: &InputFormat,
        bytes: u64,
        variant: Variant,
        chunk_size: usize,
    ) -> Option<Self> {
        let many = sample.entries.len() as u64;
        let records =
            if sample.whole { many } else { sample.read.filter(|_| bytes > 0 && many > 0)?.records_in(bytes)? };
        let weight = sample.entries.iter().map(Entry::weight).sum::<usize>() as u64 / many.max(1);
        let most = records.min(variant.chunk_size(chunk_size) as u64);
        let in_a_chunk = (CHUNK_BYTES as u64 / weight.max(1)).clamp(1, most.max(1));
        let tariff = variant.fan_out.tariff(variant.waiting(format.is_in_place()), variant.condition);
        let whole = tariff.chunk(in_a_chunk, in_a_chunk.saturating_mul(weight)).scaled(records);
        Some(Self { variant, estimate: Estimate { whole, sample: many }, whole: sample.whole })
    }

    /// Why a batch would be refused, if it would.
    pub(super) fn fault(&self, limits: &Limits) -> Option<Fault> {
        let limit = limits.exceeded(&self.estimate.whole, 1)?;
        Some(limits.fault(limit, Some(&self.estimate)))
    }

    /// The estimate for programs.
    pub(super) fn document(&self) -> Value {
        let Estimate { whole, sample } = self.estimate;
        json!({
            "variant": self.variant.name,
            "sample": sample,
            "records": whole.records,
            "writtenBytes": whole.written_bytes,
            "dollars": whole.dollars.value(),
        })
    }

    /// The estimate for people.
    pub(super) fn words(&self) -> String {
        let Estimate { whole, sample } = self.estimate;
        let (about, by) = if self.whole {
            ("", String::new())
        } else {
            ("about ", format!(", estimated from the first {sample} records"))
        };
        let (records, bytes, dollars, name) = (whole.records, whole.written_bytes, whole.dollars, self.variant.name);
        format!("{about}{records} records, {bytes} bytes written, {dollars} in variant {name}{by}")
    }
}
