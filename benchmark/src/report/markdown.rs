//! `report.md`.

use std::fmt::Write;

use super::group::{Group, Point};
use super::published;
use crate::prices;
use crate::progress::grouped;

/// The page: the plot, a table for each count of each target, the failures, and how to read all of it.
pub fn page(groups: &[Group], shown: &Group) -> String {
    let mut page = String::from(
        "# Benchmark report\n\n\
         Made by `make report` from `measurements.csv`; do not edit. \
         [BENCHMARKING.md](BENCHMARKING.md) says how it was measured and what it does not say.\n\n\
         ![Seconds from upload to summary over the records of a batch, both logarithmic](report.svg)\n\n",
    );
    if groups.len() > 1 {
        line(&mut page, &format!("The plot shows {}. Figures of different targets do not compare.\n", shown.target));
    }
    for group in groups {
        section(&mut page, group);
    }
    reading(&mut page);
    page
}

/// Appends a line; writing to a string cannot fail.
fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn section(page: &mut String, group: &Group) {
    line(page, &format!("## {}, commit {}\n", group.target, group.commitish));
    let day = |time: &str| time.get(..10).unwrap_or(time).to_owned();
    let (from, to) = (day(&group.period.0), day(&group.period.1));
    let when = if from == to { format!("on {from}") } else { format!("from {from} to {to}") };
    line(page, &format!("Measured {when}: {}.", group.settings.join(", ")));
    if !group.older.is_empty() {
        line(page, &format!("Left out are other commits: {}.", group.older.join(", ")));
    }
    for count in group.counts() {
        table(page, group, count);
    }
    calls(page, group);
    if !group.failures.is_empty() {
        line(page, "\n### Failed\n\nThese batches count in no figure.\n");
        for row in &group.failures {
            let batch = if row.batch_id.is_empty() { "no batch" } else { &row.batch_id };
            let (variant, records) = (&row.variant, grouped(row.count));
            line(page, &format!("- {variant}, {records} records, repeat {}, {batch}: {}", row.repeat, row.outcome));
        }
    }
    if !group.unpriced.is_empty() {
        let names: Vec<&str> = group.unpriced.iter().map(String::as_str).collect();
        line(page, &format!("\nWithout a price, so counted and not paid: {}.", names.join(", ")));
    }
    page.push('\n');
}

fn table(page: &mut String, group: &Group, count: u64) {
    line(page, &format!("\n### {} records\n", grouped(count)));
    line(page, "| variant | runs | median s | min s | max s | records/s | × floor | calls/record | $/million |");
    line(page, "|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for series in &group.series {
        if let Some(point) = group.point(&series.variant, count) {
            row(page, group, &series.variant, point);
        }
    }
}

fn row(page: &mut String, group: &Group, variant: &str, point: &Point) {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "| {variant} | {} | {} | {} | {} | {} | {} | {} | {} |",
        point.seconds.len(),
        seconds(point.median()),
        seconds(point.min()),
        seconds(point.max()),
        rate(point.count, point.median()),
        or_dash(group.over_floor(point).map(|times| format!("{times:.1}"))),
        or_dash(point.calls_per_record.map(|calls| format!("{calls:.2}"))),
        or_dash(point.dollars_per_million.map(|dollars| format!("{dollars:.3}"))),
    );
}

/// The requests that write a million items, at 25 items each.
const ITEM_WRITES: f64 = 40_000.0;

fn calls(page: &mut String, group: &Group) {
    if group.calls.is_empty() {
        return;
    }
    let title = "Requests for a million records, by stage, scaled from the largest batch of each";
    line(page, &format!("\n### Calls\n\n{title}:\n"));
    line(page, "| variant | chunks of | batch | scatter | process | gather | bury | all | × item writes |");
    line(page, "|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for calls in &group.calls {
        let stage = |name: &str| grouped(calls.stages.get(name).copied().unwrap_or_default().round() as u64);
        let (chunk_size, count) = (grouped(u64::from(calls.chunk_size)), grouped(calls.count));
        let stages = ["scatter", "process", "gather", "bury"].map(stage).join(" | ");
        let (all, times) = (grouped(calls.all().round() as u64), calls.all() / ITEM_WRITES);
        line(page, &format!("| {} | {chunk_size} | {count} | {stages} | {all} | {times:.3} |", calls.variant));
    }
    line(page, &format!("\nItem writes alone, 25 a request, are {}.", grouped(ITEM_WRITES as u64)));
}

/// Records per second.
fn rate(count: u64, seconds: f64) -> String {
    match count as f64 / seconds {
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => grouped(rate.round() as u64),
    }
}

/// Seconds to about four digits, never below a tenth of a millisecond.
fn seconds(value: f64) -> String {
    match value {
        v if v < 0.1 => format!("{v:.4}"),
        v if v < 10.0 => format!("{v:.3}"),
        v if v < 100.0 => format!("{v:.2}"),
        v => format!("{v:.1}"),
    }
}

fn reading(page: &mut String) {
    line(page, "## Published figures\n");
    line(page, "Of the Python system that the variants are named after, on AWS in 2020, in whole seconds:\n");
    line(page, "| variant | records | seconds | records/s |\n|---|--:|--:|--:|");
    for published in &published::ALL {
        for (count, s) in published.figures {
            let rate = rate(*count, *s);
            line(page, &format!("| {} | {} | {s} | {rate} |", published.variant, grouped(*count)));
        }
    }
    line(page, "\nIn the plot a variant with one figure is drawn as that rate, down to a tenth of its records.\n");
    line(page, "## Reading the tables\n");
    line(
        page,
        "- Seconds are the client's, from the first byte uploaded to the summary readable.\n\
         - `floor` only writes the same items; \"× floor\" compares medians at the same count.\n\
         - Calls are the requests of the functions to S3, SQS, SNS, Step Functions and DynamoDB. The queues' pollers, which Lambda runs, are not \
         among them.",
    );
    let (region, date) = (prices::REGION, prices::AS_OF);
    line(
        page,
        &format!(
            "- Dollars are for those requests only, at the list prices of {region} as of {date}. Not in them: Lambda (its \
             requests and its time), polling of the queues, storage, logs. Items are taken for 1 KB or less, read units for \
             one a request.\n"
        ),
    );
    line(page, "| price | $ per million |\n|---|--:|");
    for (what, dollars) in prices::TABLE {
        line(page, &format!("| {what} | {dollars} |"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::group::groups;
    use crate::report::tests::rows;

    #[test]
    fn a_table_has_a_row_a_variant() {
        let groups = groups(rows(), None);
        let page = page(&groups, &groups[0]);
        let wanted = "| chunked | 3 | 1.200 | 1.100 | 1.300 | 833 | 2.2 | 1.00 | 0.625 |";
        assert!(page.contains(wanted), "{page}");
        assert!(page.contains("Left out are other commits: v0."));
        assert!(page.contains("| chunked | 500 | 1,000 | 0 | 1,000,000 | 0 | 0 | 1,000,000 | 25.000 |"), "{page}");
        assert!(page.contains("| sync | 10,001 | 438 | 22.8 |"));
        assert!(
            page.contains("- sync, 1,000 records, repeat 3, benchmark-0123456789ab: failure: record 7 has no item")
        );
    }

    #[test]
    fn without_a_floor_there_is_no_multiple() {
        let rows = rows().into_iter().filter(|row| row.variant != "floor").collect();
        let groups = groups(rows, None);
        assert!(page(&groups, &groups[0]).contains("| – | 1.00 |"));
    }
}
