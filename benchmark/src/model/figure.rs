//! Predicted beside published seconds, on logarithmic axes.

use fanfold::model::error::Result;
use fanfold_plan::published::Told;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use crate::report::plot::Figure;
use crate::report::plot::axes::{Axes, GREY, INK, LEFT, script};
use crate::report::plot::canvas::{Canvas, HEIGHT, Script, Stroke};
use crate::report::plot::figure::look;

/// What the model says of groups of runs.
pub struct Compared<'a>(pub &'a [Told]);

/// Whole seconds were published: none at all is drawn as half of one.
fn shown(told: &Told) -> (f64, f64) {
    (told.published.max(0.5), told.predicted.max(0.5))
}

impl Figure for Compared<'_> {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<()> {
        let points: Vec<(f64, f64)> = self.0.iter().map(shown).flat_map(|(x, y)| [(x, y), (y, x)]).collect();
        let axes = Axes::around(&points);
        canvas.clear()?;
        axes.grid(canvas, "published seconds (median)", "predicted seconds")?;
        let title = Script { bold: true, ..script(INK, 25.0, HPos::Left) };
        canvas.text("Runs of 2020 that the model was not fitted to", (LEFT, 28.0), title)?;
        let ((low, _), (high, _)) = (axes.corner(), axes.far_corner());
        for (times, width) in [(1.0, 1.6), (1.3, 1.0), (1.0 / 1.3, 1.0)] {
            let (from, to): (f64, f64) = (low.max(low / times), high.min(high / times));
            let dashes: &[f64] = if width > 1.0 { &[] } else { &[5.0, 4.0] };
            let ends = [axes.at((from, from * times)), axes.at((to, to * times))];
            canvas.line(&ends, Stroke { color: GREY, alpha: 1.0, width, dashes })?;
        }
        for told in self.0 {
            let look = look(&told.variant);
            // The more runs, the larger.
            let size = 8.0 + (told.runs as f64).sqrt() * 1.6;
            canvas.marker(look.shape, axes.at(shown(told)), size, look.color, 0.8)?;
        }
        let mut names: Vec<&str> = self.0.iter().map(|told| told.variant.as_str()).collect();
        names.dedup();
        for (place, name) in names.into_iter().enumerate() {
            let (look, y) = (look(name), 120.0 + 26.0 * place as f64);
            canvas.marker(look.shape, (996.0, y), 12.0, look.color, 1.0)?;
            canvas.text(name, (1012.0, y), Script { bold: true, ..script(look.color, 19.0, HPos::Left) })?;
        }
        let legend = "Each point: the runs of a variant with so many records; the more, the larger. Line: as published. Dashes: 30 % more and less.";
        canvas.text(legend, (LEFT, f64::from(HEIGHT) - 20.0), script(GREY, 15.0, HPos::Left))
    }
}
