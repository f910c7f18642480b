//! How fast calls may begin, and how many may be under way, over all functions and cold starts.
//!
//! A meter keeps the moment from which the next call may begin: the generic cell rate algorithm without any burst
//! (<https://www.itu.int/rec/T-REC-I.371>). A caller moves that moment on by the spacing of its calls, and thereby reserves the
//! moments between for itself. An idle time is not saved up: nothing is reserved before the present.
//!
//! The present is what the caller's clock says, and callers' clocks differ. One that is fast by a second makes its calls a
//! second before the moments that it reserved, among those of the others: within a second, twice the rate is possible, once
//! for each time it reserves after an idle time. Nothing accumulates, since all reserve from one moment: over a time `t`,
//! there are never more calls than the rate allows in `t` plus the greatest difference of two clocks. A clock that is fast by
//! `d` makes all others wait by at most `d`. Clocks of functions differ by milliseconds
//! (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).

pub mod memory;
pub mod surrounded;

use std::future::Future;
use std::time::Duration;

use crate::model::error::Result;
use crate::model::timestamp::Timestamp;

/// Moments that a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// How many, at least one.
    pub calls: u32,
    /// The time between two of them; zero if only [`Meter::hold`] is to be obeyed.
    pub spacing: Duration,
    /// The first must lie no later.
    pub latest: Timestamp,
}

/// What a caller got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// One call may begin at each of these moments, in order. None lies before the caller's present: what is not used
    /// when its time comes is lost.
    Granted(Vec<Timestamp>),
    /// Nothing: the next call may begin at this moment, which lies after the latest that was asked for.
    Later(Timestamp),
}

/// What one caller holds of the calls that may be under way at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it: a name that nobody else has, of letters and digits.
    pub holder: String,
    /// How many calls.
    pub slots: u32,
}

/// What a caller wants to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// How many calls; 0 gives all of them back.
    pub slots: u32,
    /// The most that all callers may hold together.
    pub limit: u32,
    /// Until when, unless the lease is renewed before. After that, others may take what it holds.
    pub until: Timestamp,
}

/// Meters by their names. Failed calls may still have taken effect: moments that nobody uses are lost.
pub trait Meter: Send + Sync + 'static {
    /// Reserves moments.
    fn reserve(&self, name: &str, ask: Ask, now: Timestamp) -> impl Future<Output = Result<Reserved>> + Send;

    /// Lets nothing begin before a moment, unless it is reserved already. Idempotent; the latest moment counts.
    fn hold(&self, name: &str, until: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Takes, keeps, or gives back calls that may be under way, and returns how many the caller holds now: what it wants,
    /// or as many as are left, or fewer than before if its lease ended. A renewal wants what it holds, until a later
    /// moment. Idempotent.
    fn lease(&self, name: &str, lease: &Lease, want: Want, now: Timestamp) -> impl Future<Output = Result<u32>> + Send;
}

/// The moments of a reservation in microseconds, as timestamps: none is too early.
pub fn moments(first: i64, spacing: i64, calls: u32) -> Vec<Timestamp> {
    (0..i64::from(calls)).map(|n| Timestamp((first + n * spacing + 999).div_euclid(1000))).collect()
}

/// The spacing in microseconds.
pub fn micros(spacing: Duration) -> i64 {
    i64::try_from(spacing.as_micros()).unwrap_or(i64::MAX / 1_000_000)
}
