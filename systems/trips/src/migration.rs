//! The migration of keys from user names to user ids: what is moved, for whom, and what may not be done yet.

pub mod authorization;
pub mod auto;
pub mod cleanup;
pub mod cohort;
pub mod counters;
pub mod coverage;
pub(crate) mod document;
pub mod dual_read;
pub mod grant;
pub mod index;
pub mod links;
pub mod quarantine;
pub mod recovery;
pub mod rewrite;
pub mod rules;
pub mod status;
pub mod stop;
pub mod subject;

use std::sync::Arc;

use serde_json::Value;
use tidegate_rekey::{Claim, Claims, Rekey, RekeyError, Subject};
use tidegate_store::kv::snapshot::SnapshotError;
use tidegate_store::kv::{Key, Kv, KvError, UnixSecond};

use crate::app::{App, AppError};
use crate::audit::{Audit, AuditError};
use crate::keyspace;
use crate::metrics::Metrics;

/// Why something of the migration was not done.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] KvError),
    /// The keys could not be moved.
    #[error(transparent)]
    Rekey(#[from] RekeyError),
    /// A snapshot was not taken, or not brought back.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The audit trail cannot be used, and without it nothing is changed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A value in the store is not of its form.
    #[error("{key} holds what cannot be read: {message}; look at it, and write it anew or remove it")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// Others wrote a key each time.
    #[error("{key} was written by others {tries} times in a row; run it again")]
    Contended {
        /// Its key.
        key: String,
        /// How often it was tried.
        tries: usize,
    },
    /// More than is looked at in one call.
    #[error("there are more than {limit} {what}; nothing was done")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// It may not be done yet, or not by this person.
    #[error("{0}")]
    Refused(String),
    /// The index could not be read or written.
    #[error(transparent)]
    App(#[from] AppError),
    /// What is to be told cannot be written as JSON.
    #[error("the answer cannot be written: {0}")]
    Service(String),
}

impl MigrationError {
    /// The error and what it came from, as one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            sentence = format!("{sentence}: {error}");
            source = error.source();
        }
        sentence
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name that stands in the trail: a user's id, a token's name, or an operator's name.
    pub name: String,
    /// The id of the account behind it; of an operator at a terminal, the name again.
    pub user_id: String,
    /// From where, if it came over the network.
    pub ip: Option<String>,
}

/// The migration of one service's keys.
pub struct Migration {
    app: Arc<App>,
    store: Kv,
    audit: Audit,
    rekey: Rekey,
    claims: Arc<dyn Claims>,
}

impl std::fmt::Debug for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migration").finish_non_exhaustive()
    }
}

impl Migration {
    /// The migration of a service.
    ///
    /// # Errors
    /// [`MigrationError::Rekey`], where the store cannot do what a migration needs.
    pub fn new(app: &Arc<App>) -> Result<Migration, MigrationError> {
        let store = app.store().clone();
        let claims = app.claims();
        Ok(Migration {
            app: app.clone(),
            audit: Audit::new(store.clone(), keyspace::migrations()),
            rekey: Rekey::new(store.clone(), rules::plan()?, claims.clone())?
                .with_memory(app.in_place_memory().clone())
                .giving_way_to(app.foreground()),
            store,
            claims,
        })
    }

    /// The audit trail.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.app.metrics()
    }

    /// The spellings that are provably the user's alone: nobody else may claim them.
    pub(crate) async fn proven(&self, subject: &Subject) -> Result<Vec<String>, MigrationError> {
        let claims = self.claims.of_all(&subject.spellings).await?;
        let is_proven =
            |claim: &Claim| claim.claimants.iter().all(|id| *id == subject.id) && !claim.claimants.is_empty();
        let proven = subject.spellings.iter().zip(&claims).filter(|(_, claim)| is_proven(claim));
        Ok(proven.map(|(spelling, _)| spelling.clone()).collect())
    }

    /// Whether the stored account of this user is an administrator's.
    ///
    /// # Errors
    /// [`MigrationError::Store`], where accounts cannot be read. One that is not there or cannot be parsed is none.
    pub async fn is_admin(&self, user_id: &str) -> Result<bool, MigrationError> {
        let Ok(key) = Key::new(format!("user:{user_id}")) else { return Ok(false) };
        let entry = self.store.get(&keyspace::users(), &key).await?;
        let core = entry.and_then(|entry| serde_json::from_slice::<Value>(&entry.value).ok());
        Ok(core.is_some_and(|core| {
            let is = |name: &str, value: &str| core.get(name).and_then(Value::as_str) == Some(value);
            is("role", grant::ADMIN) && is("id", user_id)
        }))
    }

    /// The id of the user whom an input means.
    pub(crate) async fn id_of(&self, input: &str) -> Result<Option<String>, MigrationError> {
        Ok(subject::find(&*self.store, input).await?.map(|found| found.subject.id))
    }

    /// The month that it is.
    pub(crate) async fn month(&self) -> Result<String, MigrationError> {
        Ok(timestamp(self.store.now().await?).chars().take(7).collect())
    }
}

/// A second as a timestamp's text.
pub(crate) fn timestamp(at: UnixSecond) -> String {
    jiff::Timestamp::from_second(at.0).unwrap_or_default().to_string()
}
