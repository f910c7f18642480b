//! Meters in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::meter::{Ask, Lease, Meter, Reserved, Want, micros, moments};

#[derive(Debug, Default)]
struct One {
    /// From when the next call may begin, in microseconds.
    next: i64,
    leases: BTreeMap<String, (u32, Timestamp)>,
}

/// Meters in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryMeter(Arc<Mutex<BTreeMap<String, One>>>);

impl MemoryMeter {
    /// Meters that nobody has used.
    pub fn new() -> Self {
        Self::default()
    }

    fn one<T>(&self, name: &str, act: impl FnOnce(&mut One) -> T) -> T {
        act(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default())
    }
}

impl Meter for MemoryMeter {
    async fn reserve(&self, name: &str, ask: Ask, now: Timestamp) -> Result<Reserved> {
        Ok(self.one(name, |one| {
            let (first, spacing) = (one.next.max(now.0 * 1000), micros(ask.spacing));
            if first > ask.latest.0 * 1000 {
                return Reserved::Later(Timestamp(first.div_euclid(1000) + 1));
            }
            one.next = first + spacing * i64::from(ask.calls);
            Reserved::Granted(moments(first, spacing, ask.calls))
        }))
    }

    async fn hold(&self, name: &str, until: Timestamp) -> Result<()> {
        self.one(name, |one| one.next = one.next.max(until.0 * 1000));
        Ok(())
    }

    async fn lease(&self, name: &str, lease: &Lease, want: Want, now: Timestamp) -> Result<u32> {
        Ok(self.one(name, |one| {
            one.leases.retain(|holder, (_, until)| *until > now || *holder == lease.holder);
            let held = one.leases.get(&lease.holder).map_or(0, |(slots, _)| *slots);
            let others: u32 = one.leases.values().map(|(slots, _)| *slots).sum::<u32>() - held;
            let slots = want.slots.min(want.limit.saturating_sub(others));
            // Whoever lowers the limit takes nothing away from those who hold more.
            let slots = slots.max(held.min(want.slots));
            match slots {
                0 => drop(one.leases.remove(&lease.holder)),
                _ => drop(one.leases.insert(lease.holder.clone(), (slots, want.until))),
            }
            slots
        }))
    }
}
