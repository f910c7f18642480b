//! Where a deployment's resources are: `make deploy` writes it, and the command reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;

/// A deployment: the Terraform output of that name.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// The endpoint of its emulator; `None` for AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The deployed pipelines by name. A deployment of an earlier version has them by variant.
    #[serde(alias = "variants")]
    pub pipelines: BTreeMap<String, Resources>,
    /// Where clients connect that wait for reports; `None` if none can.
    #[serde(default)]
    pub sockets: Option<SocketPlace>,
}

/// Where clients connect that wait for reports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SocketPlace {
    /// The table of tickets, connections and subscriptions.
    pub table: String,
    /// The address that clients connect to.
    pub url: String,
    /// The address below which connections are reached from this side.
    pub connections: String,
}

/// The resources of one pipeline.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Resources {
    /// The variant; a deployment of an earlier version does not say.
    #[serde(default)]
    pub variant: Option<String>,
    /// The bucket of uploads.
    pub input_bucket: String,
    /// The bucket of pending chunks and their results.
    pub work_bucket: String,
    /// The bucket of outputs.
    pub output_bucket: String,
    /// The items table, if records become items.
    #[serde(default)]
    pub items_table: Option<String>,
    /// The counters table, if records are aggregated.
    #[serde(default)]
    pub counters_table: Option<String>,
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
    /// The ARN of the topic to which scatter publishes, if the variant has one.
    #[serde(default)]
    pub topic_arn: Option<String>,
    /// The ARN of the state machine that runs the workers, if the variant has one.
    #[serde(default)]
    pub machine_arn: Option<String>,
    /// The ids of the event source mappings by stage; a deployment of an earlier version does not name them.
    #[serde(default)]
    pub mappings: BTreeMap<String, String>,
    /// The counters table of which it makes reports, if it does.
    #[serde(default)]
    pub usage_table: Option<String>,
    /// Which reports it is made for: `usage`, or `any` if a function of the user's makes them. `None` if it is for none.
    #[serde(default)]
    pub reports: Option<String>,
    /// What addresses of webhooks begin with that it may call.
    #[serde(default)]
    pub webhooks: Vec<String>,
    /// Where its billing is, if it closes half months.
    #[serde(default)]
    pub billing: Option<BillingPlace>,
    /// What the pipeline was deployed with; a deployment of an earlier version does not say.
    #[serde(default)]
    pub parameters: Parameters,
}

/// Where the billing of a pipeline is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingPlace {
    /// The table of events.
    pub events_table: String,
    /// The table of packages.
    pub packages_table: String,
    /// The table of what was used by days.
    pub aggregates_table: String,
    /// The items table with the terms of clients.
    pub clients_table: String,
    /// The function that lists what is to be closed and sends what was sealed.
    pub function: String,
}

/// The parameters of a pipeline that a client has a use for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Parameters {
    /// How files are read, as the JSON of [`FormatSettings`].
    #[serde(default)]
    pub format: Option<String>,
    /// What keys in the input bucket begin with that S3 announces; empty for any.
    #[serde(default)]
    pub input_prefix: String,
    /// What keys in the input bucket end with that S3 announces; empty for any.
    #[serde(default)]
    pub input_suffix: String,
}

impl Resources {
    /// How the pipeline reads files.
    ///
    /// # Errors
    /// `Config` if the deployment says it in a way that is not known here.
    pub fn format(&self) -> Result<FormatSettings> {
        let text = self.parameters.format.as_deref().filter(|text| !text.trim().is_empty());
        text.map_or_else(|| Ok(FormatSettings::default()), FormatSettings::parse)
    }

    /// Whether S3 announces an object with this key in the input bucket, so that it becomes a batch.
    pub fn announces(&self, key: &str) -> bool {
        key.starts_with(&self.parameters.input_prefix) && key.ends_with(&self.parameters.input_suffix)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(parameters: &str) -> Resources {
        let named = r#""input_bucket":"i","work_bucket":"w","output_bucket":"o","items_table":"t","ledger_table":"l""#;
        serde_json::from_str(&format!(r#"{{{named},"queues":{{}},"dead_letter_queues":{{}}{parameters}}}"#)).unwrap()
    }

    #[test]
    fn a_deployment_says_which_names_are_no_input() {
        let ignored = |parameters: &str, key: &str| resources(parameters).format().unwrap().ignored(key).is_some();
        let given = r#","parameters":{"chunk_size":500,"format":"{\"ignore\":[\"*.tmp.csv\"]}"}"#;
        assert!(ignored(given, "a.tmp.csv") && !ignored(given, "_a.csv"));
        for older in ["", r#","parameters":{"chunk_size":500}"#, r#","parameters":{"format":""}"#] {
            assert!(ignored(older, "_a.csv") && !ignored(older, "a.csv"), "{older}");
        }
    }

    #[test]
    fn a_deployment_says_which_keys_are_announced() {
        let filtered = resources(r#","parameters":{"input_prefix":"in/","input_suffix":".csv"}"#);
        assert!(filtered.announces("in/a.csv"));
        for other in ["a.csv", "in/a.json", "out/in/a.csv", "in/a.csv.gz"] {
            assert!(!filtered.announces(other), "{other}");
        }
        for open in ["", r#","parameters":{"input_prefix":"","input_suffix":""}"#] {
            assert!(resources(open).announces("a.csv"), "{open}");
        }
    }
}
