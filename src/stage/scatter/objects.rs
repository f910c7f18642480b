//! Cuts many objects into chunks, one object after the other. No chunk has records of two.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;
use crate::model::manifest::{Object, ObjectEnd};
use crate::model::progress::Bookmark;
use crate::model::record::Entry;
use crate::stage::scatter::cut::{Chunk, Cut, Cutter, End};
use crate::stage::scatter::limit::Budget;
use crate::stage::scatter::split::Splitter;
use crate::store::blob::{Blob, Pin, sections};

/// The most objects that are open at once: of each, up to a section of 8 MiB is held.
const AHEAD: usize = 4;

/// An object that can be read.
struct Opened<'a> {
    number: usize,
    format: &'a InputFormat,
    body: BoxStream<'a, Result<Bytes>>,
}

/// The objects of a batch of many.
#[derive(Default)]
pub(super) struct Listed<'a> {
    /// As they were found.
    pub found: &'a [Object],
    /// What came of them before the batch's bookmark.
    pub before: Vec<ObjectEnd>,
}

/// Cuts many objects.
pub struct ObjectsSplitter<'a> {
    opened: BoxStream<'a, Result<Opened<'a>>>,
    current: Option<(usize, Splitter<'a>)>,
    /// The object that an earlier invocation stopped in, and where.
    stopped: Option<(usize, Bookmark, BoxStream<'a, Result<Bytes>>)>,
    key_field: &'a str,
    chunk_size: usize,
    budget: Budget,
    end: Option<End>,
}

impl<'a> ObjectsSplitter<'a> {
    /// Cuts those of the objects in a bucket that can be read, each as a [`Splitter`] does, as far as the budget of all
    /// goes. Opens up to `width` objects ahead.
    pub fn new<B: Blob>(
        bucket: &'a B,
        objects: &'a [Object],
        key_field: &'a str,
        chunk_size: usize,
        budget: Budget,
        width: usize,
    ) -> Self {
        let opened = opened(bucket, objects, 0, width);
        let end = End { objects: vec![ObjectEnd::default(); objects.len()], ..End::new(None, None) };
        Self { opened, current: None, stopped: None, key_field, chunk_size, budget, end: Some(end) }
    }

    /// Goes on where an earlier invocation stopped, given what came of the objects up to there.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if there is no such object.
    pub async fn seek<B: Blob>(
        &mut self,
        bookmark: &Bookmark,
        ends: Vec<ObjectEnd>,
        bucket: &'a B,
        objects: &'a [Object],
        width: usize,
    ) -> Result<()> {
        let number = bookmark.object.map_or(0, |number| number as usize);
        let unknown = || Error::internal("the batch has no object that scatter could have stopped in");
        let object = objects.get(number).ok_or_else(unknown)?;
        let format = object.format().ok_or_else(unknown)?;
        let from = if format.is_in_place() { bookmark.place.offset } else { 0 };
        let before: u64 = ends.iter().take(number).map(|end| end.records).sum();
        let local = Bookmark { chunk: 0, record: bookmark.record.saturating_sub(before), ..*bookmark };
        let body = open_at(bucket, object, from, width).await?;
        self.opened = opened(bucket, objects, number, width);
        self.budget.seek(bookmark.chunk, bookmark.work);
        if let Some(end) = &mut self.end {
            end.seek(bookmark);
            end.objects.iter_mut().zip(ends).take(number).for_each(|(end, kept)| *end = kept);
            end.objects[number].records = local.record;
        }
        self.stopped = Some((number, local, body));
        Ok(())
    }

    /// The next cut of the object that is being cut, or of the next one; `None` after the last.
    async fn cut(&mut self) -> Result<Option<(usize, Cut)>> {
        let (number, splitter) = match &mut self.current {
            Some(current) => current,
            None => match self.opened.try_next().await? {
                Some(Opened { number, format, body }) => {
                    let mut splitter =
                        Splitter::new(body, format, self.key_field, self.chunk_size, Budget::chunks(u32::MAX));
                    if let Some((_, bookmark, rest)) = self.stopped.take_if(|(stopped, ..)| *stopped == number) {
                        splitter.seek(&bookmark, rest).await?;
                    }
                    self.current.insert((number, splitter))
                }
                None => return Ok(None),
            },
        };
        let cut = splitter.next().await?.ok_or_else(|| Error::internal("an object had no end"))?;
        Ok(Some((*number, cut)))
    }
}

impl Cutter for ObjectsSplitter<'_> {
    async fn next(&mut self) -> Result<Option<Cut>> {
        let next = if self.end.is_some() { self.cut().await? } else { None };
        let Some(end) = &mut self.end else {
            return Ok(None);
        };
        match next {
            Some((number, Cut::Chunk(mut chunk))) => {
                let taken = self.budget.work();
                let weight = chunk.entries.iter().map(Entry::weight).sum::<usize>() as u64;
                if let Err(fault) = self.budget.take(chunk.entries.len(), weight, None) {
                    end.fault = Some(fault);
                    return Ok(self.end.take().map(Cut::End));
                }
                let before = end.records - end.objects[number].records;
                for entry in &mut chunk.entries {
                    entry.index += before;
                    entry.object = u32::try_from(number).ok();
                }
                end.objects[number].records += chunk.entries.len() as u64;
                let index = end.count(chunk.entries.len() as u64)?;
                Ok(Some(Cut::Chunk(Chunk { index, before: taken, ..chunk })))
            }
            Some((number, Cut::End(End { head, fault, .. }))) => {
                let object = &mut end.objects[number];
                *object = ObjectEnd { records: object.records, head, fault };
                self.current = None;
                Ok(Some(Cut::Object(number, object.clone())))
            }
            Some((_, Cut::Nothing)) => Ok(Some(Cut::Nothing)),
            Some((_, Cut::Claim(..) | Cut::Object(..))) => Err(Error::internal("one object is cut into copied chunks")),
            None => Ok(self.end.take().map(Cut::End)),
        }
    }
}

