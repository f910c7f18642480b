//! What is said of data that is wrong.

/// What is wrong with a report's data.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", place(path))]
pub struct Invalid {
    /// Where, as in `assets[3].rows[12][1]`; empty if it concerns the whole document.
    pub path: String,
    /// What is wrong there, and what to do about it.
    pub problem: String,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl Invalid {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    pub(crate) fn unreadable(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Self::new(path, error.into_inner().to_string())
    }
}
