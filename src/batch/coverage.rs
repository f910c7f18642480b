//! Which part of its input the chunks of a batch cover, for batches whose chunks are ranges. A batch that was sealed
//! by force may have holes: scatter writes groups of claims concurrently, and died before it had written them all.

use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::Batch;
use crate::model::range::{Claim, Range};
use crate::store::ledger::{CLAIMS, Claims};

/// The part of an input that lies in chunks.
#[derive(Debug, Default)]
pub struct Coverage {
    /// The range of the first chunk that is known; none if no chunk is.
    pub first: Option<Range>,
    /// One past the index of the last record.
    pub end: u64,
    /// The records that lie in no chunk, by their indexes, in ascending order.
    pub holes: Vec<std::ops::Range<u64>>,
    /// One past the last byte of the last chunk.
    end_byte: u64,
    /// Bytes that lie in no chunk, before the last one.
    bytes: u64,
}

impl Coverage {
    /// The coverage of a batch without holes, given its first and last chunk.
    pub fn without_holes(first: &Claim, last: &Claim) -> Self {
        let (end, end_byte) = (last.records().end, last.range.bytes().end);
        Self { first: Some(first.range), end, end_byte, ..Self::default() }
    }

    /// Adds the next known claim, in chunk order.
    pub fn add(&mut self, claim: &Claim) {
        let range = &claim.range;
        if range.first > self.end {
            self.holes.push(self.end..range.first);
            self.bytes += range.offset.saturating_sub(self.end_byte.max(range.header));
        }
        self.first.get_or_insert(*range);
        self.end = claim.records().end;
        self.end_byte = range.bytes().end;
    }

    /// How many bytes of the input were never read: those of the holes, and those after the last chunk.
    pub fn unread(&self, input_bytes: u64) -> u64 {
        self.bytes + input_bytes.saturating_sub(self.end_byte)
    }
}

/// Returns what the known chunks of a sealed batch cover.
///
/// # Errors
/// Those of the ledger; `Internal` if a batch that was not sealed by force lacks a chunk.
pub async fn of(ledger: &impl Claims, batch: &Batch) -> Result<Coverage> {
    let (id, chunks) = (&batch.opening.id, batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks));
    let mut coverage = Coverage::default();
    if batch.is_sealed_by_force() {
        // A scatter that is still running after the seal may write claims of chunks that the batch does not count.
        let add = |chunk: ChunkIndex, claim: Claim| {
            if chunk.get() < chunks {
                coverage.add(&claim)
            }
        };
        each_claim(ledger, id, 0, add).await?;
        return Ok(coverage);
    }
    let Some(last) = chunks.checked_sub(1) else {
        return Ok(coverage);
    };
    match claims(ledger, id, &[ChunkIndex::new(0)?, ChunkIndex::new(last)?]).await?[..] {
        [(_, Some(first)), (_, Some(last))] => Ok(Coverage::without_holes(&first, &last)),
        _ => Err(Error::internal(format!("the claims of batch {id} are missing"))),
    }
}

/// Returns the claims of some chunks of a batch whose chunks are ranges of the input.
///
/// # Errors
/// Those of the ledger.
pub async fn claims(
    ledger: &impl Claims,
    id: &BatchId,
    chunks: &[ChunkIndex],
) -> Result<Vec<(ChunkIndex, Option<Claim>)>> {
    let mut claims = Vec::with_capacity(chunks.len());
    let mut held: Option<(u32, Vec<Claim>)> = None;
    for &chunk in chunks {
        let (group, place) = (chunk.get() / CLAIMS, (chunk.get() % CLAIMS) as usize);
        let group = match held.take().filter(|(number, _)| *number == group) {
            Some(held) => held,
            None => (group, ledger.read_claims(id, group..group + 1).await?.concat()),
        };
        claims.push((chunk, group.1.get(place).copied()));
        held = Some(group);
    }
    Ok(claims)
}

/// Returns where to begin if a batch whose chunks are ranges is read from record `index` on: the range of the last known
/// chunk that does not begin after it, or of one before. `None` if no such chunk is known.
///
/// # Errors
/// Those of the ledger.
pub async fn start_of(ledger: &impl Claims, id: &BatchId, chunks: u32, index: u64) -> Result<Option<Range>> {
    // Groups that a scatter which died left out; more than that many in a row only cost a longer way.
    const PAGE: u32 = 20;
    let (mut low, mut high, mut start) = (0, chunks.div_ceil(CLAIMS), None);
    while low < high {
        let middle = low + (high - low) / 2;
        let end = high.min(middle.saturating_add(PAGE));
        let claims = ledger.read_claims(id, middle..end).await?.concat();
        let before = claims.iter().take_while(|claim| claim.range.first <= index).count();
        match before.checked_sub(1) {
            Some(last) => {
                start = Some(claims[last].range);
                if before < claims.len() {
                    break;
                }
                low = end;
            }
            None => high = middle,
        }
    }
    Ok(start)
}

