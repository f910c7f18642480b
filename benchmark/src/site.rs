//! Where a run takes place: the deployment, clients for it, and what every row says about it.

use std::collections::BTreeMap;
use std::path::Path;

use fanfold::model::error::{Error, Result};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::{Deployment, Resources};
use fanfold_aws::items::DynamoItems;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::s3::S3Blob;
use serde::Deserialize;

use crate::options::Labels;
use crate::plan::FLOOR;
use crate::records::KEY_FIELD;

/// Requests that a check has under way at once.
const CHECK_WIDTH: usize = 16;

/// What the deployment's file says beyond what the library needs.
#[derive(Debug, Default, Deserialize)]
pub struct Facts {
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The field that is the items' key.
    #[serde(default)]
    pub key_field: Option<String>,
    /// How it was set up.
    #[serde(default)]
    pub parameters: Parameters,
    /// What it has of each variant.
    #[serde(default)]
    pub variants: BTreeMap<String, Made>,
}

/// What a deployment has of a variant.
#[derive(Debug, Default, Deserialize)]
pub struct Made {
    /// The names of the functions by stage.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
}

/// How a deployment was set up.
#[derive(Debug, Default, Deserialize)]
pub struct Parameters {
    /// Most records in a chunk.
    #[serde(default)]
    pub chunk_size: Option<u32>,
    /// Most process functions at once.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Memory of the process function.
    #[serde(default)]
    pub memory_mb: Option<u32>,
}

/// The place of a run.
pub struct Site {
    clients: Clients,
    deployment: Deployment,
    made: BTreeMap<String, Made>,
    /// What every row says.
    pub labels: Labels,
}

/// The stores of one variant.
pub struct Pipeline {
    /// Where uploads go.
    pub input: S3Blob,
    /// The name of that bucket.
    pub input_bucket: String,
    /// Where results come from.
    pub output: S3Blob,
    /// The items.
    pub items: DynamoItems,
    /// The batches.
    pub ledger: DynamoLedger,
}

impl Facts {
    /// Fills in what was not given of a run's labels.
    pub fn complete(&self, labels: &mut Labels, emulator: bool) {
        if labels.target.is_empty() {
            let region = self.region.clone().unwrap_or_else(|| "aws".to_owned());
            labels.target = if emulator { "emulator".to_owned() } else { region };
        }
        let known = &self.parameters;
        labels.chunk_size.0 = labels.chunk_size.0.or(known.chunk_size);
        labels.concurrency.0 = labels.concurrency.0.or(known.concurrency);
        labels.memory_mb.0 = labels.memory_mb.0.or(known.memory_mb);
    }
}

impl Site {
    /// Opens the deployment that a file describes, for these variants.
    ///
    /// # Errors
    /// `Config` if there is none, or not of a variant, or not one that can be measured.
    pub async fn open(path: &Path, variants: &[String], mut labels: Labels) -> Result<Self> {
        let deployment = Deployment::read(path)?;
        for variant in variants.iter().filter(|variant| *variant != FLOOR) {
            deployment.variant(Some(variant))?;
        }
        let facts = facts(path)?;
        if let Some(key) = facts.key_field.as_deref().filter(|key| *key != KEY_FIELD) {
            return Err(Error::config(format!(
                "the deployment's key field is {key:?}, and the benchmark's records have {KEY_FIELD:?}: \
                 deploy without KEY_FIELD"
            )));
        }
        facts.complete(&mut labels, deployment.endpoint.is_some());
        let clients = match &deployment.endpoint {
            Some(endpoint) => Clients::of_emulator(endpoint).await,
            None => Clients::from_env().await,
        };
        Ok(Self { clients, deployment, made: facts.variants, labels })
    }

