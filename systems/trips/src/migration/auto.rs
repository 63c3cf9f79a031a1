//! Migration that a sign-in sets going, in the background.
//!
//! It is off unless the environment says otherwise, and then for one user. Each guard alone keeps it from running, in
//! this order: the flag, the user, in production the leave of two administrators, the kill switch, a state that is
//! done, an attempt within a day, too many trips. The attempt is claimed before the run by a conditional write, so that
//! of two sign-ins at once one runs, and a run that crashes is not repeated at every sign-in.

use std::collections::HashSet;

use serde_json::Value;
use tidegate_rekey::{Bounds, Subject};
use tidegate_store::kv::{Key, KvError, UnixSecond};

use super::subject;
use super::{Actor, Migration, MigrationError, document};
use crate::audit::{Action, Event};
use crate::keyspace;

/// Who is named in the trail.
pub const ACTOR: &str = "system:auto";
/// The user whom it is for unless the environment names another.
pub const DEFAULT_UID: &str = "cd29a839-4167-4f79-bf3f-ed63daaa7352";
/// Seconds between two attempts for one user: a day.
pub const RATE_LIMIT_SECONDS: i64 = 24 * 3_600;
/// A user who has so many live trips is left to an administrator.
pub const TRIPS_LIMIT: usize = 500;
/// Records of one batch.
pub const BATCH: usize = 500;
/// Batches of one run.
pub const ITERATIONS: usize = 10;

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoSettings {
    /// `MIGRATION_AUTO_ON_LOGIN` is exactly `true`.
    pub on: bool,
    /// `MIGRATION_AUTO_ON_LOGIN_UID`.
    pub uid: String,
    /// `TRIPS_ENV` is `production`.
    pub is_production: bool,
}

impl AutoSettings {
    /// Reads it.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> AutoSettings {
        AutoSettings {
            on: get("MIGRATION_AUTO_ON_LOGIN").as_deref() == Some("true"),
            uid: get("MIGRATION_AUTO_ON_LOGIN_UID")
                .filter(|uid| !uid.is_empty())
                .unwrap_or(DEFAULT_UID.to_owned()),
            is_production: get("TRIPS_ENV").as_deref() == Some("production"),
        }
    }
}

/// What came of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOutcome {
    /// The flag is off.
    Off,
    /// It is for another user.
    OtherUser,
    /// In production, and two administrators have not allowed it.
    NotAuthorized,
    /// All migration is stopped.
    Stopped,
    /// The user is done.
    Done,
    /// The last attempt was less than a day ago, or another sign-in was faster.
    TooSoon,
    /// The user has too many trips.
    TooMany,
    /// It ran.
    Ran {
        /// Whether nothing failed.
        success: bool,
        /// Records that it copied.
        migrated: u64,
    },
}

impl Migration {
    /// Looks at the guards and, if none holds it back, copies the keys of a user who has signed in.
    ///
    /// # Errors
    /// [`MigrationError`]; it is in the trail, if that can be written.
    pub async fn after_sign_in(
        &self,
        settings: &AutoSettings,
        user_id: &str,
    ) -> Result<AutoOutcome, MigrationError> {
        if !settings.on {
            return Ok(AutoOutcome::Off);
        }
        if user_id != settings.uid {
            return Ok(AutoOutcome::OtherUser);
        }
        if settings.is_production && !self.is_authorized().await? {
            return Ok(AutoOutcome::NotAuthorized);
        }
        if self.is_stopped().await? {
            return Ok(AutoOutcome::Stopped);
        }
        if self.rekey.state(user_id).await?.is_some_and(|state| state.done) {
            return Ok(AutoOutcome::Done);
        }
        if !self.claim_attempt(user_id).await? {
            return Ok(AutoOutcome::TooSoon);
        }
        let done = self.attempt(user_id).await;
        if let Err(error) = &done {
            tracing::warn!(error = %error.sentence(), user = %user_id, "the automatic migration failed");
            let event = Event::new(Action::AutoMigration, ACTOR, false).about(user_id);
            self.audit.append(event.with("phase", "failed")).await?;
        }
        done
    }

