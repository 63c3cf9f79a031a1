//! What the benchmarks share: pairs of timed runs, the programs that are timed, and the machine they ran on.
//!
//! Every figure is a ratio of two programs that were timed in turns in one run on one machine. Absolute times depend on
//! the machine and on the hour; they are printed so that a reader can judge the ratio.

mod failure;
mod ground;
mod machine;
mod pairs;
mod peer;
mod program;
mod ratio;

pub use failure::Failure;
pub use ground::{Ground, PAGE_HEAD};
pub use machine::describe;
pub use pairs::{Pairs, pairs_wanted};
pub use peer::{pouchdb, reladiff, sqlx};
pub use program::{root, tidegate, timed};
pub use ratio::Spread;
