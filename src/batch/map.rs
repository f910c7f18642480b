//! The claim checks of a batch as JSON Lines, from which a Distributed Map reads for which chunks it runs a worker
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html>).

use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::message::{ProcessMessage, to_body};
use crate::store::blob::upload::Upload;
use crate::store::blob::{Blob, read_all};

const JSON_LINES: &str = "application/jsonl";

/// Writes the claim checks of the first `chunks` chunks. A repeat writes the same.
///
/// # Errors
/// Those of the bucket.
pub async fn write(work: &impl Blob, batch: &BatchId, chunks: u32) -> Result<()> {
    let mut upload = Upload::new(work, batch.claims_key(chunks), JSON_LINES);
    for chunk in 0..chunks {
        let check = to_body(&ProcessMessage::bare(batch.clone(), ChunkIndex::new(chunk)?));
        upload.buffer().extend_from_slice(check.as_bytes());
        upload.buffer().push(b'\n');
        upload.flow().await?;
    }
    upload.finish().await.map(drop)
}

/// The claim checks that were written of so many chunks.
///
/// # Errors
/// Those of the bucket; `Missing` if there are none, and `Internal` if they are not text.
pub async fn read(work: &impl Blob, batch: &BatchId, chunks: u32) -> Result<Vec<String>> {
    let lines = read_all(work, &batch.claims_key(chunks)).await?;
    let lines = lines.ok_or_else(|| Error::missing(format!("batch {batch} has no claim checks for a map")))?;
    let lines = std::str::from_utf8(&lines).map_err(|e| Error::internal("claim checks that are no text").because(e))?;
    Ok(lines.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blob::memory::MemoryBlob;

    #[tokio::test]
    async fn what_is_read_is_a_claim_check_for_each_chunk() {
        let (work, batch) = (MemoryBlob::default(), BatchId::parse("orders-0123456789ab.r1").unwrap());
        assert!(read(&work, &batch, 3).await.is_err());
        for chunks in [3, 3] {
            write(&work, &batch, chunks).await.unwrap();
            let read = read(&work, &batch, chunks).await.unwrap();
            let checks: Vec<ProcessMessage> = read.iter().map(|line| ProcessMessage::parse(line).unwrap()).collect();
            let bare = |chunk| ProcessMessage::bare(batch.clone(), ChunkIndex::new(chunk).unwrap());
            assert_eq!(checks, [0, 1, 2].map(bare));
        }
        assert_eq!(work.keys(), ["orders-0123456789ab.r1/map/claims-3.jsonl"]);
    }
}
