//! The deployment under test, and what a user can do with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::types::{BucketVersioningStatus, StorageClass, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::progress::Batch;
use fanfold::model::summary::Summary;
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::store::Clock;
use fanfold::store::blob::{Blob, read_all};
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;
use fanfold_aws::aggregates::DynamoAggregates;
use fanfold_aws::billing::DynamoBilling;
use fanfold_aws::clients::{Clients, LambdaClient, lambda_of_emulator};
use fanfold_aws::counters::DynamoCounters;
use fanfold_aws::deployment::{Deployment, Resources};
use fanfold_aws::items::DynamoItems;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::meter::DynamoMeter;
use fanfold_aws::requests::DynamoRequests;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sockets::DynamoSockets;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::tasks::DynamoTasks;
use serde_json::{Value, json};

/// How long a batch may take before its test fails, in seconds.
fn patience() -> u32 {
    std::env::var("FANFOLD_TEST_PATIENCE").map_or(420, |told| told.parse().unwrap())
}

pub struct World {
    pub input: S3Blob,
    pub work: S3Blob,
    pub output: S3Blob,
    pub scatter: SqsChannel,
    pub process: SqsChannel,
    pub parked: SqsChannel,
    pub items: DynamoItems,
    pub counters: DynamoCounters,
    pub ledger: DynamoLedger,
    variant: String,
    pub clients: Clients,
    pub resources: Resources,
    deployment: String,
    binary: PathBuf,
}

/// The outcome of a command.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    folder: tempfile::TempDir,
}

impl Done {
    pub fn summary(&self) -> Summary {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", self.stdout, self.stderr))
    }

    pub fn output(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("out").join(name)).ok()
    }
}

/// The variants, without those that the emulator under test cannot have.
pub fn variants() -> impl Iterator<Item = &'static Variant> {
    let without = std::env::var("FANFOLD_TEST_WITHOUT").unwrap_or_default();
    BUILT_IN.iter().filter(move |variant| !without.split_whitespace().any(|name| name == variant.name))
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: these tests run as part of `make test`"))
}

impl World {
    /// The pipeline that most tests use.
    pub async fn open() -> Self {
        Self::of("chunked").await
    }

    /// A pipeline by its name; those of variants are named like them.
    pub async fn of(variant: &str) -> Self {
        let deployment = variable("FANFOLD_TEST_DEPLOYMENT");
        let clients = Clients::of_emulator(&variable("FANFOLD_TEST_ENDPOINT")).await;
        let resources = Deployment::read(deployment.as_ref()).unwrap().pipeline(Some(variant)).unwrap().clone();
        let bucket = |name: &str| S3Blob::new(clients.s3.clone(), name);
        let queue = |url: &String| SqsChannel::new(clients.sqs.clone(), url);
        // A pipeline that keeps nothing there has no such table.
        let table = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        Self {
            input: bucket(&resources.input_bucket),
            work: bucket(&resources.work_bucket),
            output: bucket(&resources.output_bucket),
            scatter: queue(&resources.queues["scatter"]),
            process: queue(&resources.queues["process"]),
            parked: queue(resources.parked_queue.as_ref().expect("a deployment with a parked queue")),
            items: DynamoItems::new(clients.dynamodb.clone(), table(&resources.items_table), "itemNo"),
            counters: DynamoCounters::new(clients.dynamodb.clone(), table(&resources.counters_table)),
            ledger: DynamoLedger::new(clients.dynamodb.clone(), &resources.ledger_table),
            binary: variable("FANFOLD_TEST_BIN").into(),
            variant: variant.to_owned(),
            clients,
            resources,
            deployment,
        }
    }

    /// Runs the command.
    pub fn command(&self, arguments: &[&str]) -> Done {
        self.command_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// The command as a process, yet to be started.
    pub fn process(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("FANFOLD_DEPLOYMENT", &self.deployment).current_dir(folder);
        command
    }

    fn command_in(&self, folder: tempfile::TempDir, arguments: &[&str]) -> Done {
        let done = self.process(folder.path(), arguments).output().unwrap();
        Done {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
            folder,
        }
    }

    /// Submits a file with the command and waits for its outputs.
    pub fn submit(&self, name: &str, bytes: &[u8]) -> Done {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        self.command_in(folder, &["submit", name, "--json", "--output", "out", "--variant", &self.variant])
    }

    /// The name of the input bucket.
    pub fn input_bucket(&self) -> &str {
        &self.resources.input_bucket
    }

    /// Makes one batch of all objects under a prefix of the input bucket, and waits for its outputs.
    pub fn submit_prefix(&self, prefix: &str) -> Done {
        let place = format!("s3://{}/{prefix}", self.input_bucket());
        self.command(&["submit", &place, "--json", "--output", "out", "--variant", &self.variant])
    }

    /// Uploads an object without the command and waits for its summary.
    pub async fn upload(&self, key: &str, bytes: Vec<u8>) -> Summary {
        self.summary(&self.put(key, bytes).await).await
    }

    /// Uploads an object, and returns the batch that it becomes.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> BatchId {
        let written = self.input.put(key, "text/csv", bytes.into()).await.unwrap();
        self.batch(key, &written.version.unwrap())
    }

