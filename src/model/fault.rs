//! Why a batch, or its input file as a whole, failed.

use serde::{Deserialize, Serialize};

use crate::model::record::cut;

/// What is wrong, for programs. `docs/ERRORS.md` lists what each code means and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FaultCode {
    /// The name of the file has no extension that fanfold knows.
    UnknownFormat,
    /// The header of a CSV file, or a JSON document around its records, is not UTF-8.
    NotUtf8,
    /// The gzip stream is damaged, or ends too early.
    BrokenGzip,
    /// The Zstandard stream is damaged, or ends too early.
    BrokenZstd,
    /// The bzip2 stream is damaged, or ends too early.
    BrokenBzip2,
    /// A Parquet file is truncated, damaged, encrypted, or written in a way that is not supported.
    BrokenParquet,
    /// The file is of another kind than its name says.
    OtherKind,
    /// No column of a CSV file is named as the key field.
    NoHeader,
    /// The header row of a CSV file is too large.
    HeaderTooLarge,
    /// Two columns of a CSV file have the same name.
    DuplicateColumn,
    /// A quote in the header of a CSV file is not closed, or something follows the quote that closes a field.
    OpenQuote,
    /// A JSON document is not JSON outside its records, at the place that the message names.
    BrokenJson,
    /// A JSON document ends too early.
    TruncatedJson,
    /// A JSON document has no member `records`.
    NoRecords,
    /// The manifest is not a list of objects.
    BrokenManifest,
    /// The file, or an object of a list, could not be opened when its batch began: it was not there, though it was looked for during 15 minutes, overwritten since it was uploaded or listed, archived, or not to be read.
    UnavailableObject,
    /// The object lies in another bucket than the manifest.
    OtherBucket,
    /// The records of the object are laid out in another way than those of the first object of its batch.
    OtherLayout,
    /// Some objects of the batch could not be read to their ends; the records of all others were processed.
    UnreadableObjects,
    /// The file needs more chunks than a batch can have.
    TooManyChunks,
    /// The file would make more records, write more bytes or cost more than a batch may, or its header is longer than one may be.
    LimitExceeded,
    /// The record schema that was deployed cannot be used.
    BadSchema,
    /// The file could not be divided into chunks in five attempts; the message has the last error.
    ScatterFailed,
    /// The Distributed Map that runs the workers of a batch failed; the message has what Step Functions says of it.
    MapFailed,
    /// Waiting records, or the file that they lie in, were deleted, overwritten or damaged before the batch had ended.
    LostRecords,
    /// The file was deleted or overwritten before its batch had ended, so that `results` cannot repeat its records; all were processed.
    InputChanged,
    /// More records failed than `TOLERATE` allows, so that the rest was not processed.
    TooManyFailures,
    /// The batch made no progress for `GIVE_UP_AFTER`.
    GaveUp,
    /// The batch was cancelled.
    Cancelled,
    /// A later version of fanfold wrote a code that this one does not know.
    #[serde(other)]
    Unknown,
}

impl FaultCode {
    /// All codes that fanfold writes.
    pub const ALL: [Self; 29] = [
        Self::UnknownFormat,
        Self::NotUtf8,
        Self::BrokenGzip,
        Self::BrokenZstd,
        Self::BrokenBzip2,
        Self::BrokenParquet,
        Self::OtherKind,
        Self::NoHeader,
        Self::HeaderTooLarge,
        Self::DuplicateColumn,
        Self::OpenQuote,
        Self::BrokenJson,
        Self::TruncatedJson,
        Self::NoRecords,
        Self::BrokenManifest,
        Self::UnavailableObject,
        Self::OtherBucket,
        Self::OtherLayout,
        Self::UnreadableObjects,
        Self::TooManyChunks,
        Self::LimitExceeded,
        Self::BadSchema,
        Self::ScatterFailed,
        Self::MapFailed,
        Self::LostRecords,
        Self::InputChanged,
        Self::TooManyFailures,
        Self::GaveUp,
        Self::Cancelled,
    ];

