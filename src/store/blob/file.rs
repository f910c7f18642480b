//! A bucket of files in a folder: a new process finds there what the one before it left.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::error::{Error, Result};
use crate::store::blob::{Blob, Body, Part, Pin, Section, UploadId, Written, part_bytes};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;

/// The bytes that a body's stream yields at a time.
const PIECE: u64 = 64 * 1024;

/// The file of an upload that will be its object.
const WHOLE: &str = "whole";

/// A bucket of files; clones share their objects. An object is one file, in a folder shared by all keys that are the
/// same up to their last slash.
#[derive(Debug, Clone)]
pub struct FileBlob {
    root: PathBuf,
    keeps_versions: bool,
    drafts: Arc<AtomicU64>,
}

impl FileBlob {
    /// Opens the bucket in a folder, which is created if there is none.
    ///
    /// # Errors
    /// `Internal` if it cannot be created.
    pub fn open(root: &Path, keeps_versions: bool) -> Result<Self> {
        for part in ["objects", "versions", "drafts", "uploads"] {
            let folder = root.join(part);
            fs::create_dir_all(&folder).map_err(failed(&folder))?;
        }
        Ok(Self { root: root.to_owned(), keeps_versions, drafts: Arc::default() })
    }

    /// Makes an object from a file without copying it, and returns its version. If the file is on another disk the
    /// object is only a link to it, and changes when the file does.
    ///
    /// # Errors
    /// `Internal` if the file is not there, or the key is taken.
    pub fn adopt(&self, key: &str, file: &Path) -> Result<String> {
        let (place, file) = (self.place_for(key)?, file.canonicalize().map_err(failed(file))?);
        let linked = fs::hard_link(&file, &place).or_else(|_| std::os::unix::fs::symlink(&file, &place));
        linked.map_err(failed(&place))?;
        Ok(version(&fs::metadata(&place).map_err(failed(&place))?))
    }

    /// The file of an object.
    pub fn path_of(&self, key: &str) -> PathBuf {
        self.place(key)
    }

    /// Returns the size of an object, if there is one.
    ///
    /// # Errors
    /// `Internal` if it cannot be determined.
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        let place = self.place(key);
        Ok(if_there(fs::metadata(&place), &place)?.map(|metadata| metadata.len()))
    }

    /// Returns the path of an object, if there is one.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.place(key)).filter(|place| place.is_file())
    }

    fn place(&self, key: &str) -> PathBuf {
        self.root.join("objects").join(within(key))
    }

    fn place_for(&self, key: &str) -> Result<PathBuf> {
        let place = self.place(key);
        made_parent(&place)?;
        Ok(place)
    }

    fn old(&self, key: &str, version: &str) -> PathBuf {
        self.root.join("versions").join(within(key)).join(encoded(version))
    }

    /// Returns a name that no other draft has, neither of this process nor of an earlier one.
    fn unique(&self) -> String {
        format!("{}-{}", std::process::id(), self.drafts.fetch_add(1, Ordering::Relaxed))
    }

    fn draft(&self, body: &[u8]) -> Result<PathBuf> {
        let draft = self.root.join("drafts").join(self.unique());
        fs::write(&draft, body).map_err(failed(&draft))?;
        Ok(draft)
    }

    /// Makes a draft visible under its key.
    fn publish(&self, draft: &Path, key: &str) -> Result<Written> {
        self.keep(key)?;
        let metadata = fs::metadata(draft).map_err(failed(draft))?;
        let place = self.place_for(key)?;
        fs::rename(draft, &place).map_err(failed(&place))?;
        Ok(Written { version: Some(version(&metadata)) })
    }

    /// Keeps the object under a key, which is about to be replaced or deleted, as an old version.
    fn keep(&self, key: &str) -> Result<()> {
        let place = self.place(key);
        let Some(metadata) = if_there(fs::metadata(&place), &place)?.filter(|_| self.keeps_versions) else {
            return Ok(());
        };
        let old = self.old(key, &version(&metadata));
        made_parent(&old)?;
        fs::hard_link(&place, &old).map_err(failed(&old))
    }

    fn file(&self, key: &str, pin: &Pin) -> Result<Option<(File, Metadata)>> {
        let place = self.place(key);
        let newest = opened(&place)?;
        match pin {
            Pin::Newest => Ok(newest),
            Pin::Tag(tag) => match newest {
                Some((_, metadata)) if version(&metadata) != *tag => {
                    Err(Error::conflict(format!("{key} was overwritten")))
                }
                newest => Ok(newest),
            },
            Pin::Version(wanted) => match newest.filter(|(_, metadata)| version(metadata) == *wanted) {
                Some(newest) => Ok(Some(newest)),
                None => opened(&self.old(key, wanted)),
            },
        }
    }

    fn upload(&self, upload: &UploadId) -> PathBuf {
        self.root.join("uploads").join(encoded(&upload.0))
    }
}

fn opened(path: &Path) -> Result<Option<(File, Metadata)>> {
    let Some(file) = if_there(File::open(path), path)? else {
        return Ok(None);
    };
    let metadata = file.metadata().map_err(failed(path))?;
    Ok(Some((file, metadata)))
}

