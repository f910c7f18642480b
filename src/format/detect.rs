//! What a file is, by its name and its first bytes.

use memchr::memchr_iter;

use crate::format::BYTE_ORDER_MARK;
use crate::format::csv::{Quoting, width};
use crate::format::jsonl::line::Line;
use crate::format::unpack;
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::settings::FormatSettings;
use crate::model::format::{Compression, Dialect, InputFormat, Layout, Utf16};

/// How many bytes of a file are looked at.
pub const HEAD: usize = 64 * 1024;

/// Delimiters that are looked for if the header has not the one that the file's name tells.
const DELIMITERS: [u8; 4] = [b'|', b'\t', b';', b','];

/// What files of other kinds begin with, what they are, and what to do.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a ZIP archive, as Excel's .xlsx files are", "unpack it, or save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Word file of before 2007", "save the sheet as CSV UTF-8"),
    (b"PAR1", "a Parquet file that was compressed once more", "unpack it"),
    (b"ORC", "an ORC file", "convert it to JSON Lines"),
    (b"Obj\x01", "an Avro file", "convert it to JSON Lines"),
    (b"%PDF", "a PDF file", "upload the data that it was made from"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\xfd7zXZ", "compressed with xz", "compress it with gzip, zstd or bzip2"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "compress it with gzip, zstd or bzip2"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with Snappy", "compress it with gzip, zstd or bzip2"),
    (b"<?xml", "XML", "convert it to JSON Lines or CSV"),
    (b"<!DOCTYPE", "a web page, perhaps the error page of a download", "download the data again"),
    (b"<html", "a web page, perhaps the error page of a download", "download the data again"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "convert it (iconv -f UTF-32 -t UTF-8 FILE > NEW)"),
    (b"\x00\x00\xfe\xff", "text in UTF-32", "convert it (iconv -f UTF-32 -t UTF-8 FILE > NEW)"),
];

/// Says how a file is to be read, by its key, its first [`HEAD`] bytes and what the pipeline is told. The same is said
/// whenever it is asked.
///
/// # Errors
/// What it is instead of a file of records, and the step that mends it.
pub fn detect(key: &str, head: &[u8], settings: &FormatSettings) -> Result<InputFormat, Fault> {
    if is_parquet(key, head) {
        return Ok(InputFormat::plain(Layout::Parquet));
    }
    let mut format = InputFormat::of_key(key)?;
    let named = format.compression;
    format.compression = Compression::of_head(head);
    if let (Some(named), None, false) = (named, format.compression, head.is_empty()) {
        return Err(not_packed(named));
    }
    format.encoding = settings.encoding.unwrap_or_default();
    let plain = match format.compression {
        Some(compression) => unpacked(unpack::of_compression(compression).as_mut(), head),
        None => head.to_vec(),
    };
    if let Some((_, kind, cure)) = OTHERS.iter().find(|(magic, _, _)| starts_with(&plain, magic)) {
        return Err(other(format!("it is {kind}; {cure}, and upload that")));
    }
    if format.layout == Layout::Parquet {
        let told =
            "the file is named .parquet and does not begin like Parquet; name it as what it is, or write it again";
        return Err(Fault::new(FaultCode::BrokenParquet, told));
    }
    format.utf16 = match plain.as_slice() {
        [0xff, 0xfe, ..] => Some(Utf16::Le),
        [0xfe, 0xff, ..] => Some(Utf16::Be),
        _ => None,
    };
    let whole = head.len() < HEAD && plain.len() < HEAD;
    let text = match format.utf16 {
        Some(utf16) => unpacked(unpack::of_utf16(utf16).as_mut(), &plain),
        None => plain,
    };
    if text.contains(&0) && format.utf16.is_none() && looks_like_utf16(&text) {
        return Err(other("it looks like UTF-16 without a byte order mark; save it as UTF-8".to_owned()));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    format.layout = layout(key, format.layout, text);
    format.records_path = settings.records_path.iter().flat_map(|path| path.split('.')).map(str::to_owned).collect();
    if format.layout == Layout::Csv {
        format.dialect = dialect(format.dialect, text, settings);
        format.max_header = settings.max_header.unwrap_or(format.max_header);
        format.columns = columns(text, whole, &format.dialect, settings);
    } else {
        format.dialect = Dialect::STANDARD;
    }
    if format.layout != Layout::Json {
        format.records_path.clear();
    }
    Ok(format)
}

/// Whether it is a Parquet file, whatever its name: only one that is named so may have text behind the magic bytes, which
/// are those of an encrypted file too.
fn is_parquet(key: &str, head: &[u8]) -> bool {
    let magic = [b"PAR1", b"PARE"].into_iter().find(|magic| head.starts_with(*magic));
    let named = || InputFormat::of_key(key).is_ok_and(|format| format.layout == Layout::Parquet);
    magic.is_some_and(|magic| starts_with(head, magic) || named())
}

/// Why a Parquet file is not read where nothing reads such files.
pub fn unread_parquet() -> Fault {
    let kind = "it is a Parquet file, and these functions were built without the feature `parquet`";
    other(format!("{kind}; convert it to JSON Lines, or build them with it, and upload that again"))
}

fn starts_with(text: &[u8], magic: &[u8]) -> bool {
    let markup = magic[0] == b'<';
    let text = if markup { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start() } else { text };
    let Some((start, rest)) = text.split_at_checked(magic.len()) else {
        return false;
    };
    // A column may be named ORCID.
    let word = magic.iter().all(u8::is_ascii_alphanumeric);
    let same = if markup { start.eq_ignore_ascii_case(magic) } else { start == magic };
    same && !(word && rest.first().is_none_or(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()))
}

fn not_packed(named: Compression) -> Fault {
    let (code, extension) = match named {
        Compression::Gzip => (FaultCode::BrokenGzip, "gz"),
        Compression::Zstd => (FaultCode::BrokenZstd, "zst"),
        Compression::Bzip2 => (FaultCode::BrokenBzip2, "bz2"),
    };
    Fault::new(code, format!("the file is named .{extension} and is not compressed so; name it as what it is"))
}

fn other(message: String) -> Fault {
    Fault::new(FaultCode::OtherKind, format!("the file cannot be read: {message}"))
}

/// What the beginning of a file unpacks to, as far as it is needed; where it is damaged, the decoder will say.
fn unpacked(unpack: &mut dyn unpack::Unpack, head: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), head);
    while plain.len() < HEAD && (!rest.is_empty() || unpack.has_more()) {
        let taken = unpack.step(rest, &mut |bytes| {
            plain.extend_from_slice(&bytes[..bytes.len().min(HEAD)]);
            Ok(())
        });
        match taken {
            Ok(taken) => rest = &rest[taken..],
            Err(_) => break,
        }
    }
    // Some hold back what they have unpacked until the end.
    if plain.len() < HEAD {
        let _ = unpack.finish(&mut |bytes| {
            plain.extend_from_slice(bytes);
            Ok(())
        });
    }
    plain
}

