//! Turns rows into figures. Only measurements of one commit on one target are combined, and only successful
//! rows give figures.

use std::collections::{BTreeMap, BTreeSet};

use fanfold::model::calls::many;
use fanfold::pipeline::variant::BUILT_IN;

use crate::plan::FLOOR;
use crate::prices;
use crate::row::Row;

/// The measurements of one commit on one target.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// Emulator and version, or region.
    pub target: String,
    /// The commit.
    pub commitish: String,
    /// When the first and the last of the batches began.
    pub period: (String, String),
    /// The variants, the floor last.
    pub series: Vec<Series>,
    /// The rows that failed.
    pub failures: Vec<Row>,
    /// Chunk size, concurrency, memory and the like: the common value of all rows of a kind, or each that occurs.
    pub settings: Vec<String>,
    /// Other commits of the same target, which are left out.
    pub older: Vec<String>,
    /// Operations without a price.
    pub unpriced: BTreeSet<String>,
    /// Requests by variant and chunk size.
    pub calls: Vec<Calls>,
}

/// The requests of a variant with one chunk size, for its largest batches.
#[derive(Debug, PartialEq)]
pub struct Calls {
    /// The variant.
    pub variant: String,
    /// Maximum number of records in a chunk.
    pub chunk_size: u32,
    /// Records per batch.
    pub count: u64,
    /// Requests per million records, by stage.
    pub stages: BTreeMap<String, f64>,
}

impl Calls {
    /// Requests of all stages.
    pub fn all(&self) -> f64 {
        self.stages.values().sum()
    }
}

/// One variant's figures.
#[derive(Debug, PartialEq)]
pub struct Series {
    /// The variant.
    pub variant: String,
    /// By count, ascending.
    pub points: Vec<Point>,
}

/// The figures of one variant at one count.
#[derive(Debug, PartialEq)]
pub struct Point {
    /// Records per batch.
    pub count: u64,
    /// Seconds of each batch, ascending.
    pub seconds: Vec<f64>,
    /// Requests per record, over the batches that counted them.
    pub calls_per_record: Option<f64>,
    /// Dollars per million records, over the same batches.
    pub dollars_per_million: Option<f64>,
}

impl Point {
    /// The median.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// The fastest.
    pub fn min(&self) -> f64 {
        self.seconds.first().copied().unwrap_or(f64::NAN)
    }

    /// The slowest.
    pub fn max(&self) -> f64 {
        self.seconds.last().copied().unwrap_or(f64::NAN)
    }
}

impl Group {
    /// All counts, ascending.
    pub fn counts(&self) -> BTreeSet<u64> {
        self.series.iter().flat_map(|series| series.points.iter().map(|point| point.count)).collect()
    }

    /// The figures of a variant at a count.
    pub fn point(&self, variant: &str, count: u64) -> Option<&Point> {
        let series = self.series.iter().find(|series| series.variant == variant)?;
        series.points.iter().find(|point| point.count == count)
    }

    /// A median as a multiple of the floor's at the same count.
    pub fn over_floor(&self, point: &Point) -> Option<f64> {
        Some(point.median() / self.point(FLOOR, point.count)?.median())
    }
}

/// The median of values in ascending order, or NaN if there are none.
pub fn median(ascending: &[f64]) -> f64 {
    match ascending.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => ascending[n / 2],
        n => f64::midpoint(ascending[n / 2 - 1], ascending[n / 2]),
    }
}

/// The groups, one per target, first the one of which most variants were measured, and of several the last measured; each
/// has the commit of the target's last row, or the one asked for. Rows are in the order of the file, where a run of several
/// commits in turns puts the one to report last.
pub fn groups(rows: Vec<Row>, commitish: Option<&str>) -> Vec<Group> {
    let mut targets: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        targets.entry(row.target.clone()).or_default().push(row);
    }
    let mut groups: Vec<Group> =
        targets.into_iter().filter_map(|(target, rows)| group(target, rows, commitish)).collect();
    groups.sort_by(|a, b| b.series.len().cmp(&a.series.len()).then_with(|| b.period.1.cmp(&a.period.1)));
    groups
}

