//! JSON Lines: every line that is not blank holds a record, or several.

use crate::format::found::Found;
use crate::format::jsonl::line::{self, Line};
use crate::format::scan::rows::{Ends, Row};

/// The rows of JSON Lines.
pub struct JsonLines;

impl Ends for line::Ends<'_> {
    #[inline]
    fn of(&mut self, start: usize) -> Option<Found> {
        line::Ends::of(self, start)
    }
}

impl Row for JsonLines {
    type Ends<'a> = line::Ends<'a>;
    type Open = Line;

    fn ends<'a>(&self, piece: &'a [u8], _: usize) -> line::Ends<'a> {
        line::Ends::new(piece)
    }

    fn open(&self, bytes: &[u8]) -> Line {
        let mut line = Line::default();
        line.end(bytes);
        line
    }

    fn go_on(&self, line: &mut Line, bytes: &[u8]) -> Option<Found> {
        line.end(bytes)
    }

    fn is_record(&self, line: &Line) -> bool {
        line.is_record()
    }
}
