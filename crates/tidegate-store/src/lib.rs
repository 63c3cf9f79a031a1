//! The doors to the world: PostgreSQL, the pooler's console, HTTP endpoints and child processes.
//!
//! Everything that Tidegate does outside its own memory goes through one of these modules, each a cargo feature. They
//! know nothing of runbooks: they connect, ask, change, and say precisely what became of it.

#[cfg(feature = "postgres")]
pub mod postgres;
