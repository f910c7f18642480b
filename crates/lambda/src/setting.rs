//! Settings that are too long for a function's environment, which is limited to 4 KB: they lie in a bucket.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use fanfold::model::error::{Error, Result};
use fanfold::store::blob::read_all;
use fanfold_aws::clients::Clients;
use fanfold_aws::s3::S3Blob;

/// Returns the setting that the variable `name` holds: the text of the object that it names, as in `s3://bucket/key`,
/// or its value itself.
///
/// # Errors
/// `Config` if the object cannot be read.
pub async fn read(name: &str, value: &str, clients: &Clients) -> Result<String> {
    let Some((bucket, key)) = object(value) else {
        return Ok(value.to_owned());
    };
    let told = |reason: String| Error::config(format!("{name} names {value}, which cannot be read: {reason}"));
    let found = read_all(&S3Blob::new(clients.s3.clone(), bucket), key).await.map_err(|e| told(e.to_string()))?;
    let found = found.ok_or_else(|| told("there is no such object".to_owned()))?;
    String::from_utf8(found.into()).map_err(|e| told(e.to_string()))
}

fn object(value: &str) -> Option<(&str, &str)> {
    value.strip_prefix("s3://")?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_from_a_setting() {
        assert_eq!(object("s3://bucket/schemas/a b.json"), Some(("bucket", "schemas/a b.json")));
        for own in [r#"{"type":"object"}"#, r#"["custom","items"]"#, "items"] {
            assert_eq!(object(own), None);
        }
    }
}
