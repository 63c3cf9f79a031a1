//! The accounts: a service that keeps them in two schemas while one replaces the other, and its migrations.
//!
//! ```text
//! http (routes) ─► operation ─► store ─► v1 | v2        one set of functions, two sets of statements
//!       │              │
//!       │              └──────► mirror                  copies what came out, in the same transaction
//!       └─► app ─► tidegate-switch                      which schema is read, which is written first
//! ```
//!
//! | module | in one sentence |
//! |---|---|
//! | [`store`] | what an account is made of, in either schema |
//! | [`operation`] | every change as a value, and who may make it |
//! | [`auth`] | passwords, sessions, the cookie |
//! | [`config`], [`flags`] | what the environment says |
//! | [`app`], [`serve`] | the service, from its start to its end |

pub mod alias;
pub mod app;
pub mod auth;
pub mod binding;
pub mod capability;
pub mod config;
pub mod flags;
mod http;
pub mod id;
mod migrations;
mod mirror;
pub mod operation;
pub mod recon;
pub mod seed;
pub mod serve;
pub mod store;
pub mod verify_reads;
mod write;

pub use http::router;
pub use migrations::{ARCHIVE, MIGRATIONS, Migration, SCHEMA, directory};
pub use write::{ROWS_MAX, Write};
