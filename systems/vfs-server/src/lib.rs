//! The file-sync server: clients push operations, pull what others pushed, and keep blobs.
//!
//! ```text
//! http (routes) ─► crdt, feed, share ─► db (one write transaction) ─► PostgreSQL
//!       │                                 ▲
//!       └─► auth                          └── freeze: checked in each of them
//! ```
//!
//! | module | in one sentence |
//! |---|---|
//! | [`config`] | what the environment says |
//! | [`app`], [`serve`] | the service, from its start to its end |
//! | [`auth`] | bearer tokens and sessions |
//! | [`feed`] | one order of everything that happens, and who may read what of it |
//! | [`crdt`] | operations: pushed, pulled, reconciled |
//! | [`compaction`], [`snapshot`] | forgetting what was overtaken; beginning anew after it |
//! | [`registry`], [`item`], [`share`] | items, what clients know of them, and who else may see them |
//! | [`db`] | the one way in which data changes here |
//! | [`blob`] | bytes in an object store, metadata in the registry |
//! | [`freeze`], [`instances`] | holding writes back, and who has heard of it |
//! | [`migrations`], [`legacy`] | the schema, and what stood before it |

pub mod app;
pub mod auth;
pub mod blob;
pub mod compaction;
pub mod config;
pub mod crdt;
pub mod db;
pub mod feed;
pub mod freeze;
pub mod http;
pub mod instances;
pub mod item;
pub mod legacy;
pub mod migrations;
pub mod registry;
pub mod serve;
pub mod share;
pub mod snapshot;
