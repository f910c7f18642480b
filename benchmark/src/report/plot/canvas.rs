//! The drawing surface: lines, bands, markers and texts in the plot's own units, which each format multiplies
//! by its scale.

use fanfold::model::error::{Error, Result};
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle, WHITE};

/// The plot's size in its own units, which are the pixels of the SVG.
pub const WIDTH: u32 = 1200;
pub const HEIGHT: u32 = 760;
/// A font name that every SVG viewer knows.
pub const FONT: &str = "sans-serif";

/// A point in the plot's units.
pub type At = (f64, f64);

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    /// Its colour.
    pub color: RGBColor,
    /// How opaque it is.
    pub alpha: f64,
    /// Its width.
    pub width: f64,
    /// Lengths of dash, gap, dash …; empty for a solid line.
    pub dashes: &'static [f64],
}

/// The shape of a marker, which distinguishes variants without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    /// A triangle pointing down.
    Kite,
    Diamond,
    /// A triangle pointing to the right.
    Flag,
    /// A ring.
    Ring,
    Plus,
    Cross,
}

/// The style of a text.
#[derive(Clone, Copy)]
pub struct Script {
    /// Its colour.
    pub color: RGBColor,
    /// Its size.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// Which end of the text is at its place.
    pub anchor: HPos,
    /// Whether it runs upward.
    pub upward: bool,
}

/// The canvas of one format.
pub struct Canvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    scale: f64,
}

fn failed<E: std::fmt::Display>(error: E) -> Error {
    Error::internal(format!("the plot cannot be drawn: {error}"))
}

impl<DB: DrawingBackend> Canvas<DB> {
    /// A canvas on an area that is `scale` times the plot's size.
    pub fn new(area: DrawingArea<DB, Shift>, scale: u32) -> Self {
        Self { area, scale: f64::from(scale) }
    }

    /// Paints the whole canvas white.
    pub fn clear(&self) -> Result<()> {
        self.area.fill(&WHITE).map_err(failed)
    }

    /// Finishes the drawing.
    pub fn finish(&self) -> Result<()> {
        self.area.present().map_err(failed)
    }

    fn pixel(&self, at: At) -> (i32, i32) {
        ((at.0 * self.scale).round() as i32, (at.1 * self.scale).round() as i32)
    }

    fn pixels(&self, points: &[At]) -> Vec<(i32, i32)> {
        points.iter().map(|at| self.pixel(*at)).collect()
    }

    /// Draws a line through points.
    pub fn line(&self, points: &[At], stroke: Stroke) -> Result<()> {
        let width = (stroke.width * self.scale).round().max(1.0) as u32;
        let style = ShapeStyle { color: stroke.color.mix(stroke.alpha), filled: false, stroke_width: width };
        for piece in dashes(points, stroke.dashes) {
            self.area.draw(&PathElement::new(self.pixels(&piece), style)).map_err(failed)?;
        }
        Ok(())
    }

    /// Fills an area.
    pub fn fill(&self, corners: &[At], color: RGBColor, alpha: f64) -> Result<()> {
        self.area.draw(&Polygon::new(self.pixels(corners), color.mix(alpha).filled())).map_err(failed)
    }

