//! Operations: pushed by clients, pulled by clients, and how far each client has come.

mod guardrails;
mod lane;
mod pull;
mod push;
mod reconcile;

pub use guardrails::{VIOLATIONS_MAX, note_violations};
pub use lane::Lanes;
pub use pull::{Pull, WRITE_IDS_MAX, pull};
pub use push::{Known, Told, decide, push};
pub use reconcile::{Reconciled, STATE_PREFIX, reconcile, reconcile_objects};
