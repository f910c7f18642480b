//! Opens connections.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fanfold::store::web::Origin;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::pool::Sender;

/// Opens connections; the roots are read with the first that needs them.
#[derive(Debug, Clone, Default)]
pub struct Connector {
    tls: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
}

impl Connector {
    /// Opens a connection.
    ///
    /// # Errors
    /// In words, why that fails.
    pub async fn connect(&self, origin: &Origin) -> Result<Sender, String> {
        // An address of IPv6 has brackets in a URL only.
        let host = origin.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, origin.port)).await.map_err(at("no connection", origin))?;
        // A request is written at once, and must not wait for more.
        stream.set_nodelay(true).map_err(at("no connection", origin))?;
        if !origin.tls {
            return handshake(stream, origin).await;
        }
        let config = self.tls.get_or_init(tls).clone()?;
        let name = ServerName::try_from(host.to_owned()).map_err(at("no certificate can name", origin))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        handshake(stream.map_err(at("no encrypted connection", origin))?, origin).await
    }
}

fn at<E: Display>(what: &str, origin: &Origin) -> impl Fn(E) -> String {
    let place = origin.authority();
    move |error| format!("{what} to {place}: {error}")
}

async fn handshake<S>(stream: S, origin: &Origin) -> Result<Sender, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    TokioIo<S>: Read + Write,
{
    let made = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(at("no connection", origin))?;
    // What it comes to is told to whoever waits for a response.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is of no use to anybody; the others are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system has no root certificates; SSL_CERT_FILE can name a file of them".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| e.to_string())?.with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
