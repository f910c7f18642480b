//! A bucket that fails on purpose.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::model::error::Result;
use crate::store::blob::{Blob, Body, Part, Pin, Section, UploadId, Written};
use crate::store::faults::{Faults, Faulty, fault};

impl<B: Blob, F: Faults> Blob for Faulty<B, F> {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        let body = self.call("blob.get", self.store.get(key, version)).await?;
        Ok(body.map(|body| breaking(body, self.faults.clone())))
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        let section = self.call("blob.get_range", self.store.get_range(key, pin, range)).await?;
        Ok(section.map(|section| Section { body: breaking(section.body, self.faults.clone()), ..section }))
    }

    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<Written> {
        self.call("blob.put", self.store.put(key, content_type, body)).await
    }

    async fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> Result<bool> {
        self.call("blob.put_new", self.store.put_new(key, content_type, body)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.call("blob.delete", self.store.delete(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        self.call("blob.list", self.store.list(prefix, after, most)).await
    }

    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<UploadId> {
        self.call("blob.begin_upload", self.store.begin_upload(key, content_type)).await
    }

    async fn put_part(&self, key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<Part> {
        self.call("blob.put_part", self.store.put_part(key, upload, number, body)).await
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[Part]) -> Result<Written> {
        self.call("blob.complete_upload", self.store.complete_upload(key, upload, parts)).await
    }

    async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<()> {
        self.call("blob.abort_upload", self.store.abort_upload(key, upload)).await
    }
}

/// A body whose connection may be lost.
fn breaking(body: Body, faults: impl Faults) -> Body {
    let pieces = body.flat_map(move |piece| {
        let pieces = match piece {
            Ok(piece) => match faults.midway("blob.body", piece.len()) {
                Some(lost) => vec![Ok(piece.slice(..lost)), Err(fault("blob.body"))],
                None => vec![Ok(piece)],
            },
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    pieces.boxed()
}
