//! The doors to the world: PostgreSQL, the pooler's console, key-value stores, HTTP endpoints and child processes.
//!
//! Everything that Tidegate does outside its own memory goes through one of these modules. They know nothing of
//! runbooks: they connect, ask, change, and say precisely what became of it.
//!
//! | module | feature | in one sentence |
//! |---|---|---|
//! | [`postgres`] | `postgres` | an address, a session, and one named transaction that ends committed, rolled back or unknown |
//! | [`pgbouncer`] | `postgres` | `SHOW` lists of a pooler's console |
//! | [`kv`] | `kv` | values with metadata and expiry under keys, written on condition of a version |
//! | [`http`] | `http` | one request, one bounded answer, and whether an unanswered request may have arrived |
//! | [`process`] | `process` | a program with a listed environment, bounded in time and output, that leaves nothing behind |
//!
//! Three rules hold throughout. What is sent, read, waited for or tried again has a named bound. No error message,
//! `Debug` or log line holds a password. And where the world did not answer, the result says *unknown*; it is never
//! guessed.

#[cfg(feature = "postgres")]
pub mod postgres;

#[cfg(feature = "postgres")]
pub mod pgbouncer;

#[cfg(feature = "kv")]
pub mod kv;

#[cfg(feature = "http")]
pub mod http;

#[cfg(feature = "process")]
pub mod process;
