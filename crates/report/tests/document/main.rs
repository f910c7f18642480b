//! Documents, read again by their tags.

mod contents;
mod data;
mod names;
mod pdf;
mod template;
mod wrong;
