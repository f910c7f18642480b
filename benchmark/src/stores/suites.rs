//! What every implementation of these stores must do: the suites that the library's own are held to.

#[path = "../../../tests/contract/blob.rs"]
pub mod blob;
#[path = "../../../tests/contract/channel.rs"]
pub mod channel;
#[path = "../../../tests/contract/tasks.rs"]
pub mod tasks;
