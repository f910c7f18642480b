//! What billing works with.

use fanfold::model::error::{Error, Result};
use fanfold::model::processing::Work;
use fanfold::model::processing::bill::BillSettings;

use super::Reader;

/// The tables of billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingTables {
    /// Of events.
    pub events: String,
    /// Of packages.
    pub packages: String,
    /// Of what was used by days, if half months are closed.
    pub aggregates: Option<String>,
    /// Of the terms of clients.
    pub clients: String,
}

/// What the function works with that lists half months and sends packages.
#[derive(Debug)]
pub struct BillingConfig {
    /// The tables.
    pub tables: BillingTables,
    /// The ledger table, which holds the meter of requests.
    pub ledger_table: String,
    /// The bucket in which lists become batches, and what their keys begin with.
    pub input: (String, String),
    /// The bucket of packages.
    pub output_bucket: String,
    /// How often it lists what closed, in seconds.
    pub closes_every: i64,
    /// What is done.
    pub settings: BillSettings,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(super) fn billing_tables(&mut self) -> BillingTables {
        BillingTables {
            events: self.text("BILLING_EVENTS_TABLE"),
            packages: self.text("BILLING_PACKAGES_TABLE"),
            aggregates: (self.lookup)("BILLING_AGGREGATES_TABLE"),
            clients: self.text("BILLING_CLIENTS_TABLE"),
        }
    }
}

impl BillingConfig {
    /// Reads its configuration.
    ///
    /// # Errors
    /// `Config` with every problem, not just the first.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let (tables, ledger_table) = (reader.billing_tables(), reader.text("LEDGER_TABLE"));
        let prefix = (reader.lookup)("INPUT_PREFIX").unwrap_or_default();
        let input = (reader.text("INPUT_BUCKET"), prefix);
        let output_bucket = reader.text("OUTPUT_BUCKET");
        let closes_every = reader.seconds("CLOSES_EVERY");
        let settings = match reader.processing().map(|processing| processing.work) {
            Some(Work::Bill(settings)) => Some(*settings),
            Some(_) => reader.note(Err(Error::config("PROCESSORS does not name bill"))),
            None => None,
        };
        match settings {
            Some(settings) if reader.problems.is_empty() => {
                Ok(Self { tables, ledger_table, input, output_bucket, closes_every, settings })
            }
            _ => Err(reader.refused()),
        }
    }
}
