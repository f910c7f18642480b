//! The columns of a file: its first row, or what the pipeline is told.

use std::collections::HashMap;

use serde::Serialize;

use crate::model::fault::{Fault, FaultCode};
use crate::model::format::MAX_HEADER_BYTES;

/// The most columns that a message lists.
const SHOWN: usize = 20;

/// Checks the columns of a file whose records have the key `key_field`.
///
/// # Errors
/// What is wrong with them, by their numbers.
pub fn check(columns: &[String], key_field: &str, line: u64) -> Result<(), Fault> {
    let mut seen = HashMap::new();
    for (number, name) in (1..).zip(columns).filter(|(_, name)| !name.is_empty()) {
        if let Some(before) = seen.insert(name, number) {
            let message = format!("line {line}: columns {before} and {number} are both named {name:?}; rename one");
            return Err(Fault::new(FaultCode::DuplicateColumn, message));
        }
    }
    if columns.iter().any(|name| name == key_field) {
        return Ok(());
    }
    let like = columns.iter().find(|name| name.trim().to_lowercase() == key_field.to_lowercase());
    let found = columns.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = match like {
        Some(like) => format!(
            "line {line}: no column is named {key_field:?}, but one is named {like:?}; rename it, or deploy with \
             KEY_FIELD={like:?}"
        ),
        None => format!(
            "line {line}: no column is named {key_field:?}; add a header row, \
             or deploy with KEY_FIELD set to one of the columns ({found})"
        ),
    };
    Err(Fault::new(FaultCode::NoHeader, message))
}

/// Checks the columns of a file without a header, which the pipeline is told, as far as its rows have them.
///
/// # Errors
/// What is wrong with them, and what to set.
pub fn check_told(columns: &[String], key_field: &str, most: u32) -> Result<(), Fault> {
    if !columns.iter().any(|name| name == key_field) {
        let found = columns.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!(
            "the columns of this file, which has no header row, are {found} by its first row and the columns in \
             FORMAT, and none is named {key_field:?}; deploy with columns that name it, or with KEY_FIELD set to one of them"
        );
        return Err(Fault::new(FaultCode::NoHeader, message));
    }
    measure(columns, most, 1)
}

/// Measures the columns of a file as what every record repeats of them: their JSON, of which `most` bytes are allowed.
///
/// # Errors
/// How long it is, and what would allow it.
pub fn measure(columns: &[String], most: u32, line: u64) -> Result<(), Fault> {
    let bytes = json_bytes(columns);
    if bytes > u64::from(MAX_HEADER_BYTES) {
        return Err(too_large(line));
    }
    if bytes > u64::from(most) {
        let message = format!(
            "line {line}: the names of the columns take {bytes} bytes, and {most} are allowed, since every record \
             repeats them; shorten them, or deploy with a max_header of {bytes} in FORMAT"
        );
        return Err(Fault::new(FaultCode::LimitExceeded, message));
    }
    Ok(())
}

/// The length of a value as JSON.
pub fn json_bytes<T: Serialize + ?Sized>(value: &T) -> u64 {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Names are text, which always becomes JSON.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The fault of a header that is too large.
pub fn too_large(line: u64) -> Fault {
    let message = format!(
        "line {line}: the header row is larger than {MAX_HEADER_BYTES} bytes; shorten the names of its columns, or \
         check that the file has line ends"
    );
    Fault::new(FaultCode::HeaderTooLarge, message)
}
