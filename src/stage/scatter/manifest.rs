//! Batches over many objects: finds the objects that an upload lists, and keeps what it found, so that every scatter of
//! the batch cuts the same chunks.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::objects;
use crate::format::detect;
use crate::format::manifest::{self, MAX_BYTES};
use crate::intake::s3_event::Created;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{InputFormat, Layout};
use crate::model::manifest::{Listed as Named, Object, ObjectEnd, Reading, holds_records, unreadable};
use crate::model::progress::{Batch, Opening};
use crate::model::timestamp::Timestamp;
use crate::stage::Disposition;
use crate::stage::scatter::cut::{Cutter, End};
use crate::stage::scatter::objects::{Listed, ObjectsSplitter};
use crate::stage::scatter::{Cuts, Scatter, has_rules, nothing, unread};
use crate::store::Stores;
use crate::store::blob::{Pin, sections};

/// What a manifest lists, or why nobody knows.
enum List {
    Objects(Vec<Object>),
    Fault(Fault),
    /// It was overwritten, and its bucket keeps no versions.
    Overwritten(String),
}

impl<S: Stores> Scatter<S> {
    /// Scatters the objects that an upload lists. Missing objects are an error as long as it is `early`, if there is
    /// reason to look for them again.
    pub(super) async fn scatter_objects(
        &self,
        created: &Created,
        mut opening: Opening,
        early: bool,
        until: Timestamp,
    ) -> Result<Disposition> {
        let found = match objects::found(&self.work, &opening.id).await? {
            Some(found) => List::Objects(found),
            None => self.find(created, &opening, early).await?,
        };
        if let List::Objects(objects) = &found
            && let Some(format) = objects.iter().find_map(Object::format)
        {
            // What a claim check says of the layout holds for every object.
            opening.input.found(InputFormat::plain(format.layout));
        }
        let found = match found {
            List::Objects(objects) => Ok(objects),
            List::Fault(fault) => Err(fault),
            List::Overwritten(reason) => {
                return self.end_unread(created, reason).await.map(|()| Disposition::Done);
            }
        };
        let mut batch = self.open(&opening).await?;
        if let Some(ended) = self.end_again(&batch).await? {
            return Ok(ended);
        }
        has_rules(&batch)?;
        let rules = self.rules.of(&self.batches, batch.opening.rules.as_deref()).await?;
        match (found, rules) {
            (Ok(found), Ok(rules)) => {
                let before = match &batch.bookmark {
                    Some(bookmark) => objects::before(&self.work, &batch.opening.id, bookmark.chunk).await?,
                    None => None,
                };
                batch.bookmark = batch.bookmark.filter(|_| before.is_some());
                let listed = Listed { found: &found, before: before.unwrap_or_default() };
                let cuts = self.cuts_of(&batch, &found, listed.before.clone(), &rules.key_field).await?;
                self.run(&batch, cuts, listed, until).await
            }
            (Err(fault), _) | (_, Err(fault)) => {
                self.run(&batch, nothing(&batch, fault), Listed::default(), until).await
            }
        }
    }