/// The version of a file: no two share an inode and a time of modification.
fn version(metadata: &Metadata) -> String {
    format!("{:x}-{:x}.{:x}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

fn made_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(failed(folder)))
}

/// The path of a key: one folder deep, so that `a` and `a/b` can both exist.
fn within(key: &str) -> PathBuf {
    let (folder, name) = key.split_at(key.rfind('/').map_or(0, |slash| slash + 1));
    Path::new(&encoded(folder)).join(encoded(name))
}

/// Encodes a text as a file name; `%` alone is the empty text.
fn encoded(text: &str) -> String {
    let plain = |at: usize, byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at > 0);
    let name = text.bytes().enumerate().map(|(at, byte)| match plain(at, byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let name: String = name.collect();
    if name.is_empty() { "%".to_owned() } else { name }
}

/// Decodes a name made by [`encoded`]; `None` if it cannot be decoded.
fn decoded(name: &str) -> Option<String> {
    let (mut text, mut rest) = (Vec::with_capacity(name.len()), if name == "%" { "" } else { name });
    while let Some(at) = rest.find('%') {
        text.extend_from_slice(&rest.as_bytes()[..at]);
        text.push(u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?);
        rest = &rest[at + 3..];
    }
    text.extend_from_slice(rest.as_bytes());
    String::from_utf8(text).ok()
}

/// Returns the decoded names of the files in a folder.
fn names(folder: &Path) -> Result<impl Iterator<Item = String>> {
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    Ok(entries.filter_map(|entry| decoded(entry.ok()?.file_name().to_str()?)))
}

fn body(file: File, length: u64) -> Body {
    let next = |(mut file, left): (File, u64)| async move {
        if left == 0 {
            return Ok(None);
        }
        pause().await;
        let mut piece = vec![0; PIECE.min(left) as usize];
        let broken = |error: io::Error| Error::transient("an object was cut short").because(error);
        file.read_exact(&mut piece).map_err(broken)?;
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    };
    stream::try_unfold((file, length), next).boxed()
}

impl Blob for FileBlob {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        pause().await;
        let pin = version.map_or(Pin::Newest, |version| Pin::Version(version.to_owned()));
        Ok(self.file(key, &pin)?.map(|(file, metadata)| body(file, metadata.len())))
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        pause().await;
        let Some((mut file, metadata)) = self.file(key, pin)? else {
            return Ok(None);
        };
        let (size, version) = (metadata.len(), version(&metadata));
        let pin = if self.keeps_versions { Pin::Version(version) } else { Pin::Tag(version) };
        let (from, until) = (range.start.min(size), range.end.min(size));
        file.seek(SeekFrom::Start(from)).map_err(failed(Path::new(key)))?;
        Ok(Some(Section { body: body(file, until - from), size, pin }))
    }

    async fn put(&self, key: &str, _content_type: &str, body: Bytes) -> Result<Written> {
        pause().await;
        self.publish(&self.draft(&body)?, key)
    }

    async fn put_new(&self, key: &str, _content_type: &str, body: Bytes) -> Result<bool> {
        pause().await;
        let (draft, place) = (self.draft(&body)?, self.place_for(key)?);
        let linked = fs::hard_link(&draft, &place);
        fs::remove_file(&draft).map_err(failed(&draft))?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(&place)(error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        pause().await;
        self.keep(key)?;
        let place = self.place(key);
        if_there(fs::remove_file(&place), &place).map(|_| ())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        pause().await;
        let (objects, mut least) = (self.root.join("objects"), BTreeSet::new());
        for start in names(&objects)?.filter(|start| start.starts_with(prefix) || prefix.starts_with(start)) {
            for name in names(&objects.join(encoded(&start)))? {
                let key = format!("{start}{name}");
                let wanted = key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
                if wanted && least.insert(key) && least.len() > most {
                    least.pop_last();
                }
            }
        }
        Ok(least.into_iter().collect())
    }

    async fn begin_upload(&self, _key: &str, _content_type: &str) -> Result<UploadId> {
        pause().await;
        let upload = UploadId(self.unique());
        let folder = self.upload(&upload);
        fs::create_dir(&folder).map_err(failed(&folder))?;
        let whole = folder.join(WHOLE);
        File::create(&whole).map_err(failed(&whole))?;
        Ok(upload)
    }

    /// Writes a part where it will be in the object, so that completing it copies nothing.
    async fn put_part(&self, _key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<Part> {
        pause().await;
        let folder = self.upload(upload);
        let (whole, length) = (folder.join(WHOLE), folder.join(number.to_string()));
        let file = if_there(File::options().write(true).open(&whole), &whole)?.ok_or_else(given_up)?;
        file.write_all_at(&body, offset(number)).map_err(failed(&whole))?;
        let mut sum = flate2::Crc::new();
        sum.update(&body);
        let tag = format!("{}-{:08x}", body.len(), sum.sum());
        fs::write(&length, &tag).map_err(failed(&length))?;
        Ok(Part { number, tag, checksum: None })
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[Part]) -> Result<Written> {
        pause().await;
        let folder = self.upload(upload);
        let (mut end, whole) = (0, folder.join(WHOLE));
        for part in parts {
            let path = folder.join(part.number.to_string());
            let tag = if_there(fs::read_to_string(&path), &path)?.ok_or_else(given_up)?;
            if tag != part.tag {
                return Err(Error::missing(format!("part {} is not the one that was uploaded", part.number)));
            }
            let length = tag.split('-').next().unwrap_or_default();
            if end != offset(part.number) {
                return Err(Error::internal(format!("part {} does not follow the one before it", part.number)));
            }
            end += length.parse::<u64>().map_err(|e| Error::internal("the length of a part").because(e))?;
        }
        let file = if_there(File::options().write(true).open(&whole), &whole)?.ok_or_else(given_up)?;
        file.set_len(end).map_err(failed(&whole))?;
        let written = self.publish(&whole, key)?;
        fs::remove_dir_all(&folder).map_err(failed(&folder))?;
        Ok(written)
    }

    async fn abort_upload(&self, _key: &str, upload: &UploadId) -> Result<()> {
        pause().await;
        let folder = self.upload(upload);
        if_there(fs::remove_dir_all(&folder), &folder).map(|_| ())
    }
}

/// Lets other calls that are under way go on, as a call over the network does. Without it each would end before the
/// next begins, and what a function holds for several calls at once would never exist at the same time here.
pub async fn pause() {
    tokio::task::yield_now().await;
}

/// Makes an error say which file it is about.
pub fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::internal(path).because(error)
}

/// The result of an operation on a file that need not exist; `None` if it does not.
pub fn if_there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Where a part begins in its object, by its number, from 1.
fn offset(number: i32) -> u64 {
    (1..usize::try_from(number).unwrap_or(1)).map(|number| part_bytes(number) as u64).sum()
}

fn given_up() -> Error {
    Error::missing("the upload is not there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blob::read_all;
    use crate::store::testing as suites;
    use futures::TryStreamExt;

    fn bucket(folder: &tempfile::TempDir) -> FileBlob {
        FileBlob::open(folder.path(), true).unwrap()
    }

    async fn pieces(body: Body) -> Vec<Bytes> {
        body.try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        suites::blob::all(&bucket(&folder)).await;
    }

    #[tokio::test]
    async fn a_body_comes_in_small_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let blob = bucket(&folder);
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|n| (n % 251) as u8).collect();
        blob.put("x", "", bytes.clone().into()).await.unwrap();
        let body = pieces(blob.get("x", None).await.unwrap().unwrap()).await;
        assert_eq!(body.iter().map(Bytes::len).collect::<Vec<_>>(), [65536, 65536, 65536, 5]);
        assert_eq!(body.concat(), bytes);
    }

    #[tokio::test]
    async fn a_range_is_what_the_object_has_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let blob = bucket(&folder);
        assert!(blob.get_range("r", &Pin::Newest, 0..1).await.unwrap().is_none());
        let first = blob.put("r", "", "0123456789".into()).await.unwrap().version.unwrap();
        for (range, text) in [(0..4, "0123"), (4..10, "456789"), (8..99, "89"), (10..20, ""), (50..60, "")] {
            let section = blob.get_range("r", &Pin::Newest, range).await.unwrap().unwrap();
            assert_eq!((section.size, pieces(section.body).await.concat()), (10, text.as_bytes().to_vec()));
        }
        blob.put("r", "", "other".into()).await.unwrap();
        let old = blob.get_range("r", &Pin::Version(first.clone()), 1..3).await.unwrap().unwrap();
        assert_eq!(pieces(old.body).await.concat(), b"12");
        assert!(
            blob.get_range("r", &Pin::Tag(first), 0..1).await.is_err_and(|e| e.to_string().contains("overwritten"))
        );
        assert!(blob.get_range("r", &Pin::Version("none".into()), 0..1).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_file_is_adopted_and_found_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made.csv");
        fs::write(&file, "itemNo\n").unwrap();
        let version = bucket(&folder).adopt("in/made.csv", &file).unwrap();
        let again = bucket(&folder);
        assert_eq!(again.size("in/made.csv").unwrap(), Some(7));
        assert_eq!(read_all(&again, "in/made.csv").await.unwrap().unwrap(), "itemNo\n");
        assert!(again.get("in/made.csv", Some(&version)).await.unwrap().is_some());
        assert_eq!(again.size("in/other").unwrap(), None);
    }

    #[test]
    fn every_key_has_a_name_of_its_own() {
        for key in ["", ".", "..", "a", "a/", "/a", "%", "%25", "für/x.csv", "a.b-c_d"] {
            assert_eq!(decoded(&encoded(key)).as_deref(), Some(key));
            assert!(!encoded(key).contains('/') && !encoded(key).starts_with('.'));
        }
        assert_eq!(decoded("%zz"), None);
        assert_eq!(decoded("a%2"), None);
    }
}