fn group(target: String, rows: Vec<Row>, commitish: Option<&str>) -> Option<Group> {
    let last = rows.last()?.commitish.clone();
    let commitish = commitish.map_or(last, str::to_owned);
    let (rows, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.commitish == commitish);
    let older: BTreeSet<String> = others.into_iter().map(|row| row.commitish).collect();
    // All times have the same form, RFC 3339 in UTC with milliseconds, so that they sort as text.
    let times = || rows.iter().map(|row| row.batch_start_time.clone());
    let period = (times().min()?, times().max()?);
    let (good, failures): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(Row::succeeded);
    let calls = calls(&good);
    // Measurements with another chunk size do not count as times here.
    let usual = usual_chunk_size(&good);
    let usual = |row: &Row| row.variant == FLOOR || row.chunk_size == usual;
    let good: Vec<Row> = good.into_iter().filter(usual).collect();
    let settings = settings(&good);
    let unpriced = good.iter().flat_map(|row| prices::cost(&row.calls, row.count).unpriced).collect();
    let older = older.into_iter().collect();
    Some(Group { target, commitish, period, series: series(&good), failures, settings, older, unpriced, calls })
}

/// The chunk size of most rows.
fn usual_chunk_size(rows: &[Row]) -> Option<u32> {
    let mut often: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.variant != FLOOR) {
        *often.entry(row.chunk_size).or_default() += 1;
    }
    often.into_iter().max_by_key(|(_, rows)| *rows).and_then(|(size, _)| size)
}

fn calls(rows: &[Row]) -> Vec<Calls> {
    let mut largest: BTreeMap<(usize, &str, u32), &Row> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.variant != FLOOR && !row.calls.is_empty()) {
        let Some(chunk_size) = row.chunk_size else { continue };
        let place = largest.entry((rank(&row.variant), &row.variant, chunk_size)).or_insert(row);
        if row.count > place.count {
            *place = row;
        }
    }
    let per_million = |row: &Row, requests: u64| requests as f64 * 1e6 / row.count.max(1) as f64;
    let of = |((_, variant, chunk_size), row): ((usize, &str, u32), &Row)| Calls {
        variant: variant.to_owned(),
        chunk_size,
        count: row.count,
        stages: (row.calls.iter()).map(|(stage, requests)| (stage.clone(), per_million(row, many(requests)))).collect(),
    };
    largest.into_iter().map(of).collect()
}

fn series(rows: &[Row]) -> Vec<Series> {
    let mut variants: BTreeMap<&str, BTreeMap<u64, Vec<&Row>>> = BTreeMap::new();
    for row in rows {
        variants.entry(&row.variant).or_default().entry(row.count).or_default().push(row);
    }
    let mut series: Vec<Series> = variants
        .into_iter()
        .map(|(variant, counts)| Series {
            variant: variant.to_owned(),
            points: counts.into_iter().map(|(count, rows)| point(count, &rows)).collect(),
        })
        .collect();
    series.sort_by_key(|series| rank(&series.variant));
    series
}

/// The order in which variants are listed: as published, then the others in the engine's order, then the floor.
fn rank(variant: &str) -> usize {
    let published = ["sync", "async", "dynamodb", "chunked"];
    let others = BUILT_IN.iter().map(|variant| variant.name).filter(|name| !published.contains(name));
    let place = published.into_iter().chain(others).position(|name| name == variant);
    place.unwrap_or(if variant == FLOOR { usize::MAX } else { usize::MAX - 1 })
}

