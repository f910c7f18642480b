//! The configuration of a function: read once from its environment, with all problems reported together.

mod billing;

use std::collections::BTreeMap;

pub use billing::{BillingConfig, BillingTables};
use fanfold::model::error::{Error, Result};
use fanfold::model::fair::FairBy;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::limits::Limits;
use fanfold::model::own::OwnAttributes;
use fanfold::model::processing::arn::FunctionArn;
use fanfold::model::processing::{Processing, Work};
use fanfold::model::reporting::part::{Column, Kind};
use fanfold::model::reporting::webhook::Webhooks;
use fanfold::model::schema::{Cells, RecordSchema, Rules};
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::Queue;
use fanfold::pipeline::variant::{Pending, Variant};
use fanfold::stage::gather::Results;
use fanfold::stage::sweep::Patience;
use fanfold::store::items::WriteMode;

/// The variable that holds the schema of records, or names the object that does.
pub const RECORD_SCHEMA: &str = "RECORD_SCHEMA";
/// The variable that says what is done with records, or names the object that does.
pub const PROCESSORS: &str = "PROCESSORS";

/// A function's configuration.
#[derive(Debug)]
pub struct Config {
    /// The parts that the pipeline is made of.
    pub variant: Variant,
    /// The ledger table.
    pub ledger_table: String,
    /// The bucket of uploads.
    pub input_bucket: String,
    /// The bucket of pending chunks and their results.
    pub work_bucket: String,
    /// The table of pending records and their outcomes, if the variant keeps them there.
    pub tasks_table: Option<String>,
    /// The table of counters, if any are kept and this stage may set them.
    pub counters_table: Option<String>,
    /// What is done with records.
    pub processing: Processing,
    /// The queue that feeds this function, if exactly one does.
    pub source_queue_url: Option<String>,
    /// Where such a function sends the messages that it gives up.
    pub dead_letter_queue_url: Option<String>,
    /// The bucket of outputs, for a stage that writes them.
    pub output_bucket: Option<String>,
    /// The URLs of the queues that this stage sends to, and the ARN of the topic or the state machine.
    pub queues: BTreeMap<Queue, String>,
    /// The function's memory in MB, if Lambda says it.
    pub memory: Option<u64>,
    /// What only this stage needs.
    pub stage: StageConfig,
}

/// What only one stage needs.
#[derive(Debug)]
pub enum StageConfig {
    /// For scatter.
    Scatter {
        /// Records in a chunk.
        chunk_size: usize,
        /// What records have to be.
        rules: Rules,
        /// How files are read.
        format: Box<FormatSettings>,
        /// How much work one batch may make.
        limits: Limits,
        /// What shares the workers.
        fair_by: FairBy,
    },
    /// For process.
    Process {
        /// The items table, if records become items.
        items_table: Option<String>,
        /// The field that is the items' key.
        key_field: String,
        /// What a valid record is.
        schema: Box<RecordSchema>,
        /// Which record wins if several have the same key.
        write_mode: WriteMode,
        /// The names of fanfold's own attributes.
        own: OwnAttributes,
        /// How many records of a batch may fail.
        tolerance: Tolerance,
        /// The requests table, for records that are sent one at a time instead of chunks.
        requests_table: Option<String>,
        /// The counters of another pipeline, if parts of reports are answered from them.
        usage_table: Option<String>,
        /// The tables of billing, if events are kept or half months closed.
        billing: Option<BillingTables>,
    },
    /// For consolidate.
    Consolidate {
        /// The table of the rows of parts.
        rows_table: String,
        /// The function that prints.
        press: FunctionArn,
        /// The columns of a report without parts.
        columns: Vec<Column>,
        /// Where people find a report, whose id is put behind it.
        page: Option<String>,
    },
    /// For notify.
    Notify {
        /// What its deployment calls the pipeline.
        pipeline: String,
        /// The table of those who wait at the other end of a connection, and the address at which they are reached; `None` if nobody can
        /// be connected.
        sockets: Option<(String, String)>,
        /// Which addresses may be called, and what signs; `None` if none may be.
        webhooks: Option<Webhooks>,
    },
    /// For gather.
    Gather {
        /// Which outcomes are written out.
        results: Results,
    },
    /// For bury.
    Bury {
        /// The requests table, if the pipeline takes records one at a time.
        requests_table: Option<String>,
    },
    /// For sweep.
    Sweep {
        /// How long a batch may make no progress.
        patience: Patience,
        /// What shares the workers.
        fair_by: FairBy,
        /// How many records of a batch may fail.
        tolerance: Tolerance,
    },
}

