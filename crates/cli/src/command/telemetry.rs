//! Logging of the command: plain lines on a terminal. `RUST_LOG` sets the level.

use tracing_subscriber::EnvFilter;

/// Starts logging: warnings and errors, to standard error.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
}
