//! The bars of the chart.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::report::{Axis, Cell, Kind, Report};
use crate::text::Cleaner;

/// The most characters of a name beside a bar of the chart.
const MOST_LABEL: usize = 40;
/// The most bars of assets, which are named beside them.
const MOST_ASSETS: usize = 20;
/// The most bars of days; more are summed by month, then by year.
const MOST_DAYS: usize = 100;
/// The most bars that the description names one by one.
const MOST_DESCRIBED: usize = 6;

/// The chart, as the template sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drawing {
    title: String,
    /// `asset`, `day`, `month` or `year`.
    by: &'static str,
    /// The chart in words, for those who do not see it.
    alt: String,
    bars: Vec<Bar>,
    /// How many bars there would be, if there was room for all.
    of: usize,
    /// Where zero is, from 0 to 1.
    zero: f64,
    /// What the ends of the axis stand for.
    low: String,
    high: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bar {
    label: String,
    value: String,
    /// From where to where it reaches, from 0 to 1.
    start: f64,
    end: f64,
}

/// A bar before the axis is known.
struct Measure {
    label: String,
    text: String,
    number: f64,
}

/// Draws what the report asks for, if there is anything to draw.
pub(crate) fn draw(report: &Report) -> Option<Drawing> {
    let chart = report.chart.as_ref()?;
    // What it replaces is replaced in the tables, too, and counted there.
    let cleaner = &mut Cleaner::default();
    let column = report.columns.iter().position(|column| column.name == chart.column)?;
    let dates = report.columns.iter().position(|column| column.kind == Kind::Date);
    let by = chart.by.unwrap_or(if report.assets.len() == 1 && dates.is_some() { Axis::Date } else { Axis::Asset });
    let (by, values, of) = match by {
        Axis::Asset => of_assets(report, column, cleaner),
        Axis::Date => of_days(report, column, dates?)?,
    };
    let what = cleaner.clean(&report.columns[column].title, MOST_LABEL);
    let extreme = |better: fn(f64, f64) -> bool| {
        let pick = |best: usize, at: usize| if better(values[at].number, values[best].number) { at } else { best };
        (0..values.len()).reduce(pick).map(|at| &values[at])
    };
    let (most, least) = (extreme(|a, b| a > b)?, extreme(|a, b| a < b)?);
    let (low, high) = (least.number.min(0.0), most.number.max(0.0));
    let span = if high > low { high - low } else { 1.0 };
    let place = |number: f64| ((number - low) / span * 10_000.0).round() / 10_000.0;
    let zero = place(0.0);
    let end = |value: &Measure, is_end: bool| if is_end { value.text.clone() } else { "0".to_owned() };
    let (low, high) = (end(least, least.number < 0.0), end(most, most.number > 0.0));
    let title = format!("{what} by {by}");
    let alt = describe(&title, &values, most, least);
    let bar = |value: &Measure| {
        let tip = place(value.number);
        Bar { label: value.label.clone(), value: value.text.clone(), start: tip.min(zero), end: tip.max(zero) }
    };
    let bars = values.iter().map(bar).collect();
    Some(Drawing { title, by, alt, bars, of, zero, low, high })
}

/// The totals of the assets, in their order; the largest ones, if there are too many.
fn of_assets(report: &Report, column: usize, cleaner: &mut Cleaner) -> (&'static str, Vec<Measure>, usize) {
    let mut numbers: Vec<(usize, f64)> = report
        .assets
        .iter()
        .enumerate()
        .filter_map(|(index, asset)| Some((index, number(asset.totals.as_ref()?.get(column)?)?)))
        .collect();
    let of = numbers.len();
    if numbers.len() > MOST_ASSETS {
        numbers.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        numbers.truncate(MOST_ASSETS);
    }
    let mut value = |(index, number): (usize, f64)| {
        let asset = &report.assets[index];
        let text = asset.totals.as_ref().map_or(String::new(), |totals| written(&totals[column]));
        Measure { label: cleaner.clean(&asset.name, MOST_LABEL), text: cleaner.clean(&text, MOST_LABEL), number }
    };
    ("asset", numbers.into_iter().map(&mut value).collect(), of)
}

/// The sums of the days, months or years, as many as there is room for.
fn of_days(report: &Report, column: usize, dates: usize) -> Option<(&'static str, Vec<Measure>, usize)> {
    for (by, letters) in [("day", 10), ("month", 7), ("year", 4)] {
        let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for row in report.assets.iter().flat_map(|asset| &asset.rows) {
            let (Some(day), Some(number)) = (row[dates].as_str(), number(&row[column])) else { continue };
            // Years have four digits, but for those before Christ.
            let Some(label) = day.get(..letters) else { continue };
            let sum = sums.entry(label).or_default();
            *sum = (sum.0 + number, sum.1.max(decimals(&row[column])));
        }
        if sums.len() <= MOST_DAYS {
            let value = |(label, (number, decimals)): (&str, (f64, usize))| Measure {
                label: label.to_owned(),
                text: format!("{number:.decimals$}"),
                number,
            };
            let of = sums.len();
            return Some((by, sums.into_iter().map(value).collect(), of));
        }
    }
    None
}

/// A number as far as a drawing needs it.
fn number(cell: &Cell) -> Option<f64> {
    written(cell).parse().ok().filter(|number: &f64| number.is_finite())
}

fn decimals(cell: &Cell) -> usize {
    written(cell).split_once('.').map_or(0, |(_, part)| part.len().min(12))
}

/// A cell as it is printed.
pub(crate) fn written(cell: &Cell) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn describe(title: &str, values: &[Measure], most: &Measure, least: &Measure) -> String {
    if values.len() <= MOST_DESCRIBED {
        let bars: Vec<String> = values.iter().map(|value| format!("{}: {}", value.label, value.text)).collect();
        return format!("Bar chart, {title}. {}.", bars.join("; "));
    }
    format!(
        "Bar chart, {title}, with {} bars. The highest is {} with {}, the lowest {} with {}.",
        values.len(),
        most.label,
        most.text,
        least.label,
        least.text
    )
}
