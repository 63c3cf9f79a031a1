//! What an application embeds to change where it reads and writes, live, without a write that straddles the change.
//!
//! | wanted | take |
//! |---|---|
//! | to obey a flag set, or the environment where there is none | [`Switch::start`] with [`SwitchOptions`] and an [`Environment`] |
//! | one consistent stage for a request | [`Switch::request`], [`Request::finish`] |
//! | a transaction that no move can straddle | [`Switch::write`], or [`Switch::writing`] in pieces |
//! | a write to both sides in one transaction | [`TablePair`], [`dual_write`] |
//! | a write to a side on another server | [`Outbox`] |
//! | to compare what both sides answer | [`Shadow`] |
//! | what it does, as figures | [`Switch::metrics`], [`Metrics::to_prometheus`] |
//! | a bounded pool of sessions | [`Pool`] |
//!
//! Nothing of it needs a runbook: a set is declared and moved with the functions of `tidegate-flags`.

mod clock;
mod dual_write;
mod environment;
mod heart;
mod histogram;
mod metrics;
mod options;
mod outbox;
mod readiness;
mod request;
mod shadow;
mod snapshot;
mod state;
mod switch;
mod writing;

pub use dual_write::{KEY_COLUMNS_MAX, TablePair, TablePairError, dual_write};
pub use environment::{Environment, Variable, truthy};
pub use histogram::{Histogram, WAIT_BUCKETS_MS};
pub use metrics::Metrics;
pub use options::{
    BEAT_DEFAULT, BEAT_MAX, BEAT_MIN, LOST_AFTER_DEFAULT, LOST_AFTER_MAX, LOST_AFTER_MIN, SwitchOptions,
};
pub use outbox::{Outbox, REPLAY_ROUNDS_MAX, Replayed};
pub use readiness::NotReady;
pub use request::{Request, Stale};
pub use shadow::{DIFFERENCES_MAX, Difference, Shadow, ShadowCounts};
pub use snapshot::Snapshot;
pub use switch::Switch;
pub use tidegate_flags::outbox::{Behind, Taken};
pub use writing::Writing;

pub use tidegate_flags::{Side, Stage};
pub use tidegate_store::postgres::{Pool, PoolError, PoolOptions, Pooled};
