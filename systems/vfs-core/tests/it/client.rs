//! The client: guardrails, recovery, restarts, replies, exports.

mod assertions;
mod blob_gate;
mod catching_up;
mod convergence;
mod diffing;
mod flushing;
mod ground;
mod hydrating;
mod pulling;
mod rejected;
mod restarts;
mod starting_over;
mod wire;
