//! Following a batch to its end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::command::Context;
use fanfold::model::condition::Condition;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, MAX_LEAVES};
use fanfold::model::progress::{Batch, Tally};
use fanfold::store::ledger::Ledger;

/// The ledger has no events that a client could await: it is asked, at first often, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Leaves that are read at once.
const GROUP: usize = 16;

/// How far a batch is.
pub struct View {
    /// The batch; none until scatter takes its event.
    pub batch: Option<Batch>,
    /// Chunks that are done, where the ledger knows.
    pub chunks_done: Option<u64>,
    /// The counts of those.
    pub tally: Tally,
}

/// Reads how far a batch is.
///
/// # Errors
/// Those of the ledger.
pub async fn view(ledger: &impl Ledger, id: &BatchId) -> Result<View> {
    match ledger.read(id).await? {
        Some(batch) => view_of(ledger, batch).await,
        None => Ok(View { batch: None, chunks_done: None, tally: Tally::default() }),
    }
}

/// Reads how far a batch is of which the ledger told already.
///
/// # Errors
/// Those of the ledger.
pub async fn view_of(ledger: &impl Ledger, batch: Batch) -> Result<View> {
    let chunks = batch.sealing.as_ref().map(|sealing| u64::from(sealing.chunks));
    let (chunks_done, tally) = match batch.tally {
        Some(tally) => (chunks, tally),
        None if batch.opening.condition == Condition::Listing => (None, Tally::default()),
        None => {
            let (done, tally) = sum(ledger, &batch).await?;
            (Some(done), tally)
        }
    };
    Ok(View { batch: Some(batch), chunks_done, tally })
}

/// What the leaves hold of a batch that is not closed. While scatter runs nobody knows how many
/// leaves there will be: a group that nobody wrote to is the end.
async fn sum(ledger: &impl Ledger, batch: &Batch) -> Result<(u64, Tally)> {
    let leaves = batch.sealing.as_ref().map_or(MAX_LEAVES, |sealing| sealing.leaves());
    let (mut done, mut tally) = (0, Tally::default());
    for from in (0..leaves).step_by(GROUP) {
        let group = ledger.read_leaves(&batch.opening.id, from..leaves.min(from + GROUP as u32)).await?;
        let here: u64 = group.iter().map(|leaf| leaf.done.len() as u64).sum();
        if here == 0 && batch.sealing.is_none() {
            break;
        }
        done += here;
        tally = group.iter().fold(tally, |sum, leaf| sum + leaf.tally);
    }
    Ok((done, tally))
}

impl View {
    /// The batch's state in words.
    pub fn state(&self) -> &'static str {
        self.batch.as_ref().map_or("WAITING", |batch| batch.state.name())
    }

    /// Chunks in all, once scatter knows.
    pub fn chunks(&self) -> Option<u64> {
        let sealing = self.batch.as_ref()?.sealing.as_ref()?;
        Some(u64::from(sealing.chunks))
    }

    fn line(&self) -> String {
        format!("{} {}/{} chunks", self.state().to_lowercase(), known(self.chunks_done), known(self.chunks()))
    }
}

/// A count, as far as it is known.
pub fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

/// Shows a batch's progress until it is closed: as a bar on a terminal, else as a line a change.
///
/// # Errors
/// Those of the ledger.
pub async fn until_closed(context: &Context, id: &BatchId) -> Result<()> {
    let ledger = context.ledger();
    let terminal = std::io::stderr().is_terminal();
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} chunks {elapsed}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut shown, mut pause) = (String::new(), FIRST_PAUSE);
    loop {
        let view = view(&ledger, id).await?;
        let line = view.line();
        if terminal {
            let done = view.chunks_done.unwrap_or_default();
            bar.set_length(view.chunks().unwrap_or(done));
            bar.set_position(done);
            bar.set_message(view.state().to_lowercase());
        } else if line != shown {
            eprintln!("{line}");
        }
        if view.batch.as_ref().is_some_and(|batch| batch.state.is_final()) {
            bar.finish_and_clear();
            return Ok(());
        }
        pause = if line == shown { (pause * 3 / 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        shown = line;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            interrupted = tokio::signal::ctrl_c() => {
                bar.finish_and_clear();
                eprintln!("the batch goes on; see `fanfold status {id}`");
                return interrupted.map_err(|e| Error::internal("no signals").because(e))
                    .and(Err(Error::transient("interrupted")));
            }
        }
    }
}
