//! The promises about the scanner: the ranges of the chunks hold all records of the file.

use crate::cut::Cut;
use crate::decode::{Decoded, KEY_FIELD, decode, headless_format, most};
use crate::memory;
use fanfold::format::Decoder;
use fanfold::format::scan::Scanner;
use fanfold::model::fault::Fault;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::range::{Claim, Range};

/// A file as a scanner saw it.
#[derive(Debug, PartialEq)]
pub struct Scanned {
    /// Its chunks.
    pub claims: Vec<Claim>,
    /// The fault that ended it early.
    pub fault: Option<Fault>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes that hold the columns.
    pub header: u64,
    /// What each record weighs beside its own bytes.
    pub names: u64,
}

/// Ranges: after the cut there are three bytes, for the format, the maximum number of records in a chunk and
/// its maximum number of bytes; then comes the file. Decoding the ranges gives the same as decoding the file.
pub fn ranges(data: &[u8]) {
    let [cut, layout, chunk_size, chunk_bytes, file @ ..] = data else { return };
    let format = match (layout % 3, layout / 3 % 2) {
        (0, 0) => InputFormat::plain(Layout::Csv),
        (0, _) => headless_format(),
        (1, _) => InputFormat::plain(Layout::Json),
        _ => InputFormat::plain(Layout::Jsonl),
    };
    let (chunk_size, chunk_bytes) = (usize::from(*chunk_size) % 8 + 1, usize::from(*chunk_bytes) + 1);
    let whole = decode(format.clone(), file, Cut::WHOLE);
    let scanned = scan(&format, Cut(*cut).pieces(file), chunk_size, chunk_bytes);
    assert_eq!(scanned.fault, whole.fault);
    assert_eq!(scanned.columns, whole.columns);
    ascend(&scanned, file.len());
    fill(&scanned.claims, &scan(&format, Cut::WHOLE.pieces(file), 1, 1), chunk_size, chunk_bytes);
    for pieces in [Cut::WHOLE, Cut(*cut)] {
        let mut parts = Decoded { fault: whole.fault.clone(), columns: whole.columns.clone(), ..Decoded::default() };
        for claim in &scanned.claims {
            let before = parts.entries.len();
            part(&format, file, &scanned, &claim.range, pieces, &mut parts);
            assert_eq!(parts.entries.len() - before, claim.records as usize, "{claim:?}");
        }
        assert_eq!(parts.shown(), whole.shown(), "of the ranges and of the file");
    }
}

/// Scans a file in pieces.
///
/// # Panics
/// If the scanner held more than a decoder may that makes no entries.
pub fn scan<P: AsRef<[u8]>>(
    format: &InputFormat,
    mut pieces: impl Iterator<Item = P>,
    chunk_size: usize,
    chunk_bytes: usize,
) -> Scanned {
    let base = memory::live();
    let mut scanner = Scanner::new(format, KEY_FIELD, chunk_size, chunk_bytes);
    let (mut read, mut all) = (0, Vec::new());
    loop {
        let mut claims = Vec::new();
        let piece = memory::uncounted(|| pieces.next());
        memory::reset_peak();
        let result = match &piece {
            Some(piece) => scanner.push(piece.as_ref(), &mut claims),
            None => scanner.finish(&mut claims),
        };
        let held = usize::try_from(memory::peak() - base).unwrap_or(0);
        memory::uncounted(|| {
            read += piece.as_ref().map_or(0, |piece| piece.as_ref().len());
            let claimed = 3 * claims.capacity() * size_of::<Claim>();
            let most = most(format, read, 0, &[]) + claimed;
            assert!(held <= most, "{held} bytes held, at most {most} allowed after {read} bytes");
            all.extend_from_slice(&claims);
        });
        drop(claims);
        let last = piece.is_none();
        memory::uncounted(|| drop(piece));
        if last || result.is_err() {
            let columns = scanner.columns().map(<[String]>::to_vec);
            let (header, names) = (scanner.header(), scanner.names());
            return Scanned { claims: all, fault: result.err(), columns, header, names };
        }
    }
}

fn part(format: &InputFormat, file: &[u8], scanned: &Scanned, range: &Range, cut: Cut, parts: &mut Decoded) {
    let start = usize::try_from(range.offset).expect("an offset in memory");
    let length = usize::try_from(range.length).expect("a length in memory");
    let mut decoder = Decoder::part(format, scanned.columns.as_deref().unwrap_or_default(), range);
    for piece in cut.pieces(&file[start..start + length]) {
        decoder.push(piece, &mut parts.entries).expect("a range that was scanned");
    }
    decoder.finish(&mut parts.entries).expect("a range that was scanned");
}

fn ascend(scanned: &Scanned, length: usize) {
    let (mut place, mut next) = (scanned.header, 0);
    for Claim { range, records } in &scanned.claims {
        assert!(range.offset >= place && range.length > 0 && *records > 0, "{range:?} after byte {place}");
        assert_eq!(range.first, next);
        place = range.offset + range.length;
        next += u64::from(*records);
    }
    assert!(place <= length as u64);
}

/// Checks that every chunk holds as many of the records as it may.
fn fill(claims: &[Claim], single: &Scanned, chunk_size: usize, chunk_bytes: usize) {
    let mut chunks: Vec<Claim> = Vec::new();
    for record in &single.claims {
        if let Some(Claim { range, records }) = chunks.last_mut() {
            let length = record.range.offset + record.range.length - range.offset;
            let weight = length + u64::from(*records + 1) * single.names;
            if (*records as usize) < chunk_size && weight <= chunk_bytes as u64 {
                range.length = length;
                *records += 1;
                continue;
            }
        }
        chunks.push(*record);
    }
    assert_eq!(claims, chunks);
}
