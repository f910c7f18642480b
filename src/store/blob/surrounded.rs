//! A bucket whose calls are surrounded.

use std::ops::Range;

use bytes::Bytes;

use futures::{FutureExt, StreamExt, stream};

use crate::model::error::Result;
use crate::store::blob::{Blob, Body, Part, Pin, Section, UploadId, Written};
use crate::store::faults::fault;
use crate::store::surround::{Surround, Surrounded};

impl<B: Blob, A: Surround> Blob for Surrounded<B, A> {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        let body = self.around.call("blob.get", || self.store.get(key, version).boxed()).await?;
        Ok(body.map(|body| breaking(body, &self.around)))
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        let section =
            self.around.call("blob.get_range", || self.store.get_range(key, pin, range.clone()).boxed()).await?;
        Ok(section.map(|section| Section { body: breaking(section.body, &self.around), ..section }))
    }

    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<Written> {
        self.around.call("blob.put", || self.store.put(key, content_type, body.clone()).boxed()).await
    }

    async fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> Result<bool> {
        self.around.call("blob.put_new", || self.store.put_new(key, content_type, body.clone()).boxed()).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.around.call("blob.delete", || self.store.delete(key).boxed()).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        self.around.call("blob.list", || self.store.list(prefix, after, most).boxed()).await
    }

    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<UploadId> {
        self.around.call("blob.begin_upload", || self.store.begin_upload(key, content_type).boxed()).await
    }

    fn part_bytes(&self, number: usize) -> usize {
        self.store.part_bytes(number)
    }

    async fn put_part(&self, key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<Part> {
        self.around.call("blob.put_part", || self.store.put_part(key, upload, number, body.clone()).boxed()).await
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[Part]) -> Result<Written> {
        self.around.call("blob.complete_upload", || self.store.complete_upload(key, upload, parts).boxed()).await
    }

    async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<()> {
        self.around.call("blob.abort_upload", || self.store.abort_upload(key, upload).boxed()).await
    }
}

/// A body whose connection may be lost, if that is wanted.
fn breaking(body: Body, around: &impl Surround) -> Body {
    if !around.breaks_off() {
        return body;
    }
    let around = around.clone();
    let pieces = body.flat_map(move |piece| {
        let pieces = match piece {
            Ok(piece) => match around.midway("blob.body", piece.len()) {
                Some(lost) => vec![Ok(piece.slice(..lost)), Err(fault("blob.body"))],
                None => vec![Ok(piece)],
            },
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    pieces.boxed()
}
