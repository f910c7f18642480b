//! Follows a batch to its end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::command::Context;
use crate::output::note;
use fanfold::batch::view::{Glance, glance};
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::model::view::BatchView;

/// The ledger has no events that a client could await, so it is polled: often at first, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The progress of a batch, in a few words.
fn line(seen: Option<&Glance>) -> String {
    let (done, total) = (seen.and_then(|seen| seen.done), seen.and_then(|seen| seen.chunks));
    format!("{} {}/{} chunks", state(seen), known(done), known(total))
}

fn state(seen: Option<&Glance>) -> String {
    seen.map_or("WAITING", |seen| seen.state.name()).to_lowercase()
}

/// What a batch is doing.
///
/// # Errors
/// Those of the ledger and of the output bucket.
pub async fn seen(context: &Context, id: &BatchId) -> Result<Option<BatchView>> {
    context.deployed().seen(&context.ledger(), id).await
}

/// A count, or `?` if it is not known.
pub fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

/// Shows a batch's progress until it is closed: as a bar on a terminal, otherwise as one line per change.
///
/// # Errors
/// Those of the ledger.
pub async fn until_closed(context: &Context, id: &BatchId) -> Result<()> {
    let ledger = context.ledger();
    let terminal = std::io::stderr().is_terminal();
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} chunks {elapsed}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut shown, mut pause) = (String::new(), FIRST_PAUSE);
    loop {
        let seen = glance(&ledger, id).await?;
        let line = line(seen.as_ref());
        if terminal {
            let done = seen.and_then(|seen| seen.done).unwrap_or_default();
            bar.set_length(seen.and_then(|seen| seen.chunks).unwrap_or(done));
            bar.set_position(done);
            bar.set_message(state(seen.as_ref()));
        } else if line != shown {
            note(&line);
        }
        if seen.is_some_and(|seen| seen.state.is_final()) {
            bar.finish_and_clear();
            return Ok(());
        }
        pause = if line == shown { (pause * 3 / 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        shown = line;
        tokio::time::sleep(pause).await;
    }
}
