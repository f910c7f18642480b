//! Sends packages, and looks after what became of them.

use std::time::Duration;

use bytes::Bytes;

use crate::model::billing::package::PackageId;
use crate::model::billing::sending::{Answer, Guarantees, Lookup, SendState, Sending, Step};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::timestamp::Timestamp;
use crate::processor::billing::close::bytes_of;
use crate::store::Clock;
use crate::store::billing::{Invoices, Packages, Sealed};
use crate::store::blob::Blob;
use crate::store::meter::{Ask, Meter, Reserved};

/// The name of the meter that all requests to the API share.
const METER: &str = "invoices";
/// How long before a request its moment is reserved at first, in milliseconds: what is written before it takes a part of this.
const LEAD: i64 = 250;
const MOST_LEAD: i64 = 2_000;
/// How long before a request its moment is reserved at the most, in milliseconds: an API that asks for fewer requests gets those.
const AHEAD: i64 = 5_000;
/// How much later than its moment a request may begin, in milliseconds.
const SLACK: i64 = 20;
/// The longest that an API keeps all requests waiting, in seconds.
const LONGEST_HOLD: i64 = 3_600;
/// When a package is looked at again for which a person has to do something, one that waits for another that is under way, and one whose
/// bytes could not be read just now, in seconds.
const BLOCKED: i64 = 300;
const UNDER_WAY: i64 = 15;
const UNREAD: i64 = 10;

/// Sends packages.
#[derive(Debug, Clone)]
pub struct Send<P, I, B, M, K> {
    /// Where packages are.
    pub packages: P,
    /// The API.
    pub invoices: I,
    /// Where the bytes of packages are.
    pub output: B,
    /// What spaces requests.
    pub meter: M,
    /// The time.
    pub clock: K,
    /// What is relied on of the API.
    pub guarantees: Guarantees,
    /// The time between two requests.
    pub spacing: Duration,
}

/// How far a package came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Nothing more is done for it.
    Ended(SendState),
    /// Nothing can be done for it before this moment.
    Waits(Timestamp),
    /// Nothing can be sent before this moment, of whichever package.
    Held(Timestamp),
    /// Something can be done for it, and no time was left.
    NoTime,
}

impl<P: Packages, I: Invoices, B: Blob, M: Meter, K: Clock> Send<P, I, B, M, K> {
    /// Does for a package what can be done before `until`. A second sender that does so at the same time, or one that died while doing so, does
    /// no harm.
    ///
    /// # Errors
    /// If something prevents it; it is to be given again.
    pub async fn advance(&self, id: &PackageId, until: Timestamp) -> Result<Sent> {
        let mut lead = LEAD;
        loop {
            let unknown = || Error::malformed(format!("there is no package {id}"));
            let (sealed, sending) = self.packages.read(id).await?.ok_or_else(unknown)?;
            let step = match sending.step(self.clock.now(), &self.guarantees) {
                Step::Nothing => return Ok(Sent::Ended(sending.state)),
                Step::Wait(moment) => return Ok(Sent::Waits(moment)),
                step => step,
            };
            let bytes = match step {
                Step::Send => match self.prepared(&sealed, &sending).await? {
                    Ok(bytes) => Some(bytes),
                    Err(due) => return Ok(Sent::Waits(due)),
                },
                _ => None,
            };
            let moment = match self.reserve(lead, until).await? {
                Ok(moment) => moment,
                Err(sent) => return Ok(sent),
            };
            // Its key may be forgotten by then.
            let in_time = match bytes.filter(|_| sending.step(moment, &self.guarantees) == Step::Send) {
                Some(bytes) => self.send(&sealed, &sending, &bytes, moment).await?,
                None => self.look_up(id, &sending, moment).await?,
            };
            // Where stores are slow, moments are reserved earlier.
            lead = if in_time { LEAD } else { MOST_LEAD.min(lead * 2) };
        }
    }

