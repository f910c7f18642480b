//! Closes half months: seals what was used and is not billed yet.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::money::Prices;
use crate::model::billing::package::{Issued, PackageId, Used};
use crate::model::error::{Error, Result};
use crate::stage::billing::meter::moment;
use crate::store::Clock;
use crate::store::billing::{Clients, Events, Packages, Sealed};
use crate::store::blob::{Blob, read_all};

/// A half month of a client that can be closed.
struct Begun {
    /// The packages of it that were sealed.
    before: Vec<Sealed>,
    used: Used,
    prices: Option<Prices>,
}

/// What became of a half month of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// It has not ended for good, or may still get events.
    Open,
    /// All that was used is billed.
    Billed,
    /// Events came in meanwhile: it is to be closed again.
    Moving,
    /// A package was sealed.
    Sealed(PackageId),
    /// Another closer sealed one meanwhile: it is to be closed again.
    Overtaken,
}

/// Closes half months.
#[derive(Debug, Clone)]
pub struct Close<E, P, C, B, K> {
    /// Where events are.
    pub events: E,
    /// Where packages are.
    pub packages: P,
    /// The terms of clients.
    pub clients: C,
    /// Where the bytes of packages are.
    pub output: B,
    /// The time.
    pub clock: K,
    /// After how long an event that was kept is found, as a rule.
    pub settles: Duration,
}

impl<E: Events, P: Packages, C: Clients, B: Blob, K: Clock> Close<E, P, C, B, K> {
    /// Closes half months of clients, and returns what became of each, in order. What fails is to be closed again.
    pub async fn close(&self, halves: &[(String, HalfMonth)]) -> Vec<Result<Closed>> {
        let mut first = Vec::with_capacity(halves.len());
        for (client, half) in halves {
            first.push(self.begin(client, *half).await);
        }
        if first.iter().any(|begun| matches!(begun, Ok(Some(_)))) {
            // All events are looked for twice, since those that were kept shortly before may be missing. What both times find is whole, as a rule.
            self.clock.sleep(self.settles).await;
        }
        let mut closed = Vec::with_capacity(halves.len());
        for ((client, half), begun) in halves.iter().zip(first) {
            closed.push(match begun {
                Ok(Some(begun)) => self.end(client, *half, &begun).await,
                Ok(None) => Ok(Closed::Open),
                Err(error) => Err(error),
            });
        }
        closed
    }

    /// The packages of a half that can be closed, and what was used in it; `None` of one that cannot.
    async fn begin(&self, client: &str, half: HalfMonth) -> Result<Option<Begun>> {
        let now = moment(self.clock.now())?;
        let unknown =
            || Error::config(format!("there are no terms of client {client:?} any more, who has events to be billed"));
        let terms = self.clients.terms(client).await?.ok_or_else(unknown)?;
        if terms.closes(half).is_none_or(|closes| now < closes) {
            return Ok(None);
        }
        // Before the events: whatever another closer seals after that, this one does not seal a second time.
        let before = self.packages.of(client, half).await?;
        Ok(Some(Begun { before, used: self.used(client, half).await?, prices: terms.prices }))
    }

    async fn used(&self, client: &str, half: HalfMonth) -> Result<Used> {
        let mut used = Used::new();
        for day in half.days() {
            let events = self.events.on(client, day).await?;
            used.extend(events.into_iter().map(|event| (event.event.identity(), (event.day, event.event))));
        }
        Ok(used)
    }

    async fn end(&self, client: &str, half: HalfMonth, begun: &Begun) -> Result<Closed> {
        let Begun { before, used, prices } = begun;
        if self.used(client, half).await? != *used {
            return Ok(Closed::Moving);
        }
        let mut issued = Vec::with_capacity(before.len());
        for sealed in before {
            issued.push(self.issued(sealed).await?);
        }
        let Some(Issued { package, events }) = Issued::next(client, half, used, &issued, prices.as_ref())? else {
            return Ok(Closed::Billed);
        };
        let bytes = package.bytes()?;
        let unwritten = |e| Error::internal("the events of a package cannot be written").because(e);
        let listed = serde_json::to_vec(&events).map_err(unwritten)?;
        let object = object(&package.id, &bytes);
        // Its key names its digest, so that another closer, which seals another package of this name, does not replace it.
        self.output.put(&events_of(&object), "application/json", listed.into()).await?;
        self.output.put(&object, "application/json", bytes.into()).await?;
        let sealed = Sealed { id: package.id, object, at: self.clock.now() };
        let there = self.packages.seal(&sealed).await?;
        Ok(if there == sealed.object { Closed::Sealed(sealed.id) } else { Closed::Overtaken })
    }

    /// A package that was sealed, and its events.
    async fn issued(&self, sealed: &Sealed) -> Result<Issued> {
        let unread = |e| Error::internal(format!("{} is not readable", sealed.object)).because(e);
        let package = serde_json::from_slice(&bytes_of(&self.output, sealed).await?).map_err(unread)?;
        let events = events_of(&sealed.object);
        let events = read_all(&self.output, &events).await?.ok_or_else(|| gone(&events))?;
        Ok(Issued { package, events: serde_json::from_slice(&events).map_err(unread)? })
    }
}

/// The key of the object that has the bytes of a package.
fn object(id: &PackageId, bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("packages/{}/{digest}.json", id.key(0))
}

/// The key of the object that lists the events of a package.
fn events_of(object: &str) -> String {
    object.replace(".json", ".events.json")
}

fn gone(object: &str) -> Error {
    Error::config(format!("{object} is gone: restore it, its package cannot be billed otherwise"))
}

/// The bytes of a package that was sealed, if they are still those.
pub(crate) async fn bytes_of(output: &impl Blob, sealed: &Sealed) -> Result<Bytes> {
    let bytes = read_all(output, &sealed.object).await?.ok_or_else(|| gone(&sealed.object))?;
    if object(&sealed.id, &bytes) != sealed.object {
        return Err(Error::config(format!("{} was changed: restore the version that was sealed", sealed.object)));
    }
    Ok(bytes)
}
