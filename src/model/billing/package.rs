//! What is sent for a client and a half month: everything that it used, and then, whenever events come in late, what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::event::UsageEvent;
use crate::model::billing::money::{Currency, Prices};
use crate::model::billing::usage::{Digest, Usage};
use crate::model::error::{Error, Result};
use crate::model::fold::Exact;

/// The version of the document.
pub const VERSION: u32 = 1;

/// The name of a package, as in `anna/2026-02/H2/0`: that of what it bills, so that whoever makes it twice names it the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    /// The client.
    pub client: String,
    /// The half month.
    pub half: HalfMonth,
    /// 0 for the first package of the half, and then one more for each that adjusts it.
    pub sequence: u32,
}

impl PackageId {
    /// Reads a name. A client's own name may have slashes.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.rsplitn(4, '/');
        let (sequence, half, month, client) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let half = HalfMonth::parse(&format!("{month}-{half}"))?;
        let id = Self { client: client.to_owned(), half, sequence: sequence.parse().ok()? };
        (!client.is_empty() && id.to_string() == name).then_some(id)
    }

    /// What an API is told, to know a request again: the same for the same package and epoch, and for no other.
    pub fn key(&self, epoch: u32) -> String {
        Sha256::digest(format!("{self}#{epoch}"))
            .iter()
            .take(16)
            .fold(String::new(), |key, byte| key + &format!("{byte:02x}"))
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.client, self.half.to_string().replace("-H", "/H"), self.sequence)
    }
}

impl Serialize for PackageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| de::Error::custom("a package is named as in client/2026-02/H2/0"))
    }
}

/// What is charged for a meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The meter.
    pub meter: String,
    /// How much was used, or how much more or less than was billed before.
    pub quantity: Exact,
    /// The price of one, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Exact>,
    /// What all of the half costs, less what was billed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Exact>,
}

/// What is sent for a client and a half month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// The version of the document.
    pub version: u32,
    /// Its name.
    pub id: PackageId,
    /// The client.
    pub client: String,
    /// The half month.
    pub half: String,
    /// The first package of the half, if this one adjusts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjusts: Option<PackageId>,
    /// How many events it bills.
    pub events: u64,
    /// Which.
    pub digest: Digest,
    /// The currency of amounts, if there are prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What is charged, by meter.
    pub lines: Vec<Line>,
    /// The sum of the amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Exact>,
    /// What was used on each day for which it bills events.
    pub days: BTreeMap<String, Usage>,
}

impl Package {
    /// The bytes that are sent: the same for the same package.
    ///
    /// # Errors
    /// None that is known of.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal("a package cannot be written").because(e))
    }
}

/// Events of a client in a half month, by their identities, and their days.
pub type Used = BTreeMap<String, (Date, UsageEvent)>;

/// A package, and the identities of the events that it bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The package.
    pub package: Package,
    /// The identities.
    pub events: BTreeSet<String>,
}

impl Issued {
    /// The next package of a half: what was used, beside what the packages before it bill. `None` if they bill all of it.
    ///
    /// Prices are those of the packages before, where they have some: what was billed is not charged anew when prices change.
    ///
    /// # Errors
    /// `Transient` if events that were billed are not among those that were used; `Config` if prices are in another currency than before.
    pub fn next(
        client: &str,
        half: HalfMonth,
        used: &Used,
        before: &[Self],
        prices: Option<&Prices>,
    ) -> Result<Option<Self>> {
        let missing = before.iter().flat_map(|issued| &issued.events).filter(|id| !used.contains_key(*id)).count();
        if missing > 0 {
            return Err(Error::transient(format!(
                "{missing} events of {client} in {half} were billed and are not found: they were kept shortly before, or somebody deleted them"
            )));
        }
        for Self { package, events } in before {
            let listed = Usage::of(events.iter().map(|id| &used[id].1));
            if (listed.events, listed.digest) != (package.events, package.digest) {
                let told = format!("the list of the events of {} is not that of its package: restore it", package.id);
                return Err(Error::config(told));
            }
        }
        let is_new = |id: &&String| !before.iter().any(|issued| issued.events.contains(*id));
        let events: BTreeSet<String> = used.keys().filter(is_new).cloned().collect();
        if events.is_empty() {
            return Ok(None);
        }
        Self::of(client, half, used, events, before, prices).map(Some)
    }

