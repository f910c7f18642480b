//! Some rows of a file are those rows of the whole file.

mod support;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use fanfold_parquet::{Footer, Part};
use proptest::prelude::*;
use support::{Read, file, footer, read_all, read_part};

const FILES: &[&str] = &[
    "nested_index",
    "nested_index_v2",
    "nested_v1",
    "nested_v2",
    "pages",
    "pages_delta_v2",
    "pages_index",
    "pages_index_delta",
    "pages_index_v2",
    "polars_zstd",
    "types_lz4_v1_delta",
];

type Whole = (Bytes, Footer, Vec<Read>);

/// A file, and all its rows.
fn whole(name: &'static str) -> &'static Whole {
    static READ: LazyLock<Mutex<HashMap<&str, &'static Whole>>> = LazyLock::new(Mutex::default);
    READ.lock().unwrap().entry(name).or_insert_with(|| {
        let bytes = file(name);
        let (footer, rows) = (footer(&bytes).unwrap(), read_all(&bytes, u64::MAX).unwrap());
        Box::leak(Box::new((bytes, footer, rows)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_range_of_rows_is_a_slice_of_all(
        name in prop::sample::select(FILES),
        group in any::<prop::sample::Index>(),
        start in any::<prop::sample::Index>(),
        length in prop_oneof![0..5_u64, 0..200_u64, 0..3000_u64],
    ) {
        let (bytes, footer, all) = whole(name);
        let row_group = group.index(footer.row_groups().len());
        let group = &footer.row_groups()[row_group];
        let start = start.index(group.rows as usize) as u64;
        let rows = start..(start + length).min(group.rows);
        let first = group.first + start;
        let read = read_part(bytes, footer, &Part { row_group, rows: rows.clone(), first }).unwrap();
        prop_assert_eq!(&read, &all[first as usize..(group.first + rows.end) as usize]);
    }
}
