//! A bucket in S3.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType, Object, ObjectVersion,
};
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::error;
use fanfold::intake::s3_event::decode_key;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::OutputFile;
use fanfold::store::blob::{Blob, Body, Part, Pin, Section, UploadId, Written};

/// A bucket in S3.
#[derive(Debug, Clone)]
pub struct S3Blob {
    client: Client,
    bucket: String,
    /// The account that the bucket has to belong to, if that is known.
    owner: Option<String>,
}

/// The newest object under a key.
#[derive(Debug, Clone)]
pub struct Newest {
    /// Its version, if the bucket keeps versions.
    pub version: Option<String>,
    /// When it was uploaded.
    pub at: Timestamp,
}

/// One upload of an object, which may have been replaced or deleted since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The key.
    pub key: String,
    /// The version.
    pub version: String,
    /// The object's size.
    pub bytes: u64,
    /// When it was uploaded.
    pub at: Timestamp,
}

/// Where a listing of versions goes on.
#[derive(Debug, Clone)]
pub struct Marker {
    key: String,
    version: Option<String>,
}

impl S3Blob {
    /// The objects of a folder with their sizes, by their names in it; of more than a thousand, the first thousand.
    ///
    /// # Errors
    /// As those of a listing.
    pub async fn sizes(&self, folder: &str) -> Result<Vec<OutputFile>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let request = request.set_expected_bucket_owner(self.owner.clone()).prefix(folder);
        let page = request.send().await.map_err(|e| error::of_call("list", &self.place(folder), e))?;
        let named = |object: Object| {
            let name = object.key?.strip_prefix(folder)?.to_owned();
            Some(OutputFile { name, bytes: u64::try_from(object.size?).ok()? })
        };
        Ok(page.contents.unwrap_or_default().into_iter().filter_map(named).collect())
    }

    /// A bucket by its name. The buckets of a deployment are named after its account; nobody else's is used in their
    /// stead, should the deployment be gone and its names be taken
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>).
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        let owner = owner_of(&bucket).map(str::to_owned);
        Self { client, bucket, owner }
    }

    /// A link by which whoever has it downloads an object for a while, under a name. The object need not be there.
    ///
    /// # Errors
    /// `Config` if there are no credentials to sign with.
    pub async fn link(&self, key: &str, name: &str, valid: Duration) -> Result<String> {
        let attachment = format!("attachment; filename=\"{}\"", name.replace(['"', '\\', '\r', '\n'], "_"));
        let request = self.client.get_object().bucket(&self.bucket).key(key).response_content_disposition(attachment);
        let signed = request.presigned(lasting(valid)?).await;
        Ok(signed.map_err(unsigned)?.uri().to_owned())
    }

    /// A link by which whoever has it writes an object of this type for a while, replacing what is there.
    ///
    /// # Errors
    /// As [`link`](Self::link).
    pub async fn upload_link(&self, key: &str, content_type: &str, valid: Duration) -> Result<String> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        let signed = request.presigned(lasting(valid)?).await;
        Ok(signed.map_err(unsigned)?.uri().to_owned())
    }

    /// The newest object under a key, as a client of the bucket sees it; `None` if there is none.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn newest(&self, key: &str) -> Result<Option<Newest>> {
        match self
            .client
            .head_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key)
            .send()
            .await
        {
            Ok(object) => {
                let at = object.last_modified.and_then(|at| at.to_millis().ok()).unwrap_or_default();
                Ok(Some(Newest { version: object.version_id, at: Timestamp(at) }))
            }
            // An answer to HEAD has no body that could say which code it is.
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
            Err(error) => Err(error::of_call("look for", &self.place(key), error)),
        }
    }

    /// Lists the next keys that begin with `prefix`, in ascending order, and the entity tags of their newest objects.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn tagged(&self, prefix: &str, after: Option<&str>) -> Result<Vec<(String, Option<String>)>> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .prefix(prefix);
        let page = request.set_start_after(after.map(str::to_owned)).send().await;
        let page = page.map_err(|e| error::of_call("list", &self.place(prefix), e))?;
        let objects = page.contents.unwrap_or_default().into_iter();
        let bare = |tag: String| tag.trim_matches('"').to_owned();
        Ok(objects.filter_map(|object| Some((object.key?, object.e_tag.map(bare)))).collect())
    }

    /// Lists the next uploads under a prefix of a bucket that keeps versions, and where to go on, if there are more. Keys
    /// are encoded if the server can do that, as some cannot be written in XML:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    ///
    /// # Errors
    /// Those of the call.
    pub async fn versions(&self, prefix: &str, from: Option<&Marker>) -> Result<(Vec<Uploaded>, Option<Marker>)> {
        let request = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .prefix(prefix);
        let request = request.encoding_type(EncodingType::Url);
        let request = request.set_key_marker(from.map(|from| from.key.clone()));
        let request = request.set_version_id_marker(from.and_then(|from| from.version.clone()));
        let page = request.send().await.map_err(|e| error::of_call("list the versions of", &self.place(prefix), e))?;
        let encoded = page.encoding_type == Some(EncodingType::Url);
        let decoded = |key: String| if encoded { decode_key(&key) } else { Ok(key) };
        let versions = page.versions.unwrap_or_default().into_iter();
        let versions = versions.filter_map(|version| uploaded(version, decoded).transpose());
        let next = page.next_key_marker.filter(|_| page.is_truncated == Some(true)).map(decoded).transpose()?;
        let next = next.map(|key| Marker { key, version: page.next_version_id_marker });
        Ok((versions.collect::<Result<_>>()?, next))
    }

    fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    fn pieces(&self, key: &str, body: ByteStream) -> Body {
        let place = self.place(key);
        let pieces = stream::unfold(body, move |mut body| {
            let place = place.clone();
            async move {
                let piece = body.next().await?;
                let lost = |e| Error::transient(format!("lost the connection while reading {place}")).because(e);
                Some((piece.map_err(lost), body))
            }
        });
        pieces.boxed()
    }
}

