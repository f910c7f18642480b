//! The figure: batch duration by number of records, both on logarithmic axes.

use fanfold::model::error::Result;
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axes::{Axes, GREY, INK, LEFT, script};
use super::canvas::{At, Canvas, HEIGHT, Script, Shape, Stroke};
use super::labels::{Wish, place};
use crate::report::group::{Group, Series};
use crate::report::published;

const LINE_HEIGHT: f64 = 19.0;
/// Line ends nearer than this put their labels into one column.
const COLUMN: f64 = 60.0;
/// The distance from a line's end to its label.
const GAP: f64 = 14.0;

/// The look of a variant. The colours are those of Okabe and Ito, which colour-blind people can distinguish;
/// marker and dashes say the same without colour.
pub struct Look {
    /// Its colour.
    pub color: RGBColor,
    /// Its marker.
    pub shape: Shape,
    dashes: &'static [f64],
    width: f64,
}

/// The look of a variant, or of the floor.
pub fn look(variant: &str) -> Look {
    let (color, shape, dashes, width): (_, _, &[f64], _) = match variant {
        "sync" => (RGBColor(0, 114, 178), Shape::Square, &[], 2.2),
        "async" => (RGBColor(230, 159, 0), Shape::Triangle, &[12.0, 4.0], 2.2),
        "dynamodb" => (RGBColor(204, 121, 167), Shape::Diamond, &[12.0, 4.0, 3.0, 4.0], 2.2),
        "chunked" => (RGBColor(0, 143, 105), Shape::Circle, &[], 3.4),
        "ranged" => (RGBColor(213, 94, 0), Shape::Kite, &[6.0, 3.0], 3.4),
        "sns" => (RGBColor(117, 112, 179), Shape::Flag, &[2.0, 3.0], 2.2),
        "sfn" => (RGBColor(153, 112, 51), Shape::Ring, &[9.0, 2.0], 2.2),
        "floor" => (RGBColor(60, 60, 60), Shape::Cross, &[3.0, 4.0], 2.2),
        _ => (RGBColor(86, 180, 233), Shape::Plus, &[2.0, 3.0], 2.6),
    };
    Look { color, shape, dashes, width }
}

/// A label and the end of its line.
struct Label {
    text: String,
    end: At,
    color: RGBColor,
    bold: bool,
}

/// Draws the figure of a group.
///
/// # Errors
/// `Internal`, which only a defect can cause.
pub fn draw<DB: DrawingBackend>(canvas: &Canvas<DB>, group: &Group) -> Result<()> {
    let measured = group.series.iter().flat_map(|series| {
        series.points.iter().flat_map(|point| [point.min(), point.max()].map(|seconds| (point.count as f64, seconds)))
    });
    let published = published::ALL.iter().flat_map(published::Published::line);
    let axes = Axes::around(&measured.chain(published).collect::<Vec<_>>());
    canvas.clear()?;
    axes.grid(canvas, "records in the batch", "seconds")?;
    words(canvas, group)?;
    let mut labels = Vec::new();
    for published in &published::ALL {
        labels.push(draw_published(canvas, &axes, published)?);
    }
    for series in &group.series {
        band(canvas, &axes, series)?;
    }
    for series in &group.series {
        labels.extend(draw_series(canvas, &axes, series)?);
    }
    write_labels(canvas, &labels)
}

/// Writes title, place and legend.
fn words<DB: DrawingBackend>(canvas: &Canvas<DB>, group: &Group) -> Result<()> {
    let title = Script { bold: true, ..script(INK, 25.0, HPos::Left) };
    canvas.text("From upload to summary: seconds by batch size and variant", (LEFT, 28.0), title)?;
    let day = group.period.1.get(..10).unwrap_or_default();
    let place = format!("fanfold {} on {}, {day}", group.commitish, group.target);
    canvas.text(&place, (LEFT, 60.0), script(GREY, 18.0, HPos::Left))?;
    let runs: Vec<usize> = group.series.iter().flat_map(|s| s.points.iter().map(|p| p.seconds.len())).collect();
    let (least, most) = (runs.iter().min().unwrap_or(&0), runs.iter().max().unwrap_or(&0));
    let runs = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let legend = format!(
        "Lines: medians of {runs} runs. Bands: fastest to slowest. Small points: single runs. \
         floor: only writing the same items. Thin grey dashes: as published, other code on AWS in 2020."
    );
    canvas.text(&legend, (LEFT, f64::from(HEIGHT) - 20.0), script(GREY, 15.0, HPos::Left))
}

