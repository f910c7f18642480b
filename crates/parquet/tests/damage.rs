//! Files that are not what they say come out as errors in words, never as a panic.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use bytes::Bytes;
use fanfold_parquet::{Error, Limits};
use support::{file, footer, open};

/// The smallest files of every kind of page, encoding and nesting.
const FILES: &[&str] = &[
    "duckdb_snappy",
    "duckdb_v2",
    "faults",
    "int96",
    "nested_index",
    "nested_v1",
    "nested_v2",
    "pandas",
    "polars_lz4",
    "row_groups_of_one",
    "types_gzip_v2_dictionary",
    "types_lz4_v1_delta",
    "types_snappy_v1_plain",
    "types_zstd_v2_delta",
];

/// Reads a file as far as it goes.
fn read(bytes: &Bytes) -> Result<u64, Error> {
    let footer = footer(bytes)?;
    let (mut rows, mut end) = (0, Ok(()));
    let limits = Limits { page_bytes: 64 << 20, row_bytes: 1 << 20 };
    // Not so many that a forged number of rows takes for ever.
    for part in footer.plan(60, u64::MAX).take(40) {
        let part = open(bytes, &footer, &part, limits).and_then(|mut part| part.for_each(|_| rows += 1));
        end = end.and(part);
    }
    end.map(|()| rows)
}

/// Reads a file; a panic fails the test as `what`. Those of the parquet crate, which are caught, are not printed.
fn read_quietly(bytes: &Bytes, what: &str) -> Result<u64, Error> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if panic.location().is_some_and(|at| at.file().contains("crates/parquet/")) {
                print(panic);
            }
        }));
    });
    catch_unwind(AssertUnwindSafe(|| read(bytes))).unwrap_or_else(|_| panic!("{what}: a panic came through"))
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let whole = file("int96");
    assert_eq!(read(&whole), Ok(4));
    for length in 0..whole.len() {
        let error = read(&whole.slice(..length)).unwrap_err();
        let expected = if length < 4 { Error::NotParquet } else { Error::Truncated };
        // The footer's own length can read as the end, as far as the magic bytes go.
        assert!(error == expected || length < 12, "{length}: {error}");
    }
}

#[test]
fn a_file_without_its_beginning_is_an_error() {
    let whole = file("int96");
    for start in 1..whole.len() {
        assert!(read(&whole.slice(start..)).is_err(), "{start}");
    }
}

#[test]
fn what_is_not_parquet_is_told_in_words() {
    let not = |bytes: &'static [u8]| read(&Bytes::from_static(bytes)).unwrap_err().to_string();
    assert!(not(b"id,name\n1,Ada\n2,Bob\n").contains("not Parquet"));
    assert!(not(b"").contains("not Parquet"));
    assert!(not(b"PAR1").contains("PAR1"));
    assert!(not(b"PAR1PAR1").contains("PAR1"));
    assert!(not(b"PAR1 and then it stops").contains("truncated"));
    assert!(not(b"PARE....\x01\x00\x00\x00PARE").contains("encrypted"));
    let brotli = read(&file("brotli")).unwrap_err().to_string();
    assert!(brotli.contains("column x") && brotli.contains("BROTLI"), "{brotli}");
}

#[test]
fn a_wrong_length_of_the_footer_is_an_error() {
    let whole = file("int96").to_vec();
    let at = whole.len() - 8;
    let right = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    for length in (0..right + 64).chain([1 << 20, u32::MAX / 2, u32::MAX]).filter(|length| *length != right) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        assert!(read_quietly(&bytes.into(), "footer").is_err(), "{length}");
    }
}

/// polars' file after some of its bytes were changed: a page of a list has fewer levels than it says, and the parquet
/// crate 60.1 never comes to the end of skipping them.
#[test]
fn a_list_whose_levels_run_out_is_an_error() {
    let bytes = Bytes::from_static(include_bytes!("files/damaged/levels_run_out.parquet"));
    let footer = footer(&bytes).unwrap();
    let errors: Vec<String> = footer
        .plan(60, u64::MAX)
        .filter_map(|part| {
            open(&bytes, &footer, &part, Limits::default()).and_then(|mut part| part.for_each(|_| ())).err()
        })
        .map(|error| error.to_string())
        .collect();
    assert!(errors.iter().any(|error| error.contains("Insufficient repetition levels")), "{errors:#?}");
}

/// The checksum of a page is compared, where the writer gave one.
#[test]
fn a_flipped_bit_in_a_page_with_a_checksum_is_found() {
    let whole = file("types_checked").to_vec();
    let group = footer(&whole).unwrap().row_groups()[0].bytes.clone();
    let mut random = fastrand::Rng::with_seed(3);
    let mut found = 0;
    for _ in 0..100 {
        let mut bytes = whole.clone();
        bytes[random.usize(group.start as usize..group.end as usize)] ^= 1 << random.u32(0..8);
        found += u32::from(read_quietly(&bytes.into(), "checksum").is_err());
    }
    // Not in the headers of the pages, of which a part says nothing that is needed.
    assert!(found > 85, "{found}");
}

/// `FANFOLD_MUTATIONS` sets how many, `FANFOLD_SEED` where to begin.
#[test]
fn damaged_files_never_panic() {
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (count, first) = (setting("FANFOLD_MUTATIONS", 4000), setting("FANFOLD_SEED", 1));
    let files: Vec<Vec<u8>> = FILES.iter().map(|name| file(name).to_vec()).collect();
    let (mut failed, mut fine) = (0_u64, 0_u64);
    for seed in first..first + count {
        let mut random = fastrand::Rng::with_seed(seed);
        let which = random.usize(0..files.len());
        let bytes = mutated(&files[which], &mut random);
        match read_quietly(&bytes, &format!("{}, seed {seed}", FILES[which])) {
            Ok(_) => fine += 1,
            Err(_) => failed += 1,
        }
    }
    println!("{failed} were refused, {fine} were read");
    assert!(failed > count / 3, "{failed}");
}

/// A file with some bytes changed, in its pages or, as often, in its footer.
fn mutated(whole: &[u8], random: &mut fastrand::Rng) -> Bytes {
    let mut bytes = whole.to_vec();
    let length = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let footer = whole.len() - 8 - length;
    for _ in 0..random.usize(1..4) {
        let at = if random.bool() { random.usize(4..footer) } else { random.usize(footer..whole.len() - 8) };
        match random.u32(0..4) {
            0 => bytes[at] ^= 1 << random.u32(0..8),
            1 => bytes[at] = random.u8(..),
            2 => bytes[at] = *random.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap(),
            // A run of one byte, as when a block of a disk is lost; it also makes large varints.
            _ => {
                let end = (at + random.usize(1..10)).min(whole.len() - 8);
                let value = *random.choice(&[0, 0xff]).unwrap();
                bytes[at..end].fill(value);
            }
        }
    }
    bytes.into()
}
