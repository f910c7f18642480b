//! Billing, beside what is done with records: what is to be closed is put into a file, and what was sealed is sent.

pub mod invoices;
pub mod outbox;
pub mod plan;
pub mod send;
