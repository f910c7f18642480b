//! One object written as a stream: whole if it stays small, else in parts.

use bytes::Bytes;

use crate::model::error::Result;
use crate::store::blob::{Blob, PART_BYTES, Part, UploadId, Written};

/// Writes one object piece by piece and holds at most a part of it.
pub struct Upload<'a, B: Blob> {
    blob: &'a B,
    key: String,
    content_type: &'static str,
    buffer: Vec<u8>,
    begun: Option<(UploadId, Vec<Part>)>,
}

impl<'a, B: Blob> Upload<'a, B> {
    /// Prepares an object; nothing is written yet.
    pub fn new(blob: &'a B, key: String, content_type: &'static str) -> Self {
        Self { blob, key, content_type, buffer: Vec::new(), begun: None }
    }

    /// Where to append the next piece of the object; call [`flow`](Self::flow) afterwards.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Uploads every full part.
    ///
    /// # Errors
    /// As [`Blob`]'s calls. The upload is abandoned first.
    pub async fn flow(&mut self) -> Result<()> {
        while self.buffer.len() >= PART_BYTES {
            let rest = self.buffer.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.put_part(part.into()).await?;
        }
        Ok(())
    }

    /// Sends all but the request with which the object appears: until [`finish`](Self::finish) is called, it does not.
    ///
    /// # Errors
    /// As [`flow`](Self::flow).
    pub async fn prepare(&mut self) -> Result<()> {
        self.flow().await?;
        if self.begun.is_some() && !self.buffer.is_empty() {
            let rest = std::mem::take(&mut self.buffer);
            self.put_part(rest.into()).await?;
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
            Some((id, parts)) => self.blob.complete_upload(&self.key, &id, &parts).await,
        }
    }

    async fn put_part(&mut self, body: Bytes) -> Result<()> {
        if self.begun.is_none() {
            let id = self.blob.begin_upload(&self.key, self.content_type).await?;
            self.begun = Some((id, Vec::new()));
        }
        let Some((id, parts)) = &mut self.begun else {
            return Ok(());
        };
        let number = parts.len() as i32 + 1;
        match self.blob.put_part(&self.key, id, number, body).await {
            Ok(part) => {
                parts.push(part);
                Ok(())
            }
            Err(error) => {
                // The bucket's lifecycle rule frees the parts if this fails too.
                if let Err(left) = self.blob.abort_upload(&self.key, id).await {
                    tracing::warn!(key = %self.key, error = %left, "parts left to the lifecycle rule");
                }
                Err(error)
            }
        }
    }
}
