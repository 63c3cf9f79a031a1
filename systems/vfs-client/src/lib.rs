//! The file-sync client: `vfs-core`'s state machine with a disk, a network and a queue of blobs.
//!
//! ```text
//! Device ──► vfs_core::client::Client      decides; no I/O
//!    │  └──► Transport ─► the servers       one request at a time, strictly read
//!    └─────► Store ─► SQLite in WAL mode    every effect is kept before the next is done
//! ```
//!
//! | module | in one sentence |
//! |---|---|
//! | [`device`] | a client at work: queues, syncs, follows the feed |
//! | [`home`] | its directory: who may work in it, and where things lie |
//! | [`store`] | its state on disk, whole after every crash |
//! | [`transport`], [`events`] | asking the servers; being told by them |
//! | [`task`] | what is asked beside operations: names, blobs, shares |
//! | [`tree`] | the items as a tree with paths |
//! | [`metrics`] | what is counted, in Prometheus' text format |
//!
//! The calls block. An application with an event loop gives the [`Device`] a thread of its own.

#[cfg(feature = "crash-points")]
mod crash;
pub mod device;
pub mod events;
pub mod home;
pub mod metrics;
pub mod store;
pub mod task;
pub mod transport;
pub mod tree;

pub use device::{Device, DeviceError, Synced};
pub use home::{Home, Identity};
pub use transport::Transport;

/// Where a test may end the process; without the feature, nothing.
macro_rules! crash_point {
    ($site:expr) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reached($site);
    };
}
pub(crate) use crash_point;
