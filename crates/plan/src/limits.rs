//! What AWS documents, number by number.

/// A number that AWS documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// What it is about.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// Of what it is.
    pub unit: &'static str,
    /// Where that is said.
    pub source: &'static str,
    /// When it was read.
    pub read: &'static str,
}

const SCALING: &str = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html";
const QUOTAS: &str = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html";
const MEMORY: &str = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html";
const ON_DEMAND: &str = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html";
const PARTITION: &str = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";
const S3_RATES: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html";
const SQS_BATCH: &str = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html";
const SQS_QUOTAS: &str =
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html";
const MACHINE_QUOTAS: &str = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html";
const NOVEMBER: &str = "2026-11";

const fn limit(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Limit {
    Limit { name, value, unit, source, read: NOVEMBER }
}

/// How many invocations a mapping of a queue begins with.
pub const MAPPING_FIRST: Limit =
    limit("event source mapping of a queue, at first", 5.0, "invocations at once", SCALING);
/// How many it adds.
pub const MAPPING_GROWTH: Limit =
    limit("event source mapping of a queue, added", 300.0, "invocations a minute", SCALING);
/// How many it comes to.
pub const MAPPING_MOST: Limit =
    limit("event source mapping of a queue, at most", 1_250.0, "invocations at once", SCALING);
/// How many it added until November 2023.
pub const MAPPING_GROWTH_2020: Limit = Limit {
    name: "event source mapping of a queue, added until 2023",
    value: 60.0,
    unit: "invocations a minute",
    source: "https://aws.amazon.com/blogs/compute/introducing-faster-polling-scale-up-for-aws-lambda-functions-configured-with-amazon-sqs/",
    read: NOVEMBER,
};
/// How many functions of an account run at once.
pub const ACCOUNT: Limit = limit("account, all functions", 1_000.0, "invocations at once", QUOTAS);
/// The memory at which a function has one whole processor.
pub const ONE_CPU: Limit = limit("memory for one processor", 1_769.0, "MB", MEMORY);
/// What a new table on demand takes.
pub const TABLE_WRITES: Limit = limit("new table on demand, writes", 4_000.0, "units a second", ON_DEMAND);
/// What it gives.
pub const TABLE_READS: Limit = limit("new table on demand, reads", 12_000.0, "units a second", ON_DEMAND);
/// How long until a table takes twice its peak.
pub const TABLE_DOUBLES: Limit = limit("table on demand, twice its peak within", 1_800.0, "seconds", ON_DEMAND);
/// What a table takes unless its quota is raised.
pub const TABLE_MOST: Limit = limit("table on demand, writes at most", 40_000.0, "units a second", ON_DEMAND);
/// What one partition takes.
pub const PARTITION_WRITES: Limit = limit("partition of a table, writes", 1_000.0, "units a second", PARTITION);
/// What a prefix of a bucket takes.
pub const PREFIX_WRITES: Limit = limit("prefix of a bucket, writes", 3_500.0, "requests a second", S3_RATES);
/// What it gives.
pub const PREFIX_READS: Limit = limit("prefix of a bucket, reads", 5_500.0, "requests a second", S3_RATES);
/// How many messages a mapping of a queue may take in one invocation without a batching window.
pub const MAPPING_BATCH: Limit = limit("event source mapping of a queue, a batch at most", 10.0, "messages", SQS_BATCH);
/// How long a mapping waits for a batch to fill, which is not used here.
pub const MAPPING_WINDOW: Limit =
    limit("event source mapping of a queue, batching window at most", 300.0, "seconds", SQS_BATCH);
/// The pollers that a mapping in provisioned mode adds, which is not used here.
pub const PROVISIONED_GROWTH: Limit =
    limit("event source mapping in provisioned mode, added", 1_000.0, "invocations a minute", SCALING);
/// How many functions a function's concurrency grows by.
pub const FUNCTION_GROWTH: Limit = limit(
    "a function, added",
    1_000.0,
    "invocations every 10 seconds",
    "https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html",
);
/// How many messages a queue may hold that are received and not deleted.
pub const QUEUE_IN_FLIGHT: Limit = limit("standard queue, messages in flight", 120_000.0, "messages", SQS_QUOTAS);
/// How many messages a topic takes.
pub const TOPIC_RATE: Limit =
    limit("topic, us-east-1", 30_000.0, "messages a second", "https://docs.aws.amazon.com/general/latest/gr/sns.html");
/// How many executions a Distributed Map runs at once.
pub const MAP_MOST: Limit = limit("Distributed Map, executions at once", 10_000.0, "executions", MACHINE_QUOTAS);
/// How many executions it starts.
pub const MAP_STARTS: Limit = limit("express executions of a map, started", 1_000.0, "a second", MACHINE_QUOTAS);
/// What a table may be warmed to before a batch.
pub const WARM: Limit = limit(
    "table on demand, warm throughput without a request",
    40_000.0,
    "units a second",
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html",
);

/// All of them.
pub const ALL: [Limit; 22] = [
    MAPPING_FIRST,
    MAPPING_GROWTH,
    MAPPING_MOST,
    MAPPING_GROWTH_2020,
    ACCOUNT,
    ONE_CPU,
    TABLE_WRITES,
    TABLE_READS,
    TABLE_DOUBLES,
    TABLE_MOST,
    PARTITION_WRITES,
    PREFIX_WRITES,
    PREFIX_READS,
    MAPPING_BATCH,
    MAPPING_WINDOW,
    PROVISIONED_GROWTH,
    FUNCTION_GROWTH,
    QUEUE_IN_FLIGHT,
    TOPIC_RATE,
    MAP_MOST,
    MAP_STARTS,
    WARM,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_says_where_it_is_from() {
        for limit in ALL {
            assert!(limit.value > 0.0 && limit.source.starts_with("https://") && !limit.unit.is_empty(), "{limit:?}");
        }
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|limit| limit.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
