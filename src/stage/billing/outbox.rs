//! Sends the packages that are due: their rows are the outbox, and nothing has to tell that one is there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde::Serialize;

use crate::model::billing::package::PackageId;
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::stage::billing::send::{Send, Sent};
use crate::store::Clock;
use crate::store::billing::{Invoices, Packages};
use crate::store::blob::Blob;
use crate::store::meter::Meter;

/// Packages that are asked for at once, and those that are worked on at the same time.
const MOST: usize = 200;
const WIDTH: usize = 16;
/// How often it is looked whether something is due that is not yet.
const LOOK: Duration = Duration::from_millis(500);

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// Packages with which nothing more is done.
    pub ended: usize,
    /// Packages for which something could not be done because of an error.
    pub failed: usize,
}

/// Works on all packages that are due before `until`, or become so, as far as there is time.
///
/// # Errors
/// If it is not known which are due.
pub async fn drain<P, I, B, M, K>(send: &Send<P, I, B, M, K>, until: Timestamp) -> Result<Drained>
where
    P: Packages,
    I: Invoices,
    B: Blob,
    M: Meter,
    K: Clock,
{
    let (mut drained, mut given_up) = (Drained::default(), BTreeSet::new());
    loop {
        let now = send.clock.now();
        // Those that are due later, too: what is not needed is not waited for.
        let mut left = send.packages.due(until, MOST + given_up.len()).await?;
        left.retain(|id| !given_up.contains(id));
        if left.is_empty() || now >= until {
            return Ok(drained);
        }
        let due: BTreeSet<PackageId> = send.packages.due(now, MOST + given_up.len()).await?.into_iter().collect();
        left.retain(|id| due.contains(id));
        if left.is_empty() {
            send.clock.sleep(LOOK).await;
            continue;
        }
        // Once one has to wait for all requests, so have the others; once there is no time for one, there is none for any.
        let (held, over) = (AtomicI64::new(0), AtomicBool::new(false));
        let advance = async |id: PackageId| {
            let at = held.load(Ordering::Relaxed);
            if at >= until.0 || over.load(Ordering::Relaxed) {
                return (Ok(Sent::NoTime), id);
            }
            if let Ok(left @ 1..) = u64::try_from(at - send.clock.now().0) {
                send.clock.sleep(Duration::from_millis(left)).await;
            }
            (send.advance(&id, until).await, id)
        };
        // As a list, whose type says nothing of how it was made: the future may be sent.
        let work: Vec<_> = left.into_iter().map(advance).collect();
        let mut work = stream::iter(work).buffer_unordered(WIDTH);
        while let Some((sent, id)) = work.next().await {
            match sent {
                Ok(Sent::Held(at)) => _ = held.fetch_max(at.0, Ordering::Relaxed),
                Ok(Sent::NoTime) => over.store(true, Ordering::Relaxed),
                Ok(Sent::Ended(state)) => {
                    tracing::info!(package = %id, ?state, "package ended");
                    drained.ended += 1;
                }
                Ok(Sent::Waits(at)) if at < until => {}
                Ok(Sent::Waits(_)) => _ = given_up.insert(id),
                Err(error) => {
                    tracing::warn!(package = %id, %error, "package not sent");
                    drained.failed += 1;
                    given_up.insert(id);
                }
            }
        }
        if over.load(Ordering::Relaxed) {
            return Ok(drained);
        }
    }
}
