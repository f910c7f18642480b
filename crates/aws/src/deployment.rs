//! Where a deployment's resources are: `make deploy` writes it, and the command reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use fanfold::model::error::{Error, Result};

/// A deployment: the Terraform output of that name.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// The endpoint of its emulator; `None` for AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The deployed pipelines by name. A deployment of an earlier version has them by variant.
    #[serde(alias = "variants")]
    pub pipelines: BTreeMap<String, Resources>,
}

/// The resources of one pipeline.
#[derive(Debug, Clone, Deserialize)]
pub struct Resources {
    /// The bucket of uploads.
    pub input_bucket: String,
    /// The bucket of pending chunks and their results.
    pub work_bucket: String,
    /// The bucket of outputs.
    pub output_bucket: String,
    /// The items table.
    pub items_table: String,
    /// The ledger table.
    pub ledger_table: String,
    /// The tasks table, if the variant has one.
    #[serde(default)]
    pub tasks_table: Option<String>,
    /// The queues' URLs by stage.
    pub queues: BTreeMap<String, String>,
    /// The URLs of their dead-letter queues by stage.
    pub dead_letter_queues: BTreeMap<String, String>,
    /// The URL of the queue for messages that no stage can handle.
    #[serde(default)]
    pub parked_queue: Option<String>,
}

impl Deployment {
    /// Reads a deployment file.
    ///
    /// # Errors
    /// `Config` if there is none, with how to create one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::config(format!("no deployment at {}; run `make deploy` first", path.display())).because(e)
        })?;
        serde_json::from_str(&text).map_err(|e| {
            Error::config(format!("{} is not a deployment; run `make deploy` again", path.display())).because(e)
        })
    }

    /// The resources of a pipeline; without a name, of the only one deployed.
    ///
    /// # Errors
    /// `Config` with the names of the deployed pipelines.
    pub fn pipeline(&self, name: Option<&str>) -> Result<&Resources> {
        let names = || self.pipelines.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => self
                .pipelines
                .get(name)
                .ok_or_else(|| Error::config(format!("pipeline {name:?} is not deployed; deployed are: {}", names()))),
            None if self.pipelines.len() == 1 => {
                self.pipelines.values().next().ok_or_else(|| Error::config("no pipeline is deployed"))
            }
            None => Err(Error::config(format!("name one with --pipeline; deployed are: {}", names()))),
        }
    }
}