/// Passes the claims of a batch to `take`, in chunk order, from a chunk on that is the first of its group.
///
/// # Errors
/// Those of the ledger.
pub async fn each_claim(
    ledger: &impl Claims,
    id: &BatchId,
    from: u32,
    mut take: impl FnMut(ChunkIndex, Claim),
) -> Result<()> {
    const PAGE: u32 = 100;
    let mut from = from / CLAIMS;
    loop {
        let page = ledger.read_claims(id, from..from + PAGE).await?;
        // Groups are written concurrently, so one may be missing before another that exists.
        if page.iter().all(Vec::is_empty) {
            return Ok(());
        }
        for (group, claims) in (from..).zip(page) {
            for (place, claim) in (0..).zip(claims) {
                take(ChunkIndex::new(group * CLAIMS + place)?, claim);
            }
        }
        from += PAGE;
    }
}

/// Ascending ranges, queried with ascending numbers.
#[derive(Debug, Default)]
pub struct Ascending(std::collections::VecDeque<std::ops::Range<u64>>);

impl Ascending {
    /// Adds a range that begins at or after the end of the last one. Ranges that follow each other are one.
    pub fn push(&mut self, range: std::ops::Range<u64>) {
        match self.0.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.0.push_back(range),
        }
    }

    /// The ranges that numbers may still lie in.
    pub fn ranges(&self) -> Vec<std::ops::Range<u64>> {
        self.0.iter().cloned().collect()
    }

    /// Whether a number, which must not be less than the one before it, lies in a range.
    pub fn hold(&mut self, number: u64) -> bool {
        while self.0.front().is_some_and(|range| range.end <= number) {
            self.0.pop_front();
        }
        self.0.front().is_some_and(|range| range.contains(&number))
    }
}

impl FromIterator<std::ops::Range<u64>> for Ascending {
    fn from_iter<I: IntoIterator<Item = std::ops::Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|range| all.push(range));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timestamp::Timestamp;
    use crate::store::ledger::memory::MemoryLedger;

    fn claim(first: u64, records: u32) -> Claim {
        // Records of nine bytes and a line end, after a header of twenty.
        let (offset, length) = (20 + first * 10, u64::from(records) * 10 - 1);
        Claim { range: Range { offset, length, first, line: first + 2, column: 1, header: 20 }, records }
    }

    fn coverage(claims: &[(u64, u32)]) -> Coverage {
        let mut coverage = Coverage::default();
        claims.iter().for_each(|(first, records)| coverage.add(&claim(*first, *records)));
        coverage
    }

    #[test]
    fn holes_are_what_lies_between_claims() {
        let whole = coverage(&[(0, 2), (2, 2), (4, 1)]);
        assert_eq!((whole.holes.len(), whole.end, whole.unread(70)), (0, 5, 1), "only the last line end");
        let holes = coverage(&[(2, 2), (4, 1), (9, 1)]);
        assert_eq!(holes.holes, [0..2, 5..9]);
        assert_eq!((holes.first.unwrap().first, holes.end), (2, 10));
        // Two records with their line ends, four with the line end before them, and thirty bytes at the end.
        assert_eq!(holes.unread(149), 20 + 41 + 30);
        assert_eq!(coverage(&[]).unread(149), 149);
    }

    #[tokio::test]
    async fn reading_begins_with_a_claim_at_or_before_the_record() {
        let id = BatchId::parse("orders-0123456789ab").unwrap();
        // Groups of ten chunks of three records each, some of which are missing.
        let chunks = 798;
        for missing in [0..0, 0..1, 3..5, 79..80, 30..46, 64..80, 0..80] {
            let (ledger, mut known) = (MemoryLedger::new(), Vec::new());
            for group in (0..80).filter(|group| !missing.contains(group)) {
                let claims = (group * CLAIMS..chunks.min((group + 1) * CLAIMS)).map(|n| claim(u64::from(n) * 3, 3));
                let claims: Vec<Claim> = claims.collect();
                ledger.put_claims(&id, group, &claims, Timestamp(0)).await.unwrap();
                known.extend(claims.into_iter().map(|claim| claim.range));
            }
            for index in 0..2_400 {
                let start = start_of(&ledger, &id, chunks, index).await.unwrap();
                assert_eq!(start.as_ref(), known.iter().rfind(|range| range.first <= index), "{index}, {missing:?}");
            }
        }
    }

    #[test]
    fn ascending_ranges_hold_what_lies_in_them() {
        let mut ranges: Ascending = [2..4, 4..5, 9..10].into_iter().collect();
        assert_eq!(ranges.ranges(), [2..5, 9..10]);
        let held: Vec<u64> = (0..12).filter(|number| ranges.hold(*number)).collect();
        assert_eq!(held, [2, 3, 4, 9]);
    }
}
