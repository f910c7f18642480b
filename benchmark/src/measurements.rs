//! `measurements.csv`: read as a whole, appended to row by row. A run may be killed at any moment, so the last
//! line may be torn.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use fanfold::model::error::{Error, Result};

use crate::row::{COLUMNS, Row};

/// The content of a file.
#[derive(Debug, PartialEq)]
pub struct Content {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// The text after the last complete line, unless it is a complete row.
    pub torn: Option<String>,
    /// Bytes up to the end of the last complete row.
    intact: usize,
    /// Whether the last row lacks only its line end.
    unended: bool,
}

impl Content {
    /// Reads a file; one that is missing or empty has no rows.
    ///
    /// # Errors
    /// `Config` if it is not a file of measurements, with the column or the line that shows it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::config(format!("could not read {}", path.display())).because(error)),
        };
        parse(&bytes).map_err(|fault| Error::config(format!("{}: {fault}", path.display())))
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Content, String> {
    let header = COLUMNS.join(",");
    let ends = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (whole, tail) = bytes.split_at(ends);
    let whole = std::str::from_utf8(whole).map_err(|e| format!("not UTF-8: {e}"))?;
    let tail = String::from_utf8_lossy(tail).into_owned();
    let mut content = Content { rows: Vec::new(), torn: None, intact: ends, unended: false };
    let mut lines = whole.lines();
    let Some(first) = lines.next() else {
        if tail == header {
            return Ok(Content { intact: bytes.len(), unended: true, ..content });
        }
        if !header.starts_with(&tail) {
            check_header(&tail)?;
        }
        content.torn = Some(tail).filter(|tail| !tail.is_empty());
        return Ok(content);
    };
    check_header(first)?;
    for (number, line) in lines.enumerate() {
        content.rows.push(Row::of_line(line).map_err(|fault| format!("line {}: {fault}", number + 2))?);
    }
    // Only if it is written as the same text: some values can still be read when their end is cut off.
    match Row::of_line(&tail).ok().filter(|row| row.line().is_ok_and(|line| line == tail)) {
        Some(row) => {
            content.rows.push(row);
            content.intact = bytes.len();
            content.unended = true;
        }
        None => content.torn = Some(tail).filter(|tail| !tail.is_empty()),
    }
    Ok(content)
}

fn check_header(line: &str) -> std::result::Result<(), String> {
    let found: Vec<&str> = line.split(',').collect();
    let differs = (0..found.len().max(COLUMNS.len())).find(|at| found.get(*at) != COLUMNS.get(*at));
    let Some(at) = differs else {
        return Ok(());
    };
    let named = |name: Option<&&str>| name.map_or("missing".to_owned(), |name| format!("{name:?}"));
    Err(format!(
        "this header is not that of measurements: column {} is {} and should be {}; \
         move the file away or name another with --measurements",
        at + 1,
        named(found.get(at)),
        named(COLUMNS.get(at))
    ))
}

/// Appends rows to a file.
#[derive(Debug)]
pub struct Measurements {
    file: File,
    path: PathBuf,
}

impl Measurements {
    /// Opens a file, creates it if it is missing, and sets a torn last line aside. Returns a remark about the
    /// torn line, if there is one.
    ///
    /// # Errors
    /// As for [`Content::read`], or `Config` if the file cannot be written.
    pub fn open(path: &Path) -> Result<(Self, Option<String>)> {
        let content = Content::read(path)?;
        let cannot = |e: std::io::Error| Error::config(format!("could not write {}", path.display())).because(e);
        let note = content.torn.as_ref().map(|torn| set_aside(path, torn)).transpose()?;
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(cannot)?;
        file.set_len(content.intact as u64).map_err(cannot)?;
        let mut measurements = Self { file, path: path.to_owned() };
        if content.intact == 0 {
            measurements.write(&COLUMNS.join(","))?;
        } else if content.unended {
            measurements.write("")?;
        }
        Ok((measurements, note))
    }

    /// Appends a row, which is on disk when this returns.
    ///
    /// # Errors
    /// `Config` if the file cannot be written.
    pub fn append(&mut self, row: &Row) -> Result<()> {
        self.write(&row.line()?)
    }

