//! A press in memory, for tests: its documents are the digests of their data.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};
use crate::store::blob::{Blob, read_all};
use crate::store::press::{Press, Printed};

/// A press whose documents name their data.
#[derive(Debug, Clone)]
pub struct MemoryPress<B> {
    /// The bucket.
    pub bucket: B,
}

impl<B: Blob> Press for MemoryPress<B> {
    async fn print(&self, data: &str, document: &str, _patience: Duration) -> Result<Printed> {
        let data = read_all(&self.bucket, data).await?.ok_or_else(|| Error::missing("there is no data"))?;
        let printed = format!("%PDF of {:x?}", Sha256::digest(&data));
        let sha256 = digits(&Sha256::digest(printed.as_bytes()));
        let bytes = printed.len() as u64;
        self.bucket.put(document, "application/pdf", printed.into()).await?;
        Ok(Printed::Done { bytes, sha256 })
    }
}

fn digits(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
