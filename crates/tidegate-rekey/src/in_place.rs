//! Whose the records are whose keys do not say it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tidegate_store::kv::{Entry, Key, Listed, PAGE_MAX, Version};

use crate::asking::Asking;
use crate::{Plan, RekeyError};

/// Most records of one scan.
const SCANNED_MAX: usize = 2_000_000;
/// Records whose bodies are read at once, at first and at most. How large they are is known only then.
const BODIES_FIRST: usize = 16;
const BODIES_MAX: usize = 128;
/// Bytes that they should have together at most; the next ones are fewer where they had more.
const BODIES_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are kept of one record that is not JSON, and of all of them: enough to find a name in it.
const UNREADABLE_BYTES: usize = 64 * 1024;
const UNREADABLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Records whose names are remembered.
const REMEMBERED_MAX: usize = 500_000;

/// What a scan has read, for the next one of the same store: a record that has the version it had names whom it named,
/// and is not read again. Cloning it gives the same memory.
#[derive(Debug, Clone, Default)]
pub struct InPlaceMemory(Arc<Mutex<Arc<Remembered>>>);

/// By rule and key: the version that was read, and the names in it. What is not JSON is read each time.
type Remembered = HashMap<String, HashMap<Key, Read>>;

#[derive(Debug, Clone)]
struct Read {
    version: Version,
    names: Arc<[String]>,
}

impl InPlaceMemory {
    fn recall(&self) -> Arc<Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the newest scan has seen, and nothing else: what is gone is forgotten.
    fn keep(&self, seen: Remembered) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(seen);
    }
}

/// One scan of the records that are rewritten in place, for all the subjects of a cohort: by whom they name.
///
/// Each record is read and judged again when it is processed. What is written after the scan is found by the next.
#[derive(Debug, Clone, Default)]
pub struct InPlaceOwners(Arc<Scanned>);

#[derive(Debug, Default)]
struct Scanned {
    /// By rule and name.
    named: BTreeMap<String, BTreeMap<String, Vec<Key>>>,
    /// By rule: keys of what is not JSON, and its text.
    unreadable: Vec<Unreadable>,
    /// Of their texts.
    unreadable_bytes: usize,
}

#[derive(Debug, Clone)]
struct Unreadable {
    rule: String,
    key: Key,
    text: String,
}

impl InPlaceOwners {
    pub(crate) async fn scan(
        store: &Asking,
        plan: &Plan,
        memory: &InPlaceMemory,
    ) -> Result<Self, RekeyError> {
        let (mut owners, mut scanned, mut at_once) = (Scanned::default(), 0, BODIES_FIRST);
        let (known, mut seen, mut room) = (memory.recall(), Remembered::new(), REMEMBERED_MAX);
        for rule in plan.rules.iter().filter(|rule| rule.is_in_place()) {
            let mut after: Option<Key> = None;
            loop {
                let page = store.list(&rule.namespace, rule.prefix(), after.as_ref(), PAGE_MAX).await?;
                scanned += page.entries.len();
                if scanned > SCANNED_MAX {
                    return Err(RekeyError::TooMany {
                        what: "records that are kept in place",
                        limit: SCANNED_MAX,
                    });
                }
                after = page.entries.last().map(|listed| listed.key.clone());
                let (as_before, mut keys) = told_apart(&known, &rule.name, page.entries);
                for (key, read) in as_before {
                    owners.name(&rule.name, &key, &read.names);
                    remember(&mut seen, &mut room, &rule.name, key, read);
                }
                while !keys.is_empty() {
                    let rest = keys.split_off(at_once.min(keys.len()));
                    let mut bytes = 0;
                    let found = store.get_some(&rule.namespace, &keys).await?;
                    let unread = keys.split_off(found.len().clamp(1, keys.len()));
                    for (key, entry) in keys.iter().zip(found) {
                        let Some(entry) = entry else { continue };
                        bytes += entry.value.len();
                        let names = owners.take(&rule.name, &rule.proof_pointers, key, &entry);
                        if let Some(names) = names {
                            let read = Read { version: entry.version, names };
                            remember(&mut seen, &mut room, &rule.name, key.clone(), read);
                        }
                    }
                    if owners.unreadable_bytes > UNREADABLE_BYTES_MAX {
                        return Err(RekeyError::TooMany {
                            what: "bytes of records in place that are not JSON",
                            limit: UNREADABLE_BYTES_MAX,
                        });
                    }
                    at_once = match bytes > BODIES_BYTES {
                        true => (at_once / 4).max(1),
                        false => (at_once * 2).min(BODIES_MAX),
                    };
                    keys = unread;
                    keys.extend(rest);
                }
                if page.complete {
                    break;
                }
            }
        }
        memory.keep(seen);
        Ok(Self(Arc::new(owners)))
    }

