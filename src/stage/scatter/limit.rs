//! Bounds the work of a batch: a chunk that would exceed a limit is not made, and ends its batch.

use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::too_many_chunks;
use crate::model::limits::{Estimate, Limits};
use crate::model::price::{Tariff, Work};

/// How many times a limit has to be exceeded by an estimate from the first chunks; they may be unlike the rest.
const FIRST_MARGIN: u64 = 10;
/// The same once so many records are known, or so many bytes of them: they say what a file is like.
const MARGIN: u64 = 3;
const SETTLED_RECORDS: u64 = 500;
const SETTLED_BYTES: u64 = 64 * 1024;

/// What a batch may still make.
#[derive(Debug, Clone)]
pub struct Budget {
    most_chunks: u32,
    limits: Limits,
    tariff: Option<Tariff>,
    size: Option<u64>,
    chunks: u32,
    work: Work,
}

/// How far an input was read.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The records that were found.
    pub records: u64,
    /// The bytes up to the end of the last of them.
    pub bytes: u64,
    /// How many of these are a header, which no other record has.
    pub header: u64,
}

impl Progress {
    fn is_settled(&self) -> bool {
        self.records >= SETTLED_RECORDS || self.bytes.saturating_sub(self.header) >= SETTLED_BYTES
    }

    /// How many records there are in an input of that many bytes, if it goes on as it began.
    pub fn records_in(&self, bytes: u64) -> Option<u64> {
        let body = |bytes: u64| u128::from(bytes.saturating_sub(self.header));
        let records = (u128::from(self.records) * body(bytes)).checked_div(body(self.bytes))?;
        Some(u64::try_from(records).unwrap_or(u64::MAX).max(self.records))
    }
}

impl Budget {
    /// The budget of a batch of at most `most_chunks` chunks, whose work is limited and priced by a tariff.
    pub fn new(most_chunks: u32, limits: Limits, tariff: Tariff) -> Self {
        Self { limits, tariff: Some(tariff), ..Self::chunks(most_chunks) }
    }

    /// A budget of so many chunks, whatever their work is.
    pub fn chunks(most_chunks: u32) -> Self {
        let (limits, work) = (Limits::NONE, Work::default());
        Self { most_chunks, limits, tariff: None, size: None, chunks: 0, work }
    }

    /// Goes on after so many chunks, which take this of it.
    pub fn seek(&mut self, chunks: u32, work: Work) {
        (self.chunks, self.work) = (chunks, work);
    }

    /// What was taken so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// The same for an input of that many bytes: how far it was read tells how much there is to come.
    #[must_use]
    pub fn of_size(self, bytes: u64) -> Self {
        Self { size: Some(bytes).filter(|bytes| *bytes > 0), ..self }
    }

    /// Takes the next chunk, of `records` records that are `weight` bytes as JSON, up to which the input was read so far.
    ///
    /// # Errors
    /// The fault with which the batch ends, without this chunk.
    pub fn take(&mut self, records: usize, weight: u64, read: Option<Progress>) -> Result<(), Fault> {
        if self.chunks == self.most_chunks {
            return Err(Fault::new(FaultCode::TooManyChunks, too_many_chunks(self.most_chunks)));
        }
        self.chunks += 1;
        let Some(tariff) = &self.tariff else {
            self.work = self.work + Work { records: records as u64, ..Work::default() };
            return Ok(());
        };
        self.work = self.work + tariff.chunk(records as u64, weight);
        let ahead = read.and_then(|read| self.ahead(read));
        let margin = if read.is_some_and(|read| read.is_settled()) { MARGIN } else { FIRST_MARGIN };
        let by_estimate = || self.limits.exceeded(&ahead?.whole, margin);
        match self.limits.exceeded(&self.work, 1).or_else(by_estimate) {
            Some(limit) => Err(self.limits.fault(limit, ahead.as_ref())),
            None => Ok(()),
        }
    }

    /// What the whole input will make, if it goes on as it began.
    fn ahead(&self, read: Progress) -> Option<Estimate> {
        let records = read.records_in(self.size?)?;
        Some(Estimate { whole: self.work.scaled(records), sample: self.work.records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Condition;
    use crate::model::price::Waiting;

    fn budget(limits: &str) -> Budget {
        Budget::new(1000, Limits::parse(limits).unwrap(), Tariff::of(Waiting::InPlace, Condition::Tree))
    }

    /// How many chunks of ten records, each of which weighs `weight`, are taken of a file.
    fn taken(mut budget: Budget, weight: u64, read: impl Fn(u64) -> Option<Progress>) -> (u64, String) {
        for chunk in 0.. {
            if let Err(fault) = budget.take(10, 10 * weight, read(chunk)) {
                return (chunk, format!("{}: {}", fault.code, fault.message));
            }
        }
        unreachable!()
    }

    #[test]
    fn the_chunk_that_would_exceed_a_limit_is_not_made() {
        let (chunks, told) = taken(budget(r#"{"records":39}"#), 100, |_| None);
        assert_eq!(chunks, 3);
        assert!(told.starts_with("LIMIT_EXCEEDED: the file would make more than 39 records"), "{told}");
        assert_eq!(taken(budget(r#"{"records":40}"#), 100, |_| None).0, 4);
        assert_eq!(taken(budget(r#"{"writtenBytes":5000}"#), 100, |_| None).0, 5);
        // Ten records of two units, and what a chunk costs.
        let (chunks, told) = taken(budget(r#"{"dollars":0.0001}"#), 1000, |_| None);
        assert_eq!(chunks, 6, "{told}");
        let (chunks, told) = taken(budget("{}"), 100, |_| None);
        assert!(chunks == 1000 && told.starts_with("TOO_MANY_CHUNKS"), "{told}");
        assert_eq!(taken(Budget::chunks(7), u64::MAX / 10, |_| None).0, 7);
    }

    #[test]
    fn a_file_that_goes_on_as_it_began_is_known_by_its_first_chunks() {
        let read = |chunk| Some(Progress { records: 10 * (chunk + 1), bytes: 7000 + 1000 * (chunk + 1), header: 7000 });
        // It makes 10,000 records.
        let of = |limits: &str| taken(budget(limits).of_size(1_007_000), 100, read);
        let (chunks, told) = of(r#"{"records":999}"#);
        assert!(chunks == 0 && told.contains("about 10000 records, by its first 10 records"), "{told}");
        assert_eq!(of(r#"{"records":1000}"#).0, 49);
        assert_eq!(of(r#"{"records":3000}"#).0, 49);
        assert_eq!(of(r#"{"records":3334}"#).0, 333);
        // Without its size, or a byte of it, nothing is known.
        assert_eq!(taken(budget(r#"{"records":99}"#), 100, read).0, 9);
        let nothing = |_| Some(Progress { records: 0, bytes: 0, header: 0 });
        assert_eq!(taken(budget(r#"{"records":99}"#).of_size(7), 100, nothing).0, 9);
    }
}
