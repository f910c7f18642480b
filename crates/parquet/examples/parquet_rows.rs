//! Prints the rows of a Parquet file as JSON Lines: `parquet_rows FILE [REPEAT]`. With `REPEAT`, it reads them so many
//! times instead, and prints how fast.

// A measurement needs a clock; no test depends on this one.
#![allow(clippy::disallowed_methods)]

use std::io::{BufWriter, Write};
use std::time::Instant;

use bytes::Bytes;
use fanfold_parquet::{Footer, Limits, Pieces, Rows, Tail};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the path of a Parquet file")?;
    let repeat: usize = arguments.next().map_or(Ok(0), |repeat| repeat.parse())?;
    let file = Bytes::from(std::fs::read(path)?);
    // The whole file is at hand, so the footer is.
    let Tail::Footer(footer) = Footer::tail(&file, file.len() as u64)? else { return Err("no footer".into()) };
    if repeat == 0 {
        let mut out = BufWriter::new(std::io::stdout().lock());
        each(&file, &footer, |json| {
            // A closed pipe ends the output, not the reading.
            let _ = writeln!(out, "{json}");
        })?;
        return Ok(());
    }
    let mut seconds = Vec::new();
    let mut bytes = 0;
    for _ in 0..repeat {
        let begin = Instant::now();
        bytes = 0;
        each(&file, &footer, |json| bytes += json.len())?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[repeat / 2];
    let rate = |count: u64| count as f64 / median / 1e6;
    println!(
        "{} rows in {median:.3} s (median of {repeat}): {:.2} million rows, {:.0} MB of Parquet and {:.0} MB of JSON a second",
        footer.rows(),
        rate(footer.rows()),
        rate(file.len() as u64),
        rate(bytes as u64)
    );
    Ok(())
}

fn each(file: &Bytes, footer: &Footer, mut each: impl FnMut(&str)) -> Result<(), Failure> {
    let pieces: Pieces = [(0, file.clone())].into_iter().collect();
    for part in footer.plan(u64::MAX, u64::MAX) {
        let selection = footer.select(&part, None)?;
        Rows::new(footer, &selection, &pieces, Limits::default())?.for_each(|row| each(row.json))?;
    }
    Ok(())
}
