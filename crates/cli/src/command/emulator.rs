//! Whether an emulator is there.

use std::time::Duration;

use tokio::net::TcpStream;
use url::{Host, Url};

use fanfold::model::error::{Error, Result};

/// How long it may take to connect: an emulator is near.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks that an emulator is there. The SDK would try for long, as it has to where a network may be slow.
///
/// # Errors
/// `Config` with what to do.
pub async fn answers(endpoint: &str) -> Result<()> {
    let address = address(endpoint).ok_or_else(|| {
        Error::config(format!(
            "the endpoint {endpoint} is no URL such as http://127.0.0.1:4566: run `make deploy` again"
        ))
    })?;
    let nothing = || Error::config(format!("nothing answers at {endpoint}: run `make start`, then `make deploy`"));
    match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(nothing().because(error)),
        Err(slow) => Err(nothing().because(slow)),
    }
}

/// The host and port of an endpoint; `None` if it is not of HTTP.
fn address(endpoint: &str) -> Option<(String, u16)> {
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_leave_out_its_port_and_have_a_path() {
        for (endpoint, host, port) in [
            ("http://127.0.0.1:4566", "127.0.0.1", 4566),
            ("http://127.0.0.1:4566/", "127.0.0.1", 4566),
            ("http://localstack", "localstack", 80),
            ("https://aws.example.org/local/", "aws.example.org", 443),
            ("http://[::1]:4566", "::1", 4566),
            ("https://[2001:db8::1]", "2001:db8::1", 443),
        ] {
            assert_eq!(address(endpoint), Some((host.to_owned(), port)), "{endpoint}");
        }
        for endpoint in ["", "127.0.0.1:4566", "localhost:4566", "ftp://a", "http://", "http://a:70000"] {
            assert_eq!(address(endpoint), None, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn an_emulator_is_found_at_every_form_of_its_endpoint() {
        let (four, six) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), std::net::TcpListener::bind("[::1]:0"));
        let port = four.local_addr().unwrap().port();
        for endpoint in [format!("http://127.0.0.1:{port}"), format!("https://localhost:{port}/a/b/")] {
            assert!(answers(&endpoint).await.is_ok(), "{endpoint}");
        }
        // A machine may have no IPv6.
        if let Ok(six) = six {
            assert!(answers(&format!("http://{}", six.local_addr().unwrap())).await.is_ok());
        }
        let told = answers("127.0.0.1:4566").await.unwrap_err().to_string();
        assert!(told.contains("is no URL such as"), "{told}");
    }
}
