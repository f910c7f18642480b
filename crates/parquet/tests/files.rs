//! Files of several writers come out as the values that went in.

mod support;

use std::ops::Range;
use std::path::Path;

use fanfold_parquet::{Error, Limits, Part, Pieces, Rows};
use support::{check, file, files, footer, footer_with, open, read_all, read_part};

fn check_directory(directory: &Path) -> usize {
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = std::fs::read(path.with_extension("parquet")).unwrap().into();
        let expected = std::fs::read_to_string(&path).unwrap();
        for chunk in [u64::MAX, 100, 37] {
            let read = read_all(&bytes, chunk).unwrap_or_else(|error| panic!("{name}: {error}"));
            check(name, &read, &expected);
        }
        checked += 1;
    }
    checked
}

#[test]
fn files_of_pyarrow_pandas_duckdb_and_polars() {
    assert!(check_directory(files()) >= 30);
}

/// Timestamps as INT96, decimals and lists in their old forms, Hadoop's LZ4, pages of version 2.
#[test]
fn files_of_spark() {
    assert_eq!(check_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")), 4);
}

#[test]
fn a_footer_says_what_the_file_holds() {
    let bytes = file("row_groups_of_one");
    let all = footer(&bytes).unwrap();
    assert_eq!(all.columns(), ["int64", "text", "decimal4"]);
    assert_eq!((all.rows(), all.row_groups().len()), (50, 50));
    for (at, group) in all.row_groups().iter().enumerate() {
        assert_eq!((group.rows, group.first), (1, at as u64));
        assert!(group.compressed <= group.bytes.end - group.bytes.start && group.uncompressed > 0);
        assert!(at == 0 || all.row_groups()[at - 1].bytes.end <= group.bytes.start);
    }
    // However little is read at first.
    for first in [8, 100, 5000, bytes.len() as u64 * 2] {
        assert_eq!(footer_with(&bytes, first).unwrap().row_groups(), all.row_groups(), "{first}");
    }
    let empty = footer(&file("no_rows")).unwrap();
    assert_eq!((empty.rows(), empty.columns().len(), empty.plan(10, 10).count()), (0, 30, 0));
}

#[test]
fn a_plan_cuts_row_groups_by_rows_and_by_bytes() {
    let footer = footer(&file("pages")).unwrap();
    let parts = |rows, bytes| -> Vec<Part> { footer.plan(rows, bytes).collect() };
    let ranges: Vec<_> =
        parts(1500, u64::MAX).into_iter().map(|part| (part.row_group, part.rows, part.first)).collect();
    let expected =
        [(0, 0..1500, 0), (0, 1500..2000, 1500), (1, 0..1500, 2000), (1, 1500..2000, 3500), (2, 0..1000, 4000)];
    assert_eq!(ranges, expected);
    let group = &footer.row_groups()[0];
    assert_eq!(parts(u64::MAX, group.uncompressed / 4)[0].rows, 0..499);
    assert_eq!(parts(0, 0).len(), 5000);
    assert_eq!(parts(u64::MAX, u64::MAX).len(), 3);
}

#[test]
fn an_offset_index_spares_the_pages_before_and_behind() {
    let bytes = file("million");
    let footer = footer(&bytes).unwrap();
    let part = Part { row_group: 1, rows: 100_000..101_000, first: 350_000 };
    let index = footer.index(&part).unwrap();
    let selection = footer.select(&part, Some(&bytes[index.start as usize..index.end as usize])).unwrap();
    let all = footer.select(&part, None).unwrap();
    assert_eq!(all.ranges(), std::slice::from_ref(&footer.row_groups()[1].bytes));
    let length = |ranges: &[Range<u64>]| ranges.iter().map(|range| range.end - range.start).sum::<u64>();
    let (some, whole) = (length(selection.ranges()), length(all.ranges()));
    assert!(some < whole / 2, "{some} of {whole} bytes");
    let rows = read_part(&bytes, &footer, &part).unwrap();
    assert!(rows.len() == 1000 && rows[0].0.starts_with("{\"id\":350000,"), "{}", rows[0].0);
    assert_eq!(footer.index(&Part { rows: 0..250_000, ..part }), None);
}

#[test]
fn a_row_that_is_too_large_fails_alone() {
    let bytes = file("nested_v1");
    let footer = footer(&bytes).unwrap();
    let part = footer.plan(u64::MAX, u64::MAX).next().unwrap();
    let limits = Limits { row_bytes: 300, ..Limits::default() };
    let (mut at, mut failed) = (0, 0);
    let whole = read_part(&bytes, &footer, &part).unwrap();
    open(&bytes, &footer, &part, limits)
        .unwrap()
        .for_each(|row| {
            let fits = whole[at].0.len() <= 300;
            assert_eq!(row.json, if fits { whole[at].0.as_str() } else { "null" });
            assert_eq!(row.fault.is_some_and(|fault| fault.contains("larger than 300 bytes")), !fits);
            failed += u32::from(!fits);
            at += 1;
        })
        .unwrap();
    assert!(failed > 10, "{failed}");
}

#[test]
fn pages_over_the_limit_are_refused_before_they_are_decompressed() {
    let bytes = file("types_zstd_v2_delta");
    let footer = footer(&bytes).unwrap();
    let part = footer.plan(u64::MAX, u64::MAX).next().unwrap();
    let refused = open(&bytes, &footer, &part, Limits { page_bytes: 10_000, ..Limits::default() }).err();
    assert!(matches!(refused, Some(Error::TooLarge { bytes: 10_001..100_000, limit: 10_000, .. })), "{refused:?}");
}

#[test]
fn bytes_that_are_not_given_are_named() {
    let bytes = file("pages");
    let footer = footer(&bytes).unwrap();
    let part = footer.plan(u64::MAX, u64::MAX).next().unwrap();
    let selection = footer.select(&part, None).unwrap();
    let error = Rows::new(&footer, &selection, &Pieces::default(), Limits::default()).err();
    assert!(matches!(error, Some(Error::Missing(4, _))), "{error:?}");
    let beyond = Part { row_group: 3, ..part };
    assert!(matches!(footer.select(&beyond, None), Err(Error::Damaged(_))));
}

#[test]
fn rows_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Rows>();
}
