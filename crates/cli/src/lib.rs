//! The `fanfold` command.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::print_stdout, clippy::print_stderr)] // they panic when the reader has gone away
#![warn(missing_docs)]

pub mod command;
mod draft;
mod exec;
pub mod interrupt;
pub mod output;
mod rows;
mod source;
mod stores;
