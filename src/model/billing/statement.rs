//! How a half month of a client stands: what came, and what became of it.

use serde::{Deserialize, Serialize};

use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::money::Currency;
use crate::model::billing::package::{Package, PackageId};
use crate::model::billing::sending::{SendState, Sending};

/// Events of a half month, each counted once however often it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All that came.
    pub came: u64,
    /// Those that packages say they bill.
    pub billed: u64,
    /// Those that are kept and in no package yet.
    pub unbilled: u64,
    /// Those whose source and id another event has.
    pub conflicts: u64,
    /// Those that were too old, too far ahead, or of no client.
    pub rejected: u64,
}

impl Counts {
    /// Adds those of another half month.
    pub fn add(&mut self, other: &Self) {
        self.came += other.came;
        self.billed += other.billed;
        self.unbilled += other.unbilled;
        self.conflicts += other.conflicts;
        self.rejected += other.rejected;
    }

    /// How many more events came than are accounted for; below 0, so many are accounted for twice. 0 if all is well.
    pub fn difference(&self) -> i64 {
        self.came as i64 - (self.billed + self.unbilled + self.conflicts + self.rejected) as i64
    }
}

/// A package, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoiced {
    /// Its name.
    pub id: PackageId,
    /// How many events it bills.
    pub events: u64,
    /// What it charges, if there are prices, with all places of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// The currency of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Where it stands with the API for invoices.
    pub state: SendState,
    /// The id of its invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// What was wrong the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Invoiced {
    /// A package as it stands; without that, it is ready to be sent.
    pub fn new(package: Package, sending: Option<Sending>) -> Self {
        let cut = |reason: String| reason[..reason.floor_char_boundary(LONGEST_REASON)].to_owned();
        let (state, invoice, reason) = match sending {
            Some(sending) => (sending.state, sending.invoice, sending.reason.map(cut)),
            None => (SendState::Ready, None, None),
        };
        let Package { id, events, total, currency, .. } = package;
        let total = total.zip(currency.as_ref()).map(|(total, currency)| currency.written(&total));
        Self { id, events, total, currency, state, invoice, reason }
    }
}

/// How a half month of a client stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// The client; empty for the events of which there is no client.
    pub client: String,
    /// The half month.
    pub half: String,
    /// What came, and what became of it.
    pub events: Counts,
    /// Its packages, in their order, the latest of many.
    pub packages: Vec<Invoiced>,
    /// How many packages there are before those.
    #[serde(default, skip_serializing_if = "is_none")]
    pub earlier: usize,
    /// How many rows of its days and hours do not say what its events do; the log says why.
    #[serde(default, skip_serializing_if = "is_none")]
    pub uncounted: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
fn is_none(earlier: &usize) -> bool {
    *earlier == 0
}

/// The most packages of a statement, and the longest reason in one, in bytes: a result has room for 16 KiB.
const MOST: usize = 20;
const LONGEST_REASON: usize = 100;

impl Statement {
    /// How a half month stands, with all of its packages.
    pub fn new(client: &str, half: HalfMonth, events: Counts, mut packages: Vec<Invoiced>) -> Self {
        let earlier = packages.len().saturating_sub(MOST);
        packages.drain(..earlier);
        Self { client: client.to_owned(), half: half.to_string(), events, packages, earlier, uncounted: 0 }
    }
}
