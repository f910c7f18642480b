//! The formats of an input file.

pub mod charset;
pub mod settings;

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultCode};
use crate::model::format::charset::Charset;

/// The longest header of a CSV file, as the JSON of its names, that can be allowed: the ledger keeps it in the batch's
/// item, of 400 KB at most, beside the bytes that it was read from.
pub const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// The longest header that is allowed unless a pipeline is told otherwise.
const USUAL_HEADER_BYTES: u32 = 4 * 1024;

/// How records are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// RFC 4180 with a header row, or without one if the pipeline is told the columns.
    Csv,
    /// One document: `{"records":[{…},…]}`, or an array.
    Json,
    /// JSON objects, one a line or several.
    Jsonl,
    /// Rows of a Parquet file, of which JSON objects are made.
    Parquet,
}

impl Layout {
    /// The name of the layout.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// The extension that outputs of this layout carry: rows of a Parquet file are written as JSON Lines.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => Self::Jsonl.name(),
            layout => layout.name(),
        }
    }

    /// Adds its row to the message about a record, where there are rows instead of lines.
    pub fn placed(self, index: u64, message: String) -> String {
        if self == Self::Parquet { format!("row {}: {message}", index + 1) } else { message }
    }

    /// The media type that outputs of this layout carry.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Jsonl | Self::Parquet => "application/jsonl",
        }
    }
}

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dialect {
    /// What stands between two fields of a row.
    #[serde(with = "sign")]
    #[cfg_attr(test, schemars(with = "char"))]
    pub delimiter: u8,
    /// What stands around a field that holds a delimiter or a line end; two of them inside are one.
    #[serde(with = "sign")]
    #[cfg_attr(test, schemars(with = "char"))]
    pub quote: u8,
    /// What a line begins with that is not a row.
    #[serde(with = "optional_sign", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<char>"))]
    pub comment: Option<u8>,
}

impl Dialect {
    /// That of RFC 4180.
    pub const STANDARD: Self = Self { delimiter: b',', quote: b'"', comment: None };

    /// Whether a field that holds this byte has to be quoted.
    pub fn is_mark(&self, byte: u8) -> bool {
        byte == self.delimiter || byte == self.quote || byte == b'\n' || byte == b'\r'
    }

    fn is_standard(&self) -> bool {
        *self == Self::STANDARD
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// A byte of ASCII as a text of one character.
mod sign {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub fn serialize<S: Serializer>(sign: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        char::from(*sign).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        let sign = char::deserialize(deserializer)?;
        u8::try_from(sign).ok().filter(u8::is_ascii).ok_or_else(|| de::Error::custom(format!("{sign:?} is not ASCII")))
    }
}

/// The same, or nothing.
mod optional_sign {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub fn serialize<S: Serializer>(sign: &Option<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        sign.map(char::from).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
        let sign = Option::<char>::deserialize(deserializer)?;
        let byte = sign.map(|sign| u8::try_from(sign).ok().filter(u8::is_ascii));
        byte.map_or(Ok(None), |byte| byte.map(Some).ok_or_else(|| de::Error::custom("a sign must be ASCII")))
    }
}

/// What a file has to be unpacked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
    /// Bzip2, of one stream or several.
    Bzip2,
}

impl Compression {
    const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Bzip2];

    /// The extension that follows that of the layout.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::Bzip2 => "bz2",
        }
    }

    /// The compression whose files begin like this.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| {
            head.starts_with(match compression {
                Self::Gzip => &[0x1f, 0x8b],
                Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
                Self::Bzip2 => b"BZh",
            })
        })
    }

    fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.extension() == extension)
    }
}

/// UTF-16, which begins with a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Utf16 {
    /// The low byte of a unit comes first.
    #[serde(rename = "utf-16le")]
    Le,
    /// The high byte of a unit comes first.
    #[serde(rename = "utf-16be")]
    Be,
}

/// How a file is read: its layout, and all that its name does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputFormat {
    /// How the records are laid out in the file.
    pub layout: Layout,
    /// How it is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Whether it is UTF-16 inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utf16: Option<Utf16>,
    /// What the bytes of its text mean.
    #[serde(default, skip_serializing_if = "Charset::is_utf8")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub encoding: Charset,
    /// How a CSV file is written.
    #[serde(default, skip_serializing_if = "Dialect::is_standard")]
    pub dialect: Dialect,
    /// The names of the members that lead to the records of a JSON document; `records` if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records_path: Vec<String>,
    /// The columns of a CSV file without a header, whose first row is a record already; none if it has a header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The longest header that a CSV file may have, in bytes of the JSON of its names: every record repeats them.
    #[serde(default = "usual_header", skip_serializing_if = "is_usual_header")]
    pub max_header: u32,
}