impl StageConfig {
    /// How many records of a batch may fail, as far as the stage looks at that.
    pub fn tolerance(&self) -> Tolerance {
        match self {
            Self::Process { tolerance, .. } | Self::Sweep { tolerance, .. } => *tolerance,
            Self::Scatter { .. }
            | Self::Gather { .. }
            | Self::Bury { .. }
            | Self::Consolidate { .. }
            | Self::Notify { .. } => Tolerance::All,
        }
    }
}

/// The channels that a stage sends to, and the variables that name them; `way` is the one by which workers first hear of a
/// chunk.
fn queues_of(handler: &str, way: Queue) -> &'static [(Queue, &'static str)] {
    const PROCESS: (Queue, &str) = (Queue::Process, "PROCESS_QUEUE_URL");
    const GATHER: (Queue, &str) = (Queue::Gather, "GATHER_QUEUE_URL");
    match handler {
        "scatter" if way == Queue::Topic => &[(Queue::Topic, "PROCESS_TOPIC_ARN"), GATHER],
        "scatter" if way == Queue::Machine => &[(Queue::Machine, "PROCESS_MACHINE_ARN"), GATHER],
        "scatter" => &[PROCESS, GATHER],
        "process" => &[GATHER],
        // Gather sends to its own queue.
        "gather" => &[(Queue::Gather, "SOURCE_QUEUE_URL")],
        "bury" => &[GATHER, (Queue::Parked, "PARKED_QUEUE_URL")],
        "sweep" => &[(Queue::Scatter, "SCATTER_QUEUE_URL"), PROCESS, GATHER],
        _ => &[],
    }
}

