//! Follows a batch to its end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::command::Context;
use crate::output::note;
use fanfold::batch::view::view;
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::model::view::BatchView;

/// The ledger has no events that a client could await, so it is polled: often at first, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The progress of a batch, in a few words.
fn line(view: Option<&BatchView>) -> String {
    let chunks = view.map(|view| view.chunks);
    let (done, total) = (chunks.and_then(|chunks| chunks.done), chunks.and_then(|chunks| chunks.total));
    format!("{} {}/{} chunks", state(view), known(done), known(total))
}

fn state(view: Option<&BatchView>) -> String {
    view.map_or("WAITING", |view| view.state.name()).to_lowercase()
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
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} chunks {elapsed}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut shown, mut pause) = (String::new(), FIRST_PAUSE);
    loop {
        let view = view(&ledger, id).await?;
        let line = line(view.as_ref());
        if terminal {
            let chunks = view.as_ref().map(|view| view.chunks);
            let done = chunks.and_then(|chunks| chunks.done).unwrap_or_default();
            bar.set_length(chunks.and_then(|chunks| chunks.total).unwrap_or(done));
            bar.set_position(done);
            bar.set_message(state(view.as_ref()));
        } else if line != shown {
            note(&line);
        }
        if view.is_some_and(|view| view.state.is_final()) {
            bar.finish_and_clear();
            return Ok(());
        }
        pause = if line == shown { (pause * 3 / 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        shown = line;
        tokio::time::sleep(pause).await;
    }
}
