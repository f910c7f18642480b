//! The documents that gather writes beside the summary, while it reads the outcomes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::batch::objects::Objects;
use crate::format::csv;
use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::ids::{BatchId, stem};
use crate::model::record::Outcome;
use crate::model::summary::Output;
use crate::render::objects::results;
use crate::render::records::{Source, documents, failed};
use crate::render::{Document, Filter};
use crate::store::blob::Blob;
use crate::store::blob::upload::Upload;

/// The folder of the failed records of many objects, under the name of the batch.
pub(super) const FAILED: &str = "failed/";

/// Which documents are written.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// That of all outcomes.
    pub all: bool,
    /// Those of the failed records.
    pub failed: bool,
}

impl Wanted {
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

impl<'a, B: Blob> Documents<'a, B> {
    /// Those of a batch that was made of one file.
    pub fn of_file(blob: &'a B, id: &BatchId, wanted: Wanted, source: Source) -> Self {
        let documents = documents(&source).into_iter().filter(|document| wanted.has(document.filter));
        Self { whole: documents.map(|document| Writing::new(blob, id, document)).collect(), by_object: None }
    }

    /// Those of a batch that was made of many objects: one of all outcomes, and for each object with failed records one
    /// of those.
    pub fn of_objects(blob: &'a B, id: &'a BatchId, wanted: Wanted, objects: &'a Objects) -> Self {
        let keys = objects.found.iter().map(|object| object.key.clone()).collect();
        let results = wanted.all.then(|| Writing::new(blob, id, results(keys)));
        let by_object = ByObject { blob, id, wanted: wanted.failed, objects, current: None, keys: BTreeSet::new() };
        Self { whole: results.into_iter().collect(), by_object: Some(by_object) }
    }

    /// Adds the next outcome.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if the outcome is not what process writes.
    pub async fn add(&mut self, outcome: &Outcome) -> Result<()> {
        for document in &mut self.whole {
            document.add(outcome).await?;
        }
        match &mut self.by_object {
            Some(by_object) if by_object.wanted && !outcome.response.success => by_object.add(outcome).await,
            _ => Ok(()),
        }
    }

    /// The key of the object that an outcome's record is from, if there are many.
    pub fn object(&self, outcome: &Outcome) -> Option<String> {
        let found = &self.by_object.as_ref()?.objects.found;
        Some(found.get(outcome.object? as usize)?.key.clone())
    }

    /// Finishes the documents that were begun; returns them, and all keys that were written.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn end(self) -> Result<(Vec<Output>, BTreeSet<String>)> {
        let (mut outputs, mut keys) = (Vec::new(), BTreeSet::new());
        for document in self.whole {
            if let Some(output) = document.end().await? {
                keys.insert(output.key.clone());
                outputs.push(output);
            }
        }
        if let Some(by_object) = self.by_object {
            let folder = by_object.id.output_key(FAILED);
            let failed = by_object.end().await?;
            if !failed.is_empty() {
                outputs.push(Output { name: "failed".to_owned(), key: folder });
            }
            keys.extend(failed);
        }
        Ok((outputs, keys))
    }
}

/// The failed records of many objects, a document for each that has some. Since outcomes come in the order of the
/// objects, one after the other is written.
struct ByObject<'a, B: Blob> {
    blob: &'a B,
    id: &'a BatchId,
    wanted: bool,
    objects: &'a Objects,
    current: Option<(u32, Writing<'a, B>)>,
    keys: BTreeSet<String>,
}

impl<'a, B: Blob> ByObject<'a, B> {
    async fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let unknown = || Error::internal("a record of many objects is of none of them");
        let number = outcome.object.ok_or_else(unknown)?;
        if self.current.as_ref().is_none_or(|(current, _)| *current != number) {
            self.finish().await?;
            let document = self.document(number, outcome).ok_or_else(unknown)?;
            self.current = Some((number, Writing::new(self.blob, self.id, document)));
        }
        let (_, document) = self.current.as_mut().ok_or_else(unknown)?;
        document.add(outcome).await
    }

    /// The document of an object, cut from it like that of a single file.
    fn document(&self, number: u32, first: &Outcome) -> Option<Document> {
        let object = self.objects.found.get(number as usize)?;
        let format = object.format()?.clone();
        let head = self.objects.read.get(number as usize).and_then(|read| read.head.clone());
        let columns =
            head.as_ref().and_then(|head| csv::columns_of(head.bytes(), &format)).map(|columns| columns.to_vec());
        let columns =
            if format.layout == Layout::Csv { columns.unwrap_or_else(|| columns_of(first)) } else { Vec::new() };
        let source = Source { format, columns, head };
        Some(failed(&source, &format!("{FAILED}{number:05}-{}", stem(&object.key))))
    }

    async fn finish(&mut self) -> Result<()> {
        if let Some((_, document)) = self.current.take() {
            self.keys.extend(document.end().await?.map(|output| output.key));
        }
        Ok(())
    }

    async fn end(mut self) -> Result<BTreeSet<String>> {
        self.finish().await?;
        Ok(self.keys)
    }
}

/// A document that is being written.
struct Writing<'a, B: Blob> {
    blob: &'a B,
    key: String,
    document: Document,
    /// Begun with the first record, or at once if the document has all records.
    upload: Option<Upload<'a, B>>,
}

impl<'a, B: Blob> Writing<'a, B> {
    fn new(blob: &'a B, id: &BatchId, mut document: Document) -> Self {
        let key = id.output_key(&document.file);
        let upload = (document.filter == Filter::All).then(|| begin(blob, &key, &mut document));
        Self { blob, key, document, upload }
    }

    async fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let Self { blob, key, document, upload } = self;
        if document.filter == Filter::Failed && outcome.response.success {
            return Ok(());
        }
        let upload = upload.get_or_insert_with(|| begin(*blob, key, document));
        document.render.add(outcome, upload.buffer())?;
        upload.flow().await
    }

    /// Finishes the document, if it was begun.
    async fn end(mut self) -> Result<Option<Output>> {
        let Some(mut upload) = self.upload else {
            return Ok(None);
        };
        self.document.render.end(upload.buffer());
        upload.finish().await?;
        Ok(Some(Output { name: self.document.name.to_owned(), key: self.key }))
    }
}

fn begin<'a, B: Blob>(blob: &'a B, key: &str, document: &mut Document) -> Upload<'a, B> {
    let mut upload = Upload::new(blob, key.to_owned(), document.content_type);
    document.render.begin(upload.buffer());
    upload
}

/// The columns of a CSV file whose scatter died before it could record them.
pub(super) fn columns_of(outcome: &Outcome) -> Vec<String> {
    let row: Option<Map<String, Value>> = serde_json::from_str(outcome.request.get()).ok();
    row.map(|row| row.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}