    async fn attempt(&self, user_id: &str) -> Result<AutoOutcome, MigrationError> {
        let Some(found) = subject::by_id(&*self.store, user_id).await? else {
            return Err(MigrationError::Refused("the user is not there any more".to_owned()));
        };
        if self.live_trips(&found.subject, TRIPS_LIMIT).await? >= TRIPS_LIMIT {
            let event = Event::new(Action::AutoMigration, ACTOR, false).about(user_id);
            self.audit.append(event.with("reason", "threshold").with("limit", TRIPS_LIMIT)).await?;
            return Ok(AutoOutcome::TooMany);
        }
        let actor = Actor { name: ACTOR.to_owned(), user_id: ACTOR.to_owned(), ip: None };
        let bounds = Bounds { batch: BATCH, iterations: ITERATIONS, held_to: None };
        let in_place = self.rekey.scan_in_place().await?;
        let one = self.apply(&found, &in_place, bounds, &actor, Action::AutoMigration).await?;
        Ok(AutoOutcome::Ran { success: one.success, migrated: one.migrated })
    }

    /// Writes that an attempt begins; false where one did within a day, or another does now.
    async fn claim_attempt(&self, user_id: &str) -> Result<bool, MigrationError> {
        let migrations = keyspace::migrations();
        let key = format!("migration:{user_id}:auto:lastAttempt");
        let now = self.store.now().await?;
        let found = document::read::<Value>(&*self.store, &migrations, &key).await?;
        if let Some(found) = &found
            && let Some(last) = second_of(&found.value)
            && now.0 < last.0.saturating_add(RATE_LIMIT_SECONDS)
        {
            return Ok(false);
        }
        let value = Value::from(super::timestamp(now));
        let write = document::put(&migrations, &key, &value, None, document::unchanged(found.as_ref()))?;
        Ok(document::made(&*self.store, write).await?)
    }

    /// Live trips under the id and under all spellings, each record once; it stops counting at `enough`. No counter is
    /// asked: one that is missing or was kept elsewhere would let the largest users through. What cannot be read counts
    /// as live.
    pub(crate) async fn live_trips(&self, subject: &Subject, enough: usize) -> Result<usize, MigrationError> {
        let logs = keyspace::logs();
        let mut live: HashSet<String> = HashSet::new();
        for owner in std::iter::once(&subject.id).chain(&subject.spellings) {
            let (prefix, mut after) = (format!("trip:{owner}:"), None::<Key>);
            loop {
                let page = self.store.list(&logs, &prefix, after.as_ref(), TRIPS_LIMIT).await?;
                let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
                let taken = self.store.each(&logs, &keys, |key, entry| {
                    let is_deleted = serde_json::from_slice::<Value>(&entry.value)
                        .is_ok_and(|body| body.get("deleted").and_then(Value::as_bool) == Some(true));
                    if !is_deleted && let Some(record) = key.as_str().strip_prefix(&prefix) {
                        live.insert(
                            super::rewrite::synced_id(subject, record).unwrap_or_else(|| record.to_owned()),
                        );
                    }
                    Ok::<_, KvError>(())
                });
                taken.await?;
                if live.len() >= enough || page.complete {
                    break;
                }
                after = keys.into_iter().last();
            }
            if live.len() >= enough {
                break;
            }
        }
        Ok(live.len())
    }
}

/// The second of a timestamp, as text or as milliseconds.
fn second_of(value: &Value) -> Option<UnixSecond> {
    match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(|at| UnixSecond(at.as_second())),
        Value::Number(millis) => millis.as_i64().map(|millis| UnixSecond(millis.div_euclid(1_000))),
        _ => None,
    }
}
