//! Files that get their names only when they are whole, so that a command that breaks off leaves none by halves.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file that is being written. Dropped before [`keep`](Self::keep), it is removed.
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Begins the file that will be at `path`, in the same folder.
    ///
    /// # Errors
    /// Those of the folder.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As for any file of the user's: what their umask leaves of these.
        let file = Builder::new().prefix(".fanfold-").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The file, to be written.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its name; one that has it is replaced.
    ///
    /// # Errors
    /// Those of the folder.
    pub fn keep(self) -> io::Result<()> {
        self.file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
    }
}

/// Makes a folder if there is none, and sees that files can be written there.
///
/// # Errors
/// Those of the folder.
pub fn writable(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    Draft::begin(&folder.join("summary.json")).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut draft = Draft::begin(&path).unwrap();
        draft.file().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(draft);
        assert_eq!(count(), 0);
        let mut draft = Draft::begin(&path).unwrap();
        draft.file().write_all(b"whole").unwrap();
        draft.keep().unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), count()), ("whole", 1));
    }
}
