//! A bucket in memory, versioned.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, stream};

use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};
use crate::store::blob::{Blob, Body, Part, Pin, Section, UploadId, Written, part_bytes};

/// A bucket in memory; clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlob(Arc<Mutex<State>>);

/// A callback for objects that were created: bucket notifications in memory.
pub type Listener = Arc<dyn Fn(&Created) + Send + Sync>;

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: String,
    /// Its size.
    pub bytes: u64,
}

#[derive(Default)]
struct State {
    /// All versions of each key, the newest last.
    objects: BTreeMap<String, Vec<(String, Option<Bytes>)>>,
    uploads: BTreeMap<String, BTreeMap<i32, Bytes>>,
    /// The size of a part, if it is not the usual one.
    part_bytes: Option<usize>,
    next: u64,
    listener: Option<Listener>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("objects", &self.objects).finish_non_exhaustive()
    }
}

impl State {
    fn find(&self, key: &str, version: Option<&str>) -> Option<Bytes> {
        let versions = self.objects.get(key)?;
        match version {
            Some(wanted) => versions.iter().find(|(id, _)| id == wanted)?.1.clone(),
            None => versions.last()?.1.clone(),
        }
    }

    fn write(&mut self, key: &str, body: Option<Bytes>) -> String {
        self.next += 1;
        let version = format!("v{}", self.next);
        self.objects.entry(key.to_owned()).or_default().push((version.clone(), body));
        version
    }
}

impl MemoryBlob {
    /// An empty bucket.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bucket, for uploads in parts of this size.
    pub fn in_parts_of(self, bytes: usize) -> Self {
        self.state(|state| state.part_bytes = Some(bytes));
        self
    }

    /// How many uploads were begun, and neither completed nor abandoned.
    pub fn uploads(&self) -> usize {
        self.state(|state| state.uploads.len())
    }

    /// Writes an object and returns its version, as an uploader would see it.
    pub fn upload(&self, key: &str, body: impl Into<Bytes>) -> String {
        self.create(key, |_| Ok(Some(body.into()))).ok().flatten().unwrap_or_default()
    }

    /// Tells `listener` of every object that is created from now on.
    pub fn notify(&self, listener: impl Fn(&Created) + Send + Sync + 'static) {
        self.state(|state| state.listener = Some(Arc::new(listener)));
    }

    /// Writes what `body` makes of the bucket's state, if anything; returns the version and notifies the listener.
    fn create(&self, key: &str, body: impl FnOnce(&mut State) -> Result<Option<Bytes>>) -> Result<Option<String>> {
        let (created, listener) = self.state(|state| {
            let Some(body) = body(state)? else {
                return Ok((None, None));
            };
            let bytes = body.len() as u64;
            let version = state.write(key, Some(body));
            Ok::<_, Error>((Some(Created { key: key.to_owned(), version, bytes }), state.listener.clone()))
        })?;
        // Not under the lock: a listener may look at the bucket.
        if let (Some(created), Some(listener)) = (&created, listener) {
            listener(created);
        }
        Ok(created.map(|created| created.version))
    }

    /// Reads the newest version of an object.
    pub fn read(&self, key: &str) -> Option<Bytes> {
        self.state(|state| state.objects.get(key)?.last()?.1.clone())
    }

    /// All keys that have an object.
    pub fn keys(&self) -> Vec<String> {
        self.state(|state| {
            let live = |versions: &Vec<(String, Option<Bytes>)>| versions.last().is_some_and(|v| v.1.is_some());
            let keys = state.objects.iter().filter(|(_, versions)| live(versions));
            keys.map(|(key, _)| key.clone()).collect()
        })
    }

    /// How often a key was written or deleted.
    pub fn versions(&self, key: &str) -> usize {
        self.state(|state| state.objects.get(key).map_or(0, Vec::len))
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The entity tag of an object.
pub fn tag(body: &[u8]) -> String {
    Sha256::digest(body)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Blob for MemoryBlob {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        let found = self.state(|state| state.find(key, version));
        Ok(found.map(|body| stream::iter([Ok(body)]).boxed()))
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        let version = if let Pin::Version(version) = pin { Some(version.as_str()) } else { None };
        let newest = |state: &State| state.objects.get(key)?.last().map(|(version, _)| version.clone());
        let (body, newest) = self.state(|state| (state.find(key, version), newest(state)));
        let Some((body, version)) = body.zip(version.map(str::to_owned).or(newest)) else {
            return Ok(None);
        };
        if matches!(pin, Pin::Tag(wanted) if *wanted != tag(&body)) {
            return Err(Error::conflict(format!("{key} was overwritten")));
        }
        let size = body.len();
        let within = |place: u64| usize::try_from(place).map_or(size, |place| place.min(size));
        let piece = body.slice(within(range.start)..within(range.end));
        Ok(Some(Section { body: stream::iter([Ok(piece)]).boxed(), size: size as u64, pin: Pin::Version(version) }))
    }

    async fn put(&self, key: &str, _content_type: &str, body: Bytes) -> Result<Written> {
        let version = Some(self.upload(key, body));
        Ok(Written { version })
    }

    async fn put_new(&self, key: &str, _content_type: &str, body: Bytes) -> Result<bool> {
        let written = self.create(key, |state| {
            let there = state.objects.get(key).and_then(|versions| versions.last()).is_some_and(|v| v.1.is_some());
            Ok((!there).then_some(body))
        });
        Ok(written?.is_some())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.state(|state| {
            if state.objects.contains_key(key) {
                state.write(key, None);
            }
        });
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        Ok(self.state(|state| {
            let from = state.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
            let from = from.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
            let live = from.filter(|(_, versions)| versions.last().is_some_and(|version| version.1.is_some()));
            live.map(|(key, _)| key.clone()).take(most).collect()
        }))
    }

    async fn begin_upload(&self, _key: &str, _content_type: &str) -> Result<UploadId> {
        Ok(self.state(|state| {
            state.next += 1;
            let id = format!("u{}", state.next);
            state.uploads.insert(id.clone(), BTreeMap::new());
            UploadId(id)
        }))
    }

    fn part_bytes(&self, number: usize) -> usize {
        self.state(|state| state.part_bytes).unwrap_or_else(|| part_bytes(number))
    }

    async fn put_part(&self, _key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<Part> {
        self.state(|state| match state.uploads.get_mut(&upload.0) {
            Some(parts) => {
                let tag = tag(&body);
                parts.insert(number, body);
                Ok(Part { number, tag, checksum: None })
            }
            None => Err(Error::missing("the upload is not there")),
        })
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[Part]) -> Result<Written> {
        let version = self.create(key, |state| {
            let kept = state.uploads.get(&upload.0).ok_or_else(|| Error::missing("the upload is not there"))?;
            let same = |part: &Part| kept.get(&part.number).filter(|body| tag(body) == part.tag).cloned();
            let pieces: Option<Vec<Bytes>> = parts.iter().map(same).collect();
            let pieces = pieces.ok_or_else(|| Error::missing("a part is not the one that was uploaded"))?;
            state.uploads.remove(&upload.0);
            Ok(Some(pieces.concat().into()))
        });
        Ok(Written { version: version? })
    }

    async fn abort_upload(&self, _key: &str, upload: &UploadId) -> Result<()> {
        self.state(|state| state.uploads.remove(&upload.0));
        Ok(())
    }
}
