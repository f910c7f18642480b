//! Cuts an input stream into chunks and holds one chunk of it at a time.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use futures::stream::{BoxStream, StreamExt};

use crate::format::scan::Scanner;
use crate::format::{Decoder, PIECE};
use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;
use crate::model::progress::Bookmark;
use crate::model::range::{Claim, Range};
use crate::model::record::{Entry, Raw};
use crate::stage::scatter::cut::{CHUNK_BYTES, Chunk, Cut, Cutter, End};
use crate::stage::scatter::limit::{Budget, Progress};

/// How much is unpacked, of what was cut before, at a time.
const PASSED: u64 = 1024 * 1024;

/// Cuts one input.
pub struct Splitter<'a> {
    body: BoxStream<'a, Result<Bytes>>,
    piece: Bytes,
    format: InputFormat,
    decoder: Decoder,
    chunk_size: usize,
    budget: Budget,
    /// How far it was read.
    read: Progress,
    decoded: Vec<Entry>,
    waiting: VecDeque<Entry>,
    weight: usize,
    at_end: bool,
    end: Option<End>,
}

impl<'a> Splitter<'a> {
    /// Cuts `body` into chunks of `chunk_size` records or [`CHUNK_BYTES`], whichever comes first, as far as the budget
    /// goes.
    pub fn new(
        body: BoxStream<'a, Result<Bytes>>,
        format: &InputFormat,
        key_field: &str,
        chunk_size: usize,
        budget: Budget,
    ) -> Self {
        Self {
            body,
            piece: Bytes::new(),
            format: format.clone(),
            decoder: Decoder::new(format, key_field),
            chunk_size: chunk_size.max(1),
            budget,
            read: Progress { records: 0, bytes: 0, header: 0 },
            decoded: Vec::new(),
            waiting: VecDeque::new(),
            weight: 0,
            at_end: false,
            end: Some(End::new(None, None)),
        }
    }

    /// Goes on where an earlier invocation stopped, with `body` from that place on if the file can be read from anywhere,
    /// otherwise from its beginning.
    ///
    /// # Errors
    /// Those of the body; `Internal` if the file has no such place.
    pub async fn seek(&mut self, bookmark: &Bookmark, body: BoxStream<'a, Result<Bytes>>) -> Result<()> {
        while !self.decoder.has_begun() {
            let Some(piece) = self.body.next().await.transpose()? else {
                // A small file that is compressed may come out only at its end.
                let _ = self.decoder.finish(&mut self.decoded);
                if self.decoder.has_begun() {
                    break;
                }
                return Err(ended());
            };
            let mut bytes = &piece[..];
            while !self.decoder.has_begun() && (!bytes.is_empty() || self.decoder.has_more()) {
                match self.decoder.step(bytes, &mut self.decoded) {
                    Ok(taken) => bytes = &bytes[taken..],
                    // What is damaged comes after the place, or the file is another one.
                    Err(_) if self.decoder.has_begun() => {}
                    Err(_) => return Err(ended()),
                }
            }
        }
        self.decoded.clear();
        self.decoder.seek(&self.format, bookmark.place, bookmark.record);
        self.body = body;
        self.read = Progress { records: bookmark.record, bytes: bookmark.place.offset, header: 0 };
        self.budget.seek(bookmark.chunk, bookmark.work);
        self.end.iter_mut().for_each(|end| end.seek(bookmark));
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        // A stream may hold empty pieces before its end.
        while self.piece.is_empty() && !self.decoder.has_more() {
            match self.body.next().await.transpose()? {
                Some(piece) => self.piece = piece,
                None => break,
            }
        }
        let decoded = if self.piece.is_empty() && !self.decoder.has_more() {
            self.at_end = true;
            self.decoder.finish(&mut self.decoded)
        } else {
            let Self { decoder, piece, decoded, read, .. } = self;
            decoder.step(piece, decoded).map(|taken| {
                piece.advance(taken);
                read.bytes += taken as u64;
            })
        };
        self.read.records += self.decoded.len() as u64;
        if let (Err(fault), Some(end)) = (decoded, &mut self.end) {
            self.at_end = true;
            end.fault = Some(fault);
        }
        self.weight += self.decoded.iter().map(Entry::weight).sum::<usize>();
        self.waiting.extend(self.decoded.drain(..));
        Ok(())
    }

