//! An API that does nothing: it answers every request with 200, at once or after a while.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfold::model::error::{Error, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A server on this machine that runs until it is dropped.
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Api {
    /// Listens at a port, or at one that is free for 0, and answers after `wait`.
    ///
    /// # Errors
    /// `Config` if the port is taken.
    pub async fn start(port: u16, wait: Duration) -> Result<Self> {
        let taken = |e| Error::config(format!("nothing can listen at port {port}: give another --port")).because(e);
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let requests = Arc::new(AtomicU64::new(0));
        let counted = requests.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that breaks is the client's to tell of.
                let counted = counted.clone();
                tokio::spawn(async move { serve(stream, &counted, wait).await });
            }
        });
        Ok(Self { address, requests, listening })
    }

    /// The requests since this was asked the last time.
    pub fn requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, requests: &AtomicU64, wait: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or_default();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        requests.fetch_add(1, Ordering::Relaxed);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        stream.get_mut().write_all(ANSWER).await?;
    }
}
