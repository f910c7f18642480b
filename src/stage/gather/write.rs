//! The documents that gather writes beside the summary, while it reads the outcomes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::batch::objects::Objects;
use crate::format::csv;
use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::ids::{BatchId, stem};
use crate::model::record::Outcome;
use crate::model::report::ReportColumns;
use crate::model::summary::Output;
use crate::render::objects::results;
use crate::render::records::{Source, columns_of, documents, failed};
use crate::render::report::report;
use crate::render::{Document, Filter};
use crate::store::blob::upload::{Begun, Upload};
use crate::store::blob::{Blob, UploadId};

/// The folder of the failed records of many objects, under the name of the batch.
pub(super) const FAILED: &str = "failed/";

/// Which documents are written.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// That of all outcomes.
    pub all: bool,
    /// Those of the failed records.
    pub failed: bool,
    /// The completion report, and the fields that name objects.
    pub report: Option<&'a ReportColumns>,
}

impl Wanted<'_> {
    /// The completion report, of all records if they are wanted, otherwise of those that failed.
    fn report(self, source: Option<&Source>) -> Option<Document> {
        let filter = if self.all { Filter::All } else { Filter::Failed };
        self.report.filter(|_| self.has(filter)).map(|columns| report(columns, filter, source))
    }

    fn has(self, filter: Filter) -> bool {
        match filter {
            Filter::All => self.all,
            Filter::Failed => self.failed,
        }
    }
}

/// The documents of a batch that are being written.
pub(super) struct Documents<'a, B: Blob> {
    whole: Vec<Writing<'a, B>>,
    by_object: Option<ByObject<'a, B>>,
}

/// What another needs to go on with the documents; what they have not uploaded yet is kept beside it, one after the
/// other.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    whole: Vec<WritingPlace>,
    current: Option<(u32, Vec<String>, WritingPlace)>,
    keys: BTreeSet<String>,
}

impl Place {
    /// The uploads that were begun, with their keys.
    pub fn uploads(&self) -> impl Iterator<Item = (&str, &UploadId)> {
        let current = self.current.iter().map(|(_, _, place)| place);
        self.whole.iter().chain(current).filter_map(|place| Some((place.key.as_str(), &place.begun.as_ref()?.id)))
    }
}

impl<'a, B: Blob> Documents<'a, B> {
    /// Those of a batch that was made of one file.
    pub fn of_file(blob: &'a B, id: &BatchId, wanted: Wanted, source: Source) -> Self {
        let documents = documents(&source).into_iter().filter(|document| wanted.has(document.filter));
        let documents = documents.chain(wanted.report(Some(&source)));
        Self { whole: documents.map(|document| Writing::new(blob, id, document)).collect(), by_object: None }
    }

    /// Those of a batch that was made of many objects: one of all outcomes, one report, and for each object with failed records one
    /// of those.
    pub fn of_objects(blob: &'a B, id: &'a BatchId, wanted: Wanted, objects: &'a Objects) -> Self {
        let keys = objects.found.iter().map(|object| object.key.clone()).collect();
        let whole = wanted.all.then(|| results(keys)).into_iter().chain(wanted.report(None));
        let whole = whole.map(|document| Writing::new(blob, id, document)).collect();
        let by_object = ByObject { blob, id, wanted: wanted.failed, objects, current: None, keys: BTreeSet::new() };
        Self { whole, by_object: Some(by_object) }
    }

    /// Goes on from a place; `None` if it is not one of these documents.
    pub fn resume(mut self, place: Place, rests: &mut &[u8]) -> Option<Self> {
        if place.whole.len() != self.whole.len() {
            return None;
        }
        let whole = self.whole.into_iter().zip(place.whole);
        self.whole = whole.map(|(writing, place)| writing.resume(place, rests)).collect::<Option<_>>()?;
        if let Some(by_object) = &mut self.by_object {
            by_object.keys = place.keys;
            if let Some((number, columns, place)) = place.current {
                let writing = by_object.begin(number, columns.clone())?.resume(place, rests)?;
                by_object.current = Some((number, columns, writing));
            }
        }
        Some(self)
    }

