//! A channel in a file, one message per line.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::store::channel::{Channel, Delivery, Outgoing};

use super::{failed, pause};

/// A channel in a file; clones share their messages. Only the process knows which messages were received, and
/// which groups have had theirs: another process begins at the first message.
#[derive(Debug, Clone)]
pub struct FileChannel {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    end: File,
    front: BufReader<File>,
    received: u64,
    again: VecDeque<Delivery>,
    taken: Vec<Delivery>,
    seen: BTreeSet<String>,
}

impl FileChannel {
    /// Opens the channel in a file, and creates the file if it is missing.
    ///
    /// # Errors
    /// `Internal` if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let end = File::options().create(true).append(true).open(path).map_err(failed(path))?;
        let front = BufReader::new(File::open(path).map_err(failed(path))?);
        let (again, taken, seen) = (VecDeque::new(), Vec::new(), BTreeSet::new());
        let state = State { end, front, received: 0, again, taken, seen };
        Ok(Self { path: path.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// The number of messages ever sent.
    ///
    /// # Errors
    /// `Internal` if the file cannot be read.
    pub fn count(&self) -> Result<u64> {
        let file = File::open(&self.path).map_err(failed(&self.path))?;
        let (mut lines, mut count) = (BufReader::new(file), 0);
        while lines.skip_until(b'\n').map_err(failed(&self.path))? > 0 {
            count += 1;
        }
        Ok(count)
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> std::io::Result<T>) -> Result<T> {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)).map_err(failed(&self.path))
    }
}

impl State {
    fn next(&mut self) -> std::io::Result<Option<Delivery>> {
        let mut delivery = match self.again.pop_front() {
            Some(delivery) => delivery,
            None => {
                let mut body = String::new();
                if self.front.read_line(&mut body)? == 0 {
                    return Ok(None);
                }
                self.received += 1;
                body.truncate(body.trim_end_matches('\n').len());
                Delivery {
                    id: format!("m{}", self.received),
                    receipt: String::new(),
                    body,
                    attempt: 0,
                    first_received: None,
                }
            }
        };
        delivery.attempt += 1;
        delivery.receipt = format!("{}-{}", delivery.id, delivery.attempt);
        Ok(Some(delivery))
    }
}

impl Channel for FileChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        pause().await;
        if messages.iter().any(|message| message.body.contains('\n')) {
            return Err(Error::internal("a message of several lines"));
        }
        self.state(|state| {
            let mut lines = String::new();
            for message in messages {
                if message.order().is_none_or(|group| state.seen.insert(group.to_owned())) {
                    lines.push_str(&message.body);
                    lines.push('\n');
                }
            }
            state.end.write_all(lines.as_bytes())
        })
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        pause().await;
        self.state(|state| {
            let mut deliveries = Vec::new();
            while deliveries.len() < most
                && let Some(delivery) = state.next()?
            {
                deliveries.push(delivery);
            }
            state.taken.extend_from_slice(&deliveries);
            Ok(deliveries)
        })
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.state(|state| {
            state.taken.retain(|delivery| delivery.receipt != receipt);
            Ok(())
        })
    }

    async fn release(&self, receipt: &str, _delay: Duration) -> Result<()> {
        self.state(|state| {
            if let Some(at) = state.taken.iter().position(|delivery| delivery.receipt == receipt) {
                let delivery = state.taken.remove(at);
                state.again.push_back(delivery);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::store::testing as suites;

    fn channel(folder: &tempfile::TempDir, name: &str) -> FileChannel {
        FileChannel::open(&folder.path().join(name)).unwrap()
    }

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        suites::channel::all(&channel(&folder, "plain"), &channel(&folder, "ordered")).await;
    }

    #[tokio::test]
    async fn another_process_finds_every_message() {
        let folder = tempfile::tempdir().unwrap();
        let sent = channel(&folder, "queue");
        for body in ["one", "two", "three"] {
            sent.send(vec![Outgoing::new(body.to_owned())]).await.unwrap();
        }
        let other = channel(&folder, "queue");
        assert_eq!(other.count().unwrap(), 3);
        let bodies: Vec<String> = other.receive(10).await.unwrap().into_iter().map(|d| d.body).collect();
        assert_eq!(bodies, ["one", "two", "three"]);
        assert!(sent.send(vec![Outgoing::new("a\nb".to_owned())]).await.is_err());
    }
}