    /// The keys of records that name one of these, or that are broken and have one of them in their text; in order.
    pub(crate) fn keys_of(&self, rule: &str, spellings: &[String]) -> Vec<Key> {
        let by_name = self.0.named.get(rule);
        let named = spellings.iter().filter_map(|spelling| by_name?.get(spelling)).flatten();
        let broken = self.0.unreadable.iter().filter(|broken| broken.rule == rule);
        let broken = broken.filter(|broken| broken.names(spellings)).map(|broken| &broken.key);
        let keys: BTreeSet<&Key> = named.chain(broken).collect();
        keys.into_iter().cloned().collect()
    }

    /// How many records are not JSON and have none of these names in them.
    pub(crate) fn unattributed(&self, spellings: &[String]) -> u64 {
        self.0.unreadable.iter().map(|broken| u64::from(!broken.names(spellings))).sum()
    }

    /// The records that are not JSON: their rule and key.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.0.unreadable.iter().map(|broken| (broken.rule.as_str(), &broken.key))
    }
}

/// What is as it was when it was read, and the keys of the others.
fn told_apart(known: &Remembered, rule: &str, page: Vec<Listed>) -> (Vec<(Key, Read)>, Vec<Key>) {
    let known = known.get(rule);
    let (mut as_before, mut others) = (Vec::new(), Vec::new());
    for listed in page {
        match known.and_then(|known| known.get(&listed.key)).filter(|read| read.version == listed.version) {
            Some(read) => as_before.push((listed.key, read.clone())),
            None => others.push(listed.key),
        }
    }
    (as_before, others)
}

fn remember(seen: &mut Remembered, room: &mut usize, rule: &str, key: Key, read: Read) {
    if *room == 0 {
        return;
    }
    *room -= 1;
    if !seen.contains_key(rule) {
        seen.insert(rule.to_owned(), HashMap::new());
    }
    if let Some(of_rule) = seen.get_mut(rule) {
        of_rule.insert(key, read);
    }
}

impl Scanned {
    /// Takes a record; gives the names in it, if it is JSON.
    fn take(&mut self, rule: &str, pointers: &[String], key: &Key, entry: &Entry) -> Option<Arc<[String]>> {
        let Ok(body) = serde_json::from_slice::<Value>(&entry.value) else {
            let (start, _) = entry.value.split_at(entry.value.len().min(UNREADABLE_BYTES));
            let text = String::from_utf8_lossy(start).into_owned();
            self.unreadable_bytes += text.len();
            self.unreadable.push(Unreadable { rule: rule.to_owned(), key: key.clone(), text });
            return None;
        };
        let names: BTreeSet<&str> =
            pointers.iter().filter_map(|pointer| body.pointer(pointer)?.as_str()).collect();
        let names: Arc<[String]> = names.into_iter().map(str::to_owned).collect();
        self.name(rule, key, &names);
        Some(names)
    }

    fn name(&mut self, rule: &str, key: &Key, names: &[String]) {
        if !self.named.contains_key(rule) {
            self.named.insert(rule.to_owned(), BTreeMap::new());
        }
        let Some(by_name) = self.named.get_mut(rule) else { return };
        for name in names {
            match by_name.get_mut(name) {
                Some(keys) => keys.push(key.clone()),
                None => drop(by_name.insert(name.clone(), vec![key.clone()])),
            }
        }
    }
}

impl Unreadable {
    fn names(&self, spellings: &[String]) -> bool {
        spellings.iter().any(|spelling| self.text.contains(&Value::from(spelling.as_str()).to_string()))
    }
}
