//! Logarithmic axes of whole decades, and the styles that figures share.

use std::ops::RangeInclusive;

use fanfold::model::error::Result;
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, HEIGHT, Script, Stroke, WIDTH};
use crate::progress::grouped;

pub const LEFT: f64 = 86.0;
pub const RIGHT: f64 = 234.0;
pub const TOP: f64 = 88.0;
pub const BOTTOM: f64 = 96.0;

pub const INK: RGBColor = RGBColor(34, 34, 34);
pub const GREY: RGBColor = RGBColor(110, 110, 110);
pub const GRID: RGBColor = RGBColor(222, 222, 222);

/// Maps values to places: records or seconds, and seconds.
pub struct Axes {
    /// Decades, by their exponents.
    x: RangeInclusive<i32>,
    y: RangeInclusive<i32>,
}

impl Axes {
    /// Axes of whole decades that hold all points.
    pub fn around(points: &[(f64, f64)]) -> Self {
        let decades = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
            // The published counts are one above a power of ten, which does not call for another decade.
            let (low, high) = ((low.log10() + 1e-3).floor() as i32, (high.log10() - 1e-3).ceil() as i32);
            low..=high.max(low + 1)
        };
        Self { x: decades(&mut points.iter().map(|p| p.0)), y: decades(&mut points.iter().map(|p| p.1)) }
    }

    /// The place of a point.
    pub fn at(&self, (x, y): (f64, f64)) -> At {
        let part = |value: f64, decades: &RangeInclusive<i32>| {
            (value.log10() - f64::from(*decades.start())) / f64::from(decades.end() - decades.start())
        };
        let (width, height) = (f64::from(WIDTH) - LEFT - RIGHT, f64::from(HEIGHT) - TOP - BOTTOM);
        (LEFT + width * part(x, &self.x), TOP + height * (1.0 - part(y, &self.y)))
    }

    /// The point of the smallest values.
    pub fn corner(&self) -> (f64, f64) {
        (10f64.powi(*self.x.start()), 10f64.powi(*self.y.start()))
    }

    /// The point of the largest values.
    pub fn far_corner(&self) -> (f64, f64) {
        (10f64.powi(*self.x.end()), 10f64.powi(*self.y.end()))
    }

    /// Draws them, with what they show.
    ///
    /// # Errors
    /// `Internal`, which only a defect can cause.
    pub fn grid<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, x_title: &str, y_title: &str) -> Result<()> {
        let ((left, low), (right, high)) = (self.corner(), self.far_corner());
        let rule = |width| Stroke { color: GRID, alpha: 1.0, width, dashes: &[] };
        for exponent in self.x.clone() {
            let value = 10f64.powi(exponent);
            canvas.line(&[self.at((value, low)), self.at((value, high))], rule(1.0))?;
            let (x, y) = self.at((value, low));
            canvas.text(&decade(exponent), (x, y + 18.0), script(INK, 17.0, HPos::Center))?;
        }
        for exponent in self.y.clone() {
            let value = 10f64.powi(exponent);
            canvas.line(&[self.at((left, value)), self.at((right, value))], rule(1.0))?;
            let (x, y) = self.at((left, value));
            canvas.text(&decade(exponent), (x - 10.0, y), script(INK, 17.0, HPos::Right))?;
        }
        let frame = [self.at((left, high)), self.at((left, low)), self.at((right, low))];
        canvas.line(&frame, Stroke { color: GREY, alpha: 1.0, width: 1.4, dashes: &[] })?;
        let middle = self.at(((left * right).sqrt(), (low * high).sqrt()));
        canvas.text(x_title, (middle.0, f64::from(HEIGHT) - 54.0), script(INK, 18.0, HPos::Center))?;
        let upward = Script { upward: true, ..script(INK, 18.0, HPos::Center) };
        canvas.text(y_title, (22.0, middle.1), upward)
    }
}

/// A power of ten as it is written beside an axis.
fn decade(exponent: i32) -> String {
    let value = 10f64.powi(exponent);
    if exponent < 0 { format!("{value}") } else { grouped(value as u64) }
}

/// A style of text.
pub fn script(color: RGBColor, size: f64, anchor: HPos) -> Script {
    Script { color, size, bold: false, anchor, upward: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_whole_decades_around_the_points() {
        let axes = Axes::around(&[(10.0, 0.12), (1_000_001.0, 438.0)]);
        assert_eq!((axes.x.clone(), axes.y.clone()), (1..=6, -1..=3));
        assert_eq!(axes.at((10.0, 1000.0)), (LEFT, TOP));
        let one = Axes::around(&[(10.0, 1.0)]);
        assert_eq!((one.x, one.y), (1..=2, 0..=1));
        assert_eq!([-1, 0, 4].map(decade), ["0.1", "1", "10,000"]);
    }
}
