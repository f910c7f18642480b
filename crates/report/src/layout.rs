//! How wide columns are. Fixed widths: typst would lay a table out several times to find them.

use serde::Serialize;

use crate::text;

/// The width of text on an A4 page, upright and across, in points.
const UPRIGHT: f64 = 510.2;
const ACROSS: f64 = 756.8;
/// The size of text in tables, in points.
const SIZE: f64 = 8.5;
/// What a cell has beside its text, left and right together, in points.
const INSET: f64 = 12.0;
/// Bold text, and the difference between fonts.
const SLACK: f64 = 1.12;
/// The narrowest and the widest a column wants to be, in points.
const NARROWEST: f64 = 42.0;
const WIDEST: f64 = 200.0;

/// A table: rows of cells, and the widths of their columns in points.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) widths: Vec<f64>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) totals: Option<Vec<String>>,
    /// Whether every row has one line. Rows of a known height are laid out in half the time.
    pub(crate) flat: bool,
}

/// How wide pages are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Page {
    Upright,
    Across,
}

impl Page {
    /// The page that has room for all of the tables, if one has.
    pub(crate) fn of<'a>(tables: impl Iterator<Item = &'a Natural>) -> Self {
        let widest = tables.map(|natural| natural.0.iter().sum()).fold(0.0, f64::max);
        if widest <= UPRIGHT { Self::Upright } else { Self::Across }
    }

    fn width(self) -> f64 {
        match self {
            Self::Upright => UPRIGHT,
            Self::Across => ACROSS,
        }
    }
}

/// How wide the columns of a table want to be, in points.
pub(crate) struct Natural(Vec<f64>);

impl Natural {
    /// By the widest of each column's texts.
    pub(crate) fn of<'a>(columns: usize, rows: impl Iterator<Item = &'a [String]>) -> Self {
        let mut widths = vec![NARROWEST; columns];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = width.max(text::width(cell) * SIZE * SLACK + INSET).min(WIDEST);
            }
        }
        Self(widths)
    }

    /// The widths with which the table fills the page, to a tenth of a point.
    pub(crate) fn fitted(&self, page: Page) -> Vec<f64> {
        let wanted: f64 = self.0.iter().sum();
        let widths = if wanted <= page.width() {
            // The rest goes to all columns alike, so that short ones are not lost at the edge.
            let more = (page.width() - wanted) / self.0.len() as f64;
            self.0.iter().map(|width| width + more).collect()
        } else {
            shrunk(&self.0, page.width())
        };
        widths.into_iter().map(|width| (width * 10.0).floor() / 10.0).collect()
    }
}

/// The widths, of which the widest give way until all have room.
fn shrunk(wanted: &[f64], room: f64) -> Vec<f64> {
    let mut sorted = wanted.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut left = room;
    for (index, width) in sorted.iter().enumerate() {
        let level = left / (sorted.len() - index) as f64;
        if *width > level {
            return wanted.iter().map(|width| width.min(level)).collect();
        }
        left -= width;
    }
    wanted.to_vec()
}

/// Lets every word of a table break that is wider than its column, and says whether all rows are of one line.
pub(crate) fn break_words(table: &mut Table, widths: &[f64]) {
    table.flat = true;
    let rows = table.rows.iter_mut().chain(&mut table.totals);
    for (cell, width) in rows.flat_map(|row| row.iter_mut().zip(widths)) {
        let room = (width - INSET) / SIZE / SLACK;
        if text::width(cell) > room {
            table.flat = false;
            *cell = text::breakable(std::mem::take(cell), room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fills_the_page_and_never_more() {
        for columns in 1..=16 {
            for letters in [1, 10, 100] {
                let row = vec!["m".repeat(letters); columns];
                let natural = Natural::of(columns, [row.as_slice()].into_iter());
                let page = Page::of([&natural].into_iter());
                let sum: f64 = natural.fitted(page).iter().sum();
                assert!(
                    sum < page.width() + 0.001 && sum > page.width() - 2.0,
                    "{columns} columns, {letters} letters: {sum}"
                );
            }
        }
    }

    #[test]
    fn the_widest_columns_give_way_first() {
        assert_eq!(shrunk(&[50.0, 200.0, 100.0, 200.0], 400.0), [50.0, 125.0, 100.0, 125.0]);
    }
}
