//! Decides, journals and performs the steps of a runbook.
//!
//! ```text
//! Runbook ─► Program (immutable) ─► Runner ─► verb::<name> ─► store ─► the world
//!                                     ▲
//!              state = fold(events) ◄─┴─ journal
//! ```
//!
//! Truth is the journal. [`transition::next`] is the only function that changes a run's state; live work and recovery
//! both go through it. Nothing in here prints: whoever wants to show something observes events.

pub mod advice;
pub mod audit;
pub mod bundle;
pub mod catalog;
mod cohort;
pub mod confirmation;
pub mod crash;
pub mod decide;
pub mod digest;
pub mod doctor;
pub mod doors;
pub mod embedded;
pub mod ending;
pub mod error;
mod evaluate;
pub mod event;
mod fenced_keys;
mod gate;
pub mod history;
pub mod holder;
mod job;
pub mod journal;
mod kept;
pub mod knobs;
pub mod lease;
pub mod left;
pub mod loss;
mod memory;
pub mod moment;
pub mod observer;
pub mod outcome;
pub mod parameters;
pub mod plan;
pub mod plan_store;
pub mod program;
mod question;
mod reads;
pub mod recheck;
pub mod redact;
pub mod report;
pub mod request;
pub mod runner;
pub mod sessions;
pub mod setup;
pub mod signals;
pub mod sources;
pub mod state;
pub mod transition;
pub mod values;
mod verb;
pub mod verdict;
pub mod versions;