/// Opens the objects that can be read, from one of them on.
fn opened<'a, B: Blob>(
    bucket: &'a B,
    objects: &'a [Object],
    from: usize,
    width: usize,
) -> BoxStream<'a, Result<Opened<'a>>> {
    let readable = objects.iter().enumerate().skip(from);
    let readable = readable.filter_map(|(number, object)| Some((number, object, object.format()?)));
    let opened = readable.map(move |(number, object, format)| async move {
        Ok(Opened { number, format, body: open_at(bucket, object, 0, width).await? })
    });
    stream::iter(opened).buffered(width.clamp(1, AHEAD)).boxed()
}

/// Opens an object as it was found. Nothing is known of an object that is gone by now: another scatter of the batch may
/// have put chunks of it already, and the chunks after them have to be the same.
async fn open_at<'a, B: Blob>(
    bucket: &'a B,
    object: &Object,
    from: u64,
    width: usize,
) -> Result<BoxStream<'a, Result<Bytes>>> {
    if object.bytes == 0 {
        return Ok(stream::empty().boxed());
    }
    let pin = Pin::at(object.version_id.clone(), object.e_tag.clone());
    let body = sections::read(bucket, object.key.clone(), pin, from, width).await?;
    body.ok_or_else(|| Error::missing(format!("{} was deleted after its batch had begun", object.key)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::model::manifest::Reading;
    use crate::store::blob::memory::MemoryBlob;

    fn object(bucket: &MemoryBlob, key: &str, bytes: impl Into<Bytes>) -> Object {
        let bytes = bytes.into();
        let (size, version) = (bytes.len() as u64, bucket.upload(key, bytes));
        let reading = Reading::ReadAs(InputFormat::of_key(key).unwrap());
        Object { key: key.to_owned(), version_id: Some(version), e_tag: None, bytes: size, reading }
    }

    /// What chunks hold: the object, and the indexes and lines of its records.
    type Held = (u32, Vec<(u64, u64)>);

    async fn cuts(bucket: &MemoryBlob, objects: &[Object], most: u32) -> (Vec<Held>, End) {
        let mut splitter = ObjectsSplitter::new(bucket, objects, "k", 2, Budget::chunks(most), 3);
        let mut chunks = Vec::new();
        loop {
            match splitter.next().await.unwrap().expect("an end comes first") {
                Cut::Chunk(chunk) => {
                    assert_eq!(chunk.index.get() as usize, chunks.len());
                    let number = chunk.entries[0].object.unwrap();
                    assert!(chunk.entries.iter().all(|entry| entry.object == Some(number)));
                    chunks.push((number, chunk.entries.iter().map(|entry| (entry.index, entry.line)).collect()));
                }
                Cut::Object(..) | Cut::Nothing => {}
                claim @ Cut::Claim(..) => panic!("{claim:?} is no copy"),
                Cut::End(end) => {
                    assert!(splitter.next().await.unwrap().is_none());
                    return (chunks, end);
                }
            }
        }
    }

    #[tokio::test]
    async fn indexes_run_on_over_objects_and_lines_do_not() {
        let bucket = MemoryBlob::new();
        let mut objects = vec![
            object(&bucket, "a.csv", "k,x\n1,2\n2,2\n3,2\n"),
            object(&bucket, "empty.csv", ""),
            object(&bucket, "b.csv", "k\n4\n"),
        ];
        objects[0].reading = Reading::ReadAs(InputFormat::of_key("a.csv").unwrap());
        let (chunks, end) = cuts(&bucket, &objects, 9).await;
        assert_eq!(chunks, [(0, vec![(0, 2), (1, 3)]), (0, vec![(2, 4)]), (2, vec![(3, 2)])]);
        assert_eq!((end.records, end.chunks, end.fault.is_none()), (4, 3, true));
        let heads: Vec<_> = end.objects.iter().map(|end| end.head.as_ref().map(|head| head.bytes().to_vec())).collect();
        assert_eq!(heads, [Some(b"k,x\n".to_vec()), None, Some(b"k\n".to_vec())]);
        assert_eq!(end.objects.iter().map(|end| end.records).collect::<Vec<_>>(), [3, 0, 1]);
    }

    #[tokio::test]
    async fn an_object_that_breaks_keeps_what_came_before_and_the_others_go_on() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"k\n1\n2\n3\n").unwrap();
        let mut broken = gzip.finish().unwrap();
        broken.truncate(broken.len() - 8);
        let bucket = MemoryBlob::new();
        let objects = [
            object(&bucket, "a.csv.gz", broken),
            object(&bucket, "no.csv", "x\n1\n"),
            object(&bucket, "b.csv", "k\n4\n"),
        ];
        let (chunks, end) = cuts(&bucket, &objects, 9).await;
        assert_eq!(
            chunks.iter().map(|(object, held)| (*object, held.len())).collect::<Vec<_>>(),
            [(0, 2), (0, 1), (2, 1)]
        );
        assert_eq!(chunks[2].1[0].0, 3);
        let codes: Vec<_> = end.objects.iter().map(|end| end.fault.as_ref().map(|fault| fault.code.name())).collect();
        assert_eq!(codes, [Some("BROKEN_GZIP"), Some("NO_HEADER"), None]);
    }

    #[tokio::test]
    async fn an_object_is_read_as_it_was_found_or_not_at_all() {
        let bucket = MemoryBlob::new();
        let found = [object(&bucket, "a.csv", "k\n1\n")];
        bucket.upload("a.csv", "k\n1\n2\n");
        assert_eq!(cuts(&bucket, &found, 9).await.1.records, 1);
        bucket.delete("a.csv").await.unwrap();
        assert_eq!(cuts(&bucket, &found, 9).await.1.records, 1);
        let gone = [Object { version_id: Some("never".to_owned()), ..found[0].clone() }];
        let error = ObjectsSplitter::new(&bucket, &gone, "k", 2, Budget::chunks(9), 3).next().await.unwrap_err();
        assert!(error.to_string().contains("a.csv was deleted"), "{error}");
    }

    #[tokio::test]
    async fn more_chunks_than_a_batch_can_have_end_it() {
        let bucket = MemoryBlob::new();
        let objects = [object(&bucket, "a.csv", "k\n1\n2\n3\n"), object(&bucket, "b.csv", "k\n4\n")];
        let (chunks, end) = cuts(&bucket, &objects, 2).await;
        assert_eq!((chunks.len(), end.records, end.fault.unwrap().code.name()), (2, 3, "TOO_MANY_CHUNKS"));
        assert_eq!(cuts(&bucket, &objects, 3).await.1.fault, None);
    }
}
