//! Throwaway servers and misbehaving networks for tests and demonstrations.
//!
//! | wanted | take |
//! |---|---|
//! | a PostgreSQL of one's own | [`Cluster::shared`], or [`Cluster::start`] where the test restarts or breaks it |
//! | a database of one's own | [`Cluster::database`], [`Cluster::database_from`] |
//! | a second, older server to fail over to | [`Cluster::standby`] |
//! | a pooler in transaction mode | [`Pgbouncer::start`] |
//! | a connection that is lost at a named statement | [`Proxy`] with a [`Fault`] |
//! | a key-value server that is killed and restarted on its data | [`Redis::start`] |
//! | an object store that refuses, cuts, loses and holds answers | `S3Endpoint`, with the feature `s3` |
//! | a program that is stopped, resumed or killed | [`Program`] |
//! | a port that stays free between a stop and a start | [`Port`] |
//! | to wait for something that becomes true | [`eventually`] |
//! | load whose answers are judged afterwards | [`history::History`] |
//!
//! Starting a cluster is a copy of a prepared data directory and takes about 0.2 s, so each test process starts
//! its own; nothing is shared between processes except that prepared directory. Everything that was started ends
//! when its value is dropped, and also when the process that started it is killed: see [`warden`].

pub mod account;
mod cluster;
mod database;
mod error;
mod eventually;
mod fault;
mod frame;
pub mod history;
mod image;
mod lifecycle;
mod pgbouncer;
mod port;
pub mod prerequisites;
mod program;
mod proxy;
mod redis;
#[cfg(feature = "s3")]
mod s3;
mod scratch;
mod standby;
pub mod warden;

pub use cluster::{Cluster, ClusterOptions};
pub use database::Database;
pub use error::Error;
pub use eventually::eventually;
pub use fault::Fault;
pub use pgbouncer::{Pgbouncer, PgbouncerOptions, PoolMode};
pub use port::Port;
pub use program::{Outcome, Program, Running};
pub use proxy::Proxy;
pub use redis::Redis;
#[cfg(feature = "s3")]
pub use s3::{S3Code, S3Endpoint, S3Fault, S3Operation, S3Request};
