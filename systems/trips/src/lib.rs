//! A trip log on a key-value store: users, sessions, trips, expenses, mileage, trash and settings, an index for each
//! user, and the migration of all their keys from names to ids.
//!
//! | module | in one sentence |
//! |---|---|
//! | [`keyspace`] | every key of the service, and where it stands |
//! | [`app`] | what the parts of one process share |
//! | [`user`], [`session`], [`token`] | accounts, who is signed in, tokens of programs |
//! | [`claims`] | who may claim a name under which legacy records stand |
//! | [`record`], [`reading`], [`index`] | records, reading them at both keys, the index that orders them |
//! | [`sync`] | trips that are made of orders, and what the sync keeps of a user |
//! | [`deletion`] | an account and everything of it, removed |
//! | [`migration`], [`audit`], [`metrics`] | the migration of keys, its trail and what is counted |
//! | [`shapes`] | a keyspace with every awkward record, to try things on |
//! | `waiting` | whose request it is that waits for an answer |
//! | [`http`], [`serve`] | the service over HTTP |

pub mod app;
pub mod audit;
pub mod claims;
pub mod deletion;
pub mod http;
pub mod index;
pub mod keyspace;
pub mod metrics;
pub mod migration;
pub mod mileage;
pub mod reading;
pub mod record;
mod scan;
pub mod serve;
pub mod session;
pub mod shapes;
pub mod sync;
pub mod token;
pub mod user;
mod waiting;

pub use app::{App, AppError};
