//! The site of a run: the deployment, clients for it, and the labels of its rows.

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

/// What the deployment file says beyond what the library reads.
#[derive(Debug, Default, Deserialize)]
pub struct Facts {
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// Its pipelines by name; a pipeline to be measured is named like its variant.
    #[serde(default, alias = "variants")]
    pub pipelines: BTreeMap<String, Made>,
}

/// A pipeline of the deployment.
#[derive(Debug, Default, Deserialize)]
pub struct Made {
    /// How it was set up.
    #[serde(default)]
    pub parameters: Parameters,
    /// The names of the functions by stage.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
}

/// How a pipeline was set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Parameters {
    /// The field that is the items' key.
    #[serde(default)]
    pub key_field: Option<String>,
    /// Maximum number of records in a chunk.
    #[serde(default)]
    pub chunk_size: Option<u32>,
    /// Maximum number of process functions at once.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Memory of the process function.
    #[serde(default)]
    pub memory_mb: Option<u32>,
}

/// The site of a run.
pub struct Site {
    clients: Clients,
    deployment: Deployment,
    made: BTreeMap<String, Made>,
    /// The labels of every row.
    pub labels: Labels,
}

/// The stores of one variant.
pub struct Pipeline {
    /// The bucket for uploads.
    pub input: S3Blob,
    /// The name of that bucket.
    pub input_bucket: String,
    /// The bucket of the outputs.
    pub output: S3Blob,
    items: Option<DynamoItems>,
    /// The ledger.
    pub ledger: DynamoLedger,
}

impl Facts {
    /// The parameters that these pipelines have in common, for the rows of a run.
    ///
    /// # Errors
    /// `Config` if they were set up differently, or with a key that the records lack.
    fn parameters(&self, names: &[String]) -> Result<Parameters> {
        let mut common = None;
        for (name, made) in self.pipelines.iter().filter(|(name, _)| names.contains(name)) {
            let (_, shared) = common.get_or_insert((name, &made.parameters));
            if *shared != &made.parameters {
                return Err(Error::config(format!(
                    "pipelines {} were set up in different ways: measure them one by one, or deploy them without \
                     settings of their own",
                    names.join(", ")
                )));
            }
        }
        let common = common.map(|(_, shared)| shared.clone()).unwrap_or_default();
        match common.key_field.as_deref().filter(|key| *key != KEY_FIELD) {
            Some(key) => Err(Error::config(format!(
                "the deployment's key field is {key:?}, and the benchmark's records have {KEY_FIELD:?}: \
                 deploy with KEY_FIELD={KEY_FIELD}"
            ))),
            None => Ok(common),
        }
    }

    /// Fills in those of a run's labels that were not given.
    fn complete(&self, labels: &mut Labels, known: &Parameters, emulator: bool) {
        if labels.target.is_empty() {
            let region = self.region.clone().unwrap_or_else(|| "aws".to_owned());
            labels.target = if emulator { "emulator".to_owned() } else { region };
        }
        labels.chunk_size.0 = labels.chunk_size.0.or(known.chunk_size);
        labels.concurrency.0 = labels.concurrency.0.or(known.concurrency);
        labels.memory_mb.0 = labels.memory_mb.0.or(known.memory_mb);
    }
}

impl Site {
    /// Opens the deployment that a file describes, for the given variants.
    ///
    /// # Errors
    /// `Config` if there is no deployment, if it lacks a variant, or if it cannot be measured.
    pub async fn open(path: &Path, variants: &[String], mut labels: Labels) -> Result<Self> {
        let deployment = Deployment::read(path)?;
        for variant in variants.iter().filter(|variant| *variant != FLOOR) {
            // All keys of a benchmark begin and end so.
            if !deployment.pipeline(Some(variant))?.announces("benchmark/.csv") {
                return Err(Error::config(format!(
                    "S3 announces no upload of a benchmark to {variant}: deploy with INPUT_PREFIX= INPUT_SUFFIX="
                )));
            }
        }
        let facts = facts(path)?;
        facts.complete(&mut labels, &facts.parameters(variants)?, deployment.endpoint.is_some());
        let clients = match &deployment.endpoint {
            Some(endpoint) => Clients::of_emulator(endpoint).await,
            None => Clients::from_env().await,
        };
        Ok(Self { clients, deployment, made: facts.pipelines, labels })
    }

