//! Logs: JSON lines in a function, plain ones on a terminal. `RUST_LOG` sets the level.

use tracing_subscriber::EnvFilter;

/// Begins to log as a function: one JSON object a line, which CloudWatch Logs can query.
pub fn init_function() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter("info"))
        .with_ansi(false)
        .init();
}

/// Begins to log as a command: warnings and errors, on standard error.
pub fn init_command() {
    tracing_subscriber::fmt().with_env_filter(filter("warn")).with_ansi(false).with_writer(std::io::stderr).init();
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default))
}
