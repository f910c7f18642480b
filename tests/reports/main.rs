//! Reports from the request to the documents, on stores in memory.

mod crashes;
mod documents;
mod steps;
mod waiting;
mod world;
