//! What a user names as a file of records: a file, a pipe, or `-` for standard input.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use tokio::fs::File;

use fanfold::model::error::{Error, Result};
use fanfold::model::format::InputFormat;
use fanfold::model::manifest::is_manifest;

/// Standard input, as a user names it.
const STDIN: &str = "-";

/// A source of records.
pub struct Source<'a>(&'a Path);

impl<'a> Source<'a> {
    /// What the user named.
    pub fn of(path: &'a Path) -> Self {
        Self(path)
    }

    /// The key that the records get, whose ending tells their format: the one given with this option, else the file's
    /// name.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub fn key(&self, given: Option<&str>, option: &str) -> std::result::Result<String, String> {
        let stdin = self.0 == Path::new(STDIN);
        // A folder is no file, but a pipe is one.
        if !stdin && (self.0.is_dir() || !self.0.exists()) {
            return Err(format!("{} is not a file", self.0.display()));
        }
        let key = match (given, self.0.file_name().map(|name| name.to_str())) {
            (Some(given), _) => given,
            _ if stdin => {
                return Err(format!("standard input has no name: give one with {option}, such as orders.csv"));
            }
            (None, Some(Some(name))) => name,
            (None, _) => return Err(format!("the file's name is not UTF-8; give another with {option}")),
        };
        match InputFormat::of_key(key) {
            Ok(_) => Ok(key.to_owned()),
            Err(fault) if given.is_none() && !self.0.is_file() => {
                Err(format!("{key}: {}; give its name with {option}", fault.message))
            }
            Err(fault) => Err(format!("{key}: {}", fault.message)),
        }
    }

    /// The same for a file that holds records itself.
    ///
    /// # Errors
    /// As for [`key`](Self::key).
    pub fn key_of_records(&self, given: Option<&str>, option: &str) -> std::result::Result<String, String> {
        let key = self.key(given, option)?;
        if is_manifest(&key) {
            return Err(format!(
                "{key} would be a list of objects in the input bucket of a deployment; name one of those files instead, \
                 or give this one another name with {option} if it holds records itself"
            ));
        }
        Ok(key)
    }

    /// Where it can be read.
    pub fn path(&self) -> &Path {
        if self.0 == Path::new(STDIN) { Path::new("/dev/stdin") } else { self.0 }
    }

    /// Opens it, and says how many bytes will come, if that is known.
    ///
    /// # Errors
    /// `Config` if it cannot be read.
    pub async fn open(&self) -> Result<(File, Option<u64>)> {
        if self.0 == Path::new(STDIN) {
            let own = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| self.unreadable(e))?;
            return Ok((File::from_std(own.into()), None));
        }
        let file = File::open(self.0).await.map_err(|e| self.unreadable(e))?;
        let metadata = file.metadata().await.map_err(|e| self.unreadable(e))?;
        Ok((file, Some(metadata.len()).filter(|_| metadata.is_file())))
    }

    /// A file with its bytes: itself, or a copy at `spool` of what can be read only once.
    ///
    /// # Errors
    /// `Config` if it cannot be read or copied.
    pub async fn as_file(&self, spool: &Path) -> Result<PathBuf> {
        if self.0.is_file() && self.0 != Path::new(STDIN) {
            return Ok(self.0.to_owned());
        }
        let cannot = |e| Error::config(format!("could not write {}", spool.display())).because(e);
        let (mut from, _) = self.open().await?;
        let mut to = File::create(spool).await.map_err(cannot)?;
        tokio::io::copy(&mut from, &mut to).await.map_err(|e| self.unreadable(e))?;
        // Its errors come only now.
        to.sync_data().await.map_err(cannot)?;
        Ok(spool.to_owned())
    }

    /// The error for a source that could not be read.
    pub fn unreadable(&self, error: std::io::Error) -> Error {
        let name = if self.0 == Path::new(STDIN) { "standard input".into() } else { self.0.display().to_string() };
        Error::config(format!("could not read {name}")).because(error)
    }
}