fn point(count: u64, rows: &[&Row]) -> Point {
    let mut seconds: Vec<f64> = rows.iter().filter_map(|row| row.batch_duration_in_seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let counted: Vec<&&Row> = rows.iter().filter(|row| !row.calls.is_empty()).collect();
    let records = (count * counted.len() as u64) as f64;
    let calls: u64 = counted.iter().flat_map(|row| row.calls.values()).map(many).sum();
    let dollars: f64 = counted.iter().map(|row| prices::cost(&row.calls, count).dollars).sum();
    let each = |total: f64| (records > 0.0).then(|| total / records);
    Point {
        count,
        seconds,
        calls_per_record: each(calls as f64),
        dollars_per_million: each(dollars).map(|dollars| dollars * 1e6),
    }
}

/// The settings of the rows. If a setting has several values, all are named, since the figures then mix them.
fn settings(rows: &[Row]) -> Vec<String> {
    let of = |name: &str, value: &dyn Fn(&Row) -> String| {
        let pipelines = rows.iter().filter(|row| row.variant != FLOOR);
        let values: BTreeSet<String> = pipelines.map(value).filter(|value| !value.is_empty()).collect();
        let values: Vec<String> = values.into_iter().collect();
        (!values.is_empty()).then(|| format!("{name} {}", values.join(" and ")))
    };
    let number = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
    [
        of("environment", &|row| row.env.clone()),
        of("chunks of", &|row| number(row.chunk_size)),
        of("concurrency", &|row| number(row.concurrency)),
        of("memory in MB", &|row| number(row.memory_mb)),
        of("seed", &|row| row.seed.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::rows;
    use crate::row::tests::row;

    #[test]
    fn medians_are_medians() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-12);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_point_has_the_figures_of_its_rows() {
        let groups = groups(vec![row("sync", 10, 3, 3.0), row("sync", 10, 1, 1.0), row("sync", 10, 2, 5.0)], None);
        let point = groups[0].point("sync", 10).unwrap();
        assert_eq!(point.seconds, [1.0, 3.0, 5.0]);
        assert!((point.calls_per_record.unwrap() - 1.0).abs() < 1e-12);
        assert!((point.dollars_per_million.unwrap() - 0.625).abs() < 1e-9);
        assert_eq!(groups[0].over_floor(point), None);
    }

    #[test]
    fn rows_without_calls_have_no_price() {
        let mut silent = row("sync", 10, 1, 3.0);
        silent.calls.clear();
        let group = groups(vec![silent, row("sync", 100, 1, 3.0)], None).remove(0);
        assert_eq!(group.point("sync", 10).unwrap().dollars_per_million, None);
        assert!(group.point("sync", 100).unwrap().dollars_per_million.is_some());
    }

    #[test]
    fn other_chunk_sizes_make_calls_and_no_times() {
        let mut other = row("chunked", 1000, 9, 77.0);
        other.chunk_size = Some(100);
        other.calls = [("process".to_owned(), [("dynamodb.BatchWriteItem".to_owned(), 50)].into())].into();
        let group = groups(rows().into_iter().chain([other]).collect(), None).remove(0);
        assert!(group.point("chunked", 1000).unwrap().max() < 77.0);
        let calls: Vec<_> = group.calls.iter().filter(|calls| calls.variant == "chunked").collect();
        assert_eq!(calls.iter().map(|calls| calls.chunk_size).collect::<Vec<_>>(), [100, 500]);
        assert!((calls[0].all() - 50_000.0).abs() < 1e-6);
    }

    #[test]
    fn the_last_commit_of_each_target_is_reported() {
        let of = groups(rows(), None);
        let names: Vec<_> = of.iter().map(|group| (group.target.as_str(), group.commitish.as_str())).collect();
        assert_eq!(names, [("an emulator 1.0", "v1"), ("eu-west-1", "v1")]);
        assert_eq!(of[0].older, ["v0"]);
        assert!(of[0].point("chunked", 10).unwrap().max() < 99.0);
        let later = rows().into_iter().map(|row| Row {
            batch_start_time: if row.target == "eu-west-1" {
                "2030-01-01T00:00:00.000Z".into()
            } else {
                row.batch_start_time.clone()
            },
            ..row
        });
        assert_eq!(
            groups(later.collect(), None)[0].target,
            "an emulator 1.0",
            "fewer variants were measured of the other"
        );
        let old = groups(rows(), Some("v0"));
        assert_eq!((old.len(), old[0].target.as_str()), (1, "an emulator 1.0"));
    }

    #[test]
    fn failures_make_no_figures() {
        let group = groups(rows(), None).remove(0);
        assert_eq!(group.failures.len(), 1);
        let point = group.point("sync", 1000).unwrap();
        assert_eq!(point.seconds.len(), 3);
        assert!(point.min() > 1.0);
    }

    #[test]
    fn the_floor_is_last_and_the_measure() {
        let group = groups(rows(), None).remove(0);
        let names: Vec<&str> = group.series.iter().map(|series| series.variant.as_str()).collect();
        assert_eq!(names, ["sync", "async", "dynamodb", "chunked", "floor"]);
        let times = group.over_floor(group.point("chunked", 1000).unwrap()).unwrap();
        assert!((times - 1.0 / 0.45).abs() < 1e-9, "{times}");
    }
}