    /// Draws a marker.
    pub fn marker(&self, shape: Shape, (x, y): At, size: f64, color: RGBColor, alpha: f64) -> Result<()> {
        let r = size / 2.0;
        match shape {
            Shape::Circle => {
                let radius = (r * self.scale).round() as i32;
                self.area.draw(&Circle::new(self.pixel((x, y)), radius, color.mix(alpha).filled())).map_err(failed)
            }
            Shape::Square => {
                let r = r * 0.9;
                self.fill(&[(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], color, alpha)
            }
            Shape::Triangle => {
                self.fill(&[(x, y - r * 1.2), (x + r * 1.1, y + r * 0.8), (x - r * 1.1, y + r * 0.8)], color, alpha)
            }
            Shape::Kite => {
                self.fill(&[(x, y + r * 1.2), (x + r * 1.1, y - r * 0.8), (x - r * 1.1, y - r * 0.8)], color, alpha)
            }
            Shape::Diamond => {
                let r = r * 1.25;
                self.fill(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)], color, alpha)
            }
            Shape::Flag => {
                self.fill(&[(x + r * 1.2, y), (x - r * 0.8, y - r * 1.1), (x - r * 0.8, y + r * 1.1)], color, alpha)
            }
            Shape::Ring => {
                let corner =
                    |n: i32| (x + r * f64::from(n).to_radians().cos(), y + r * f64::from(n).to_radians().sin());
                let around: Vec<At> = (0..=360).step_by(30).map(corner).collect();
                self.line(&around, Stroke { color, alpha, width: (size / 4.0).max(1.2), dashes: &[] })
            }
            Shape::Plus => {
                let stroke = Stroke { color, alpha, width: (size / 3.0).max(1.6), dashes: &[] };
                self.line(&[(x - r, y), (x + r, y)], stroke)?;
                self.line(&[(x, y - r), (x, y + r)], stroke)
            }
            Shape::Cross => {
                let stroke = Stroke { color, alpha, width: (size / 4.0).max(1.2), dashes: &[] };
                self.line(&[(x - r, y - r), (x + r, y + r)], stroke)?;
                self.line(&[(x - r, y + r), (x + r, y - r)], stroke)
            }
        }
    }

    /// Writes a text, vertically centred on the place.
    pub fn text(&self, text: &str, at: At, script: Script) -> Result<()> {
        self.area.draw_text(text, &self.style(&script), self.pixel(at)).map_err(failed)
    }

    /// Fades what is behind a text that will begin at a place.
    pub fn fade(&self, text: &str, (x, y): At, script: Script) -> Result<()> {
        let (width, _) = self.area.estimate_text_size(text, &self.style(&script)).map_err(failed)?;
        let (right, half) = (x + f64::from(width) / self.scale + 2.0, script.size * 0.48);
        let corners = [(x - 2.0, y - half), (right, y - half), (right, y + half), (x - 2.0, y + half)];
        self.fill(&corners, WHITE, 0.82)
    }

    fn style<'a>(&self, script: &'a Script) -> TextStyle<'a> {
        let style = if script.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (FontFamily::Name(FONT), script.size * self.scale, style);
        let style = TextStyle::from(font).color(&script.color).pos(Pos::new(script.anchor, VPos::Center));
        if script.upward { style.transform(FontTransform::Rotate270) } else { style }
    }
}

/// Cuts a line into its dashes.
fn dashes(points: &[At], pattern: &[f64]) -> Vec<Vec<At>> {
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut pieces, mut piece) = (Vec::new(), points.first().map(|at| vec![*at]).unwrap_or_default());
    let (mut at, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let distance = (to.0 - from.0).hypot(to.1 - from.1);
            let part = if distance > 0.0 { (left / distance).min(1.0) } else { 1.0 };
            from = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            piece.push(from);
            if part >= 1.0 {
                left -= distance;
                break;
            }
            if at % 2 == 0 {
                pieces.push(std::mem::take(&mut piece));
            }
            at = (at + 1) % pattern.len();
            left = pattern[at];
            piece = vec![from];
        }
    }
    if at % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xs(pieces: &[Vec<At>]) -> Vec<Vec<f64>> {
        pieces.iter().map(|piece| piece.iter().map(|at| at.0).collect()).collect()
    }

    #[test]
    fn a_line_is_cut_into_dashes() {
        let line = [(0.0, 0.0), (10.0, 0.0)];
        assert_eq!(xs(&dashes(&line, &[])), [[0.0, 10.0]]);
        assert_eq!(xs(&dashes(&line, &[3.0, 2.0])), [[0.0, 3.0], [5.0, 8.0]]);
        let long_dash_dot = dashes(&[(0.0, 0.0), (20.0, 0.0)], &[6.0, 2.0, 1.0, 2.0]);
        assert_eq!(xs(&long_dash_dot), [[0.0, 6.0], [8.0, 9.0], [11.0, 17.0], [19.0, 20.0]]);
    }

    #[test]
    fn dashes_go_round_corners() {
        let corner = dashes(&[(0.0, 0.0), (2.0, 0.0), (2.0, 4.0)], &[3.0, 1.0]);
        assert_eq!(corner, [vec![(0.0, 0.0), (2.0, 0.0), (2.0, 1.0)], vec![(2.0, 2.0), (2.0, 4.0)]]);
        assert_eq!(dashes(&[(0.0, 0.0)], &[3.0, 1.0]), [[(0.0, 0.0); 1]; 0]);
    }
}
