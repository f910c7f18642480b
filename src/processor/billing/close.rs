//! Closes half months: seals what was used and is not billed yet, and says how they stand.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest as _, Sha256};

use crate::model::billing::admission::{Admitted, Terms};
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::package::{Issued, PackageId, Used};
use crate::model::billing::statement::{Counts, Invoiced, Statement};
use crate::model::billing::usage::Usage;
use crate::model::error::{Error, Result};
use crate::processor::billing::meter::moment;
use crate::store::Clock;
use crate::store::billing::{Clients, Events, Insertion, NOBODY, Packages, Sealed, Unbilled};
use crate::store::blob::{Blob, read_all};

/// Half months that are closed at the same time, each with all of its events in memory.
const WIDTH: usize = 4;
/// Events that are looked up at the same time.
const LOOK_UPS: usize = 32;

/// A half month of a client that can be closed.
struct Begun {
    /// The packages of it that were sealed.
    before: Vec<Sealed>,
    /// What was used. Its events would take too much memory while they are waited for.
    used: Usage,
    terms: Terms,
}

/// What there is of a half month of a client.
#[derive(Debug)]
pub struct Found {
    /// Whose.
    pub client: String,
    /// Which.
    pub half: HalfMonth,
    /// The packages of it that were sealed.
    pub packages: Vec<Sealed>,
    /// Its events. They were looked for after the packages: what is billed meanwhile is among them.
    pub events: Vec<Admitted>,
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
        // As lists, whose types say nothing of how they were made: the futures may be sent.
        let begin: Vec<_> = halves.iter().map(|(client, half)| self.begin(client, *half)).collect();
        let first: Vec<Result<Option<Begun>>> = stream::iter(begin).buffered(WIDTH).collect().await;
        if first.iter().any(|begun| matches!(begun, Ok(Some(_)))) {
            // All events are looked for twice, since those that were kept shortly before may be missing. What both times find is whole, as a rule.
            self.clock.sleep(self.settles).await;
        }
        let end: Vec<_> = halves
            .iter()
            .zip(first)
            .map(|((client, half), begun)| async move {
                match begun {
                    Ok(Some(begun)) => self.end(client, *half, &begun).await,
                    Ok(None) => Ok(Closed::Open),
                    Err(error) => Err(error),
                }
            })
            .collect();
        stream::iter(end).buffered(WIDTH).collect().await
    }

    /// The packages of a half that can be closed, and what was used in it; `None` of one that cannot.
    async fn begin(&self, client: &str, half: HalfMonth) -> Result<Option<Begun>> {
        if client == NOBODY {
            return Ok(None);
        }
        let now = moment(self.clock.now())?;
        let unknown =
            || Error::config(format!("there are no terms of client {client:?} any more, who has events to be billed"));
        let terms = self.clients.terms(client).await?.ok_or_else(unknown)?;
        if terms.closes(half).is_none_or(|closes| now < closes) {
            return Ok(None);
        }
        // Before the events: whatever another closer seals after that, this one does not seal a second time.
        let before = self.packages.of(client, half).await?;
        Ok(Some(Begun { before, used: whole(&self.used(client, half).await?), terms }))
    }

    async fn used(&self, client: &str, half: HalfMonth) -> Result<Used> {
        Ok(used(self.events.billed_in(client, half).await?))
    }

    async fn end(&self, client: &str, half: HalfMonth, begun: &Begun) -> Result<Closed> {
        let Begun { before, used: seen, terms } = begun;
        let used = self.used(client, half).await?;
        if whole(&used) != *seen {
            return Ok(Closed::Moving);
        }
        let mut issued = Vec::with_capacity(before.len());
        for sealed in before {
            issued.push(self.issued(sealed).await?);
        }
        let Some(Issued { package, events }) = next(client, half, &used, &issued, terms)? else {
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

    /// What there is of a half month of a client, or of [`NOBODY`].
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn found(&self, client: &str, half: HalfMonth) -> Result<Found> {
        let packages = self.packages.of(client, half).await?;
        Ok(Found { client: client.to_owned(), half, packages, events: self.events.billed_in(client, half).await? })
    }

    /// How a half month stands: what came is counted by itself, and what was billed by the packages. What is not billed is in the half month in
    /// which it came.
    ///
    /// # Errors
    /// Those of the stores; `Transient` if events that were billed are not among those that were found.
    pub async fn statement(&self, found: Found) -> Result<Statement> {
        let Found { client, half, packages: sealed, events } = found;
        let used = used(events);
        let (mut packages, mut billed, mut events) = (Vec::with_capacity(sealed.len()), BTreeSet::new(), 0);
        for sealed in &sealed {
            let issued = self.issued(sealed).await?;
            let sending = self.packages.read(&sealed.id).await?.map(|(_, sending)| sending);
            events += issued.package.events;
            billed.extend(issued.events);
            packages.push(Invoiced::new(issued.package, sending));
        }
        if billed.iter().any(|id| !used.contains_key(id)) {
            return Err(Error::transient(format!("events of {half} were billed and are not found just now")));
        }
        let (conflicts, rejected) = self.listed(&client, half).await?;
        let unbilled = used.keys().filter(|id| !billed.contains(*id)).count() as u64;
        let counts =
            Counts { came: used.len() as u64 + conflicts + rejected, billed: events, unbilled, conflicts, rejected };
        Ok(Statement::new(&client, half, counts, packages))
    }

    /// The events that came in a half month and are not billed: how many are conflicts, and how many are rejected.
    async fn listed(&self, client: &str, half: HalfMonth) -> Result<(u64, u64)> {
        let (mut conflicts, mut rejected) = (0, 0);
        let listed = self.events.listed_in(client, half).await?;
        let found: Vec<_> = listed.iter().map(|(event, _)| self.events.find(event)).collect();
        let found: Vec<Insertion> = stream::iter(found).buffered(LOOK_UPS).try_collect().await?;
        // What was listed when it came first may have been kept later.
        for ((_, why), _) in listed.iter().zip(found).filter(|(_, found)| *found != Insertion::Duplicate) {
            if *why == Unbilled::Conflict { conflicts += 1 } else { rejected += 1 }
        }
        Ok((conflicts, rejected))
    }

    /// What would be billed now, if the half month were closed: `None` if all of it is billed.
    ///
    /// # Errors
    /// As of [`close`](Self::close).
    pub async fn preview(&self, client: &str, half: HalfMonth) -> Result<Option<Issued>> {
        let unknown = || Error::malformed(format!("there is no client {client:?}"));
        let terms = self.clients.terms(client).await?.ok_or_else(unknown)?;
        let mut before = Vec::new();
        for sealed in self.packages.of(client, half).await? {
            before.push(self.issued(&sealed).await?);
        }
        next(client, half, &self.used(client, half).await?, &before, &terms)
    }

    /// A package that was sealed, and its events.
    ///
    /// # Errors
    /// `Config` if its bytes are gone, or were changed.
    pub async fn issued(&self, sealed: &Sealed) -> Result<Issued> {
        let unread = |e| Error::internal(format!("{} is not readable", sealed.object)).because(e);
        let package = serde_json::from_slice(&bytes_of(&self.output, sealed).await?).map_err(unread)?;
        let events = events_of(&sealed.object);
        let events = read_all(&self.output, &events).await?.ok_or_else(|| gone(&events))?;
        Ok(Issued { package, events: serde_json::from_slice(&events).map_err(unread)? })
    }
}

/// The next package of a half month, which may be one of nothing.
fn next(client: &str, half: HalfMonth, used: &Used, before: &[Issued], terms: &Terms) -> Result<Option<Issued>> {
    let prices = terms.prices.as_ref();
    if before.is_empty() && used.is_empty() && terms.bills_nothing(half) {
        return Issued::nothing(client, half, prices).map(Some);
    }
    Issued::next(client, half, used, before, prices)
}

/// Events by their identities.
fn used(events: Vec<Admitted>) -> Used {
    events.into_iter().map(|event| (event.event.identity(), (event.day, event.event))).collect()
}

/// What events say together.
fn whole(used: &Used) -> Usage {
    Usage::of(used.values().map(|(_, event)| event))
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
