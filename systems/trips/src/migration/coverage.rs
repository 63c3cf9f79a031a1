//! How far the migration has come: over all users, by what is left.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_rekey::{InPlaceOwners, RekeyError};
use tidegate_store::kv::{Key, PAGE_MAX};

use super::status::{left_of, total_scanned};
use super::subject::{core_of, subject_of};
use super::{Migration, MigrationError, rules};
use crate::keyspace;
use crate::metrics::legacy_reads_of_days;

/// The most users that one count goes over.
pub const USERS_MAX: usize = 200_000;
/// The most users that a count lists by name.
const LISTED_MAX: usize = 1_000;
/// Days over which legacy reads must be none before keys are removed.
pub const QUIET_DAYS: i64 = 7;

/// How far the migration has come.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Accounts that were looked at.
    pub users: u64,
    /// Of these, those that have legacy keys or are done.
    pub affected: u64,
    /// Of these, those that are done.
    pub done: u64,
    /// Done of the affected, 0 to 1; 1 where nobody is affected.
    pub share: f64,
    /// Legacy keys, copied or not, by namespace.
    pub legacy_keys: BTreeMap<String, u64>,
    /// Legacy reads of the last seven days.
    pub legacy_reads: u64,
    /// Users who are not done; the first thousand.
    pub not_done: Vec<NotDone>,
    /// Further users who are not done.
    pub more: u64,
    /// Accounts that cannot be read.
    pub unreadable: Vec<String>,
}

/// A user who is not done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotDone {
    /// The id.
    pub user_id: String,
    /// Records that an apply would copy, or at which it fails or finds two that differ.
    pub open: u64,
    /// Records in quarantine.
    pub quarantined: u64,
}

impl Migration {
    /// Counts over all users.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn coverage(&self) -> Result<Coverage, MigrationError> {
        let metrics = self.metrics();
        metrics.flush(&*self.store, &keyspace::migrations()).await?;
        let mut coverage = Coverage {
            users: 0,
            affected: 0,
            done: 0,
            share: 1.0,
            legacy_keys: BTreeMap::new(),
            legacy_reads: legacy_reads_of_days(&*self.store, &keyspace::migrations(), QUIET_DAYS).await?,
            not_done: Vec::new(),
            more: 0,
            unreadable: Vec::new(),
        };
        let namespaces = rules::namespaces();
        let in_place = self.rekey.scan_in_place().await?;
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.list(&keyspace::users(), "user:", after.as_ref(), PAGE_MAX).await?;
            for listed in &page.entries {
                let Some(id) = listed.key.as_str().strip_prefix("user:").filter(|id| !id.contains(':'))
                else {
                    continue;
                };
                self.cover(id, &listed.key, (&namespaces, &in_place), &mut coverage).await?;
            }
            after = page.entries.into_iter().last().map(|listed| listed.key);
            if page.complete {
                break;
            }
            if usize::try_from(coverage.users).unwrap_or(usize::MAX) > USERS_MAX {
                return Err(MigrationError::TooMany { what: "users", limit: USERS_MAX });
            }
        }
        if coverage.affected > 0 {
            coverage.share = crate::metrics::rate(coverage.done, coverage.affected - coverage.done);
        }
        metrics.remaining(coverage.legacy_keys.clone());
        Ok(coverage)
    }

    async fn cover(
        &self,
        id: &str,
        key: &Key,
        (namespaces, in_place): (&BTreeMap<&'static str, String>, &InPlaceOwners),
        coverage: &mut Coverage,
    ) -> Result<(), MigrationError> {
        let Some(entry) = self.store.get(&keyspace::users(), key).await? else { return Ok(()) };
        coverage.users += 1;
        let Ok(core) = core_of(key, id, &entry.value) else {
            coverage.unreadable.push(id.to_owned());
            return Ok(());
        };
        let subject = match subject_of(&*self.store, id, &core).await {
            Ok(subject) => subject,
            // More names than can be looked at, for example: one account is no reason to say nothing of all others.
            Err(MigrationError::Rekey(RekeyError::BadSubject { .. })) => {
                coverage.unreadable.push(id.to_owned());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let owned = self.rekey.owned_with(&subject, in_place).await?;
        let state = self.rekey.state(id).await?;
        let is_done = state.is_some_and(|state| state.done);
        if total_scanned(&owned) == 0 && !is_done {
            return Ok(());
        }
        coverage.affected += 1;
        for (rule, namespace) in namespaces {
            let scanned = owned.rule(rule).map_or(0, |of| of.scanned);
            *coverage.legacy_keys.entry(namespace.clone()).or_default() += scanned;
        }
        let remaining = self.rekey.remaining_with(&subject, in_place).await?;
        let left: u64 = namespaces.keys().map(|rule| left_of(&remaining, rule)).sum();
        // What came after it was done counts again.
        if is_done && left == 0 {
            coverage.done += 1;
            return Ok(());
        }
        let quarantined = remaining.total().quarantined;
        if coverage.not_done.len() == LISTED_MAX {
            coverage.more += 1;
        } else {
            coverage.not_done.push(NotDone { user_id: id.to_owned(), open: left - quarantined, quarantined });
        }
        Ok(())
    }
}
