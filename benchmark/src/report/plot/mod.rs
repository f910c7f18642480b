//! The plot, the same in both formats: an SVG, and a PNG for viewers that show none.

pub mod axes;
pub mod canvas;
pub mod figure;
mod labels;
mod png;

use fanfold::model::error::{Error, Result};
use plotters::prelude::{BitMapBackend, DrawingBackend, FontStyle, IntoDrawingArea, SVGBackend};
use plotters::style::register_font;

use super::group::Group;
use canvas::{Canvas, FONT, HEIGHT, WIDTH};

/// How much larger both formats are drawn: the backends know only whole pixels, and the bitmap's thick lines
/// have no smooth edges.
const DRAWN: u32 = 4;
/// How much the bitmap is then scaled down.
const SHRUNK: u32 = 2;

/// What can be drawn.
pub trait Figure {
    /// Draws it.
    ///
    /// # Errors
    /// `Internal`, which only a defect can cause.
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<()>;
}

impl Figure for Group {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<()> {
        figure::draw(canvas, self)
    }
}

/// The plot as SVG. Its texts stay text, in the viewer's font.
pub fn svg(figure: &impl Figure) -> Result<String> {
    fonts()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH * DRAWN, HEIGHT * DRAWN)).into_drawing_area();
        let canvas = Canvas::new(area, DRAWN);
        figure.draw(&canvas)?;
        canvas.finish()?;
    }
    // The size of the image; the view box keeps the size of the drawing.
    let size = |scale: u32| format!("width=\"{}\" height=\"{}\"", WIDTH * scale, HEIGHT * scale);
    Ok(text.replacen(&size(DRAWN), &size(1), 1))
}

/// The plot as PNG, with twice the pixels of the SVG's size.
pub fn png(figure: &impl Figure) -> Result<Vec<u8>> {
    fonts()?;
    let (width, height) = (WIDTH * DRAWN, HEIGHT * DRAWN);
    let mut pixels = vec![0; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        let canvas = Canvas::new(area, DRAWN);
        figure.draw(&canvas)?;
        canvas.finish()?;
    }
    let image = png::shrink(&pixels, width as usize, SHRUNK as usize);
    png::encode(&image, width / SHRUNK, height / SHRUNK)
}

/// Registers Noto Sans, which is compiled in: no system font is assumed.
fn fonts() -> Result<()> {
    for (style, bytes) in [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)] {
        register_font(FONT, style, bytes).map_err(|_| Error::internal("the plot's font is not readable"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::group::groups;
    use crate::report::tests::rows;

    #[test]
    fn the_png_is_twice_the_svg_and_not_blank() {
        let group = groups(rows(), None).remove(0);
        let (width, height, pixels) = png::tests::decode(&png(&group).unwrap());
        assert_eq!((width, height), (WIDTH * 2, HEIGHT * 2));
        let drawn = pixels.chunks(3).filter(|pixel| pixel.iter().any(|c| *c < 200)).count();
        assert!(drawn > 20_000, "{drawn}");
        let size =
            format!("width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {} {}\"", WIDTH * DRAWN, HEIGHT * DRAWN);
        assert!(svg(&group).unwrap().contains(&size));
    }

    #[test]
    fn a_plot_is_the_same_each_time() {
        let group = groups(rows(), None).remove(0);
        assert_eq!(svg(&group).unwrap(), svg(&group).unwrap());
    }
}