    /// A document among the outputs of a batch; empty if there is none.
    pub async fn output(&self, batch: &BatchId, name: &str) -> String {
        let bytes = read_all(&self.output, &batch.output_key(name)).await.unwrap().unwrap_or_default();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// Redrives a batch with the command and waits for its outputs.
    pub fn redrive(&self, batch: &BatchId) -> Done {
        self.command(&["redrive", batch.as_str(), "--json", "--output", "out", "--pipeline", &self.variant])
    }

    /// What is counted of a group, as the command tells it.
    pub fn counted(&self, group: &str) -> Value {
        let told = self.command(&["counters", group, "--json", "--pipeline", &self.variant]);
        serde_json::from_str(&told.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", told.stdout, told.stderr))
    }

    /// Waits until a stage has made more calls of an action than this, whatever became of them: the local AWS counts those that
    /// it allows.
    pub fn await_calls(&self, stage: &str, action: &str, many: u32) {
        let asked = format!(
            "{}/_calls?role=test-{}-{stage}&action={action}&resource=*&allowed=1&since={many}&seconds=120",
            variable("FANFOLD_TEST_ENDPOINT"),
            self.variant,
        );
        let told = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", &asked]).output().unwrap();
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(told, json!({"made": true}), "{asked}");
    }

    /// The client of functions.
    pub async fn functions(&self) -> LambdaClient {
        lambda_of_emulator(&variable("FANFOLD_TEST_ENDPOINT")).await
    }

    /// Uploads an object that cannot be read until it is restored, and returns its version.
    pub async fn archive(&self, key: &str, bytes: Vec<u8>) -> String {
        let put = self.clients.s3.put_object().bucket(&self.resources.input_bucket).key(key);
        let put = put.storage_class(StorageClass::Glacier).body(bytes.into()).send().await.unwrap();
        put.version_id.unwrap()
    }

    /// The batch that an upload becomes.
    pub fn batch(&self, key: &str, version: &str) -> BatchId {
        BatchId::of(&self.resources.input_bucket, key, &Revision::Version(version.to_owned()))
    }

    /// Waits for the summary of a batch.
    pub async fn summary(&self, batch: &BatchId) -> Summary {
        for _ in 0..patience() * 4 {
            if let Some(text) = read_all(&self.output, &batch.output_key("summary.json")).await.unwrap() {
                return serde_json::from_slice(&text).unwrap();
            }
            // S3 offers nothing with which a client could await an object.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("no summary of {batch} within {} s", patience())
    }

    /// Waits until all chunks of a batch are done.
    pub async fn processed(&self, batch: &BatchId) -> Batch {
        for _ in 0..patience() * 4 {
            if let Some(done) = self.ledger.read(batch).await.unwrap().filter(Batch::is_complete) {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        panic!("{batch} is not complete within {} s", patience())
    }

    /// A batch, if the ledger knows it.
    pub async fn ledger_of(&self, batch: &str) -> Option<Batch> {
        self.ledger.read(&BatchId::parse(batch).unwrap()).await.unwrap()
    }

    /// Deletes what the ledger and the output bucket have of a batch of one leaf.
    pub async fn forget(&self, batch: &BatchId) {
        for key in [format!("BATCH#{batch}"), format!("LEAF#{batch}#00000")] {
            let delete = self.clients.dynamodb.delete_item().table_name(&self.resources.ledger_table);
            delete.key("pk", AttributeValue::S(key)).send().await.unwrap();
        }
        self.output.delete(&batch.output_key("summary.json")).await.unwrap();
    }

    /// This moment, as the command takes it.
    pub fn now(&self) -> String {
        SystemClock.now().to_string()
    }

    /// The event that S3 sends for an upload.
    pub fn event(&self, key: &str, version: &str) -> String {
        let bucket = &self.resources.input_bucket;
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-01-02T03:04:05.678Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "A"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {},
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
                "bucket": {"name": bucket, "ownerIdentity": {"principalId": "A"}, "arn": format!("arn:aws:s3:::{bucket}")},
                "object": {"key": key, "size": 1, "eTag": "e", "versionId": version, "sequencer": "0A"}}
        }]})
        .to_string()
    }

    pub async fn new_bucket(&self, name: &str) -> S3Blob {
        let s3 = &self.clients.s3;
        s3.create_bucket().bucket(name).send().await.unwrap();
        let versioned = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        s3.put_bucket_versioning().bucket(name).versioning_configuration(versioned).send().await.unwrap();
        S3Blob::new(s3.clone(), name)
    }

