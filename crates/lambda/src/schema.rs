//! The schema of records. It lies in a bucket, since a function's whole environment is limited to 4 KB:
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use fanfold::model::error::{Error, Result};
use fanfold::store::blob::read_all;
use fanfold_aws::clients::Clients;
use fanfold_aws::s3::S3Blob;

/// Returns the schema that `RECORD_SCHEMA` names: an object, as in `s3://bucket/key`, or itself.
///
/// # Errors
/// `Config` if the object cannot be read.
pub async fn read(named: &str, clients: &Clients) -> Result<String> {
    let Some((bucket, key)) = object(named) else {
        return Ok(named.to_owned());
    };
    let told = |reason: String| Error::config(format!("RECORD_SCHEMA names {named}, which cannot be read: {reason}"));
    let found = read_all(&S3Blob::new(clients.s3.clone(), bucket), key).await.map_err(|e| told(e.to_string()))?;
    let found = found.ok_or_else(|| told("there is no such object".to_owned()))?;
    String::from_utf8(found.into()).map_err(|e| told(e.to_string()))
}

fn object(named: &str) -> Option<(&str, &str)> {
    named.strip_prefix("s3://")?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_from_a_schema() {
        assert_eq!(object("s3://bucket/schemas/a b.json"), Some(("bucket", "schemas/a b.json")));
        assert_eq!(object(r#"{"type":"object"}"#), None);
    }
}