/// Whether every second byte of a text is zero, as in ASCII written as UTF-16.
fn looks_like_utf16(text: &[u8]) -> bool {
    let text = &text[..text.len().min(256)];
    let zeros = |parity: usize| text.iter().skip(parity).step_by(2).all(|byte| *byte == 0);
    text.len() > 3 && (zeros(0) || zeros(1))
}

/// The layout of a file, whose name may say less than it holds.
fn layout(key: &str, named: Layout, text: &[u8]) -> Layout {
    let first = text.trim_ascii_start().first();
    let is_text_file = key.to_ascii_lowercase().contains(".txt");
    match (named, first) {
        (Layout::Csv, Some(b'[')) if is_text_file => Layout::Json,
        (Layout::Csv, Some(b'{')) if is_text_file && follow_each_other(text) => Layout::Jsonl,
        (Layout::Csv, Some(b'{')) if is_text_file => Layout::Json,
        (Layout::Json, Some(b'{')) if follow_each_other(text) => Layout::Jsonl,
        (named, _) => named,
    }
}

/// Whether after an object another one begins, as in JSON Lines.
fn follow_each_other(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let mut object = Line::default();
    // Within its line it may end before another object; and a line that is one is followed by another line.
    if object.end(line).is_some() {
        return true;
    }
    let next = text[line.len()..].trim_ascii_start().first();
    object.is_complete() && next == Some(&b'{')
}

/// The dialect of a CSV file: as the pipeline is told, or as its header shows.
fn dialect(named: Dialect, text: &[u8], settings: &FormatSettings) -> Dialect {
    let sign = |sign: Option<char>| sign.and_then(|sign| u8::try_from(sign).ok());
    let quote = sign(settings.quote).unwrap_or(named.quote);
    let comment = sign(settings.comment);
    let dialect = Dialect { quote, comment, ..named };
    if let Some(delimiter) = sign(settings.delimiter) {
        return Dialect { delimiter, ..dialect };
    }
    if settings.columns.len() == 1 {
        // Its only field may hold what would be a delimiter elsewhere.
        return dialect;
    }
    let delimiter = match first_row(text, &dialect) {
        [b's', b'e', b'p', b'=', delimiter] if delimiter.is_ascii() => *delimiter,
        row => in_header(row, &dialect),
    };
    Dialect { delimiter, ..dialect }
}

/// The first row that is no comment.
fn first_row<'a>(mut text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    loop {
        text = text.trim_ascii_start();
        let mut quoting = Quoting::default();
        let end = quoting.end(text, dialect).unwrap_or(text.len());
        if !quoting.is_comment() || text.is_empty() {
            return &text[..end];
        }
        text = &text[end..];
    }
}

/// The columns of a CSV file without a header: as many of those that the pipeline is told as its first row has fields,
/// so that one pipeline takes manifests of S3 Batch Operations with versions and without. All of them, if the row has
/// more, or its end is not among these bytes, or its quotes are not in order.
fn columns(text: &[u8], whole: bool, dialect: &Dialect, settings: &FormatSettings) -> Vec<String> {
    let mut columns = settings.columns.clone();
    if let Some(width) = first_width(text, whole, dialect) {
        columns.truncate(width);
    }
    columns
}

fn first_width(mut text: &[u8], whole: bool, dialect: &Dialect) -> Option<usize> {
    loop {
        let start = text.iter().position(|byte| !matches!(byte, b'\n' | b'\r'))?;
        text = &text[start..];
        let mut quoting = Quoting::default();
        let end = quoting.end(text, dialect).or(whole.then_some(text.len()))?;
        if !quoting.is_comment() {
            return width(&text[..end], &quoting, dialect);
        }
        text = &text[end..];
    }
}

/// The delimiter of a header: that of the file's name if it is there, otherwise the one that stands there most often.
fn in_header(row: &[u8], dialect: &Dialect) -> u8 {
    let outside: Vec<u8> = row.split(|byte| *byte == dialect.quote).step_by(2).flatten().copied().collect();
    let count = |delimiter: u8| memchr_iter(delimiter, &outside).count();
    if count(dialect.delimiter) > 0 {
        return dialect.delimiter;
    }
    // Of several that are there as often, the last: the most usual ones stand at the end.
    let found = DELIMITERS.into_iter().max_by_key(|delimiter| count(*delimiter));
    found.filter(|delimiter| count(*delimiter) > 0).unwrap_or(dialect.delimiter)
}

#[cfg(test)]
mod tests;
