//! Requests that are signed here: those of services whose SDK crate is not used, and addresses that somebody else calls.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;

/// What stands in a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// For what, and by whom.
#[derive(Debug)]
pub struct Signer<'a> {
    /// By whom.
    pub credentials: &'a Credentials,
    /// The region of the service.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
    /// When.
    pub at: Timestamp,
}

/// The credentials that a configuration has at this moment.
///
/// # Errors
/// `Config` if there are none, `Transient` if they cannot be found out now.
pub async fn credentials(config: &SdkConfig) -> Result<Credentials> {
    let provider = config.credentials_provider().ok_or_else(|| Error::config("there are no AWS credentials"))?;
    let provided = provider.provide_credentials().await;
    provided.map_err(|e| Error::transient("there are no AWS credentials").because(e))
}

impl Signer<'_> {
    /// The headers that sign a POST.
    ///
    /// # Errors
    /// `Internal` if that is no request.
    pub fn headers(&self, url: &str, headers: &[(String, String)], body: &str) -> Result<Vec<(String, String)>> {
        let signed = self.sign("POST", url, headers, body.as_bytes(), SigningSettings::default())?;
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The address of a GET with a signature in its query, which is valid for some time.
    ///
    /// # Errors
    /// `Internal` if that is no address.
    pub fn link(&self, url: &str, valid: Duration) -> Result<String> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(valid);
        let signed = self.sign("GET", url, &[], &[], settings)?;
        let mut link = url.to_owned();
        for (name, value) in signed.params() {
            link.push(if link.contains('?') { '&' } else { '?' });
            link.push_str(&format!("{name}={}", utf8_percent_encode(value, PLAIN)));
        }
        Ok(link)
    }

    fn sign(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        settings: SigningSettings,
    ) -> Result<SigningInstructions> {
        let identity = self.credentials.clone().into();
        let unsigned =
            |e: Box<dyn std::error::Error + Send + Sync>| Error::internal("a request could not be signed").because(e);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time())
            .settings(settings)
            .build()
            .map_err(|e| unsigned(e.into()))?
            .into();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(method, url, headers, SignableBody::Bytes(body));
        let signed = sign(request.map_err(|e| unsigned(e.into()))?, &parameters).map_err(|e| unsigned(e.into()))?;
        Ok(signed.into_parts().0)
    }

    fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.at.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_signature_in_the_query() {
        let credentials = Credentials::new("AKIDEXAMPLE", "very-secret", Some("a/b+c=".to_owned()), None, "test");
        let signer =
            Signer { credentials: &credentials, region: "eu-west-1", service: "execute-api", at: Timestamp(0) };
        let link = signer
            .link("https://a1.execute-api.eu-west-1.amazonaws.com/live?ticket=t", Duration::from_secs(60))
            .unwrap();
        assert!(link.starts_with("https://a1.execute-api.eu-west-1.amazonaws.com/live?ticket=t&X-Amz-"), "{link}");
        for part in [
            "X-Amz-Credential=AKIDEXAMPLE%2F19700101%2Feu-west-1%2Fexecute-api%2Faws4_request",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Security-Token=a%2Fb%2Bc%3D",
            "X-Amz-Signature=",
        ] {
            assert!(link.contains(part), "{part}: {link}");
        }
        assert!(!link.contains("very-secret"));
    }
}
