//! The engine on stores in memory. One binary: each would compile the stages once more.

mod aggregate;
mod any_file;
mod batch_manifests;
mod bookmarks;
mod counting_calls;
mod fair;
mod gather;
mod late;
mod limits;
mod map;
mod notification;
mod objects;
mod processor;
mod ranged;
mod reasons;
mod rules;
mod sweep;
mod tolerance;
mod topic;
mod view;
