//! fanfold: a file of records, cut into chunks, processed in parallel, summed up exactly once.
//!
//! ```text
//!            ┌─────────┐   claim checks   ┌─────────┐        marks       ┌────────┐
//!  file ───► │ scatter │ ───────────────► │ process │ ─────────────────► │ gather │ ───► results.csv
//!            └─────────┘  (one a chunk)   └─────────┘  (the last one     └────────┘      failed.csv
//!                 │                        │       │    of a batch           ▲           summary.json
//!                 ▼                        ▼       ▼    wakes gather)        │
//!            records wait             Processor   outcomes ──────────────────┘
//!                                     (yours)
//! ```
//!
//! This crate is the engine: it knows neither AWS nor Lambda. The same stages run as functions on AWS
//! (the crates `fanfold-aws` and `fanfold-lambda`), and in one process, on stores in memory:
//!
//! ```
//! use fanfold::{Each, LocalPipeline, Record, Reply, Settings};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), fanfold::Error> {
//!     let greet = Each(|record: Record| async move {
//!         let age = record.fields["age"].as_u64().unwrap_or_default();
//!         Ok(if age < 18 { Reply::Failed("too young".to_owned()) } else { Reply::Done(None) })
//!     });
//!     let schema = r#"{"required":["name"],"properties":{"age":{"type":"integer"}}}"#.to_owned();
//!     let settings = Settings { schema, key_field: "name".to_owned(), ..Settings::default() };
//!     let pipeline = LocalPipeline::new(&settings, greet)?;
//!     let summary = pipeline.run_file("people.csv", "name,age\nAda,36\nBob,12\nCy,old\n").await?;
//!     assert_eq!((summary.records.succeeded, summary.records.failed), (1, 2));
//!     assert_eq!(summary.failures[0].message, "line 3: too young");
//!     Ok(())
//! }
//! ```
//!
//! A [`Processor`] is given the valid records of some chunks and answers for each of them; [`Each`] makes one from a
//! function of one record. A chunk that fails for the time being is retried, up to five attempts in all; a rejected
//! record is reported with its reason. The outcome of every record is in the outputs, whatever crashed in between.
//!
//! The layers, each of which may use only those before it: [`model`] (pure data and rules), the [`store`]s,
//! [`mod@format`] (bytes to records), [`render`] (what is written), [`processor`] (what is done with a record),
//! [`batch`] (batch logic that the stages share), [`intake`] (what starts a batch), the [`stage`]s, and the
//! [`pipeline`]s that put stages together.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod batch;
pub mod format;
pub mod intake;
pub mod model;
pub mod pipeline;
pub mod processor;
pub mod render;
pub mod stage;
pub mod store;

pub use model::error::{Error, Result};
pub use model::summary::Summary;
pub use pipeline::Pipeline;
pub use pipeline::local::{LocalPipeline, Settings};
pub use processor::each::Each;
pub use processor::{Chunk, Processor, Record, Reply};