fn lasting(valid: Duration) -> Result<PresigningConfig> {
    PresigningConfig::expires_in(valid).map_err(|e| Error::internal("a link without an end").because(e))
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::config("a link cannot be signed; are there AWS credentials?").because(error)
}

/// The account that the name of a deployment's bucket ends with.
fn owner_of(bucket: &str) -> Option<&str> {
    let (_, account) = bucket.rsplit_once('-')?;
    Some(account).filter(|account| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An upload as it is listed; `None` if it was made before its bucket kept versions.
fn uploaded(listed: ObjectVersion, decoded: impl Fn(String) -> Result<String>) -> Result<Option<Uploaded>> {
    let (Some(key), Some(version)) = (listed.key, listed.version_id.filter(|version| version != "null")) else {
        return Ok(None);
    };
    let bytes = listed.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let at = listed.last_modified.and_then(|at| at.to_millis().ok()).map(Timestamp);
    let at = at.ok_or_else(|| Error::transient("S3 listed a version without its time"))?;
    Ok(Some(Uploaded { key: decoded(key)?, version, bytes, at }))
}

/// Whether S3 answers with this code for a missing object or version, deleted ones included
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>). A version id that never existed is
/// answered with `InvalidArgument`, that of a delete marker with `MethodNotAllowed`.
fn is_missing(code: Option<&str>) -> bool {
    matches!(code, Some("NoSuchKey" | "NoSuchVersion" | "NotFound" | "MethodNotAllowed"))
}

/// Pins an object that was read. The version `null` is that of a bucket that keeps none, and is overwritten like the
/// object: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>
fn pin_of(version: Option<String>, tag: Option<&str>) -> Option<Pin> {
    let version = version.filter(|version| version != "null").map(Pin::Version);
    version.or_else(|| tag.map(|tag| Pin::Tag(tag.trim_matches('"').to_owned())))
}

/// Cuts a range out of a whole body.
fn cut(body: Body, range: Range<u64>) -> Body {
    let mut at = 0;
    let within = body.map(move |piece| {
        let piece = piece?;
        let (from, end) = (at, at + piece.len() as u64);
        at = end;
        let place = |byte: u64| (byte.clamp(from, end) - from) as usize;
        Ok(piece.slice(place(range.start)..place(range.end)))
    });
    within.boxed()
}

impl Blob for S3Blob {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        let request =
            self.client.get_object().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key);
        let found = request.set_version_id(version.map(str::to_owned)).send().await;
        let body = match found {
            Ok(object) => object.body,
            Err(error) if is_missing(error.code()) => return Ok(None),
            Err(error) => return Err(error::of_call("read", &self.place(key), error)),
        };
        Ok(Some(self.pieces(key, body)))
    }

    /// Sends a range request (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>),
    /// conditional on the entity tag if one is pinned
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html>). S3 answers with an
    /// error if the range begins past the object's end, and for every range of an empty object. A server that
    /// ignores ranges sends the whole object, as HTTP allows; the range is then cut out here.
    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        let request =
            self.client.get_object().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key);
        let request = request.range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let request = match pin {
            Pin::Newest => request,
            Pin::Version(version) => request.version_id(version),
            Pin::Tag(tag) => request.if_match(format!("\"{tag}\"")),
        };
        let object = match request.send().await {
            Ok(object) => object,
            Err(error) if is_missing(error.code()) => return Ok(None),
            // A version that never existed.
            Err(error) if error.code() == Some("InvalidArgument") && matches!(pin, Pin::Version(_)) => return Ok(None),
            Err(error) if error.code() == Some("InvalidRange") => {
                return Ok(Some(Section { body: stream::empty().boxed(), size: range.start, pin: pin.clone() }));
            }
            Err(error) if error.code() == Some("PreconditionFailed") => {
                return Err(Error::conflict(format!("{} was overwritten", self.place(key))));
            }
            Err(error) => return Err(error::of_call("read", &self.place(key), error)),
        };
        let body = self.pieces(key, object.body);
        let pin = pin_of(object.version_id, object.e_tag.as_deref()).unwrap_or_else(|| pin.clone());
        match object.content_range.as_deref().and_then(|range| range.rsplit('/').next()?.parse().ok()) {
            Some(size) => Ok(Some(Section { body, size, pin })),
            None => {
                let size = object.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
                Ok(Some(Section { body: cut(body, range), size, pin }))
            }
        }
    }

    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<Written> {
        let request =
            self.client.put_object().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key);
        let request = request.content_type(content_type).body(ByteStream::from(body));
        let put = request.send().await.map_err(|e| error::of_call("write", &self.place(key), e))?;
        let version = put.version_id;
        Ok(Written { version })
    }

    /// Sends a conditional write, which succeeds for only one of several writers:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>. A writer that meets
    /// another under way is refused as `Busy`.
    async fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> Result<bool> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key)
            .if_none_match("*");
        match request.content_type(content_type).body(ByteStream::from(body)).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(false),
            Err(error) => Err(error::of_call("write", &self.place(key), error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let request =
            self.client.delete_object().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key);
        request.send().await.map_err(|e| error::of_call("delete", &self.place(key), e))?;
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .prefix(prefix)
            .max_keys(most);
        let request = request.set_start_after(after.map(str::to_owned));
        let page = request.send().await.map_err(|e| error::of_call("list", &self.place(prefix), e))?;
        Ok(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    /// Names the checksum that the SDK computes of each part, and passes them on when the upload is completed: a service
    /// may ask for them, and none minds
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>).
    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<UploadId> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key);
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(ChecksumType::FullObject);
        let begun = request.content_type(content_type).send().await;
        let begun = begun.map_err(|e| error::of_call("begin an upload to", &self.place(key), e))?;
        begun.upload_id.map(UploadId).ok_or_else(|| Error::transient("S3 began an upload without an id"))
    }

    async fn put_part(&self, key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<Part> {
        let request =
            self.client.upload_part().bucket(&self.bucket).set_expected_bucket_owner(self.owner.clone()).key(key);
        let request = request.upload_id(&upload.0).part_number(number).body(ByteStream::from(body));
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32);
        let put = request.send().await.map_err(|e| error::of_call("write a part of", &self.place(key), e))?;
        let tag = put.e_tag.ok_or_else(|| Error::transient("S3 took a part without an entity tag"))?;
        Ok(Part { number, tag, checksum: put.checksum_crc32 })
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[Part]) -> Result<Written> {
        let part = |part: &Part| {
            let named = CompletedPart::builder().part_number(part.number).e_tag(&part.tag);
            named.set_checksum_crc32(part.checksum.clone()).build()
        };
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(part).collect()));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key);
        let request = request.upload_id(&upload.0).multipart_upload(whole.build());
        let request = request.checksum_type(ChecksumType::FullObject);
        let done = request.send().await.map_err(|e| error::of_call("complete the upload to", &self.place(key), e))?;
        let version = done.version_id;
        Ok(Written { version })
    }

    async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<()> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key);
        match request.upload_id(&upload.0).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(error::of_call("give up the upload to", &self.place(key), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_bucket_tells_whose_it_is() {
        assert_eq!(owner_of("fanfold-chunked-input-123456789012"), Some("123456789012"));
        for other in ["input", "fanfold-input-12345678901", "fanfold-input-12345678901x", "123456789012"] {
            assert_eq!(owner_of(other), None, "{other}");
        }
    }
}