/// Reads variables and collects problems with them.
struct Reader<F> {
    lookup: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn text(&mut self, name: &str) -> String {
        let value = (self.lookup)(name).filter(|value| !value.trim().is_empty());
        value.unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    fn size(&mut self, name: &str) -> usize {
        let text = self.text(name);
        match text.parse() {
            Ok(size) if size > 0 => size,
            _ => {
                if !text.is_empty() {
                    self.problems.push(format!("{name} must be a whole number above 0, and is {text:?}"));
                }
                1
            }
        }
    }

    fn seconds(&mut self, name: &str) -> i64 {
        i64::try_from(self.size(name)).unwrap_or(i64::MAX / 1000)
    }

    fn format(&mut self) -> Option<FormatSettings> {
        let text = (self.lookup)("FORMAT").filter(|text| !text.trim().is_empty());
        self.note(text.map_or_else(|| Ok(FormatSettings::default()), |text| FormatSettings::parse(&text)))
    }

    fn limits(&mut self) -> Option<Limits> {
        let text = (self.lookup)("LIMITS").filter(|text| !text.trim().is_empty());
        self.note(text.map_or_else(|| Ok(Limits::default()), |text| Limits::parse(&text)))
    }

    fn fair_by(&mut self) -> Option<FairBy> {
        let name = (self.lookup)("FAIR_BY").filter(|name| !name.trim().is_empty());
        self.note(name.map_or(Ok(FairBy::default()), |name| FairBy::named(&name)))
    }

    fn tolerance(&mut self) -> Option<Tolerance> {
        let text = (self.lookup)("TOLERATE").filter(|text| !text.trim().is_empty());
        self.note(text.map_or(Ok(Tolerance::All), |text| Tolerance::parse(&text)))
    }

    /// What is done with records: without the variable, they become items.
    fn processing(&mut self) -> Option<Processing> {
        let text = (self.lookup)(PROCESSORS).filter(|text| !text.trim().is_empty());
        self.note(text.map_or_else(|| Ok(Processing::default()), |text| Processing::parse(&text)))
    }

    fn rules(&mut self, format: Option<&FormatSettings>) -> Option<Rules> {
        let key_field = self.text("KEY_FIELD");
        let schema = self.text(RECORD_SCHEMA);
        Some(Rules { key_field, schema, cells: format.map(Cells::from).unwrap_or_default() })
    }

    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.problems.push(error.to_string())).ok()
    }

    fn stage(&mut self, handler: &str, processing: Option<&Processing>) -> Option<StageConfig> {
        match handler {
            "scatter" => {
                let (chunk_size, format) = (self.size("CHUNK_SIZE"), self.format());
                let (limits, fair_by) = (self.limits(), self.fair_by());
                let rules = self.rules(format.as_ref());
                let (rules, format, limits, fair_by) = (rules?, Box::new(format?), limits?, fair_by?);
                Some(StageConfig::Scatter { chunk_size, rules, format, limits, fair_by })
            }
            "process" => self.process(processing, None),
            "records" => {
                let requests_table = Some(self.text("REQUESTS_TABLE"));
                if processing.is_some_and(|processing| !processing.items && !matches!(processing.work, Work::Meter(_)))
                {
                    let problem =
                        "PROCESSORS: records that are sent one at a time become items or events: name items or meter";
                    self.problems.push(problem.to_owned());
                }
                if processing.is_some_and(|processing| processing.aggregate.is_some()) {
                    let problem = "PROCESSORS: aggregate counts the records of batches, and not those that are sent one at a time";
                    self.problems.push(problem.to_owned());
                }
                self.process(processing, requests_table)
            }
            "gather" => {
                let results = (self.lookup)("RESULTS").map_or(Ok(Results::All), |name| Results::named(&name));
                Some(StageConfig::Gather { results: self.note(results)? })
            }
            "consolidate" => {
                let (rows_table, press) = (self.text("ITEMS_TABLE"), self.text("PRESS_FUNCTION_ARN"));
                let arn =
                    FunctionArn::parse(&press).map_err(|what| Error::config(format!("PRESS_FUNCTION_ARN is {what}")));
                // That it is missing is told already.
                let press = if press.is_empty() { None } else { self.note(arn) }?;
                let columns = match processing.map(|processing| &processing.work) {
                    Some(Work::Usage(settings)) => settings.columns(),
                    // Only its parts know what they are made of.
                    _ => vec![Column::new("value", "Value", Kind::Text)],
                };
                let page = (self.lookup)("PAGE_URL").filter(|page| !page.is_empty());
                Some(StageConfig::Consolidate { rows_table, press, columns, page })
            }
            "notify" => {
                let given = |name| (self.lookup)(name).filter(|value| !value.trim().is_empty());
                let webhooks = given("WEBHOOKS")
                    .map(|text| Webhooks::parse(&text).map_err(|what| Error::config(format!("WEBHOOKS {what}"))));
                let sockets = given("SOCKETS_TABLE").map(|table| (table, self.text("SOCKETS_ENDPOINT")));
                let webhooks = match webhooks {
                    Some(read) => Some(self.note(read)?),
                    None => None,
                };
                Some(StageConfig::Notify { pipeline: self.text("PIPELINE"), sockets, webhooks })
            }
            "bury" => {
                let requests_table = (self.lookup)("REQUESTS_TABLE").filter(|table| !table.trim().is_empty());
                Some(StageConfig::Bury { requests_table })
            }
            "sweep" => {
                let (stall_after, give_up_after) = (self.seconds("STALL_AFTER"), self.seconds("GIVE_UP_AFTER"));
                let patience = Patience { stall_after, give_up_after };
                let (fair_by, tolerance) = (self.fair_by(), self.tolerance());
                Some(StageConfig::Sweep { patience, fair_by: fair_by?, tolerance: tolerance? })
            }
            other => {
                let stages = "scatter, process, gather, bury, sweep, records, consolidate, notify";
                self.problems.push(format!("the handler {other:?} is not a stage; it must be one of: {stages}"));
                None
            }
        }
    }

    /// The key field, what a valid record is, and the attributes that are fanfold's own.
    fn checked(&mut self) -> Option<(String, RecordSchema, OwnAttributes)> {
        let format = self.format();
        let rules = self.rules(format.as_ref());
        let own = (self.lookup)("ITEM_ATTRIBUTES");
        let own = self.note(own.map_or_else(|| Ok(OwnAttributes::default()), |name| OwnAttributes::named(&name)))?;
        let rules = rules?;
        let schema = self.note(RecordSchema::of(&rules, own));
        Some((rules.key_field, schema?, own))
    }

    fn refused(&self) -> Error {
        Error::config(format!("the function is misconfigured: {}", self.problems.join("; ")))
    }

    fn process(&mut self, processing: Option<&Processing>, requests_table: Option<String>) -> Option<StageConfig> {
        let checked = self.checked();
        // A pipeline has a table only for what it stores.
        let stores_items = processing.is_some_and(|processing| processing.items);
        let items_table = stores_items.then(|| self.text("ITEMS_TABLE"));
        let is_usage = processing.is_some_and(|processing| matches!(processing.work, Work::Usage(_)));
        let usage_table = is_usage.then(|| self.text("USAGE_TABLE"));
        let bills = processing.is_some_and(|of| matches!(of.work, Work::Meter(_) | Work::Bill(_)));
        let billing = bills.then(|| self.billing_tables());
        let mode = (self.lookup)("WRITE_MODE");
        let write_mode = mode.map_or(Ok(WriteMode::Batch), |mode| WriteMode::named(&mode));
        let write_mode = self.note(write_mode);
        let tolerance = self.tolerance();
        if let (Some(processing), Some((_, schema, _))) = (processing, &checked) {
            let region = (self.lookup)("AWS_REGION");
            self.note(processing.check(schema, region.as_deref()));
        }
        let ((key_field, schema, own), write_mode, tolerance) = (checked?, write_mode?, tolerance?);
        let schema = Box::new(schema);
        Some(StageConfig::Process {
            items_table,
            key_field,
            schema,
            write_mode,
            own,
            tolerance,
            requests_table,
            usage_table,
            billing,
        })
    }
}

