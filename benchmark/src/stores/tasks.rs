//! A tasks table in files: one per chunk with a line per row, and one for the chunk's verdict.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use fanfold::model::error::{Error, Result};
use fanfold::model::fold::Fold;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::record::{Entry, Outcome, Response};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::tasks::{MAX_ROW_BYTES, Row, Rows, Tasks, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{failed, if_there, pause};

/// A tasks table in files; clones share their rows.
#[derive(Debug, Clone)]
pub struct FileTasks(PathBuf);

#[derive(Serialize, Deserialize)]
struct Line {
    entry: Entry,
    response: Option<Response>,
    result: Option<Box<RawValue>>,
}

impl FileTasks {
    /// Opens the table in a folder, and creates the folder if it is missing.
    ///
    /// # Errors
    /// `Internal` if it cannot be created.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(failed(folder))?;
        Ok(Self(folder.to_owned()))
    }

    /// The size of a chunk's rows in bytes, if there are any.
    ///
    /// # Errors
    /// `Internal` if the size cannot be read.
    pub fn size(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Option<u64>> {
        let path = self.rows(batch, chunk);
        Ok(if_there(fs::metadata(&path), &path)?.map(|metadata| metadata.len()))
    }

    fn rows(&self, batch: &BatchId, chunk: ChunkIndex) -> PathBuf {
        self.0.join(format!("{}-{:08}.jsonl", batch.as_str(), chunk.get()))
    }

    /// The rows of a chunk, in order.
    fn lines(&self, path: &Path) -> Result<impl Iterator<Item = Result<Line>>> {
        let lines = if_there(File::open(path), path)?.map(|file| BufReader::new(file).split(b'\n'));
        Ok(lines.into_iter().flatten().map(|line| {
            let unreadable = |e: io::Error| Error::internal("a row is not readable").because(e);
            serde_json::from_slice(&line.map_err(unreadable)?).map_err(|e| unreadable(e.into()))
        }))
    }

    /// Replaces the rows of a chunk atomically.
    fn replace(&self, path: &Path, lines: impl Iterator<Item = Result<Line>>) -> Result<()> {
        let draft = path.with_extension("draft");
        let mut file = BufWriter::new(File::create(&draft).map_err(failed(&draft))?);
        for line in lines {
            serde_json::to_writer(&mut file, &line?).map_err(|e| failed(&draft)(e.into()))?;
            file.write_all(b"\n").map_err(failed(&draft))?;
        }
        file.flush().map_err(failed(&draft))?;
        fs::rename(&draft, path).map_err(failed(path))
    }
}

/// The record as its row holds it, by the tables' own rule.
fn fitting(entry: &Entry) -> Entry {
    if entry.weight() <= MAX_ROW_BYTES {
        return entry.clone();
    }
    let fault = format!("the record is larger than {MAX_ROW_BYTES} bytes; use another variant");
    Entry { object: entry.object, ..Entry::faulty(entry.index, None, fault) }
}

fn resolved(outcome: &Outcome) -> Line {
    let fault = (!outcome.response.success).then(|| outcome.response.message.clone());
    let (record, raw) = (outcome.request.clone(), outcome.raw.clone());
    let (line, object) = (outcome.line, outcome.object);
    let entry = Entry { fault, raw, line, object, ..Entry::decoded(outcome.index, record) };
    Line { entry, response: Some(outcome.response.clone()), result: outcome.result.clone() }
}

/// A verdict as its file holds it: why the chunk was buried, if it was.
type Reason = Option<String>;
/// The same, and the fold of a chunk that was processed.
type Settled = (Reason, Option<Fold>);

fn verdict(text: &[u8]) -> Result<Verdict> {
    let (reason, fold): Settled =
        serde_json::from_slice(text).map_err(|e| Error::internal("a verdict is not readable").because(e))?;
    Ok(reason.map_or(Verdict::Worked(fold), Verdict::Buried))
}

impl Tasks for FileTasks {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], _now: Timestamp) -> Result<()> {
        pause().await;
        let path = self.rows(batch, chunk);
        let fresh = |entry: &Entry| Line { entry: fitting(entry), response: None, result: None };
        if !path.exists() {
            return self.replace(&path, entries.iter().map(|entry| Ok(fresh(entry))));
        }
        let mut rows: BTreeMap<u64, Line> = entries.iter().map(|entry| (entry.index, fresh(entry))).collect();
        for line in self.lines(&path)? {
            let line = line?;
            rows.insert(line.entry.index, line);
        }
        self.replace(&path, rows.into_values().map(Ok))
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        pause().await;
        let path = self.rows(batch, chunk);
        let row = |line: Result<Line>| line.map(|Line { entry, response, result }| Row { entry, response, result });
        let rows = self.lines(&path)?.map(row).collect::<Result<_>>()?;
        let settled = path.with_extension("verdict");
        let verdict = if_there(fs::read(&settled), &settled)?.map(|text| verdict(&text)).transpose()?;
        Ok(Rows { rows, verdict })
    }

    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, settled: Verdict, _now: Timestamp) -> Result<Verdict> {
        pause().await;
        let path = self.rows(batch, chunk).with_extension("verdict");
        let written: Settled = match &settled {
            Verdict::Buried(reason) => (Some(reason.clone()), None),
            Verdict::Worked(fold) => (None, fold.clone()),
        };
        match File::create_new(&path) {
            Ok(file) => {
                serde_json::to_writer(file, &written).map_err(|e| failed(&path)(e.into()))?;
                Ok(settled)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                verdict(&fs::read(&path).map_err(failed(&path))?)
            }
            Err(error) => Err(failed(&path)(error)),
        }
    }

    async fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        _now: Timestamp,
    ) -> Result<Vec<usize>> {
        pause().await;
        let path = self.rows(batch, chunk);
        let mut left: BTreeMap<u64, &Outcome> = outcomes.iter().map(|outcome| (outcome.index, outcome)).collect();
        // Row by row, as the real table takes one without reporting what was there.
        let rows = self.lines(&path)?.map(|line| {
            let line = line?;
            Ok(left.remove(&line.entry.index).map_or(line, resolved))
        });
        self.replace(&path, rows)?;
        if left.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Error::internal("an outcome of a row that was never created"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::store::testing as suites;

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        suites::tasks::all(&FileTasks::open(folder.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn another_process_finds_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (batch, chunk) = (BatchId::parse("a-0123456789ab").unwrap(), ChunkIndex::new(2).unwrap());
        let tasks = || FileTasks::open(folder.path()).unwrap();
        assert_eq!(tasks().size(&batch, chunk).unwrap(), None);
        tasks().create(&batch, chunk, &[Entry::faulty(7, None, "line 8")], Timestamp(0)).await.unwrap();
        tasks().settle(&batch, chunk, Verdict::Buried("late".into()), Timestamp(0)).await.unwrap();
        let found = tasks().read(&batch, chunk).await.unwrap();
        assert_eq!((found.rows.len(), found.verdict), (1, Some(Verdict::Buried("late".into()))));
        assert!(tasks().size(&batch, chunk).unwrap() > Some(20));
    }
}
