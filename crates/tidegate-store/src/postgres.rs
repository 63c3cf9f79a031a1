//! PostgreSQL: an address, a session, and one named transaction.
//!
//! | question | answered by |
//! |---|---|
//! | where is it, and who am I there? | [`Address`] (URL, `PG*`, password file), [`ChildAccess`] for programs |
//! | ask, or send data | [`Session::run`] (text, several statements), [`Session::query`] (bound), [`Session::copy_in`] |
//! | change data | [`run_tx`]: committed, rolled back, or unknown; nothing in between |
//! | hear of changes that others commit | [`Listener`] |
//! | many requests at once | with the feature `pool`: a bounded pool of sessions |
//! | which server is this? who else is there? | [`identity()`], [`sessions`] |
//! | why not? | [`Failure`] with its [`FailureKind`] |
//! | a name or value inside SQL text | [`quote_identifier`], [`quote_literal`]: no other function puts text into SQL |

mod address;
mod answer;
mod backoff;
mod child_access;
mod connect;
mod conninfo;
mod failure;
mod identity;
mod listener;
mod notice;
mod passfile;
#[cfg(feature = "pool")]
mod pool;
mod quote;
mod session;
pub mod sessions;
mod text_value;
mod tls;
mod transaction;

pub use address::{
    Address, AddressError, CONNECT_TIMEOUT_DEFAULT, HOSTS_MAX, TargetSession, TlsMode, TlsRoots,
};
pub use answer::Answer;
pub use child_access::ChildAccess;
pub use failure::{Failure, FailureKind};
pub use identity::{Identity, identity};
pub use listener::Listener;
pub use notice::{NOTICES_MAX, Notice};
#[cfg(feature = "pool")]
pub use pool::{POOL_SIZE_MAX, Pool, PoolError, PoolOptions, PoolStatus, Pooled};
pub use quote::{QualifiedName, QualifiedNameError, parse_qualified_name, quote_identifier, quote_literal};
pub use session::{
    ANSWER_BYTES_MAX, APPLICATION_NAME_BYTES_MAX, CANCEL_TIMEOUT, CLOSE_GRACE, CancelHandle, Ready, Session,
};
pub use text_value::TextValue;
pub use tls::system_roots_file;
pub use transaction::{ATTEMPTS_MAX, Isolation, TxAttempts, TxError, TxOptions, TxOutcome, run_tx};

/// The driver's vocabulary for bound values, and the rows it returns.
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql, Type};