    /// The first package of a half in which nothing was used.
    ///
    /// # Errors
    /// None that is known of.
    pub fn nothing(client: &str, half: HalfMonth, prices: Option<&Prices>) -> Result<Self> {
        Self::of(client, half, &Used::new(), BTreeSet::new(), &[], prices)
    }

    fn of(
        client: &str,
        half: HalfMonth,
        used: &Used,
        events: BTreeSet<String>,
        before: &[Self],
        prices: Option<&Prices>,
    ) -> Result<Self> {
        let whole = Usage::of(used.values().map(|(_, event)| event));
        let new = Usage::of(events.iter().map(|id| &used[id].1));
        let mut of_days: BTreeMap<String, Vec<&UsageEvent>> = BTreeMap::new();
        for (day, event) in events.iter().map(|id| &used[id]) {
            of_days.entry(day.to_string()).or_default().push(event);
        }
        let charges = Charges::new(client, half, before, prices)?;
        let line = |(meter, all): (&String, &Exact)| charges.line(meter, new.quantities.get(meter), all);
        let changed = |line: &Line| {
            before.is_empty() || !line.quantity.is_zero() || line.amount.as_ref().is_some_and(|sum| !sum.is_zero())
        };
        let lines: Vec<Line> = whole.quantities.iter().map(line).filter(changed).collect();
        let total = charges.currency.as_ref().map(|_| {
            let mut total = Exact::default();
            lines.iter().filter_map(|line| line.amount.as_ref()).for_each(|amount| total.add(amount));
            total
        });
        let id = |sequence| PackageId { client: client.to_owned(), half, sequence };
        let package = Package {
            version: VERSION,
            id: id(before.len() as u32),
            client: client.to_owned(),
            half: half.to_string(),
            adjusts: (!before.is_empty()).then(|| id(0)),
            events: new.events,
            digest: new.digest,
            currency: charges.currency.cloned(),
            lines,
            total,
            days: of_days.into_iter().map(|(day, events)| (day, Usage::of(events))).collect(),
        };
        Ok(Self { package, events })
    }
}

/// What is charged in a half month.
struct Charges<'a> {
    currency: Option<&'a Currency>,
    before: &'a [Issued],
    prices: Option<&'a Prices>,
}

impl<'a> Charges<'a> {
    fn new(client: &str, half: HalfMonth, before: &'a [Issued], prices: Option<&'a Prices>) -> Result<Self> {
        let then = before.iter().find_map(|issued| issued.package.currency.as_ref());
        match (then, prices.map(|prices| &prices.currency)) {
            (Some(then), Some(now)) if then != now => Err(Error::config(format!(
                "{half} of {client} was billed in {then}, and prices are in {now}: give it prices in {then} until it is closed for good"
            ))),
            (then, now) => Ok(Self { currency: then.or(now), before, prices }),
        }
    }

    fn line(&self, meter: &str, quantity: Option<&Exact>, whole: &Exact) -> Line {
        let earlier = || self.before.iter().flat_map(|issued| &issued.package.lines).filter(|line| line.meter == meter);
        let price = earlier().find_map(|line| line.price.as_ref());
        let price = price.or_else(|| self.prices?.meters.get(meter)).cloned();
        let amount = self.currency.zip(price.as_ref()).map(|(currency, price)| {
            let mut amount = currency.amount(whole, price);
            earlier().filter_map(|line| line.amount.as_ref()).for_each(|billed| amount.subtract(billed));
            amount
        });
        Line { meter: meter.to_owned(), quantity: quantity.cloned().unwrap_or_default(), price, amount }
    }
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