    pub async fn new_queue(&self, name: &str, ordered: bool) -> SqsChannel {
        let mut create = self.clients.sqs.create_queue().queue_name(name);
        if ordered {
            create = create.attributes(QueueAttributeName::FifoQueue, "true");
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        SqsChannel::new(self.clients.sqs.clone(), url)
    }

    pub async fn new_items(&self, name: &str) -> DynamoItems {
        self.new_table(name, &[("itemNo", ScalarAttributeType::S)]).await;
        DynamoItems::new(self.clients.dynamodb.clone(), name, "itemNo")
    }

    pub async fn new_ledger(&self, name: &str) -> DynamoLedger {
        let index = |name: &str, hash: &str| {
            let index = GlobalSecondaryIndex::builder().index_name(name).key_schema(key(hash, KeyType::Hash));
            let index = index.key_schema(key("startedAt", KeyType::Range));
            let keys = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
            index.projection(keys).build().unwrap()
        };
        let create = self.clients.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.key_schema(key("pk", KeyType::Hash));
        let create = create.global_secondary_indexes(index("open-batches", "open"));
        let create = create.global_secondary_indexes(index("all-batches", "listed"));
        let create = [
            ("pk", ScalarAttributeType::S),
            ("open", ScalarAttributeType::S),
            ("listed", ScalarAttributeType::S),
            ("startedAt", ScalarAttributeType::N),
        ]
        .into_iter()
        .fold(create, |create, (name, kind)| create.attribute_definitions(attribute(name, kind)));
        create.send().await.unwrap();
        DynamoLedger::new(self.clients.dynamodb.clone(), name)
    }

    pub async fn new_counters(&self, name: &str) -> DynamoCounters {
        self.new_table(name, &[("group", ScalarAttributeType::S), ("chunk", ScalarAttributeType::S)]).await;
        DynamoCounters::new(self.clients.dynamodb.clone(), name)
    }

    pub async fn new_tasks(&self, name: &str) -> DynamoTasks {
        self.new_table(name, &[("pk", ScalarAttributeType::S), ("record", ScalarAttributeType::N)]).await;
        DynamoTasks::new(self.clients.dynamodb.clone(), name)
    }

    pub async fn new_requests(&self, name: &str) -> DynamoRequests {
        self.new_table(name, &[("id", ScalarAttributeType::S)]).await;
        DynamoRequests::new(self.clients.dynamodb.clone(), name)
    }

    pub async fn new_sockets(&self, name: &str) -> DynamoSockets {
        self.new_table(name, &[("id", ScalarAttributeType::S), ("of", ScalarAttributeType::S)]).await;
        DynamoSockets::new(self.clients.dynamodb.clone(), name)
    }

    /// A table of events and one of packages, as `infra/modules/billing` makes them.
    pub async fn new_billing(&self, name: &str) -> DynamoBilling {
        let (events, packages) = (format!("{name}-events"), format!("{name}-packages"));
        let text = || ScalarAttributeType::S;
        self.indexed_table(&events, [("id", text()), ("of", text())], "list", ("day", text())).await;
        let number = || ScalarAttributeType::N;
        self.indexed_table(&packages, [("half", text()), ("sequence", number())], "open", ("due", number())).await;
        DynamoBilling::new(self.clients.dynamodb.clone(), events, packages)
    }

    pub async fn new_aggregates(&self, name: &str) -> DynamoAggregates {
        self.new_table(name, &[("client", ScalarAttributeType::S), ("period", ScalarAttributeType::S)]).await;
        DynamoAggregates::new(self.clients.dynamodb.clone(), name)
    }

    /// A table with an index that is named like its hash key, which is a text.
    async fn indexed_table(
        &self,
        name: &str,
        keys: [(&str, ScalarAttributeType); 2],
        index: &str,
        range: (&str, ScalarAttributeType),
    ) {
        let projection = Projection::builder().projection_type(ProjectionType::All).build();
        let keyed = GlobalSecondaryIndex::builder().index_name(index).projection(projection);
        let keyed = keyed.key_schema(key(index, KeyType::Hash)).key_schema(key(range.0, KeyType::Range));
        let create = self.clients.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.global_secondary_indexes(keyed.build().unwrap());
        let create = create.attribute_definitions(attribute(index, ScalarAttributeType::S));
        let create = create.attribute_definitions(attribute(range.0, range.1));
        let create = keys.iter().zip([KeyType::Hash, KeyType::Range]).fold(create, |create, ((name, kind), role)| {
            create.attribute_definitions(attribute(name, kind.clone())).key_schema(self::key(name, role))
        });
        create.send().await.unwrap();
    }

    pub async fn new_meter(&self, name: &str) -> DynamoMeter {
        self.new_table(name, &[("pk", ScalarAttributeType::S)]).await;
        DynamoMeter::new(self.clients.dynamodb.clone(), name)
    }

    async fn new_table(&self, name: &str, keys: &[(&str, ScalarAttributeType)]) {
        let create = self.clients.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let roles = [KeyType::Hash, KeyType::Range];
        let create = keys.iter().zip(roles).fold(create, |create, ((name, kind), role)| {
            create.attribute_definitions(attribute(name, kind.clone())).key_schema(self::key(name, role))
        });
        create.send().await.unwrap();
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn key(name: &str, role: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
}
