//! The processor `http`: rate, concurrency, pauses and what becomes of each record, in virtual time.

mod api;
mod outcomes;
mod rate;
mod virtual_time;
