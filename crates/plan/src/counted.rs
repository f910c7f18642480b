//! How many requests each stage of fanfold makes: a table of what was counted of measured batches, in terms of what a batch is made of.
//!
//! `make model` writes the table from the rows of `measurements.csv`, whose counts are those that the functions keep as `CALLS#`.

const TABLE: &str = include_str!("../counted.csv");
/// The most items of a `BatchWriteItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const WRITE_ITEMS: u64 = 25;
/// The most rows of a `TransactWriteItems`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const TRANSACTION_ROWS: u64 = 100;
/// The most messages of a request
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
const GROUP: u64 = 10;
/// How much of a file is fetched, or put, at a time: `PART_BYTES` of the engine.
const SECTION: u64 = 8 << 20;

/// What a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Chunks; of a variant whose unit is a record, as many as records.
    pub chunks: u64,
    /// Records of a chunk, of which the last has what is left.
    pub each: u64,
    /// Invocations of process.
    pub invocations: u64,
}

/// The names of what requests are counted by, as the table has them.
pub const FEATURES: [&str; 10] =
    ["batch", "chunk", "group", "whole_group", "write", "transaction", "section", "part", "large", "invocation"];

impl Size {
    /// How many there are of each feature.
    pub fn features(&self) -> [f64; FEATURES.len()] {
        let (chunks, each) = (self.chunks.max(1), self.each.max(1));
        let last = self.records.saturating_sub(each * (chunks - 1));
        let of_chunks = |most: u64| each.div_ceil(most) * (chunks - 1) + last.div_ceil(most);
        let sections = self.bytes.div_ceil(SECTION);
        // What is one section is put at once.
        let large = sections > 1;
        [
            1,
            self.chunks,
            self.chunks.div_ceil(GROUP),
            self.chunks / GROUP,
            of_chunks(WRITE_ITEMS),
            of_chunks(TRANSACTION_ROWS),
            sections,
            if large { sections } else { 0 },
            u64::from(large),
            self.invocations,
        ]
        .map(|many| many as f64)
    }
}

/// The requests of one kind of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// The stage.
    pub stage: String,
    /// The operation, as in `s3.PutObject`.
    pub operation: String,
    /// How many.
    pub many: f64,
}

/// The requests of a batch of a variant.
///
/// # Errors
/// The names of the variants that were counted, if this one was not.
pub fn requests(variant: &str, size: &Size) -> Result<Vec<Requests>, String> {
    of_table(TABLE, variant, size)
}

/// The same by another table.
///
/// # Errors
/// As for [`requests`].
pub fn of_table(table: &str, variant: &str, size: &Size) -> Result<Vec<Requests>, String> {
    let features = size.features();
    let rows = table.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let rows: Vec<Vec<&str>> = rows.filter(|cells| cells.len() == FEATURES.len() + 3).collect();
    let found: Vec<Requests> = rows
        .iter()
        .filter(|cells| cells[0] == variant)
        .map(|cells| {
            let each = cells[3..].iter().map(|cell| cell.parse::<f64>().unwrap_or_default());
            let many = each.zip(features).map(|(each, many)| each * many).sum();
            Requests { stage: cells[1].to_owned(), operation: cells[2].to_owned(), many }
        })
        .collect();
    if found.is_empty() {
        let mut names: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
        names.dedup();
        return Err(names.join(", "));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_is_made_of_is_counted() {
        let of = |records, bytes, chunks| Size { records, bytes, chunks, each: 500, invocations: 7 }.features();
        assert_eq!(of(0, 0, 0), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]);
        assert_eq!(of(10, 800, 1), [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 7.0]);
        // Chunks of 500, 500 and 1: 20 + 20 + 1 writes, 5 + 5 + 1 transactions.
        assert_eq!(of(1001, SECTION, 3)[4..6], [20.0 * 2.0 + 1.0, 5.0 * 2.0 + 1.0]);
        assert_eq!(of(10_000, SECTION + 1, 20), [1.0, 20.0, 2.0, 2.0, 400.0, 100.0, 2.0, 2.0, 1.0, 7.0]);
    }

    #[test]
    fn a_table_says_what_each_stage_requests() {
        let table =
            format!("variant,stage,operation,{}\na,process,s3.PutObject,1,2,0,0,0,0,0,0,0,0.5\n", FEATURES.join(","));
        let size = Size { records: 10, bytes: 1, chunks: 3, each: 4, invocations: 2 };
        let found = of_table(&table, "a", &size).unwrap();
        assert_eq!((found[0].operation.as_str(), found[0].many), ("s3.PutObject", 8.0));
        assert_eq!(of_table(&table, "b", &size).unwrap_err(), "a");
    }

    #[test]
    fn every_variant_was_counted() {
        let size = Size { records: 1_000_000, bytes: 80_000_000, chunks: 2_000, each: 500, invocations: 500 };
        for variant in ["chunked", "dynamodb", "ranged", "notification", "sns", "sfn"] {
            let all = requests(variant, &size).unwrap();
            let writes = all
                .iter()
                .filter(|of| (of.stage.as_str(), of.operation.as_str()) == ("process", "dynamodb.BatchWriteItem"));
            let writes: f64 = writes.map(|of| of.many).sum();
            let copies = if variant == "dynamodb" { 2.0 } else { 1.0 };
            assert!((writes / (copies * 40_000.0) - 1.0).abs() < 0.01, "{variant}: {writes}");
        }
        assert!(requests("serial", &size).unwrap_err().contains("chunked"));
    }
}
