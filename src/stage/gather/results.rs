//! What a pipeline wants of the outcomes.

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};

/// Which outcomes are written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Results {
    /// Those of every record, and the failed records again by themselves.
    #[default]
    All,
    /// Only the failed records.
    Failed,
    /// Only the summary is written.
    None,
}

impl Results {
    /// Returns the choice with a name, as in `RESULTS`.
    ///
    /// # Errors
    /// `Config`, which lists the valid names.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "all" => Ok(Self::All),
            "failed" => Ok(Self::Failed),
            "none" => Ok(Self::None),
            _ => Err(Error::config(format!("RESULTS is {name:?}; it can be all, failed or none"))),
        }
    }
}
