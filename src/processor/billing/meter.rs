//! Keeps events, each once.

use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use crate::model::billing::admission::Admitted;
use crate::model::billing::calendar::zone_data;
use crate::model::billing::event::{UsageEvent, Wrong};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::timestamp::Timestamp;
use crate::store::Clock;
use crate::store::billing::{Clients, Events, Insertion, Unbilled};

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metered {
    /// It is billed.
    Kept,
    /// It was there already.
    Known,
    /// It is not billed, and listed for this reason.
    Unbilled(Unbilled),
    /// It is no event.
    Wrong(Wrong),
}

/// Keeps events.
#[derive(Debug, Clone)]
pub struct Meter<E, C, K> {
    /// Where.
    pub events: E,
    /// The terms of clients.
    pub clients: C,
    /// The time.
    pub clock: K,
}

impl<E: Events, C: Clients, K: Clock> Meter<E, C, K> {
    /// Takes an event, however often it comes.
    ///
    /// # Errors
    /// If that is not known: the event is to be given again.
    pub async fn take(&self, event: &Value) -> Result<Metered> {
        let event = match UsageEvent::parse(event) {
            Ok(event) => event,
            Err(wrong) => return Ok(Metered::Wrong(wrong)),
        };
        let terms = match self.clients.terms(&event.client).await {
            Ok(Some(terms)) => terms,
            Ok(None) => return self.late(&self.placed(event)?, Unbilled::Nobody).await,
            Err(error) if error.kind == ErrorKind::Malformed => {
                return self.late(&self.placed(event)?, Unbilled::Rejected(error.to_string())).await;
            }
            Err(error) => return Err(error),
        };
        let (admitted, now) = (terms.place(event), self.now()?);
        let came = || Admitted { day: terms.zones.day(now), ..admitted.clone() };
        if let Some(reason) = terms.refusal(&admitted.event, now) {
            return self.late(&came(), Unbilled::Rejected(reason)).await;
        }
        match self.events.keep(&admitted).await? {
            Insertion::Created => Ok(Metered::Kept),
            Insertion::Duplicate => Ok(Metered::Known),
            Insertion::Conflict => self.unbilled(&came(), Unbilled::Conflict).await,
        }
    }

    /// An event that is not kept any more: it is known if it was kept before.
    async fn late(&self, event: &Admitted, why: Unbilled) -> Result<Metered> {
        match self.events.find(event).await? {
            Insertion::Duplicate => Ok(Metered::Known),
            Insertion::Conflict => self.unbilled(event, Unbilled::Conflict).await,
            Insertion::Created => self.unbilled(event, why).await,
        }
    }

    /// An event of which no zone is known, on the day on which it came.
    fn placed(&self, event: UsageEvent) -> Result<Admitted> {
        let day = self.now()?.to_zoned(TimeZone::UTC).date();
        Ok(Admitted { event, day, zone: "UTC".to_owned(), offset: Offset::UTC, zone_data: zone_data().to_owned() })
    }

    fn now(&self) -> Result<jiff::Timestamp> {
        moment(self.clock.now())
    }

    /// Lists an event on the day on which it came: its own may be years away.
    async fn unbilled(&self, event: &Admitted, why: Unbilled) -> Result<Metered> {
        self.events.list(event, &why).await?;
        Ok(Metered::Unbilled(why))
    }
}

/// A moment with nanoseconds.
pub(crate) fn moment(now: Timestamp) -> Result<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(now.0)
        .map_err(|e| Error::internal("the clock is beyond all calendars").because(e))
}