    /// The emulator that the deployment stands on; none for AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.deployment.endpoint.as_deref()
    }

    /// The names of a variant's functions by stage, as far as the deployment tells them.
    pub fn functions(&self, variant: &str) -> BTreeMap<String, String> {
        self.made.get(variant).map(|made| made.functions.clone()).unwrap_or_default()
    }

    /// The stores of a variant.
    ///
    /// # Errors
    /// `Config` if it is not deployed.
    pub fn pipeline(&self, variant: &str) -> Result<Pipeline> {
        let resources = self.deployment.variant(Some(variant))?;
        let bucket = |name: &str| S3Blob::new(self.clients.s3.clone(), name);
        Ok(Pipeline {
            input: bucket(&resources.input_bucket),
            input_bucket: resources.input_bucket.clone(),
            output: bucket(&resources.output_bucket),
            items: self.items(resources, CHECK_WIDTH),
            ledger: DynamoLedger::new(self.clients.dynamodb.clone(), &resources.ledger_table),
        })
    }

    /// The table that the floor writes to and its name: the one of `chunked`, else of the first
    /// variant there is.
    ///
    /// # Errors
    /// `Config` if no variant is deployed.
    pub fn floor_items(&self, width: usize) -> Result<(DynamoItems, &str)> {
        let variants = &self.deployment.variants;
        let resources = variants.get("chunked").or_else(|| variants.values().next());
        let resources = resources.ok_or_else(|| Error::config("no variant is deployed; run `make deploy`"))?;
        Ok((self.items(resources, width), &resources.items_table))
    }

    fn items(&self, resources: &Resources, width: usize) -> DynamoItems {
        DynamoItems::new(self.clients.dynamodb.clone(), &resources.items_table, KEY_FIELD, width)
    }
}

fn facts(path: &Path) -> Result<Facts> {
    let unreadable = || Error::config(format!("{} is not a deployment; run `make deploy` again", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| unreadable().because(e))?;
    serde_json::from_str(&text).map_err(|e| unreadable().because(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Given;

    async fn refusal(deployment: Option<&str>, variants: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deployment.json");
        if let Some(text) = deployment {
            std::fs::write(&path, text).unwrap();
        }
        let variants: Vec<String> = variants.iter().map(|name| (*name).to_owned()).collect();
        match Site::open(&path, &variants, Labels::default()).await {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    const RESOURCES: &str = r#"{"input_bucket":"i","work_bucket":"w","output_bucket":"o","items_table":"it",
        "ledger_table":"l","queues":{},"dead_letter_queues":{}}"#;

    #[tokio::test]
    async fn what_is_not_deployed_is_told_with_what_is() {
        assert!(refusal(None, &["sync"]).await.contains("make deploy"));
        assert!(refusal(Some("{"), &["sync"]).await.contains("make deploy"));
        let deployed = format!(r#"{{"variants":{{"async":{RESOURCES},"chunked":{RESOURCES}}}}}"#);
        let told = refusal(Some(&deployed), &["chunked", "serial"]).await;
        assert!(told.contains("\"serial\" is not deployed; deployed are: async, chunked"), "{told}");
    }

    #[tokio::test]
    async fn another_key_field_is_refused() {
        let deployed = format!(r#"{{"key_field":"zip","variants":{{"chunked":{RESOURCES}}}}}"#);
        assert!(refusal(Some(&deployed), &["chunked"]).await.contains("deploy without KEY_FIELD"));
    }

    #[test]
    fn the_deployment_fills_in_what_was_not_given() {
        let parameters = Parameters { chunk_size: Some(500), concurrency: Some(50), memory_mb: Some(512) };
        let facts = Facts { region: Some("eu-west-1".into()), parameters, ..Facts::default() };
        let mut labels = Labels { chunk_size: Given(Some(20)), ..Labels::default() };
        facts.complete(&mut labels, false);
        assert_eq!((labels.chunk_size.0, labels.concurrency.0), (Some(20), Some(50)));
        assert_eq!(labels.target, "eu-west-1");
        let mut labels = Labels::default();
        facts.complete(&mut labels, true);
        assert_eq!(labels.target, "emulator");
    }
}