    /// Where the documents stand; what they have not uploaded yet is appended to `rests`.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn place(&mut self, rests: &mut Vec<u8>) -> Result<Place> {
        let mut place = Place { whole: Vec::new(), current: None, keys: BTreeSet::new() };
        for writing in &mut self.whole {
            place.whole.push(writing.place(rests).await?);
        }
        if let Some(by_object) = &mut self.by_object {
            place.keys.clone_from(&by_object.keys);
            if let Some((number, columns, writing)) = &mut by_object.current {
                place.current = Some((*number, columns.clone(), writing.place(rests).await?));
            }
        }
        Ok(place)
    }

    /// Adds the next outcome, and returns whether a document that was uploaded in parts appeared; call
    /// [`flow`](Self::flow) afterwards.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if the outcome is not what process writes.
    pub async fn add(&mut self, outcome: &Outcome) -> Result<bool> {
        for document in &mut self.whole {
            document.add(outcome)?;
        }
        match &mut self.by_object {
            Some(by_object) if by_object.wanted && !outcome.response.success => by_object.add(outcome).await,
            _ => Ok(false),
        }
    }

    /// Uploads what is full, and lets the parts under way get on, also of documents to which nothing was added.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn flow(&mut self) -> Result<()> {
        let current = self.by_object.as_mut().and_then(|by_object| by_object.current.as_mut());
        let documents = self.whole.iter_mut().chain(current.map(|(_, _, document)| document));
        for upload in documents.filter_map(|document| document.upload.as_mut()) {
            upload.flow().await?;
        }
        Ok(())
    }

    /// The key of the object that an outcome's record is from, if there are many.
    pub fn object(&self, outcome: &Outcome) -> Option<String> {
        let found = &self.by_object.as_ref()?.objects.found;
        Some(found.get(outcome.object? as usize)?.key.clone())
    }

    /// Writes what comes after the last record, and uploads all but the requests with which the documents appear.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn end(&mut self) -> Result<()> {
        let current = self.by_object.as_mut().and_then(|by_object| by_object.current.as_mut());
        for document in self.whole.iter_mut().chain(current.map(|(_, _, document)| document)) {
            document.end().await?;
        }
        Ok(())
    }

    /// Lets the next document appear; returns whether there was one.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn complete(&mut self) -> Result<bool> {
        if let Some(document) = self.whole.iter_mut().find(|document| document.upload.is_some()) {
            document.complete().await?;
            return Ok(true);
        }
        match &mut self.by_object {
            Some(by_object) if by_object.current.is_some() => by_object.complete().await.map(|_| true),
            _ => Ok(false),
        }
    }

    /// What was written, and all keys of it.
    pub fn written(&self) -> (Vec<Output>, BTreeSet<String>) {
        let written = self.whole.iter().filter(|document| document.written);
        let output = |name: &str, key: &str| Output { name: name.to_owned(), key: key.to_owned() };
        let mut outputs: Vec<_> = written.map(|document| output(document.document.name, &document.key)).collect();
        let mut keys: BTreeSet<_> = outputs.iter().map(|output| output.key.clone()).collect();
        if let Some(ByObject { id, keys: failed, .. }) = &self.by_object
            && !failed.is_empty()
        {
            outputs.push(output("failed", &id.output_key(FAILED)));
            keys.extend(failed.iter().cloned());
        }
        (outputs, keys)
    }
}

/// The failed records of many objects, a document for each that has some. Since outcomes come in the order of the
/// objects, one after the other is written.
struct ByObject<'a, B: Blob> {
    blob: &'a B,
    id: &'a BatchId,
    wanted: bool,
    objects: &'a Objects,
    /// The object, the columns of its file, and its document.
    current: Option<(u32, Vec<String>, Writing<'a, B>)>,
    keys: BTreeSet<String>,
}

impl<'a, B: Blob> ByObject<'a, B> {
    async fn add(&mut self, outcome: &Outcome) -> Result<bool> {
        let unknown = || Error::internal("a record of many objects is of none of them");
        let number = outcome.object.ok_or_else(unknown)?;
        let mut appeared = false;
        if self.current.as_ref().is_none_or(|(current, ..)| *current != number) {
            if let Some((_, _, document)) = &mut self.current {
                document.end().await?;
            }
            appeared = self.complete().await?;
            let columns = self.columns(number, outcome).ok_or_else(unknown)?;
            let document = self.begin(number, columns.clone()).ok_or_else(unknown)?;
            self.current = Some((number, columns, document));
        }
        let (_, _, document) = self.current.as_mut().ok_or_else(unknown)?;
        document.add(outcome)?;
        Ok(appeared)
    }