    /// The endpoint of the deployment's emulator; `None` for AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.deployment.endpoint.as_deref()
    }

    /// The names of a variant's functions by stage, as far as the deployment file has them.
    pub fn functions(&self, variant: &str) -> BTreeMap<String, String> {
        self.made.get(variant).map(|made| made.functions.clone()).unwrap_or_default()
    }

    /// The stores of a variant.
    ///
    /// # Errors
    /// `Config` if it is not deployed.
    pub fn pipeline(&self, variant: &str) -> Result<Pipeline> {
        let resources = self.deployment.pipeline(Some(variant))?;
        let bucket = |name: &str| S3Blob::new(self.clients.s3.clone(), name);
        Ok(Pipeline {
            input: bucket(&resources.input_bucket),
            input_bucket: resources.input_bucket.clone(),
            output: bucket(&resources.output_bucket),
            items: resources.items_table.as_deref().map(|table| self.items(table)),
            ledger: DynamoLedger::new(self.clients.dynamodb.clone(), &resources.ledger_table),
        })
    }

    /// The table that the floor writes to, and its name: that of `chunked`, or otherwise of the first pipeline
    /// that stores items.
    ///
    /// # Errors
    /// `Config` if no pipeline is deployed.
    pub fn floor_items(&self) -> Result<(DynamoItems, &str)> {
        let pipelines = &self.deployment.pipelines;
        let storing = || pipelines.values().find(|resources| resources.items_table.is_some());
        let resources = pipelines.get("chunked").or_else(storing).or_else(|| pipelines.values().next());
        let resources = resources.ok_or_else(|| Error::config("no pipeline is deployed; run `make deploy`"))?;
        let table = items_table(resources)?;
        Ok((self.items(table), table))
    }

    fn items(&self, table: &str) -> DynamoItems {
        DynamoItems::new(self.clients.dynamodb.clone(), table, KEY_FIELD)
    }
}

impl Pipeline {
    /// The items table.
    ///
    /// # Errors
    /// `Config` if there is none.
    pub fn items(&self) -> Result<&DynamoItems> {
        self.items.as_ref().ok_or_else(without_items)
    }
}

fn items_table(resources: &Resources) -> Result<&str> {
    resources.items_table.as_deref().ok_or_else(without_items)
}

fn without_items() -> Error {
    Error::config("a pipeline stores no items; deploy it with items among its PROCESSORS to measure it")
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

    /// A deployment of pipelines with these parameters.
    fn of(pipelines: &[(&str, &str)]) -> String {
        let pipelines: Vec<String> = pipelines
            .iter()
            .map(|(name, parameters)| {
                format!(
                    r#""{name}":{{"input_bucket":"i","work_bucket":"w","output_bucket":"o","items_table":"it",
                    "ledger_table":"l","queues":{{}},"dead_letter_queues":{{}},"parameters":{parameters}}}"#
                )
            })
            .collect();
        format!(r#"{{"endpoint":"http://127.0.0.1:9","pipelines":{{{}}}}}"#, pipelines.join(","))
    }

    #[tokio::test]
    async fn what_is_not_deployed_is_told_with_what_is() {
        assert!(refusal(None, &["sync"]).await.contains("make deploy"));
        assert!(refusal(Some("{"), &["sync"]).await.contains("make deploy"));
        let deployed = of(&[("async", "{}"), ("chunked", "{}")]);
        let told = refusal(Some(&deployed), &["chunked", "serial"]).await;
        assert!(told.contains("\"serial\" is not deployed; deployed are: async, chunked"), "{told}");
    }

    #[tokio::test]
    async fn pipelines_that_were_set_up_in_different_ways_are_not_compared() {
        let deployed = of(&[("chunked", r#"{"chunk_size":500}"#), ("sync", r#"{"chunk_size":20}"#)]);
        assert!(refusal(Some(&deployed), &["chunked", "sync"]).await.contains("measure them one by one"));
        assert_eq!(refusal(Some(&deployed), &["sync"]).await, "");
    }

    #[tokio::test]
    async fn another_key_field_is_refused() {
        let deployed = of(&[("chunked", r#"{"key_field":"zip"}"#)]);
        assert!(refusal(Some(&deployed), &["chunked"]).await.contains("deploy with KEY_FIELD=itemNo"));
    }

    #[tokio::test]
    async fn a_pipeline_that_would_never_hear_of_the_uploads_is_refused() {
        for filter in [r#"{"input_prefix":"incoming/"}"#, r#"{"input_suffix":".json"}"#] {
            let told = refusal(Some(&of(&[("chunked", filter)])), &["chunked"]).await;
            assert!(told.contains("deploy with INPUT_PREFIX= INPUT_SUFFIX="), "{told}");
        }
        let fits = r#"{"input_prefix":"benchmark/","input_suffix":".csv"}"#;
        assert_eq!(refusal(Some(&of(&[("chunked", fits)])), &["chunked"]).await, "");
    }

    #[test]
    fn the_deployment_fills_in_what_was_not_given() {
        let known = Parameters { chunk_size: Some(500), concurrency: Some(50), memory_mb: Some(512), key_field: None };
        let facts = Facts { region: Some("eu-west-1".into()), ..Facts::default() };
        let mut labels = Labels { chunk_size: Given(Some(20)), ..Labels::default() };
        facts.complete(&mut labels, &known, false);
        assert_eq!((labels.chunk_size.0, labels.concurrency.0), (Some(20), Some(50)));
        assert_eq!(labels.target, "eu-west-1");
        let mut labels = Labels::default();
        facts.complete(&mut labels, &known, true);
        assert_eq!(labels.target, "emulator");
    }
}