    /// The entries of the next chunk, and what they weigh.
    fn cut(&mut self) -> (Vec<Entry>, usize) {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.waiting.front() {
            let weight = entry.weight();
            let full = entries.len() == self.chunk_size || bytes + weight > CHUNK_BYTES;
            if full && !entries.is_empty() {
                break;
            }
            bytes += weight;
            entries.extend(self.waiting.pop_front());
        }
        self.weight -= bytes;
        (entries, bytes)
    }

    /// How far the input was read.
    fn progress(&self) -> Progress {
        Progress { header: self.decoder.header(), ..self.read }
    }
}

impl Cutter for Splitter<'_> {
    async fn next(&mut self) -> Result<Option<Cut>> {
        let before = self.read.bytes;
        while !self.at_end && self.waiting.len() < self.chunk_size && self.weight < CHUNK_BYTES {
            self.read().await?;
            if self.decoder.is_skipping() && self.read.bytes > before + PASSED {
                return Ok(Some(Cut::Nothing));
            }
        }
        let ((entries, weight), read) = (self.cut(), self.progress());
        let Some(end) = &mut self.end else {
            return Ok(None);
        };
        if !entries.is_empty() {
            let before = self.budget.work();
            let Err(fault) = self.budget.take(entries.len(), weight as u64, Some(read)) else {
                let index = end.count(entries.len() as u64)?;
                return Ok(Some(Cut::Chunk(Chunk { index, entries, before })));
            };
            self.at_end = true;
            self.waiting.clear();
            end.fault = Some(fault);
        }
        end.columns = self.decoder.columns().map(<[String]>::to_vec);
        end.head = self.decoder.head().map(Raw::new);
        Ok(self.end.take().map(Cut::End))
    }
}

/// Finds the chunks of an input that is not gzipped, without copying them.
pub struct RangeSplitter<'a> {
    body: BoxStream<'a, Result<Bytes>>,
    scanner: Scanner,
    found: VecDeque<Claim>,
    budget: Budget,
    at_end: bool,
    end: Option<End>,
}

impl<'a> RangeSplitter<'a> {
    /// Finds the chunks in `body`, like a [`Splitter`].
    pub fn new(
        body: BoxStream<'a, Result<Bytes>>,
        format: &InputFormat,
        key_field: &str,
        chunk_size: usize,
        budget: Budget,
    ) -> Self {
        let scanner = Scanner::new(format, key_field, chunk_size.max(1), CHUNK_BYTES);
        let end = Some(End::new(None, None));
        Self { body, scanner, found: VecDeque::new(), budget, at_end: false, end }
    }

    /// Goes on where an earlier invocation stopped, with `body` from that place on.
    ///
    /// # Errors
    /// Those of the body; `Internal` if the file has no such place.
    pub async fn seek(&mut self, bookmark: &Bookmark, body: BoxStream<'a, Result<Bytes>>) -> Result<()> {
        while !self.scanner.has_begun() {
            let piece = self.body.next().await.transpose()?.ok_or_else(ended)?;
            for bytes in piece.chunks(PIECE) {
                if !self.scanner.has_begun()
                    && self.scanner.push(bytes, &mut Vec::new()).is_err()
                    && !self.scanner.has_begun()
                {
                    return Err(ended());
                }
            }
        }
        self.scanner.seek(bookmark.place, bookmark.record);
        self.body = body;
        self.budget.seek(bookmark.chunk, bookmark.work);
        self.end.iter_mut().for_each(|end| end.seek(bookmark));
        Ok(())
    }
}

