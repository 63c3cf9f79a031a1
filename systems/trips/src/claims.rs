//! Who may claim a name under which legacy records stand.
//!
//! Display names are not unique, and `a` is the beginning of `a:b`. So a record under a name is somebody's only if no
//! other account has that name in any of its spellings, or as its id. The answer is computed from all stored accounts; which of them
//! changed is told by the versions in a listing, and only those are read again.
//!
//! Nobody gets records by taking a name: an account keeps its claim on names that it had, one that takes a name under
//! which records stand already has no claim on them, and a name that a deleted account shared stays shared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidegate_rekey::{Claim, Claims};
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, PAGE_MAX, Version, Write};
use tokio::sync::Mutex;

use crate::keyspace;

/// Most accounts that are looked at.
pub const ACCOUNTS_MAX: usize = 500_000;

/// Up to so many accounts they are looked at for each reading.
const FEW_ACCOUNTS: usize = 1_000;

/// How long what is known of more of them serves for reading. An account that came since can have no records under names.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// What keys of shared names begin with.
const RELEASED: &str = "released:";

/// What is said in place of the id of an account that is no more.
const DELETED: &str = "a deleted account";

/// The names of all accounts.
#[derive(Debug)]
pub struct UserClaims {
    store: Kv,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Key, (Version, String, Vec<String>)>,
    by_spelling: BTreeMap<String, BTreeSet<String>>,
    /// The keys of all accounts, also of those that cannot be read.
    keys: HashSet<Key>,
    /// Hashes of names that accounts which were deleted shared with others.
    released: BTreeSet<Key>,
    at: Option<Instant>,
}

impl Known {
    /// The ids of all who may claim this.
    fn claimants(&self, spelling: &str) -> Vec<String> {
        let mut ids = self.by_spelling.get(spelling).cloned().unwrap_or_default();
        if keyspace::user(spelling).is_ok_and(|key| self.keys.contains(&key)) {
            ids.insert(spelling.to_owned());
        }
        ids.into_iter().chain(self.is_released(spelling).then(|| DELETED.to_owned())).collect()
    }

    fn is_released(&self, spelling: &str) -> bool {
        released(spelling).is_ok_and(|key| self.released.contains(&key))
    }

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
    async fn refreshed(&self, may_be_old: bool) -> Result<tokio::sync::MutexGuard<'_, Known>, KvError> {
        let mut known = self.known.lock().await;
        let begun = Instant::now();
        if may_be_old
            && known.accounts.len() > FEW_ACCOUNTS
            && known.at.is_some_and(|at| at.elapsed() < FRESH_FOR)
        {
            return Ok(known);
        }
        let users = keyspace::users();
        let mut seen: HashSet<Key> = HashSet::with_capacity(known.accounts.len());
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
        let released = self.store.list_all(&users, RELEASED, ACCOUNTS_MAX).await?;
        known.released = released.into_iter().map(|listed| listed.key).collect();
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
        known.keys = seen;
        known.at = Some(begun);
        Ok(known)
    }

    /// The spellings of this account that no other one claims, and for each the longer names of others that begin with it
    /// and a colon. For reading: see [`FRESH_FOR`].
    pub(crate) async fn own(&self, id: &str, core: &Value) -> Result<Vec<(String, Vec<String>)>, KvError> {
        Ok(own(&*self.refreshed(true).await?, id, core))
    }

    /// The same of what is stored now.
    pub(crate) async fn own_now(
        &self,
        id: &str,
        core: &Value,
    ) -> Result<Vec<(String, Vec<String>)>, KvError> {
        Ok(own(&*self.refreshed(false).await?, id, core))
    }

    /// Keeps names shared that an account which goes shares with others. A name that nobody else has is not kept.
    pub(crate) async fn release(&self, shared: &[String]) -> Result<(), KvError> {
        if shared.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::new();
        for spelling in shared {
            writes.push(Write {
                namespace: keyspace::users(),
                key: released(spelling)?,
                change: Change::Put { value: Bytes::from_static(b"{}"), metadata: None, expires_at: None },
                condition: Condition::Always,
            });
        }
        self.store.write_each(&writes).await?;
        Ok(())
    }

    /// Whether records stand under a name, or under a longer one that begins with it and a colon.
    pub(crate) async fn has_records(&self, name: &str) -> Result<bool, KvError> {
        let users = keyspace::users();
        let prefixes = [
            (keyspace::logs(), "trip:", ":"),
            (keyspace::expenses(), "expense:", ":"),
            (keyspace::mileage(), "mileage:", ":"),
            (keyspace::logs(), "meta:user:", ":"),
            (keyspace::hughesnet(), "hns:settings:", ""),
            (keyspace::hughesnet(), "hns:db:", ""),
            (keyspace::hughesnet(), "hns:session:", ""),
            (keyspace::hughesnet(), "hns:cred:", ""),
            (keyspace::user_settings(), "settings:", ""),
            (users, "authenticators:", ""),
        ];
        for (namespace, begins, ends) in prefixes {
            let at = format!("{begins}{name}{ends}");
            let is_there = match ends {
                "" => match Key::new(at) {
                    Ok(key) => self.store.get(&namespace, &key).await?.is_some(),
                    Err(_) => false,
                },
                _ => !self.store.list(&namespace, &at, None, 1).await?.entries.is_empty(),
            };
            if is_there {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn own(known: &Known, id: &str, core: &Value) -> Vec<(String, Vec<String>)> {
    let mut own = Vec::new();
    for spelling in keyspace::legacy_spellings_of(id, core) {
        if known.claimants(&spelling).iter().all(|other| other == id) {
            let longer = longer(known, &spelling, Some(id));
            own.push((spelling, longer));
        }
    }
    own
}

#[async_trait]
impl Claims for UserClaims {
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(self.refreshed(false).await?.claimants(spelling))
    }

    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(claim(&*self.refreshed(false).await?, spelling).longer_names)
    }

    async fn of_all(&self, spellings: &[String]) -> Result<Vec<Claim>, KvError> {
        let known = self.refreshed(false).await?;
        Ok(spellings.iter().map(|spelling| claim(&known, spelling)).collect())
    }
}

fn claim(known: &Known, spelling: &str) -> Claim {
    let claimants = known.claimants(spelling);
    // A longer name of the only one who claims the shorter takes nothing from anybody.
    let only = if let [only] = claimants.as_slice() { Some(only.as_str()) } else { None };
    Claim { longer_names: longer(known, spelling, only), claimants: claimants.into_iter().collect() }
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

/// Where it is kept that an account which was deleted shared this name. The name itself is not kept.
fn released(spelling: &str) -> Result<Key, KvError> {
    Key::new(format!("{RELEASED}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(spelling.as_bytes()))))
}

/// The id in an account's key. `user:stats:U` is none.
fn id_of(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix("user:").filter(|id| !id.is_empty() && !id.contains(':'))
}
