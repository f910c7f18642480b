//! What a search for records finds.

/// A record that was found, or something that is none, such as a blank line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// One past its last byte.
    pub end: usize,
    /// Where the next may begin.
    pub next: usize,
    /// Whether it is a record.
    pub record: bool,
}
