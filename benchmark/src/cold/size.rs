//! The size of an executable: as it is, without its symbols, and as the package that Lambda gets.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use fanfold::model::error::{Error, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The sizes of an executable, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// As it is.
    pub whole: u64,
    /// Without symbols; `None` if there is no `strip`.
    pub stripped: Option<u64>,
    /// Compressed as in a zip, without the few hundred bytes that every zip adds.
    pub zipped: u64,
    /// Without symbols, and compressed.
    pub stripped_and_zipped: Option<u64>,
}

/// The sizes of a file.
///
/// # Errors
/// `Config` if it cannot be read.
pub fn of(path: &Path) -> Result<Sizes> {
    let bytes = fs::read(path)
        .map_err(|e| Error::config(format!("{} cannot be read; build it first", path.display())).because(e))?;
    let stripped = stripped(path);
    Ok(Sizes {
        whole: bytes.len() as u64,
        stripped: stripped.as_ref().map(|bytes| bytes.len() as u64),
        zipped: zipped(&bytes)?,
        stripped_and_zipped: stripped.map(|bytes| zipped(&bytes)).transpose()?,
    })
}

fn stripped(path: &Path) -> Option<Vec<u8>> {
    let copy = std::env::temp_dir().join(format!("fanfold-stripped-{}", std::process::id()));
    let ended = Command::new("strip").arg("-o").arg(&copy).arg(path).output().ok()?;
    let bytes = if ended.status.success() { fs::read(&copy).ok() } else { None };
    // It is only a copy in the temporary folder.
    let _ = fs::remove_file(&copy);
    bytes
}

fn zipped(bytes: &[u8]) -> Result<u64> {
    let broken = |e: std::io::Error| Error::internal("the executable cannot be zipped").because(e);
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::default());
    zip.write_all(bytes).map_err(broken)?;
    Ok(zip.finish().map_err(broken)?.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_smaller_as_a_package() {
        let sizes = of(&std::env::current_exe().unwrap()).unwrap();
        assert!(sizes.zipped < sizes.whole);
        assert!(sizes.stripped.is_none_or(|stripped| stripped <= sizes.whole));
        assert!(sizes.stripped_and_zipped.is_none_or(|both| both <= sizes.zipped));
        assert!(of(Path::new("/nowhere")).is_err());
    }
}
