//! Billing of what clients consume: events that say what was used, the halves of months in which it is billed, and how that is sent.

pub mod admission;
pub mod aggregate;
pub mod calendar;
pub mod event;
pub mod money;
pub mod package;
pub mod sending;
pub mod statement;
pub mod terms;
pub mod usage;
