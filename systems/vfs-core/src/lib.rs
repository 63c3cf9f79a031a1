//! The rules of the file sync, without I/O, without a clock, without randomness.
//!
//! | module | in one sentence |
//! |---|---|
//! | [`timestamp`], [`id`], [`position`], [`cursor`] | the values: times, ids, places in the server's order, how far somebody has read |
//! | [`operation`], [`push`], [`feed`], [`write_ids`], [`reconcile`] | what goes over the wire, and what of it is valid |
//! | [`canonical`], [`register`] | the order of operations, and the last word on each grant and link |
//! | [`replay`], [`container_clock`] | what a client makes of the feed |
//! | [`guardrail`], [`page`], [`pulled_items`] | what a client refuses to believe |
//! | [`access`] | who sees what, along links |
//! | [`blob_stage`], [`attach`] | what happens to a staged blob, and what is decided before it is attached |
//! | [`compaction`], [`rematerialization`] | up to where the feed may be forgotten, and what whoever is behind takes up instead |
//! | [`model`] | the server's rules, executable, for comparison |
//! | [`client`] | the client as a state machine |

pub mod access;
pub mod attach;
pub mod blob_stage;
pub mod canonical;
pub mod client;
pub mod compaction;
pub mod container_clock;
pub mod cursor;
pub mod feed;
pub mod guardrail;
pub mod id;
pub mod model;
pub mod operation;
pub mod page;
pub mod position;
pub mod pulled_items;
pub mod push;
pub mod reconcile;
pub mod register;
pub mod rematerialization;
pub mod replay;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod write_ids;

pub use attach::{AttachRefusal, AttachRequest};
pub use blob_stage::{BlobStage, RelationKind, StageStatus};
pub use cursor::Cursor;
pub use feed::{FeedItem, FeedPage};
pub use guardrail::Violation;
pub use id::{ClientId, ItemId, OpId, PrincipalId, ReplicaId, UserId, WriteId};
pub use operation::{AccessLevel, Change, InvalidOperation, OpType, Operation, Principal, PrincipalType};
pub use position::Position;
pub use push::{PushReply, PushRequest, PushResult, PushStatus, Pushed};
pub use reconcile::{ReconcileRequest, ReconcileState};
pub use timestamp::Timestamp;
pub use write_ids::{WriteIdMap, WriteIdMapError};