fn usual_header() -> u32 {
    USUAL_HEADER_BYTES
}

fn is_usual_header(bytes: &u32) -> bool {
    *bytes == USUAL_HEADER_BYTES
}

impl InputFormat {
    /// An uncompressed file of this layout, in UTF-8.
    pub const fn plain(layout: Layout) -> Self {
        Self {
            layout,
            compression: None,
            utf16: None,
            encoding: Charset::UTF_8,
            dialect: Dialect::STANDARD,
            records_path: Vec::new(),
            columns: Vec::new(),
            max_header: USUAL_HEADER_BYTES,
        }
    }

    /// Recognises the format by the key's extensions, in upper or lower case.
    ///
    /// # Errors
    /// A [`Fault`] that lists the known extensions.
    pub fn of_key(key: &str) -> Result<Self, Fault> {
        let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
        let (name, compression) =
            match name.rsplit_once('.').map(|(stem, last)| (stem, Compression::of_extension(last))) {
                Some((stem, Some(compression))) => (stem, Some(compression)),
                _ => (name.as_str(), None),
            };
        let standard = Dialect::STANDARD;
        let (layout, dialect) = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv" | "txt") => (Layout::Csv, standard),
            Some("tsv") => (Layout::Csv, Dialect { delimiter: b'\t', ..standard }),
            Some("json") => (Layout::Json, standard),
            Some("jsonl" | "ndjson") => (Layout::Jsonl, standard),
            Some("parquet") => (Layout::Parquet, standard),
            _ => {
                return Err(Fault::new(
                    FaultCode::UnknownFormat,
                    "the key's extension is not known; name the file .csv, .tsv, .txt, .json, .jsonl or .ndjson, \
                     each optionally followed by .gz, .zst or .bz2, or .parquet",
                ));
            }
        };
        Ok(Self { compression, dialect, ..Self::plain(layout) })
    }

    /// Whether the file's own bytes are those of its records, so that any part of it can be read by itself.
    pub fn is_in_place(&self) -> bool {
        self.compression.is_none() && self.utf16.is_none() && self.layout != Layout::Parquet
    }

    /// The members that lead to the records of a JSON document.
    pub fn path(&self) -> Vec<String> {
        if self.records_path.is_empty() { vec!["records".to_owned()] } else { self.records_path.clone() }
    }
}

impl std::fmt::Display for InputFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.layout.name())?;
        self.compression.map_or(Ok(()), |compression| write!(f, ".{}", compression.extension()))
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
            ("x.tsv.zst", "csv.zst"),
            ("x.TXT.bz2", "csv.bz2"),
            ("part-0.snappy.parquet", "parquet"),
        ] {
            assert_eq!(InputFormat::of_key(key).unwrap().to_string(), shown);
        }
        for key in ["orders", "orders.xml", "csv/orders", "orders.gz", ""] {
            let fault = InputFormat::of_key(key).unwrap_err();
            assert_eq!(fault.code.name(), "UNKNOWN_FORMAT", "{key}");
        }
    }

    #[test]
    fn a_format_is_written_by_what_is_not_plain() {
        let plain = InputFormat::plain(Layout::Csv);
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"layout":"csv"}"#);
        let format = InputFormat {
            compression: Some(Compression::Zstd),
            utf16: Some(Utf16::Be),
            encoding: Charset::named("windows-1252").unwrap(),
            dialect: Dialect { delimiter: b'\t', quote: b'\'', comment: Some(b'#') },
            records_path: vec!["data".to_owned()],
            columns: vec!["bucket".to_owned(), "key".to_owned()],
            max_header: 8192,
            ..plain
        };
        let text = serde_json::to_string(&format).unwrap();
        assert_eq!(serde_json::from_str::<InputFormat>(&text).unwrap(), format);
        assert!(text.contains(r##""dialect":{"delimiter":"\t","quote":"'","comment":"#"}"##), "{text}");
        assert!(text.contains(r#""utf16":"utf-16be","encoding":"windows-1252""#), "{text}");
        assert!(text.contains(r#""columns":["bucket","key"],"max_header":8192"#), "{text}");
    }
}