    /// The bytes of a package that can be sent; or when it is looked at again, if it has to wait for something else.
    async fn prepared(&self, sealed: &Sealed, sending: &Sending) -> Result<std::result::Result<Bytes, Timestamp>> {
        let id = &sealed.id;
        if let Some(sequence) = id.sequence.checked_sub(1) {
            let before = PackageId { sequence, ..id.clone() };
            let state = self.packages.read(&before).await?.map(|(_, before)| before.state);
            if !state.is_some_and(SendState::is_invoiced) {
                // What adjusts an invoice comes after it.
                let seconds = if state.is_none_or(SendState::is_final) { BLOCKED } else { UNDER_WAY };
                let waits = sending.postponed(seconds, &format!("it waits for {before}"), self.clock.now());
                self.packages.write(id, &waits).await?;
                return Ok(Err(waits.due));
            }
        }
        match bytes_of(&self.output, sealed).await {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(error) => {
                // It must not stand in front of all others for ever.
                let passes = matches!(error.kind, ErrorKind::Transient | ErrorKind::Busy);
                let seconds = if passes { UNREAD } else { BLOCKED };
                let waits = sending.postponed(seconds, &error.to_string(), self.clock.now());
                self.packages.write(id, &waits).await?;
                Err(error)
            }
        }
    }

    /// The moment at which a request may begin, or what is answered if that would be too late.
    async fn reserve(&self, lead: i64, until: Timestamp) -> Result<std::result::Result<Timestamp, Sent>> {
        let now = self.clock.now().0;
        let (earliest, last) = (Timestamp(now + lead), until.plus_seconds(-self.guarantees.request_timeout));
        if last < earliest {
            return Ok(Err(Sent::NoTime));
        }
        let latest = last.min(Timestamp(now + AHEAD));
        let ask = Ask { calls: 1, spacing: self.spacing, latest };
        Ok(match self.meter.reserve(METER, ask, earliest).await? {
            Reserved::Later(moment) => Err(Sent::Held(moment)),
            Reserved::Granted(moments) => Ok(moments.first().copied().unwrap_or(earliest)),
        })
    }

    /// Waits for a moment; returns whether it has not passed.
    async fn wait_for(&self, moment: Timestamp) -> bool {
        let left = moment.0 - self.clock.now().0;
        if let Ok(left @ 1..) = u64::try_from(left) {
            self.clock.sleep(Duration::from_millis(left)).await;
        }
        self.clock.now().0 - moment.0 <= SLACK
    }

    /// Sends a package at a moment; returns whether it was not too late for that.
    async fn send(&self, sealed: &Sealed, sending: &Sending, bytes: &[u8], moment: Timestamp) -> Result<bool> {
        let begun = sending.begun(moment, &self.guarantees);
        if !self.packages.write(&sealed.id, &begun).await? {
            return Ok(true); // a second sender is at it
        }
        if !self.wait_for(moment).await {
            // Others reserved the moments after it, and take this sender for dead some time after that.
            self.packages.write(&sealed.id, &begun.not_made(sending)).await?;
            return Ok(false);
        }
        let until = moment.plus_seconds(self.guarantees.request_timeout);
        let answer = self.invoices.create(&sealed.id, &sealed.id.key(begun.epoch), bytes, until).await;
        let busy = if let Answer::Busy(seconds) = &answer { Some(*seconds) } else { None };
        let answered = begun.answered(answer, self.clock.now(), &self.guarantees);
        let held = self.hold(busy).await;
        self.packages.write(&sealed.id, &answered).await?;
        held.map(|()| true)
    }

    /// Looks an invoice up at a moment; returns whether it was not too late for that.
    async fn look_up(&self, id: &PackageId, sending: &Sending, moment: Timestamp) -> Result<bool> {
        if !self.wait_for(moment).await {
            return Ok(false);
        }
        let from = self.clock.now();
        let found = self.invoices.find(id, from.plus_seconds(self.guarantees.request_timeout)).await;
        let busy = if let Lookup::Busy(seconds) = &found { Some(*seconds) } else { None };
        let looked_up = sending.looked_up(found, from, self.clock.now(), &self.guarantees);
        let held = self.hold(busy).await;
        self.packages.write(id, &looked_up).await?;
        held.map(|()| true)
    }

    /// Sends nothing to an API that asked for fewer requests for as long as it said, or for a second.
    async fn hold(&self, busy: Option<Option<i64>>) -> Result<()> {
        let Some(seconds) = busy else {
            return Ok(());
        };
        let seconds = seconds.unwrap_or(1).clamp(1, LONGEST_HOLD);
        self.meter.hold(METER, self.clock.now().plus_seconds(seconds)).await
    }
}
