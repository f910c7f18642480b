//! A model of AWS: how long a batch takes by what AWS documents of its services, what its functions do and how long that takes them.
//!
//! A batch is [described](work::Batch) by what each of its functions computes and calls. [`run`](run::run) lets it pass through a
//! world of [rates](rate::Rate) and of a [mapping](mapping::Ramp) that lets more and more functions run, event by event. What binds is found by
//! [lifting](run::binding) one limit after another.

pub mod counted;
pub mod emulator;
pub mod limits;
pub mod mapping;
pub mod own;
pub mod published;
pub mod rate;
pub mod run;
pub mod work;
