//! Chunks that were never copied: ranges of the input object.

use serde::{Deserialize, Serialize};

/// Where a record begins in a file, unpacked if that is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its first byte, from 0.
    pub offset: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Its column on that line, from 1, in bytes.
    pub column: u64,
}

/// The location of a chunk's records: a range of the input's bytes, and the position of its first record, which
/// outcomes and messages need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first byte, from 0, of the object as it is stored.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
    /// The index of the first record, from 0.
    pub first: u64,
    /// The line on which the first record begins, from 1.
    pub line: u64,
    /// The column at which it begins, from 1, in bytes. Only a JSON document can have more than one record on a
    /// line.
    #[serde(default = "first_column", skip_serializing_if = "is_first_column")]
    pub column: u64,
    /// How many bytes at the start of a CSV file hold its columns; 0 for files without a header.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub header: u64,
}

impl Range {
    /// Where its first record begins.
    pub fn place(&self) -> Place {
        Place { offset: self.offset, line: self.line, column: self.column }
    }

    /// The range of bytes.
    pub fn bytes(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.length
    }
}

/// A range of the input that is a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Where its records are.
    pub range: Range,
    /// How many records it holds.
    pub records: u32,
}

impl Claim {
    /// The indexes of its records.
    pub fn records(&self) -> std::ops::Range<u64> {
        self.range.first..self.range.first + u64::from(self.records)
    }
}

fn first_column() -> u64 {
    1
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

fn is_first_column(column: &u64) -> bool {
    *column == 1
}
