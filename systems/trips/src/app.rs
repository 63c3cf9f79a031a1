//! What the parts of one process share.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_rekey::{Claims, Foreground, InPlaceMemory};
use tidegate_store::kv::{Kv, KvError};

use crate::claims::UserClaims;
use crate::index::{self, Repaired};
use crate::keyspace;
use crate::metrics::Metrics;
use crate::migration::Migration;
use crate::migration::auto::AutoSettings;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] KvError),
    /// A value in the store is not of its form.
    #[error("{key} holds what cannot be read: {message}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// Others wrote the same keys each time.
    #[error("{what} was written by others {tries} times in a row; try again")]
    Contended {
        /// What.
        what: String,
        /// How often it was tried.
        tries: usize,
    },
    /// The index is not equal to the records.
    #[error("the index of {id} differs from the records; repair it first")]
    IndexDiffers {
        /// Whose.
        id: String,
    },
    /// It is not there.
    #[error("{what} is not there")]
    Absent {
        /// What.
        what: String,
    },
    /// It cannot be so.
    #[error("{0}")]
    Refused(String),
}

/// One service.
pub struct App {
    store: Kv,
    claims: Arc<UserClaims>,
    metrics: Metrics,
    auto: AutoSettings,
    in_place: InPlaceMemory,
    foreground: Foreground,
    gives_way: bool,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({:?})", self.store)
    }
}

impl App {
    /// A service on a store, with what the environment says.
    #[must_use]
    pub fn new(store: Kv, environment: &dyn Fn(&str) -> Option<String>) -> Arc<Self> {
        Arc::new(Self {
            claims: Arc::new(UserClaims::new(Arc::clone(&store))),
            store,
            metrics: Metrics::default(),
            auto: AutoSettings::read(environment),
            in_place: InPlaceMemory::default(),
            foreground: Foreground::default(),
            gives_way: environment("MIGRATION_GIVES_WAY").as_deref() != Some("false"),
        })
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Kv {
        &self.store
    }

    /// What scans of trash have read.
    pub(crate) fn in_place_memory(&self) -> &InPlaceMemory {
        &self.in_place
    }

    /// Whether a migration gives way to requests of the user whose keys it moves: it does unless `MIGRATION_GIVES_WAY` is
    /// exactly `false`.
    #[must_use]
    pub fn gives_way(&self) -> bool {
        self.gives_way
    }

    /// The requests of users, each under the user's id.
    #[must_use]
    pub fn foreground(&self) -> &Foreground {
        &self.foreground
    }

    /// Who may claim which name.
    #[must_use]
    pub fn claims(&self) -> Arc<dyn Claims> {
        Arc::<UserClaims>::clone(&self.claims)
    }

    pub(crate) fn user_claims(&self) -> &UserClaims {
        &self.claims
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What a sign-in sets going; the answer does not wait for it.
    pub(crate) fn after_sign_in(self: &Arc<Self>, id: &str) {
        let (app, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            let done = match Migration::new(&app) {
                Ok(migration) => migration.after_sign_in(&app.auto, &id).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::warn!(error = %error.sentence(), user = %id, "what a sign-in set going has failed");
            }
        });
    }

    /// Whether reads look at legacy keys; they do unless it was turned off.
    pub(crate) async fn reads_legacy(&self) -> Result<bool, AppError> {
        let key = tidegate_store::kv::Key::new(keyspace::DUAL_READ_KEY)?;
        let found = self.store.get(&keyspace::migrations(), &key).await?;
        let value = found.and_then(|entry| serde_json::from_slice::<Value>(&entry.value).ok());
        Ok(value.is_none_or(|value| value.get("on").and_then(Value::as_bool).unwrap_or(true)))
    }

    /// Makes the index of a user equal to the records under the id. Quotas of the indexes of `spellings` are taken over:
    /// of each month the greater count.
    ///
    /// # Errors
    /// [`AppError`]; the index then stays marked, and lists are read from the records.
    pub async fn repair_index(&self, id: &str, spellings: &[String]) -> Result<Repaired, AppError> {
        index::repair(self.store.as_ref(), id, spellings).await
    }

    /// As [`App::repair_index`], giving way to the user's requests as long as none of them writes meanwhile.
    pub(crate) async fn repair_index_gently(
        &self,
        id: &str,
        spellings: &[String],
    ) -> Result<Repaired, AppError> {
        let gentle = self.foreground.gentle(self.store.clone(), id);
        let rows = || if self.foreground.is_busy(id) { index::ROWS_GENTLE } else { index::ROWS };
        match index::repair_once(gentle.as_ref(), id, spellings, rows).await? {
            Some(repaired) => Ok(repaired),
            // One that takes its time may be overtaken each time.
            None => self.repair_index(id, spellings).await,
        }
    }

    /// The ids in a user's index against those of the records.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn check_index(&self, id: &str) -> Result<Value, AppError> {
        let check = index::check(self.store.as_ref(), id).await?;
        Ok(json!({
            "consistent": check.is_consistent(),
            "tripCount": check.trip_count,
            "live": check.live,
            "rows": check.rows,
            "missing": check.missing,
            "stale": check.stale,
            "dirty": check.is_dirty,
        }))
    }

    /// Removes the indexes of names, once the index of the id is equal to the records. How many keys were removed.
    ///
    /// # Errors
    /// [`AppError::IndexDiffers`]; nothing was removed then.
    pub async fn wipe_legacy_index(&self, id: &str, spellings: &[String]) -> Result<u64, AppError> {
        index::wipe_legacy(self.store.as_ref(), id, spellings).await
    }
}
