//! Who may claim a name under which legacy records stand.
//!
//! Display names are not unique, and `a` is the beginning of `a:b`. So a record under a name is somebody's only if no
//! other account has that name in any of its spellings. The answer is computed from all stored accounts; which of them
//! changed is told by the versions in a listing, and only those are read again.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::Value;
use tidegate_rekey::Claims;
use tidegate_store::kv::{Key, Kv, KvError, PAGE_MAX, Version};
use tokio::sync::Mutex;

use crate::keyspace;

/// Most accounts that are looked at.
pub const ACCOUNTS_MAX: usize = 500_000;

/// The names of all accounts.
#[derive(Debug)]
pub struct UserClaims {
    store: Kv,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    accounts: BTreeMap<Key, (Version, String, Vec<String>)>,
    by_spelling: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    fn forget(&mut self, key: &Key) {
        let Some((_, id, spellings)) = self.accounts.remove(key) else { return };
        for spelling in spellings {
            if let Some(ids) = self.by_spelling.get_mut(&spelling) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_spelling.remove(&spelling);
                }
            }
        }
    }

    fn learn(&mut self, key: &Key, version: Version, id: &str, core: &Value) {
        self.forget(key);
        let spellings = keyspace::legacy_spellings_of(id, core);
        for spelling in &spellings {
            self.by_spelling.entry(spelling.clone()).or_default().insert(id.to_owned());
        }
        self.accounts.insert(key.clone(), (version, id.to_owned(), spellings));
    }
}

impl UserClaims {
    pub(crate) fn new(store: Kv) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Looks at which accounts came, went or changed.
    async fn refreshed(&self) -> Result<tokio::sync::MutexGuard<'_, Known>, KvError> {
        let mut known = self.known.lock().await;
        let users = keyspace::users();
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        let mut changed: Vec<Key> = Vec::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.list(&users, "user:", after.as_ref(), PAGE_MAX).await?;
            for listed in &page.entries {
                if id_of(&listed.key).is_none() {
                    continue;
                }
                if known.accounts.get(&listed.key).is_none_or(|(version, ..)| *version != listed.version) {
                    changed.push(listed.key.clone());
                }
                seen.insert(listed.key.clone());
            }
            if seen.len() > ACCOUNTS_MAX {
                return Err(KvError::TooMany { what: "accounts", count: seen.len(), limit: ACCOUNTS_MAX });
            }
            if page.complete {
                break;
            }
            after = page.entries.into_iter().last().map(|listed| listed.key);
        }
        let gone: Vec<Key> = known.accounts.keys().filter(|key| !seen.contains(*key)).cloned().collect();
        for key in &gone {
            known.forget(key);
        }
        for keys in changed.chunks(PAGE_MAX) {
            for (key, entry) in keys.iter().zip(self.store.get_many(&users, keys).await?) {
                let read = entry.and_then(|entry| {
                    Some((entry.version, serde_json::from_slice::<Value>(&entry.value).ok()?))
                });
                match (id_of(key), read) {
                    (Some(id), Some((version, core))) => known.learn(key, version, id, &core),
                    // An account that cannot be read claims nothing, and is looked at each time.
                    _ => known.forget(key),
                }
            }
        }
        Ok(known)
    }

    /// The spellings of this account that no other one claims, and for each the longer names of others that begin with it
    /// and a colon.
    pub(crate) async fn own(&self, id: &str, core: &Value) -> Result<Vec<(String, Vec<String>)>, KvError> {
        let known = self.refreshed().await?;
        let mut own = Vec::new();
        for spelling in keyspace::legacy_spellings_of(id, core) {
            let is_alone =
                known.by_spelling.get(&spelling).is_none_or(|ids| ids.iter().all(|other| other == id));
            if is_alone {
                let longer = longer(&known, &spelling, Some(id));
                own.push((spelling, longer));
            }
        }
        Ok(own)
    }
}

#[async_trait]
impl Claims for UserClaims {
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let known = self.refreshed().await?;
        Ok(known.by_spelling.get(spelling).into_iter().flatten().cloned().collect())
    }

    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let known = self.refreshed().await?;
        // A longer name of the only one who claims the shorter takes nothing from anybody.
        let claimants = known.by_spelling.get(spelling).into_iter().flatten().collect::<Vec<_>>();
        let only = if let [only] = claimants.as_slice() { Some(only.as_str()) } else { None };
        Ok(longer(&known, spelling, only))
    }
}

/// Names of others than `id` that begin with `spelling` and a colon.
fn longer(known: &Known, spelling: &str, id: Option<&str>) -> Vec<String> {
    let begins = format!("{spelling}:");
    let names = known.by_spelling.range(begins.clone()..).take_while(|(name, _)| name.starts_with(&begins));
    names
        .filter(|(_, ids)| ids.iter().any(|other| Some(other.as_str()) != id))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The id in an account's key. `user:stats:U` is none.
fn id_of(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix("user:").filter(|id| !id.is_empty() && !id.contains(':'))
}