impl Config {
    /// Reads the configuration of the stage that `_HANDLER` names.
    ///
    /// # Errors
    /// `Config` with every problem, not just the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let handler = reader.text("_HANDLER");
        let name = reader.text("VARIANT");
        let variant = reader.note(Variant::named(&name));
        let ledger_table = reader.text("LEDGER_TABLE");
        let input_bucket = reader.text("INPUT_BUCKET");
        let work_bucket = reader.text("WORK_BUCKET");
        let in_table = variant.is_some_and(|variant| variant.pending == Pending::Table);
        // These end no chunk, and look at none.
        let ends = !matches!(handler.as_str(), "consolidate" | "notify");
        let tasks_table = (in_table && ends).then(|| reader.text("TASKS_TABLE"));
        let processing = reader.processing();
        let counted = processing.as_ref().is_some_and(|processing| processing.aggregate.is_some());
        // Gather ends no chunk; without a tree, it may find one that was decided and not counted.
        let listed = variant.is_some_and(|variant| !variant.condition.has_tree());
        let counts = ends && (listed || handler != "gather");
        let counters_table = (counted && counts).then(|| reader.text("COUNTERS_TABLE"));
        let several = matches!(handler.as_str(), "bury" | "sweep");
        let source_queue_url = (!several).then(|| reader.text("SOURCE_QUEUE_URL"));
        let dead_letter_queue_url = (!several).then(|| reader.text("DEAD_LETTER_QUEUE_URL"));
        let seals = processing.as_ref().is_some_and(|of| matches!(of.work, Work::Bill(_))) && handler == "process";
        let writes = seals || matches!(handler.as_str(), "gather" | "sweep" | "consolidate" | "notify");
        let output_bucket = writes.then(|| reader.text("OUTPUT_BUCKET"));
        let way = variant.map_or(Queue::Process, Variant::way);
        let queues = queues_of(&handler, way).iter().map(|(queue, name)| (*queue, reader.text(name))).collect();
        let memory = (reader.lookup)("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|memory| memory.parse().ok());
        let stage = reader.stage(&handler, processing.as_ref());
        match (variant, stage, processing) {
            (Some(variant), Some(stage), Some(processing)) if reader.problems.is_empty() => Ok(Self {
                variant,
                ledger_table,
                input_bucket,
                work_bucket,
                tasks_table,
                counters_table,
                processing,
                source_queue_url,
                dead_letter_queue_url,
                output_bucket,
                queues,
                memory,
                stage,
            }),
            _ => Err(reader.refused()),
        }
    }
}

/// What the function works with that takes records one at a time.
#[derive(Debug)]
pub struct SubmitConfig {
    /// The queue of such records.
    pub queue_url: String,
    /// The table of what became of them.
    pub requests_table: String,
    /// The items table, if records become items. Otherwise they are events.
    pub items_table: Option<String>,
    /// The field that is a record's key.
    pub key_field: String,
    /// What a valid record is.
    pub schema: RecordSchema,
}

impl SubmitConfig {
    /// Reads its configuration.
    ///
    /// # Errors
    /// `Config` with every problem, not just the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let queue_url = reader.text("RECORDS_QUEUE_URL");
        let (requests_table, items_table) = (reader.text("REQUESTS_TABLE"), (reader.lookup)("ITEMS_TABLE"));
        let checked = reader.checked();
        match checked {
            Some((key_field, schema, _)) if reader.problems.is_empty() => {
                Ok(Self { queue_url, requests_table, items_table, key_field, schema })
            }
            _ => Err(reader.refused()),
        }
    }
}

#[cfg(test)]
mod tests;
