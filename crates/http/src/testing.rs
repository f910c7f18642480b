//! An API for tests that is as faulty as they want, and keeps a log.
//!
//! It does the work of a key once, as an API that knows `Idempotency-Key` does, and notes when each request came.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When its head was read, after the server's start.
    pub at: Duration,
    /// `POST` and the like.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers; names in small letters.
    pub headers: BTreeMap<String, String>,
    /// What it carried.
    pub body: String,
    /// The number of its connection, from 1.
    pub connection: usize,
}

impl Seen {
    /// Its idempotency key; empty without one.
    pub fn key(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Does the work, and answers 200.
    Work,
    /// Does the work after a while, and answers 200.
    Slow(Duration),
    /// Answers so without having done the work.
    Refuse(u16),
    /// Answers so, with a `Retry-After` if there is one, without having done the work.
    Busy(u16, Option<String>),
    /// Does the work, and answers so.
    WorkAnd(u16),
    /// Never answers, and does not do the work.
    HangBefore,
    /// Does the work, and never answers.
    HangAfter,
    /// Closes the connection without having done the work.
    DropBefore,
    /// Does the work, and closes the connection.
    DropAfter,
    /// Does the work, and answers with a body of so many bytes.
    Large(usize),
    /// Does the work, answers 200, and closes the connection after that.
    WorkAndClose,
}

/// What the server has seen and done.
#[derive(Debug, Default)]
pub struct Log {
    /// The requests in the order of their coming.
    pub seen: Vec<Seen>,
    /// For each key whose work was done, what it was done with.
    pub worked: BTreeMap<String, String>,
    /// Requests under way now.
    pub under_way: usize,
    /// The most requests that were under way at once.
    pub most_under_way: usize,
}

type Decide = dyn Fn(&Seen, usize) -> Act + Send + Sync;

struct Shared {
    log: Mutex<Log>,
    decide: Box<Decide>,
    began: Instant,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that runs until it is dropped.
pub struct FaultyServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl FaultyServer {
    /// Starts a server at an address such as `127.0.0.1:0`. `decide` is given each request, and how often its method and
    /// target came, from 1.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub async fn start(
        address: &str,
        decide: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { log: Mutex::default(), decide: Box::new(decide), began: Instant::now() });
        let own = shared.clone();
        let listening = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                let shared = own.clone();
                tokio::spawn(async move { serve(stream, connection, &shared).await });
            }
        });
        Ok(Self { address, shared, listening })
    }

    /// What it has seen and done.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: &Shared) {
    // An answer in several writes would wait for the other side.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Ok(Some(seen)) = read(&mut stream, connection, shared.began).await {
        let calls = {
            let mut log = shared.log();
            log.seen.push(seen.clone());
            log.under_way += 1;
            log.most_under_way = log.most_under_way.max(log.under_way);
            log.seen.iter().filter(|other| (&other.method, &other.target) == (&seen.method, &seen.target)).count()
        };
        let act = (shared.decide)(&seen, calls);
        let goes_on = answer(&mut stream, shared, &seen, act).await;
        shared.log().under_way -= 1;
        if !matches!(goes_on, Ok(true)) {
            return;
        }
    }
}

/// Answers a request; `false` closes the connection.
async fn answer(stream: &mut BufReader<TcpStream>, shared: &Shared, seen: &Seen, act: Act) -> io::Result<bool> {
    let work = || {
        if !seen.key().is_empty() {
            shared.log().worked.entry(seen.key().to_owned()).or_insert_with(|| seen.body.clone());
        }
    };
    let fine = r#"{"ok":true}"#;
    let goes_on = act != Act::WorkAndClose;
    let (status, more, body) = match act {
        Act::Work | Act::WorkAndClose | Act::WorkAnd(_) | Act::Large(_) | Act::HangAfter | Act::DropAfter => {
            work();
            match &act {
                Act::WorkAnd(status) => (*status, String::new(), fine.to_owned()),
                Act::Large(bytes) => (200, String::new(), "x".repeat(*bytes)),
                Act::DropAfter => return Ok(false),
                Act::HangAfter => return hang(stream).await,
                _ => (200, String::new(), fine.to_owned()),
            }
        }
        Act::Slow(time) => {
            sleep(time).await;
            work();
            (200, String::new(), fine.to_owned())
        }
        Act::Refuse(status) => (status, String::new(), r#"{"ok":false}"#.to_owned()),
        Act::Busy(status, told) => {
            let told = told.map(|told| format!("Retry-After: {told}\r\n"));
            (status, told.unwrap_or_default(), "later".to_owned())
        }
        Act::HangBefore => return hang(stream).await,
        Act::DropBefore => return Ok(false),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{more}\r\n");
    let body = if seen.method == "HEAD" { "" } else { &body };
    stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(goes_on)
}

/// Waits until the other side gives up.
async fn hang(stream: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    Ok(false)
}

/// Reads a request; `None` if the connection ends.
async fn read(stream: &mut BufReader<TcpStream>, connection: usize, began: Instant) -> io::Result<Option<Seen>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let at = began.elapsed();
    let mut words = first.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Seen { at, method, target, headers, body, connection }))
}
