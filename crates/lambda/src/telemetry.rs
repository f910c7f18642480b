//! Logging of a function: JSON lines. `RUST_LOG` sets the level.

use tracing_subscriber::EnvFilter;

/// Starts logging: one JSON object a line, which CloudWatch Logs can query.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_ansi(false)
        .init();
}
