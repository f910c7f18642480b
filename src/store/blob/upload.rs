//! One object written as a stream: whole if it stays small, else in parts.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};
use crate::store::blob::{Blob, MOST_PARTS, Part, UploadId, Written};

/// Writes one object piece by piece. It holds at most two parts of it: one that is under way, and the next.
pub struct Upload<'a, B: Blob> {
    blob: &'a B,
    key: String,
    content_type: &'static str,
    buffer: Vec<u8>,
    begun: Option<Begun>,
    under_way: Option<BoxFuture<'a, Result<Part>>>,
    /// Whether somebody else may go on with it.
    kept: bool,
}

/// An upload in parts as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub id: UploadId,
    /// The parts that were written.
    pub parts: Vec<Part>,
}

impl<'a, B: Blob> Upload<'a, B> {
    /// Prepares an object; nothing is written yet.
    pub fn new(blob: &'a B, key: String, content_type: &'static str) -> Self {
        Self { blob, key, content_type, buffer: Vec::new(), begun: None, under_way: None, kept: false }
    }

    /// Goes on where another one was [kept](Self::keep).
    pub fn resume(self, begun: Option<Begun>, rest: &[u8]) -> Self {
        Self { begun, buffer: rest.to_vec(), kept: true, ..self }
    }

    /// Where to append the next piece of the object; call [`flow`](Self::flow) afterwards.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether the object is uploaded in parts.
    pub fn is_in_parts(&self) -> bool {
        self.begun.is_some()
    }

    /// Begins to upload every full part. One is under way while the next is written.
    ///
    /// # Errors
    /// As [`Blob`]'s calls, perhaps of an earlier part. The upload is abandoned first, unless it was kept.
    pub async fn flow(&mut self) -> Result<()> {
        loop {
            let number = self.begun.as_ref().map_or(0, |begun| begun.parts.len()) + 1;
            let size = self.blob.part_bytes(number + usize::from(self.under_way.is_some()));
            if self.buffer.len() < size {
                return self.drive().await;
            }
            self.land().await?;
            let rest = self.buffer.split_off(size);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.launch(part.into()).await?;
        }
    }

    /// Waits until all parts that were begun are written, and returns what another has to know to go on: what was
    /// uploaded, and what was not.
    ///
    /// # Errors
    /// As [`flow`](Self::flow).
    pub async fn keep(&mut self) -> Result<(Option<Begun>, &[u8])> {
        self.land().await?;
        self.kept = true;
        Ok((self.begun.clone(), &self.buffer))
    }

    /// Sends all but the request with which the object appears: until [`finish`](Self::finish) is called, it does not.
    ///
    /// # Errors
    /// As [`flow`](Self::flow).
    pub async fn prepare(&mut self) -> Result<()> {
        self.flow().await?;
        self.land().await?;
        if self.begun.is_some() && !self.buffer.is_empty() {
            let rest = std::mem::take(&mut self.buffer);
            self.launch(rest.into()).await?;
            self.land().await?;
        }
        Ok(())
    }

    /// Uploads the rest; only then does the object appear under its key.
    ///
    /// # Errors
    /// As [`flow`](Self::flow).
    pub async fn finish(mut self) -> Result<Written> {
        self.prepare().await?;
        match self.begun {
            None => self.blob.put(&self.key, self.content_type, self.buffer.into()).await,
            Some(Begun { id, parts }) => self.blob.complete_upload(&self.key, &id, &parts).await,
        }
    }

    /// Gives the object up: it does not appear.
    pub async fn abandon(mut self) {
        drop(self.under_way.take());
        if let Some(begun) = &self.begun {
            abandon(self.blob, &self.key, &begun.id).await;
        }
    }

    async fn launch(&mut self, body: Bytes) -> Result<()> {
        let begun = match &mut self.begun {
            Some(begun) => begun,
            none => {
                let id = self.blob.begin_upload(&self.key, self.content_type).await?;
                none.insert(Begun { id, parts: Vec::new() })
            }
        };
        if begun.parts.len() >= MOST_PARTS {
            let key = &self.key;
            return Err(Error::config(format!(
                "{key} would have more than 195 GiB; write less by RESULTS, or divide the file"
            )));
        }
        let (blob, key, id, number) = (self.blob, self.key.clone(), begun.id.clone(), begun.parts.len() as i32 + 1);
        self.under_way = Some(async move { blob.put_part(&key, &id, number, body).await }.boxed());
        self.drive().await
    }

    /// Lets the part that is under way get on, without waiting for it.
    async fn drive(&mut self) -> Result<()> {
        let Some(part) = &mut self.under_way else {
            return Ok(());
        };
        match poll_fn(|context| Poll::Ready(part.as_mut().poll(context))).await {
            Poll::Ready(written) => self.landed(written).await,
            Poll::Pending => Ok(()),
        }
    }

    /// Waits for the part that is under way.
    async fn land(&mut self) -> Result<()> {
        match &mut self.under_way {
            Some(part) => {
                let written = part.await;
                self.landed(written).await
            }
            None => Ok(()),
        }
    }

    async fn landed(&mut self, written: Result<Part>) -> Result<()> {
        self.under_way = None;
        let Some(begun) = &mut self.begun else {
            return Ok(());
        };
        match written {
            Ok(part) => {
                begun.parts.push(part);
                Ok(())
            }
            Err(error) => {
                if !self.kept {
                    abandon(self.blob, &self.key, &begun.id).await;
                }
                Err(error)
            }
        }
    }
}

/// Abandons an upload. The bucket's lifecycle rule frees the parts if that fails.
pub async fn abandon(blob: &impl Blob, key: &str, upload: &UploadId) {
    if let Err(error) = blob.abort_upload(key, upload).await {
        tracing::warn!(%key, %error, "parts left to the lifecycle rule");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blob::memory::MemoryBlob;
    use crate::store::blob::{PART_BYTES, part_bytes};

    #[test]
    fn parts_grow_with_their_numbers_and_stay_within_the_limits_of_s3() {
        let sizes = || (1..=MOST_PARTS).map(part_bytes);
        assert!(sizes().is_sorted() && sizes().next() == Some(PART_BYTES));
        assert_eq!(sizes().max(), Some(4 * PART_BYTES));
        assert_eq!(sizes().map(|bytes| bytes as u64).sum::<u64>(), 200_000 << 20, "195 GiB");
    }

    #[tokio::test]
    async fn an_upload_that_is_gone_on_with_anywhere_has_the_same_parts() {
        let bytes: Vec<u8> = (0..100).collect();
        for stopped in 0..bytes.len() {
            let blob = MemoryBlob::new().in_parts_of(7);
            let mut first = Upload::new(&blob, "key".to_owned(), "text/plain");
            for byte in &bytes[..stopped] {
                first.buffer().push(*byte);
                first.flow().await.unwrap();
            }
            let (begun, rest) = first.keep().await.unwrap();
            let (begun, rest) = (begun, rest.to_vec());
            // It goes on for a while after it was kept.
            for byte in bytes[stopped..].iter().take(20) {
                first.buffer().push(*byte);
                first.flow().await.unwrap();
            }
            let mut second = Upload::new(&blob, "key".to_owned(), "text/plain").resume(begun, &rest);
            second.buffer().extend_from_slice(&bytes[stopped..]);
            second.flow().await.unwrap();
            second.finish().await.unwrap();
            assert_eq!(blob.read("key").unwrap(), bytes, "{stopped}");
        }
    }
}
