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

pub mod catalog;
pub mod crash;
pub mod digest;
pub mod doors;
pub mod error;
pub mod event;
mod gate;
pub mod holder;
mod job;
pub mod journal;
pub mod lease;
pub mod outcome;
pub mod parameters;
pub mod program;
mod question;
pub mod sources;
pub mod state;
pub mod transition;
pub mod values;
mod verb;
pub mod verdict;
pub mod versions;
