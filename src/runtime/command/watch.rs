//! Following a batch to its end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use crate::ledger::Ledger;
use crate::ledger::dynamodb::DynamoLedger;
use crate::model::error::Result;
use crate::model::ids::{BatchId, LEAF_SIZE, MAX_LEAVES};
use crate::model::progress::{Batch, Tally};

/// The ledger has no events that a client could await: it is asked, at first often, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How far a batch is.
pub struct View {
    /// The batch; none until scatter takes its event.
    pub batch: Option<Batch>,
    /// Chunks that are done.
    pub chunks_done: u64,
    /// The counts of those.
    pub tally: Tally,
}

/// Reads how far a batch is.
///
/// # Errors
/// Those of the ledger.
pub async fn view(ledger: &impl Ledger, id: &BatchId) -> Result<View> {
    let batch = ledger.read(id).await?;
    let (mut chunks_done, mut tally) = (0, Tally::default());
    let mut next = 0;
    let leaves = match &batch {
        None => 0,
        Some(batch) => batch.sealing.as_ref().map_or(MAX_LEAVES, |sealing| sealing.leaves()),
    };
    while next < leaves {
        // While scatter runs nobody knows how many leaves there will be: an untouched group is the end.
        let until = leaves.min(next + 16);
        let group = ledger.read_leaves(id, next..until).await?;
        let before = chunks_done;
        for leaf in &group {
            chunks_done += leaf.done.len() as u64;
            tally = tally + leaf.tally;
        }
        if chunks_done == before && batch.as_ref().is_some_and(|batch| batch.sealing.is_none()) {
            break;
        }
        next = until;
    }
    debug_assert!(chunks_done <= u64::from(LEAF_SIZE * MAX_LEAVES));
    Ok(View { batch, chunks_done, tally })
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
        let of = self.chunks().map_or("?".to_owned(), |total| total.to_string());
        format!("{} {}/{of} chunks", self.state().to_lowercase(), self.chunks_done)
    }
}

/// Shows a batch's progress until it is closed: as a bar on a terminal, else as a line a change.
///
/// # Errors
/// Those of the ledger.
pub async fn until_closed(context: &Context, id: &BatchId) -> Result<()> {
    let ledger = DynamoLedger::new(context.clients.dynamodb.clone(), &context.resources.ledger_table);
    let terminal = std::io::stderr().is_terminal();
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} chunks {elapsed}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut shown, mut pause) = (String::new(), FIRST_PAUSE);
    loop {
        let view = view(&ledger, id).await?;
        let line = view.line();
        if terminal {
            bar.set_length(view.chunks().unwrap_or(view.chunks_done));
            bar.set_position(view.chunks_done);
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
                return interrupted.map_err(|e| crate::model::error::Error::internal("no signals").because(e))
                    .and(Err(crate::model::error::Error::transient("interrupted")));
            }
        }
    }
}
