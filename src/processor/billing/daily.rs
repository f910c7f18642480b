//! Makes what clients used by days, and by hours, anew.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::model::billing::admission::Admitted;
use crate::model::billing::aggregate::{Aggregate, Grain, fold, is_hour};
use crate::model::billing::calendar::HalfMonth;
use crate::model::error::{Error, ErrorKind, Result};
use crate::store::billing::{Aggregates, NOBODY};

/// Rows that are written at the same time.
const WIDTH: usize = 8;

/// Sets the rows of days, and of hours.
#[derive(Debug, Clone)]
pub struct Daily<A> {
    /// Where they are.
    pub aggregates: A,
    /// What there are rows of.
    pub grain: Grain,
}

/// The rows of a half month as they were before its events were read: whoever sets one after that is noticed. `None` if they cannot be read.
#[derive(Debug)]
pub struct Before(Option<BTreeMap<String, Aggregate>>);

impl<A: Aggregates> Daily<A> {
    /// The rows of a half month of a client. Its events are to be read after that.
    ///
    /// # Errors
    /// Those of the store that may pass.
    pub async fn before(&self, client: &str, half: HalfMonth) -> Result<Before> {
        if client == NOBODY {
            return Ok(Before(Some(BTreeMap::new())));
        }
        match self.aggregates.used_in(client, half).await {
            Ok(rows) => Ok(Before(Some(rows))),
            Err(error) if passes(&error) => Err(error),
            Err(error) => {
                tracing::warn!(%error, client, %half, "rows of days cannot be read");
                Ok(Before(None))
            }
        }
    }

    /// Sets the rows of a half month of a client to what its events say, and returns how many do not say that now: events may be missing of
    /// which a row was made, since an index shows them late, or somebody else may set a row meanwhile. The next run sets them.
    ///
    /// # Errors
    /// Those of the store that may pass.
    pub async fn set(&self, client: &str, Before(there): &Before, events: &[Admitted]) -> Result<usize> {
        // Hours that are there go on, whatever is wanted by now.
        let hours = there.iter().flatten().any(|(period, _)| is_hour(period));
        let mut all = fold(events, if hours { Grain::Hour } else { self.grain });
        let Some(there) = there else {
            return Ok(all.len());
        };
        let mut behind = 0;
        for (period, row) in there {
            let made_of = row.usage.events;
            match all.get(period) {
                Some(usage) if *usage == row.usage => _ = all.remove(period),
                Some(usage) if usage.events >= made_of => {}
                known => {
                    let found = known.map_or(0, |usage| usage.events);
                    let told = "a row is left that was made of more events; if some were removed, remove the row";
                    tracing::warn!(client, period, made_of, found, "{told}");
                    all.remove(period);
                    behind += 1;
                }
            }
        }
        let version = |period: &String| there.get(period).map_or(0, |row| row.version) + 1;
        let set: Vec<_> = all
            .into_iter()
            .map(|(period, usage)| {
                let row = Aggregate { version: version(&period), usage };
                async move {
                    match self.aggregates.set(client, &period, &row).await {
                        Err(error) if !passes(&error) => {
                            tracing::warn!(%error, client, period, "a row cannot be set");
                            Ok(false)
                        }
                        set => set,
                    }
                }
            })
            .collect();
        let set: Vec<bool> = stream::iter(set).buffered(WIDTH).try_collect().await?;
        Ok(behind + set.into_iter().filter(|set| !set).count())
    }
}

/// Whether a call that failed is to be made again.
fn passes(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Busy | ErrorKind::Transient)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::billing::admission::Terms;
    use crate::model::billing::calendar::{Zone, Zones};
    use crate::model::billing::event::UsageEvent;
    use crate::store::billing::memory::MemoryBilling;

    fn event(id: u32) -> Admitted {
        let zones = Zones::always(Zone::named("Asia/Kathmandu").unwrap());
        let (grace, horizon) = (jiff::SignedDuration::ZERO, jiff::SignedDuration::MAX);
        let event = json!({
            "specversion": "1.0", "source": "/m", "id": id.to_string(), "subject": "anna", "type": "kwh", "time": "2026-02-28T12:00:00Z",
            "data": {"quantity": "1.5"},
        });
        Terms { zones, grace, horizon, prices: None, zero_usage_from: None }.place(UsageEvent::parse(&event).unwrap())
    }

    fn rows(store: &MemoryBilling) -> Vec<(String, u64, u64)> {
        let rows = store.aggregates().into_iter();
        rows.map(|((_, period), row)| (period, row.version, row.usage.events)).collect()
    }

    fn named(rows: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        rows.iter().map(|(period, version, events)| ((*period).to_owned(), *version, *events)).collect()
    }

    #[tokio::test]
    async fn rows_are_set_to_what_events_say_and_never_to_fewer() {
        let store = MemoryBilling::new();
        let of = |grain| Daily { aggregates: store.clone(), grain };
        let half = event(1).half();
        let set = async |grain, events: &[Admitted]| {
            let before = of(grain).before("anna", half).await.unwrap();
            of(grain).set("anna", &before, events).await.unwrap()
        };
        assert_eq!(set(Grain::Day, &[event(1), event(2)]).await, 0);
        assert_eq!(rows(&store), named(&[("2026-02-28", 1, 2)]));
        assert_eq!(set(Grain::Day, &[event(2), event(1)]).await, 0, "nothing is new");
        assert_eq!(rows(&store), named(&[("2026-02-28", 1, 2)]));
        assert_eq!(set(Grain::Day, &[event(1)]).await, 1, "an event is missing");
        assert_eq!(set(Grain::Day, &[]).await, 1, "all events are missing");
        assert_eq!(rows(&store), named(&[("2026-02-28", 1, 2)]));
        let three = [event(1), event(2), event(3)];
        assert_eq!(set(Grain::Hour, &three).await, 0);
        let both = named(&[("2026-02-28", 2, 3), ("2026-02-28T17+05:45", 1, 3)]);
        assert_eq!(rows(&store), both);
        assert_eq!(set(Grain::Day, &three).await, 0);
        assert_eq!(rows(&store), both);
        assert_eq!(set(Grain::Day, &[event(1), event(2), event(3), event(4)]).await, 0);
        let both = named(&[("2026-02-28", 3, 4), ("2026-02-28T17+05:45", 2, 4)]);
        assert_eq!(rows(&store), both, "hours that are there go on");
    }

    /// Whoever looked first does not set a row to what it saw before somebody else set it.
    #[tokio::test]
    async fn of_two_who_set_a_row_one_does() {
        let store = MemoryBilling::new();
        let daily = Daily { aggregates: store.clone(), grain: Grain::Day };
        let before = daily.before("anna", event(1).half()).await.unwrap();
        let later = daily.before("anna", event(1).half()).await.unwrap();
        assert_eq!(daily.set("anna", &later, &[event(1), event(2)]).await.unwrap(), 0);
        assert_eq!(daily.set("anna", &before, &[event(1)]).await.unwrap(), 1);
        assert_eq!(rows(&store), named(&[("2026-02-28", 1, 2)]));
    }
}
