//! A JSON document: the decoder's own state machine, which makes no entries here.

use crate::format::json::Document;
use crate::format::scan::Chunks;
use crate::model::fault::Fault;
use crate::model::format::InputFormat;
use crate::model::range::{Claim, Place};

/// Finds elements.
pub struct JsonScan {
    document: Document,
}

impl JsonScan {
    pub fn new(format: &InputFormat) -> Self {
        Self { document: Document::new(format) }
    }

    pub fn skip(&mut self, bytes: usize) {
        self.document.skip(bytes);
    }

    pub fn has_begun(&self) -> bool {
        self.document.has_begun()
    }

    pub fn seek(&mut self, place: Place) {
        self.document.seek(place);
    }

    pub fn push(&mut self, bytes: &[u8], chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        self.document.push(bytes, |element, end| {
            let start = element.start();
            chunks.add(end, || Place { offset: start.offset, line: start.line, column: start.column }, out);
        })
    }

    pub fn finish(&mut self) -> Result<(), Fault> {
        self.document.finish()
    }
}