    /// Writes a line at once, so that as little as possible can come between its parts.
    fn write(&mut self, line: &str) -> Result<()> {
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|e| Error::config(format!("could not write {}", self.path.display())).because(e))
    }
}

/// Keeps the torn line before it is cut from the file.
fn set_aside(path: &Path, torn: &str) -> Result<String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let aside = PathBuf::from(name);
    let cannot = |e| Error::config(format!("could not write {}", aside.display())).because(e);
    let mut file = OpenOptions::new().create(true).append(true).open(&aside).map_err(cannot)?;
    file.write_all(format!("{torn}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(cannot)?;
    Ok(format!(
        "the last line of {} is torn (was a run killed?): set aside in {}; all other rows are kept",
        path.display(),
        aside.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("measurements.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn text(rows: &[Row]) -> String {
        let lines = rows.iter().map(|row| row.line().unwrap() + "\n");
        std::iter::once(COLUMNS.join(",") + "\n").chain(lines).collect()
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("measurements.csv");
        let rows = [row("sync", 10, 1, 1.5), row("chunked", 10, 1, 0.25), row("floor", 10, 1, 0.125)];
        for row in &rows {
            let (mut file, note) = Measurements::open(&path).unwrap();
            assert_eq!(note, None);
            file.append(row).unwrap();
        }
        assert_eq!(Content::read(&path).unwrap().rows, rows);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&rows));
    }

    #[test]
    fn a_torn_last_line_is_set_aside_wherever_it_is_torn() {
        let (kept, lost) = (row("sync", 10, 1, 1.5), row("sync", 10, 2, 1.5).line().unwrap());
        for cut in 1..lost.len() {
            let (_folder, path) = file(&(text(std::slice::from_ref(&kept)) + &lost[..cut]));
            let (mut opened, note) = Measurements::open(&path).unwrap();
            assert!(note.unwrap().contains("set aside"), "{cut}");
            opened.append(&row("chunked", 10, 3, 1.0)).unwrap();
            let aside = std::fs::read_to_string(path.with_file_name("measurements.csv.torn")).unwrap();
            assert_eq!(aside, format!("{}\n", &lost[..cut]));
            assert_eq!(Content::read(&path).unwrap().rows, [kept.clone(), row("chunked", 10, 3, 1.0)]);
        }
    }

    #[test]
    fn a_whole_last_row_without_its_end_is_kept() {
        let rows = [row("sync", 10, 1, 1.5), row("sync", 10, 2, 1.5)];
        let (_folder, path) = file(text(&rows).trim_end());
        let (mut opened, note) = Measurements::open(&path).unwrap();
        assert_eq!(note, None);
        opened.append(&rows[0]).unwrap();
        assert_eq!(Content::read(&path).unwrap().rows, [rows[0].clone(), rows[1].clone(), rows[0].clone()]);
    }

    #[test]
    fn a_torn_header_is_written_again() {
        let (_folder, path) = file("commitish,var");
        let (_, note) = Measurements::open(&path).unwrap();
        assert!(note.is_some());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&[]));
    }

    #[test]
    fn a_foreign_header_is_refused_and_the_file_left_alone() {
        let foreign = text(&[]).replace("env,", "environment,");
        for (content, said) in [
            (foreign.as_str(), "column 3 is \"environment\" and should be \"env\""),
            ("a,b\n1,2\n", "column 1 is \"a\""),
            ("a,b", "column 1 is \"a\""),
            (&text(&[]).replace(",calls", ""), "column 22 is missing and should be \"calls\""),
        ] {
            let (_folder, path) = file(content);
            let told = Measurements::open(&path).unwrap_err().to_string();
            assert!(told.contains(said) && told.contains("--measurements"), "{told}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_broken_row_in_the_middle_is_named() {
        let rows = [row("sync", 10, 1, 1.5), row("sync", 10, 2, 1.5)];
        let (_folder, path) = file(&text(&rows).replacen("local", "lo,cal", 1));
        let told = Content::read(&path).unwrap_err().to_string();
        assert!(told.contains("line 2: 23 columns instead of 22"), "{told}");
    }
}
