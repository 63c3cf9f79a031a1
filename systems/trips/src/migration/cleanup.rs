//! Removing legacy keys, long after they were copied.

use serde_json::{Map, Value, json};
use tidegate_rekey::State;
use tidegate_store::kv::{Change, Condition, Key, Write, Written};

use super::counters::is_month;
use super::coverage::Coverage;
use super::status::total_scanned;
use super::subject::{self, Found};
use super::{Actor, Migration, MigrationError, document};
use crate::audit::Action;
use crate::keyspace;
use crate::metrics::DAY_SECONDS;

/// Days that must have passed since a user was done.
pub const WAIT_DAYS: i64 = 90;
/// The share of affected users who must be done.
pub const COVERAGE_LEAST: f64 = 0.95;
/// Legacy counters of one spelling.
const COUNTERS_MAX: usize = 2_000;

impl Migration {
    /// Removes the legacy keys of these users, or says what holds it back. What was changed since it was copied stays.
    ///
    /// # Errors
    /// [`MigrationError`], where nobody's keys could be looked at.
    pub async fn cleanup(
        &self,
        inputs: &[String],
        apply: bool,
        actor: &Actor,
    ) -> Result<(bool, Map<String, Value>), MigrationError> {
        let coverage = self.coverage().await?;
        let held_back = held_back(&coverage);
        let (mut success, mut results) = (true, Map::new());
        for input in inputs {
            let told = match subject::find(&*self.store, input).await {
                Ok(None) => Ok(json!({ "error": "User not found" })),
                Ok(Some(found)) => self.clean_one(&found, held_back.as_deref(), apply, actor).await,
                Err(error) => Err(error),
            };
            let told = told.unwrap_or_else(|error| json!({ "error": error.sentence() }));
            success &= told.get("error").is_none();
            results.insert(input.clone(), told);
        }
        Ok((success, results))
    }

    async fn clean_one(
        &self,
        found: &Found,
        held_back: Option<&str>,
        apply: bool,
        actor: &Actor,
    ) -> Result<Value, MigrationError> {
        let id = &found.subject.id;
        if let Some(why) = held_back {
            return Err(MigrationError::Refused(why.to_owned()));
        }
        // Ahead of the time: a run that copies more behind this look makes the cleanup begin anew.
        let Some(judged) = self.rekey.state(id).await?.filter(|state| state.done) else {
            return Err(MigrationError::Refused(
                "the user is not done; apply the migration first".to_owned(),
            ));
        };
        let now = self.store.now().await?;
        let since = document::read::<i64>(&*self.store, &keyspace::migrations(), &done_key(id)).await?;
        let days = since.map(|since| (now.0 - since.value).div_euclid(DAY_SECONDS));
        if days.is_none_or(|days| days < WAIT_DAYS) {
            let days = days.unwrap_or(0);
            return Err(MigrationError::Refused(format!(
                "the user has been done for {days} days; legacy keys stay for {WAIT_DAYS}"
            )));
        }
        let owned = total_scanned(&self.rekey.owned(&found.subject).await?);
        if !apply {
            return Ok(json!({ "userId": id, "dryRun": true, "legacyKeys": owned }));
        }
        let event = actor.event(Action::Cleanup, true).about(id);
        self.audit.append(event.clone().with("phase", "started").with("legacyKeys", owned)).await?;
        let is_judged = |state: &State| state.migrated == judged.migrated;
        let cleaned = self.rekey.clean_where(&found.subject, &actor.name, is_judged).await?;
        let proven = self.proven(&found.subject).await?;
        let counters = self.clean_counters(id, &proven).await?;
        let index = self.wipe_legacy_index(id, &proven).await?;
        let told =
            serde_json::to_value(&cleaned).map_err(|error| MigrationError::Service(error.to_string()))?;
        self.audit.append(event.with("phase", "finished").with("counters", counters)).await?;
        Ok(json!({ "userId": id, "dryRun": false, "cleaned": told, "counters": counters, "indexes": index }))
    }

    /// Removes counters that stand under proven names; a month's only where the id has at least as much.
    async fn clean_counters(&self, id: &str, proven: &[String]) -> Result<u64, MigrationError> {
        let logs = keyspace::logs();
        let mut removed = 0;
        for spelling in proven {
            let prefix = format!("meta:user:{spelling}:");
            for listed in self.store.list_all(&logs, &prefix, COUNTERS_MAX).await? {
                let name = listed.key.as_str().strip_prefix(&prefix).unwrap_or_default();
                let month = name.strip_prefix("monthly_count:");
                let may_go = match month {
                    Some(month) if is_month(month) => {
                        let keys =
                            [listed.key.clone(), Key::new(format!("meta:user:{id}:monthly_count:{month}"))?];
                        let counts = self.store.get_many(&logs, &keys).await?;
                        let count = |at: usize| {
                            let entry = counts.get(at)?.as_ref()?;
                            std::str::from_utf8(&entry.value).ok()?.trim().parse::<u64>().ok()
                        };
                        matches!((count(0), count(1)), (Some(legacy), Some(kept)) if legacy <= kept)
                    }
                    _ => matches!(name, "trip_count" | "index_dirty"),
                };
                let condition = Condition::Version(listed.version);
                let write =
                    Write { namespace: logs.clone(), key: listed.key, change: Change::Delete, condition };
                if may_go && matches!(self.store.write(write).await?, Written::Done(_)) {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Notes since when a user has been done. What is copied later starts the time anew.
    pub(super) async fn note_done(&self, id: &str, done: bool, migrated: u64) -> Result<(), MigrationError> {
        let migrations = keyspace::migrations();
        let key = done_key(id);
        let write = match (done, migrated) {
            (true, 0) => {
                document::put(&migrations, &key, &self.store.now().await?.0, None, Condition::Absent)?
            }
            (true, _) => {
                document::put(&migrations, &key, &self.store.now().await?.0, None, Condition::Always)?
            }
            (false, _) => {
                let key = Key::new(key)?;
                Write { namespace: migrations, key, change: Change::Delete, condition: Condition::Always }
            }
        };
        document::made(&*self.store, write).await?;
        Ok(())
    }
}

fn done_key(id: &str) -> String {
    format!("migration:{id}:doneSince")
}

fn held_back(coverage: &Coverage) -> Option<String> {
    if coverage.share < COVERAGE_LEAST {
        return Some(format!(
            "{} of {} users are done, which is less than 95 %; migrate more first",
            coverage.done, coverage.affected
        ));
    }
    (coverage.legacy_reads > 0).then(|| {
        format!(
            "legacy keys were read {} times in the last 7 days; find out by whom first",
            coverage.legacy_reads
        )
    })
}