    /// The columns of the file of an object, of which this is the first outcome.
    fn columns(&self, number: u32, first: &Outcome) -> Option<Vec<String>> {
        let format = self.objects.found.get(number as usize)?.format()?;
        if format.layout != Layout::Csv || !format.columns.is_empty() {
            return Some(format.columns.clone());
        }
        let head = self.objects.read.get(number as usize).and_then(|read| read.head.as_ref());
        let columns = head.and_then(|head| csv::columns_of(head.bytes(), format));
        Some(columns.map_or_else(|| columns_of(first), |columns| columns.to_vec()))
    }

    /// The document of an object, cut from it like that of a single file.
    fn begin(&self, number: u32, columns: Vec<String>) -> Option<Writing<'a, B>> {
        let object = self.objects.found.get(number as usize)?;
        let head = self.objects.read.get(number as usize).and_then(|read| read.head.clone());
        let source = Source { format: object.format()?.clone(), columns, head };
        let document = failed(&source, &format!("{FAILED}{number:05}-{}", stem(&object.key)));
        Some(Writing::new(self.blob, self.id, document))
    }

    /// Lets the current document appear, and returns whether it was uploaded in parts.
    async fn complete(&mut self) -> Result<bool> {
        let Some((_, _, mut document)) = self.current.take() else {
            return Ok(false);
        };
        let in_parts = document.complete().await?;
        self.keys.extend(Some(document.key).filter(|_| document.written));
        Ok(in_parts)
    }
}

/// A document that is being written.
struct Writing<'a, B: Blob> {
    blob: &'a B,
    key: String,
    document: Document,
    /// Begun with the first record, or at once if the document has all records.
    upload: Option<Upload<'a, B>>,
    written: bool,
}

/// What another needs to go on with a document.
#[derive(Serialize, Deserialize)]
struct WritingPlace {
    key: String,
    /// What its render says of itself.
    empty: bool,
    begun: Option<Begun>,
    /// How much was not uploaded yet; `None` if nothing was written, or all is.
    rest: Option<usize>,
    written: bool,
}

impl<'a, B: Blob> Writing<'a, B> {
    fn new(blob: &'a B, id: &BatchId, mut document: Document) -> Self {
        let key = id.output_key(&document.file);
        let upload = (document.filter == Filter::All).then(|| begin(blob, &key, &mut document));
        Self { blob, key, document, upload, written: false }
    }

    fn resume(mut self, place: WritingPlace, rests: &mut &[u8]) -> Option<Self> {
        if place.key != self.key {
            return None;
        }
        self.document.render.resume(place.empty);
        self.written = place.written;
        self.upload = match place.rest {
            Some(length) => {
                let (rest, others) = rests.split_at_checked(length)?;
                *rests = others;
                let upload = Upload::new(self.blob, self.key.clone(), self.document.content_type);
                Some(upload.resume(place.begun, rest))
            }
            None => None,
        };
        Some(self)
    }

    async fn place(&mut self, rests: &mut Vec<u8>) -> Result<WritingPlace> {
        let (key, empty, written) = (self.key.clone(), self.document.render.is_empty(), self.written);
        let Some(upload) = &mut self.upload else {
            return Ok(WritingPlace { key, empty, begun: None, rest: None, written });
        };
        let (begun, rest) = upload.keep().await?;
        rests.extend_from_slice(rest);
        Ok(WritingPlace { key, empty, begun, rest: Some(rest.len()), written })
    }

    fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let Self { blob, key, document, upload, .. } = self;
        if document.filter == Filter::Failed && outcome.response.success {
            return Ok(());
        }
        let upload = upload.get_or_insert_with(|| begin(*blob, key, document));
        document.render.add(outcome, upload.buffer())
    }

    async fn end(&mut self) -> Result<()> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        self.document.render.end(upload.buffer());
        upload.prepare().await
    }

    /// Lets the document appear, if it was begun, and returns whether it was uploaded in parts.
    async fn complete(&mut self) -> Result<bool> {
        let Some(upload) = self.upload.take() else {
            return Ok(false);
        };
        let in_parts = upload.is_in_parts();
        upload.finish().await?;
        self.written = true;
        Ok(in_parts)
    }
}

fn begin<'a, B: Blob>(blob: &'a B, key: &str, document: &mut Document) -> Upload<'a, B> {
    let mut upload = Upload::new(blob, key.to_owned(), document.content_type);
    document.render.begin(upload.buffer());
    upload
}
