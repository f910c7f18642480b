//! The part of Lambda's runtime interface that a function sees before its first message: it asks for one and
//! gets no answer (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::stopwatch::Stopwatch;

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";
/// The largest head of a request that is read.
const HEAD: usize = 16 * 1024;

/// A request of a function.
#[derive(Debug)]
pub struct Request {
    /// When it arrived, counted from the start of the interface's watch.
    pub after: Duration,
    /// Its first line.
    pub line: String,
    /// The connection of a request for work, held open so that the function waits.
    _connection: Option<TcpStream>,
}

impl Request {
    /// Whether it asks for a message.
    pub fn is_for_work(&self) -> bool {
        self.line.starts_with(NEXT)
    }
}

/// The interface, on a port of its own.
#[derive(Debug)]
pub struct Lambda {
    /// Its address.
    pub address: SocketAddr,
    /// The watch that times its requests.
    pub watch: Stopwatch,
    requests: Receiver<Request>,
}

impl Lambda {
    /// Starts to listen, until the process ends.
    ///
    /// # Errors
    /// Those of opening a port.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, watch) = (listener.local_addr()?, Stopwatch::start());
        let (sender, requests) = channel();
        std::thread::spawn(move || listen(&listener, watch, &sender));
        Ok(Self { address, watch, requests })
    }

    /// The next request, if one arrives within that time.
    pub fn request(&self, within: Duration) -> Option<Request> {
        self.requests.recv_timeout(within).ok()
    }

    /// Discards requests that arrived too late.
    pub fn forget(&self) {
        while self.requests.try_recv().is_ok() {}
    }
}

fn listen(listener: &TcpListener, watch: Stopwatch, sender: &Sender<Request>) {
    for connection in listener.incoming().flatten() {
        let Ok(request) = read(connection, watch) else {
            continue;
        };
        if sender.send(request).is_err() {
            return;
        }
    }
}

fn read(mut connection: TcpStream, watch: Stopwatch) -> io::Result<Request> {
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        let mut piece = [0; 2048];
        match connection.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    let after = watch.elapsed();
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    if line.starts_with(NEXT) {
        return Ok(Request { after, line, _connection: Some(connection) });
    }
    // A request for AWS, which does not exist here.
    connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(Request { after, line, _connection: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_with_their_time_and_only_the_one_for_work_waits() {
        let lambda = Lambda::open().unwrap();
        let before = lambda.watch.elapsed();
        let mut other = TcpStream::connect(lambda.address).unwrap();
        other.write_all(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"));
        let mut asking = TcpStream::connect(lambda.address).unwrap();
        asking.write_all(format!("{NEXT}HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let [first, second] = [(); 2].map(|()| lambda.request(Duration::from_secs(5)).unwrap());
        assert!(!first.is_for_work() && second.is_for_work());
        assert!(second.after >= first.after && first.after >= before);
        assert!(lambda.request(Duration::ZERO).is_none());
    }
}
