//! Ctrl-C, for the whole life of the command.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::note;
use fanfold::model::error::{Error, Result};

/// The exit status of a command that was interrupted, as shells have it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// How long an interrupted command may take to remove its unfinished files.
const GRACE: Duration = Duration::from_millis(500);

/// What goes on after the command was interrupted, and how to come back to it.
#[derive(Debug, Clone)]
pub struct GoesOn(Arc<Mutex<String>>);

impl GoesOn {
    /// What is said to the user until something else is set.
    #[must_use]
    pub fn saying(text: &str) -> Self {
        Self(Arc::new(Mutex::new(text.to_owned())))
    }

    /// Sets what is said to the user.
    pub fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a command to its end, or until the user interrupts it. A second interrupt ends it at once.
///
/// # Errors
/// `Internal` if signals cannot be received.
pub async fn until_interrupted<F>(goes_on: GoesOn, command: F) -> Result<ExitCode>
where
    F: Future<Output = Result<ExitCode>> + Send + 'static,
{
    let mut interrupts =
        signal(SignalKind::interrupt()).map_err(|e| Error::internal("signals cannot be received").because(e))?;
    // A task of its own, since a command may compute for long without giving way.
    let mut task = tokio::spawn(command);
    tokio::select! {
        ended = &mut task => match ended {
            Ok(result) => result,
            Err(error) => Err(Error::internal("the command broke off").because(error)),
        },
        () = interrupted(&mut interrupts) => {
            task.abort();
            tokio::select! {
                _ = tokio::time::timeout(GRACE, task) => {}
                () = interrupted(&mut interrupts) => {}
            }
            note(goes_on.text());
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Completes when the user presses Ctrl-C.
async fn interrupted(interrupts: &mut Signal) {
    if interrupts.recv().await.is_none() {
        // No more signals will come.
        std::future::pending::<()>().await;
    }
}
