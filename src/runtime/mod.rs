//! What binds the stages to the world: configuration, logs, AWS clients, Lambda events, the clock;
//! and the `fanfold` command.

pub mod aws;
pub mod command;
pub mod config;
pub mod deployment;
pub mod lambda;
pub mod server;
pub mod telemetry;