impl Cutter for RangeSplitter<'_> {
    async fn next(&mut self) -> Result<Option<Cut>> {
        let mut passed = 0;
        while self.found.is_empty() && !self.at_end {
            if passed > PASSED {
                return Ok(Some(Cut::Nothing));
            }
            let mut found = Vec::new();
            let scanned = match self.body.next().await.transpose()? {
                Some(piece) => {
                    passed += piece.len() as u64;
                    self.scanner.push(&piece, &mut found)
                }
                None => {
                    self.at_end = true;
                    self.scanner.finish(&mut found)
                }
            };
            let header = self.scanner.header();
            self.found.extend(found.into_iter().map(|claim| Claim { range: Range { header, ..claim.range }, ..claim }));
            if let (Err(fault), Some(end)) = (scanned, &mut self.end) {
                self.at_end = true;
                end.fault = Some(fault);
            }
        }
        let Some(end) = &mut self.end else {
            return Ok(None);
        };
        if let Some(claim) = self.found.pop_front() {
            let weight = claim.range.length + u64::from(claim.records) * self.scanner.names();
            let Range { header, .. } = claim.range;
            let read = Progress { records: claim.records().end, bytes: claim.range.bytes().end, header };
            let before = self.budget.work();
            let Err(fault) = self.budget.take(claim.records as usize, weight, Some(read)) else {
                let index = end.count(u64::from(claim.records))?;
                return Ok(Some(Cut::Claim(index, claim, before)));
            };
            self.at_end = true;
            self.found.clear();
            end.fault = Some(fault);
        }
        end.columns = self.scanner.columns().map(<[String]>::to_vec);
        end.head = self.scanner.head().map(Raw::new);
        Ok(self.end.take().map(Cut::End))
    }
}

/// The error for a file that has no bookmarked place, as it had before.
fn ended() -> Error {
    Error::internal("the input no longer has the place where scatter stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn cuts(text: String, chunk_size: usize) -> (Vec<Chunk>, End) {
        let piece = |piece| [Ok(Bytes::new()), Ok(Bytes::copy_from_slice(piece)), Ok(Bytes::new())];
        let pieces: Vec<Result<Bytes>> = text.as_bytes().chunks(1000).flat_map(piece).collect();
        let format = InputFormat::of_key("f.csv").unwrap();
        let mut splitter =
            Splitter::new(stream::iter(pieces).boxed(), &format, "k", chunk_size, Budget::chunks(65_536));
        let mut chunks = Vec::new();
        loop {
            match splitter.next().await.unwrap().expect("an end comes first") {
                Cut::Chunk(chunk) => chunks.push(chunk),
                Cut::End(end) => {
                    assert!(splitter.next().await.unwrap().is_none());
                    return (chunks, end);
                }
                other => panic!("{other:?} is no copy"),
            }
        }
    }

    fn rows(range: std::ops::Range<usize>, filler: &str) -> String {
        let rows: String = range.map(|n| format!("{n},{filler}\n")).collect();
        format!("k,a\n{rows}")
    }

    #[tokio::test]
    async fn chunks_are_cut_by_number_and_indexes_run_on() {
        let (chunks, end) = cuts(rows(0..1001, "x"), 500).await;
        assert_eq!(chunks.iter().map(|c| c.entries.len()).collect::<Vec<_>>(), [500, 500, 1]);
        assert_eq!((end.records, end.chunks), (1001, 3));
        let first = &chunks[2].entries[0];
        assert_eq!(first.index, 1000);
        assert_eq!(first.record.get(), r#"{"k":"1000","a":"x"}"#);
    }

    #[tokio::test]
    async fn chunks_are_cut_by_size_too() {
        let (chunks, end) = cuts(rows(0..40, &"y".repeat(100 * 1024)), 500).await;
        assert!(chunks.iter().all(|c| c.entries.iter().map(Entry::weight).sum::<usize>() <= CHUNK_BYTES));
        assert_eq!(chunks.iter().map(|c| c.entries.len()).sum::<usize>(), 40);
        assert_eq!(end.chunks as usize, chunks.len());
        assert!(end.chunks >= 4);
    }

    #[tokio::test]
    async fn chunk_65537_ends_the_input_with_a_clear_fault() {
        let (chunks, end) = cuts(rows(0..65_537, ""), 1).await;
        assert_eq!(chunks.len(), 65_536);
        let fault = end.fault.unwrap();
        assert_eq!(fault.code.name(), "TOO_MANY_CHUNKS");
        assert!(fault.message.contains("raise CHUNK_SIZE"));
        assert_eq!(cuts(rows(0..65_536, ""), 1).await.1.fault, None);
    }

    #[tokio::test]
    async fn a_break_keeps_what_came_before_it() {
        let (chunks, end) = cuts(format!("{}x\n\"open", rows(0..7, "a")), 5).await;
        assert_eq!(chunks.iter().map(|c| c.entries.len()).collect::<Vec<_>>(), [5, 4]);
        assert_eq!(end.fault, None);
        assert!(chunks[1].entries[3].fault.as_deref().is_some_and(|fault| fault.contains("not closed")));
    }
}
