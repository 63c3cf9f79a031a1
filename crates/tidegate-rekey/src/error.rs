//! Why something was not done at all.

use jiff::Timestamp;
use thiserror::Error;
use tidegate_store::kv::KvError;

/// Why something was not done at all. A single record that cannot be moved is no error: it stands in the report.
#[derive(Debug, Error)]
pub enum RekeyError {
    /// A subject that cannot be one.
    #[error("`{id}` cannot be migrated: {reason}")]
    BadSubject {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
    /// A plan that contradicts itself.
    #[error("the rule `{rule}` cannot be followed: {reason}")]
    BadRule {
        /// The rule's name.
        rule: String,
        /// Why.
        reason: String,
    },
    /// Bounds that allow nothing, or too much.
    #[error("{what} is {given}; it must be 1 to {limit}")]
    BadBounds {
        /// Which.
        what: &'static str,
        /// What was given.
        given: usize,
        /// The most.
        limit: usize,
    },
    /// The store cannot do what a safe migration needs.
    #[error("the store {store} has no {lacks}; keys can be migrated only in a store that has")]
    StoreLacks {
        /// Which store.
        store: String,
        /// The property.
        lacks: &'static str,
    },
    /// Somebody else is at it.
    #[error("{holder} is migrating `{id}` until {until} or longer; wait, or let it end")]
    Held {
        /// The subject.
        id: String,
        /// Who, and a random part.
        holder: String,
        /// When that ends if it is not renewed.
        until: Timestamp,
    },
    /// Another writer was faster each time.
    #[error("`{key}` was written by others each of {tries} times; try again")]
    Contended {
        /// The journal's key.
        key: String,
        /// How often it was tried.
        tries: usize,
    },
    /// The journal holds what this crate did not write.
    #[error("`{key}` in the journal cannot be read: {message}; restore it before going on")]
    Corrupt {
        /// The key.
        key: String,
        /// Why.
        message: String,
    },
    /// More than one run takes.
    #[error("there are more than {limit} {what}; this is more than one run takes")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// A cleanup of somebody who is not done.
    #[error("`{id}` is not done; legacy keys are removed only after a run that ends done")]
    NotDone {
        /// The subject.
        id: String,
    },
    /// A cleanup of somebody for whom a run went on since it was judged.
    #[error("a run for `{id}` copied more since the cleanup was judged; look again and repeat it")]
    Changed {
        /// The subject.
        id: String,
    },
    /// A decision on a record that is not there to be decided.
    #[error("`{key}` in {namespace} is not in quarantine for `{id}`; run dry or apply and look again")]
    NotQuarantined {
        /// The subject.
        id: String,
        /// Where.
        namespace: String,
        /// Which.
        key: String,
    },
    /// A decision on a record that is another one by now.
    #[error("`{key}` in {namespace} was written after it was quarantined; run apply and decide again")]
    ChangedSince {
        /// Where.
        namespace: String,
        /// Which.
        key: String,
    },
    /// The accounts could not be asked.
    #[error("who claims `{spelling}` could not be found out")]
    Claims {
        /// The spelling.
        spelling: String,
        /// Why.
        #[source]
        source: KvError,
    },
    /// The store did not do as asked. What was done before is kept; the next run goes on from there.
    #[error("the store did not do as asked")]
    Store(#[from] KvError),
}