    /// The code as it appears in a summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownFormat => "UNKNOWN_FORMAT",
            Self::NotUtf8 => "NOT_UTF8",
            Self::BrokenGzip => "BROKEN_GZIP",
            Self::BrokenZstd => "BROKEN_ZSTD",
            Self::BrokenBzip2 => "BROKEN_BZIP2",
            Self::BrokenParquet => "BROKEN_PARQUET",
            Self::OtherKind => "OTHER_KIND",
            Self::NoHeader => "NO_HEADER",
            Self::HeaderTooLarge => "HEADER_TOO_LARGE",
            Self::DuplicateColumn => "DUPLICATE_COLUMN",
            Self::OpenQuote => "OPEN_QUOTE",
            Self::BrokenJson => "BROKEN_JSON",
            Self::TruncatedJson => "TRUNCATED_JSON",
            Self::NoRecords => "NO_RECORDS",
            Self::BrokenManifest => "BROKEN_MANIFEST",
            Self::UnavailableObject => "UNAVAILABLE_OBJECT",
            Self::OtherBucket => "OTHER_BUCKET",
            Self::OtherLayout => "OTHER_LAYOUT",
            Self::UnreadableObjects => "UNREADABLE_OBJECTS",
            Self::TooManyChunks => "TOO_MANY_CHUNKS",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::BadSchema => "BAD_SCHEMA",
            Self::ScatterFailed => "SCATTER_FAILED",
            Self::MapFailed => "MAP_FAILED",
            Self::LostRecords => "LOST_RECORDS",
            Self::InputChanged => "INPUT_CHANGED",
            Self::TooManyFailures => "TOO_MANY_FAILURES",
            Self::GaveUp => "GAVE_UP",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// What happened, in a sentence.
    pub fn cause(self) -> &'static str {
        match self {
            Self::UnknownFormat => "The name of the file has no extension that fanfold knows.",
            Self::NotUtf8 => "The header of a CSV file, or a JSON document around its records, is not UTF-8.",
            Self::BrokenGzip => "The gzip stream is damaged, or ends too early.",
            Self::BrokenZstd => "The Zstandard stream is damaged, or ends too early.",
            Self::BrokenBzip2 => "The bzip2 stream is damaged, or ends too early.",
            Self::BrokenParquet => {
                "A Parquet file is truncated, damaged, encrypted, written in a way that is not supported, or in row groups too large for scatter's memory."
            }
            Self::OtherKind => "The file is of another kind than its name says.",
            Self::NoHeader => "No column of a CSV file is named as the key field.",
            Self::HeaderTooLarge => "The header row of a CSV file is too large.",
            Self::DuplicateColumn => "Two columns of a CSV file have the same name.",
            Self::OpenQuote => {
                "A quote in the header of a CSV file is not closed, or something follows the quote that closes a field."
            }
            Self::BrokenJson => "A JSON document is not JSON outside its records, at the place that the message names.",
            Self::TruncatedJson => "A JSON document ends too early.",
            Self::NoRecords => "A JSON document has no member `records`.",
            Self::BrokenManifest => "The manifest is not a list of objects.",
            Self::UnavailableObject => {
                "The file, or an object of a list, could not be opened when its batch began: it was not there, though it was looked for during 15 minutes, overwritten since it was uploaded or listed, archived, or not to be read."
            }
            Self::OtherBucket => "The object lies in another bucket than the manifest.",
            Self::OtherLayout => {
                "The records of the object are laid out in another way than those of the first object of its batch."
            }
            Self::UnreadableObjects => {
                "Some objects of the batch could not be read to their ends; the records of all others were processed."
            }
            Self::TooManyChunks => "The file needs more chunks than a batch can have.",
            Self::LimitExceeded => {
                "The file would make more records, write more bytes or cost more than a batch may, or its header is longer than one may be."
            }
            Self::BadSchema => "The record schema that was deployed cannot be used.",
            Self::ScatterFailed => {
                "The file could not be divided into chunks in five attempts; the message has the last error."
            }
            Self::MapFailed => {
                "The Distributed Map that runs the workers of a batch failed; the message has what Step Functions says of it."
            }
            Self::LostRecords => {
                "Waiting records, or the file that they lie in, were deleted, overwritten or damaged before the batch had ended."
            }
            Self::InputChanged => {
                "The file was deleted or overwritten before its batch had ended, so that `results` cannot repeat its records; all were processed."
            }
            Self::TooManyFailures => "More records failed than `TOLERATE` allows, so that the rest was not processed.",
            Self::GaveUp => "The batch made no progress for `GIVE_UP_AFTER`.",
            Self::Cancelled => "The batch was cancelled.",
            Self::Unknown => "A later version of fanfold wrote a code that this one does not know.",
        }
    }

    /// What to do, in a sentence.
    pub fn cure(self) -> &'static str {
        match self {
            Self::UnknownFormat => {
                "Name it `.csv`, `.tsv`, `.txt`, `.json`, `.jsonl` or `.ndjson`, each optionally followed by `.gz`, `.zst` or `.bz2`, or `.parquet`, and upload it again."
            }
            Self::NotUtf8 => {
                "Convert it (`iconv -f WINDOWS-1252 -t UTF-8`, if it comes from Windows) and upload it again."
            }
            Self::BrokenGzip | Self::BrokenZstd | Self::BrokenBzip2 => "Compress the file again and upload it whole.",
            Self::BrokenParquet => {
                "Write the file again, in the way that the message says, and upload it whole; or give scatter more `memory`."
            }
            Self::OtherKind => "Make of it what the message says, and upload that.",
            Self::NoHeader => {
                "Add a header row, or deploy with `KEY_FIELD` set to one of the columns; for files without a header row, name their columns in `columns` of `FORMAT`."
            }
            Self::HeaderTooLarge => "Shorten the names of the columns, or check that the file has line ends.",
            Self::DuplicateColumn => "Rename one of them.",
            Self::OpenQuote => "Correct it where the message says, and upload the file again.",
            Self::BrokenJson => "Correct it there and upload it again.",
            Self::TruncatedJson => "Upload the whole file.",
            Self::NoRecords => "Put the records into an array of that name, or upload JSON Lines.",
            Self::BrokenManifest => "Correct it where the message says, and upload it again.",
            Self::UnavailableObject => "Make it readable, or upload it again, and submit it.",
            Self::OtherBucket => "Copy it into the input bucket, and submit it from there.",
            Self::OtherLayout => "Submit objects of each layout (CSV, JSON, JSON Lines) as a batch of their own.",
            Self::UnreadableObjects => {
                "See `objects` in the summary, mend those objects as their own codes say, and submit them again."
            }
            Self::TooManyChunks => "Raise `CHUNK_SIZE`, or divide the file.",
            Self::LimitExceeded => {
                "Divide the file or shorten the names of its columns, or raise what the message names: `LIMITS`, or `max_header` in `FORMAT`."
            }
            Self::BadSchema => {
                "Correct `SCHEMA` as the message says (`fanfold check` tries it), deploy, and upload the file again."
            }
            Self::ScatterFailed => "Fix what it names, then upload the file again. What was done is kept.",
            Self::MapFailed => {
                "Fix what it names, then `fanfold redrive`, which processes what had no worker. What was done is kept."
            }
            Self::LostRecords => "Upload the file again, and keep it until its batch has ended.",
            Self::InputChanged => {
                "Nothing is lost; keep a file until its batch has ended, or let the input bucket keep versions."
            }
            Self::TooManyFailures => {
                "Mend what the other failed records tell, then `fanfold redrive`, which processes the rest, too; or raise `TOLERATE`."
            }
            Self::GaveUp => {
                "See what `fanfold status` and the alarms say, fix the cause, then `fanfold redrive`, or upload the file again."
            }
            Self::Cancelled => {
                "`fanfold redrive` processes what was skipped, if the file was read to its end; else upload it again."
            }
            Self::Unknown => "Use the version that is deployed.",
        }
    }
}

impl std::fmt::Display for FaultCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a batch failed, or is to end early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fault {
    /// What is wrong, for programs.
    pub code: FaultCode,
    /// What is wrong and where, for people.
    pub message: String,
}

impl Fault {
    /// A fault from its code and message.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()) }
    }

    /// The fault of a batch that somebody cancels, which its records repeat.
    pub fn cancelled() -> Self {
        Self::new(FaultCode::Cancelled, "the batch was cancelled before this record was processed")
    }

    /// The fault of a batch that is given up, which its records repeat.
    pub fn gave_up(hours: i64) -> Self {
        Self::new(FaultCode::GaveUp, format!("the batch made no progress for {hours} hours; what was done is kept"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_by_the_names_that_are_written() {
        for code in FaultCode::ALL {
            let text = serde_json::to_string(&code).unwrap();
            assert_eq!(text, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<FaultCode>(&text).unwrap(), code);
        }
        assert_eq!(serde_json::from_str::<FaultCode>("\"OF_NEXT_YEAR\"").unwrap(), FaultCode::Unknown);
    }
}
