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

/// All of them.
pub const ALL: [Limit; 13] = [
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
