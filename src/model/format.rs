//! The formats of an input file, recognised by its key.

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultCode};

/// How records are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// RFC 4180 with a header row.
    Csv,
    /// One document: `{"records":[{…},…]}`.
    Json,
    /// One JSON object a line.
    Jsonl,
}

impl Layout {
    /// The extension that outputs of this layout carry.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }
    }

    /// The media type that outputs of this layout carry.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Jsonl => "application/jsonl",
        }
    }
}

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// What stands between two fields of a row.
    pub delimiter: u8,
    /// What stands around a field that holds a delimiter or a line end; two of them inside are one.
    pub quote: u8,
    /// What a line begins with that is not a row.
    pub comment: Option<u8>,
}

impl Dialect {
    /// That of RFC 4180.
    pub const STANDARD: Self = Self { delimiter: b',', quote: b'"', comment: None };

    /// Whether a field that holds this byte has to be quoted.
    pub fn is_mark(&self, byte: u8) -> bool {
        byte == self.delimiter || byte == self.quote || byte == b'\n' || byte == b'\r'
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// A layout, compressed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputFormat {
    /// How the records are laid out in the file.
    pub layout: Layout,
    /// Whether the file is gzipped.
    pub gzip: bool,
    /// How a CSV file is written.
    pub dialect: Dialect,
}

impl InputFormat {
    /// An uncompressed file of this layout.
    pub const fn plain(layout: Layout) -> Self {
        Self { layout, gzip: false, dialect: Dialect::STANDARD }
    }

    /// Recognises the format by the key's extensions, in upper or lower case.
    ///
    /// # Errors
    /// A [`Fault`] that lists the known extensions.
    pub fn of_key(key: &str) -> Result<Self, Fault> {
        let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
        let (name, gzip) = match name.strip_suffix(".gz") {
            Some(inner) => (inner, true),
            None => (name.as_str(), false),
        };
        let layout = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => Layout::Csv,
            Some("json") => Layout::Json,
            Some("jsonl" | "ndjson") => Layout::Jsonl,
            _ => {
                return Err(Fault::new(
                    FaultCode::UnknownFormat,
                    "the key's extension is not known; name the file .csv, .json, .jsonl or .ndjson, \
                     each optionally followed by .gz",
                ));
            }
        };
        Ok(Self { gzip, ..Self::plain(layout) })
    }
}

impl std::fmt::Display for InputFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gzip = if self.gzip { ".gz" } else { "" };
        write!(f, "{}{gzip}", self.layout.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        for (key, shown) in [
            ("a/b/orders.csv", "csv"),
            ("ORDERS.CSV.GZ", "csv.gz"),
            ("x.json", "json"),
            ("x.y.ndjson.gz", "jsonl.gz"),
            ("x.jsonl", "jsonl"),
        ] {
            assert_eq!(InputFormat::of_key(key).unwrap().to_string(), shown);
        }
        for key in ["orders", "orders.xml", "csv/orders", "orders.gz", ""] {
            let fault = InputFormat::of_key(key).unwrap_err();
            assert_eq!(fault.code.name(), "UNKNOWN_FORMAT", "{key}");
        }
    }
}