    async fn cuts_of<'a>(
        &'a self,
        batch: &Batch,
        found: &'a [Object],
        before: Vec<ObjectEnd>,
        key_field: &'a str,
    ) -> Result<Cuts<'a>> {
        let (opening, width) = (&batch.opening, self.width);
        let chunk_size = if opening.chunk_size == 0 { self.chunk_size } else { opening.chunk_size as usize };
        let mut cutter = ObjectsSplitter::new(&self.input, found, key_field, chunk_size, self.budget(opening), width);
        if let Some(bookmark) = &batch.bookmark {
            cutter.seek(bookmark, before, &self.input, found, width).await?;
        }
        Ok(cutter.stream())
    }

    /// Finds the objects that a manifest lists, and keeps them as they are now.
    async fn find(&self, created: &Created, opening: &Opening, early: bool) -> Result<List> {
        let (key, pin) = (&opening.input.key, Pin::of(&opening.input.source()));
        let manifest = match sections::part(&self.input, key, &pin, 0..MAX_BYTES as u64).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Err(unread(created)),
            Err(error) if error.kind == ErrorKind::Conflict => return Ok(List::Overwritten(error.to_string())),
            Err(error) => return Err(error),
        };
        let (size, bytes) = (manifest.size, manifest.pieces.concat());
        drop(manifest.pieces);
        let listed = if size > MAX_BYTES as u64 { Err(manifest::too_large()) } else { manifest::parse(key, &bytes) };
        drop(bytes);
        let listed = match listed {
            Ok(listed) => listed,
            Err(fault) => return Ok(List::Fault(fault)),
        };
        let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
        let listed = listed.into_iter().filter(|listed| holds_records(&name(&listed.key), &self.format));
        let looked = stream::iter(listed.map(|listed| self.look_at(listed, early))).buffered(self.width);
        let mut found: Vec<Object> = looked.try_collect().await?;
        of_one_layout(&mut found);
        objects::keep_found(&self.work, &opening.id, found).await.map(List::Objects)
    }

    /// Looks into an object, and pins it. One of which a version or an entity tag is listed was seen by somebody, and may
    /// only be missing because it is `early`; the name of another may just as well be wrong.
    async fn look_at(&self, listed: Named, early: bool) -> Result<Object> {
        let Named { bucket, key, version_id, e_tag } = listed;
        if let Some(bucket) = bucket.filter(|bucket| *bucket != self.input_bucket) {
            let message = format!("it lies in the bucket {bucket}; copy it to s3://{}/", self.input_bucket);
            return Ok(broken(key, Fault::new(FaultCode::OtherBucket, message)));
        }
        let pin = Pin::at(version_id, e_tag);
        let wait = early && pin != Pin::Newest;
        let unavailable = |why: String| Fault::new(FaultCode::UnavailableObject, why);
        let head = match sections::part(&self.input, &key, &pin, 0..detect::HEAD as u64).await {
            Ok(Some(head)) => head,
            Ok(None) if wait => return Err(Error::missing(format!("{key}, which is listed, could not be read"))),
            Ok(None) => return Ok(broken(key, unavailable("it is not there".to_owned()))),
            Err(error) if wait && error.may_pass() => return Err(error),
            // It was overwritten, or may not be read; trying again would change nothing.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::Config) => {
                return Ok(broken(key, unavailable(error.to_string())));
            }
            Err(error) => return Err(error),
        };
        let reading = match detect::detect(&key, &head.pieces.concat(), &self.format) {
            Ok(format) if format.layout == Layout::Parquet => {
                let message = "a Parquet file is a batch of its own; submit it by itself";
                Reading::Fault(Fault::new(FaultCode::OtherLayout, message))
            }
            Ok(format) => Reading::ReadAs(format),
            Err(fault) => Reading::Fault(fault),
        };
        let (version_id, e_tag) = match head.pin {
            Pin::Version(version) => (Some(version), None),
            Pin::Tag(tag) => (None, Some(tag)),
            Pin::Newest => (None, None),
        };
        Ok(Object { key, version_id, e_tag, bytes: head.size, reading })
    }
}

fn broken(key: String, fault: Fault) -> Object {
    Object { key, version_id: None, e_tag: None, bytes: 0, reading: Reading::Fault(fault) }
}

/// Leaves out the objects whose layout is not that of the first.
fn of_one_layout(objects: &mut [Object]) {
    let first = objects.iter().find_map(|object| Some((object.key.clone(), object.format()?.layout)));
    let Some((first, layout)) = first else {
        return;
    };
    for object in objects {
        if let Some(own) = object.format().map(|format| format.layout).filter(|own| *own != layout) {
            let (own, of_first) = (own.extension(), layout.extension());
            let message = format!("its layout is {own}, and that of the batch's first object, {first}, is {of_first}");
            object.reading = Reading::Fault(Fault::new(FaultCode::OtherLayout, message));
        }
    }
}

/// The end of a batch of many objects: if it was not cut short, what is wrong with it is what is wrong with them.
pub(super) fn ended(mut end: End, found: &[Object]) -> End {
    let faults = objects::faults(found, &end.objects);
    end.fault = end.fault.take().or_else(|| unreadable(found.len(), faults));
    end
}