fn draw_published<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    axes: &Axes,
    published: &published::Published,
) -> Result<Label> {
    let line: Vec<At> = published.line().into_iter().map(|point| axes.at(point)).collect();
    canvas.line(&line, Stroke { color: GREY, alpha: 1.0, width: 1.2, dashes: &[5.0, 4.0] })?;
    for (count, seconds) in published.figures {
        canvas.marker(look(published.variant).shape, axes.at((*count as f64, *seconds)), 7.0, GREY, 1.0)?;
    }
    let end = line.last().copied().unwrap_or_default();
    Ok(Label { text: format!("{}, {}", published.variant, published::LABEL), end, color: GREY, bold: false })
}

fn band<DB: DrawingBackend>(canvas: &Canvas<DB>, axes: &Axes, series: &Series) -> Result<()> {
    if series.points.len() < 2 {
        return Ok(());
    }
    let upper = series.points.iter().map(|point| axes.at((point.count as f64, point.max())));
    let lower = series.points.iter().rev().map(|point| axes.at((point.count as f64, point.min())));
    canvas.fill(&upper.chain(lower).collect::<Vec<_>>(), look(&series.variant).color, 0.16)
}

fn draw_series<DB: DrawingBackend>(canvas: &Canvas<DB>, axes: &Axes, series: &Series) -> Result<Option<Label>> {
    let Look { color, shape, dashes, width } = look(&series.variant);
    let medians: Vec<At> = series.points.iter().map(|p| axes.at((p.count as f64, p.median()))).collect();
    canvas.line(&medians, Stroke { color, alpha: 1.0, width, dashes })?;
    for point in &series.points {
        for seconds in &point.seconds {
            canvas.marker(shape, axes.at((point.count as f64, *seconds)), 5.0, color, 0.55)?;
        }
    }
    for at in &medians {
        canvas.marker(shape, *at, 11.0, color, 1.0)?;
    }
    let label = |end: &At| Label { text: series.variant.clone(), end: *end, color, bold: true };
    Ok(medians.last().map(label))
}

fn write_labels<DB: DrawingBackend>(canvas: &Canvas<DB>, labels: &[Label]) -> Result<()> {
    let wishes: Vec<Wish> = labels.iter().map(|label| Wish { x: label.end.0, y: label.end.1 }).collect();
    for (label, y) in labels.iter().zip(place(&wishes, LINE_HEIGHT, COLUMN)) {
        let (x, wish) = label.end;
        if (y - wish).abs() > LINE_HEIGHT / 3.0 {
            let lead = [(x + 5.0, wish), (x + GAP - 3.0, y)];
            canvas.line(&lead, Stroke { color: label.color, alpha: 0.7, width: 1.0, dashes: &[] })?;
        }
        let size = if label.bold { 19.0 } else { 15.0 };
        let script = Script { bold: label.bold, ..script(label.color, size, HPos::Left) };
        canvas.fade(&label.text, (x + GAP, y), script)?;
        canvas.text(&label.text, (x + GAP, y), script)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fanfold::pipeline::variant::BUILT_IN;

    use super::*;

    #[test]
    fn variants_differ_without_colour() {
        let names = BUILT_IN.iter().map(|variant| variant.name);
        let looks: Vec<Look> = names.chain([crate::plan::FLOOR]).map(look).collect();
        for (at, one) in looks.iter().enumerate() {
            for other in &looks[..at] {
                assert!(one.shape != other.shape);
            }
        }
    }
}
