//! A million rows: all right, in bounded memory.

mod support;

use fanfold_parquet::Limits;
use support::counting::{Counting, begin, peak};
use support::{file, footer, open};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The row that `write_files.py` wrote.
fn expected(i: u64) -> String {
    let price = serde_json::to_string(&(i as f64 / 4.0)).unwrap();
    let (days, seconds) = (i / 86_400, i % 86_400);
    let at = format!("1970-01-{:02}T{:02}:{:02}:{:02}Z", days + 1, seconds / 3600, seconds / 60 % 60, seconds % 60);
    let maybe = if i.is_multiple_of(7) { "null".to_owned() } else { i.to_string() };
    format!(
        "{{\"id\":{i},\"price\":{price},\"code\":{},\"name\":\"name of {i}\",\"city\":\"{}\",\"at\":\"{at}\",\
         \"even\":{},\"maybe\":{maybe}}}",
        i * 2_654_435_761 % (1 << 32),
        ["Berlin", "Paris", "Roma"][(i % 3) as usize],
        i.is_multiple_of(2)
    )
}

/// Above the bytes of the file, which the caller holds.
#[test]
fn a_million_rows_take_little_memory_above_their_pages() {
    let bytes = file("million");
    let footer = footer(&bytes).unwrap();
    assert_eq!(footer.rows(), 1_000_000);
    let before = begin();
    let mut rows = 0;
    for part in footer.plan(u64::MAX, u64::MAX) {
        open(&bytes, &footer, &part, Limits::default())
            .unwrap()
            .for_each(|row| {
                assert_eq!((row.index, row.fault), (rows, None));
                assert_eq!(row.json, expected(rows));
                rows += 1;
            })
            .unwrap();
    }
    assert_eq!(rows, 1_000_000);
    let above = peak() - before;
    println!("{:.1} MiB above the bytes of the file", above as f64 / f64::from(1 << 20));
    assert!(above < 64 << 20, "{above}");
}
