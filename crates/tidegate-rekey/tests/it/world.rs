//! A store in a directory, some accounts, and a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tidegate_rekey::{Bounds, Claims, Kind, Plan, Rekey, Report, Rewrite, Rule, RuleCounts, Subject};
use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Entry, Key, Kv, KvError, Namespace, UnixSecond, Write, Written};

pub(crate) const START: i64 = 1_770_000_000;
pub(crate) const OLD: &str = "2026-01-01T00:00:00Z";
pub(crate) const MID: &str = "2026-02-01T00:00:00Z";
pub(crate) const NEW: &str = "2026-03-01T00:00:00Z";

/// Everything that stands in a namespace, without versions.
pub(crate) type Contents = BTreeMap<String, (Bytes, Option<String>, Option<i64>)>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Kv,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) accounts: Accounts,
    directory: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Ids and names of all accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts(pub(crate) Vec<(String, Vec<String>)>);

#[async_trait]
impl Claims for Accounts {
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let claims = |(id, names): &&(String, Vec<String>)| {
            id == spelling || names.iter().any(|name| name.to_lowercase() == spelling.to_lowercase())
        };
        Ok(self.0.iter().filter(claims).map(|(id, _)| id.clone()).collect())
    }

    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let claimants = self.claimants(spelling).await?;
        let others = self.0.iter().filter(|(id, _)| !claimants.contains(id));
        let names =
            others.flat_map(|(_, names)| names.iter().flat_map(|name| [name.clone(), name.to_lowercase()]));
        Ok(names.filter(|name| name.starts_with(&format!("{spelling}:"))).collect())
    }
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn at(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

pub(crate) fn prefixed(name: &str, namespace: &str, prefix: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        namespace: at(namespace),
        kind: Kind::Prefixed { prefix: prefix.to_owned() },
        owner_pointers: texts(&["/userId", "/backup/userId"]),
        proof_pointers: texts(&["/userId", "/backup/userId"]),
        key_pointers: texts(&["/metadata/originalKey"]),
        metadata_key_pointers: texts(&["/originalKey"]),
        clock_pointers: texts(&["/updatedAt", "/createdAt"]),
        opaque: false,
    }
}

pub(crate) fn single(name: &str, namespace: &str, prefix: &str) -> Rule {
    let kind = Kind::Single { prefix: prefix.to_owned(), suffix: String::new() };
    Rule { kind, ..prefixed(name, namespace, prefix) }
}

pub(crate) fn opaque(name: &str, namespace: &str, prefix: &str) -> Rule {
    Rule {
        owner_pointers: Vec::new(),
        proof_pointers: Vec::new(),
        key_pointers: Vec::new(),
        metadata_key_pointers: Vec::new(),
        clock_pointers: Vec::new(),
        opaque: true,
        ..single(name, namespace, prefix)
    }
}

pub(crate) fn trash() -> Rule {
    let kind = Kind::InPlace { prefix: "trash:".to_owned() };
    Rule { kind, ..prefixed("trash", "TRASH", "trash:") }
}

/// Ids that hold the owner's name.
#[derive(Debug)]
pub(crate) struct SyncedIds;

impl Rewrite for SyncedIds {
    fn record_id(&self, rule: &Rule, subject: &Subject, spelling: &str, record: &str) -> String {
        let is_synced = rule.name == "trips" && record.starts_with(&format!("hns_{spelling}_"));
        let rest = record.get(5 + spelling.len()..).filter(|_| is_synced);
        rest.map_or_else(|| record.to_owned(), |rest| format!("hns_{}_{rest}", subject.id))
    }

    fn body(&self, rule: &Rule, subject: &Subject, spelling: &str, body: &mut Value) {
        for pointer in ["/id", "/backup/id", "/tripId"] {
            if let Some(Value::String(id)) = body.pointer_mut(pointer) {
                let trips = Rule { name: "trips".to_owned(), ..rule.clone() };
                *id = self.record_id(&trips, subject, spelling, id);
            }
        }
    }
}

pub(crate) fn rules() -> Vec<Rule> {
    vec![
        prefixed("trips", "LOGS", "trip:"),
        prefixed("mileage", "MILEAGE", "mileage:"),
        single("settings", "SETTINGS", "settings:"),
        opaque("cred", "HNS", "hns:cred:"),
        trash(),
    ]
}

pub(crate) fn subject(id: &str, spellings: &[&str]) -> Subject {
    Subject::new(id, texts(spellings)).unwrap()
}

pub(crate) fn james() -> Subject {
    subject("u-1", &["James", "james"])
}

pub(crate) fn bounds() -> Bounds {
    Bounds { batch: 500, iterations: 50, held_to: None }
}

pub(crate) fn trip(id: &str, user: &str, updated: &str) -> Value {
    json!({"id": id, "userId": user, "updatedAt": updated, "miles": 12.50})
}

pub(crate) fn put(
    namespace: &str,
    key: &str,
    value: &str,
    metadata: Option<&str>,
    end: Option<i64>,
) -> Write {
    let change = Change::Put {
        value: Bytes::from(value.to_owned()),
        metadata: metadata.map(str::to_owned),
        expires_at: end.map(UnixSecond),
    };
    Write { namespace: at(namespace), key: Key::new(key).unwrap(), change, condition: Condition::Always }
}

impl World {
    /// A world with James, who is u-1.
    pub(crate) fn new() -> Self {
        Self::with(&[("u-1", &["James"])])
    }

    pub(crate) fn with(accounts: &[(&str, &[&str])]) -> Self {
        Self::in_room(Path::new(env!("CARGO_TARGET_TMPDIR")), accounts)
    }

    /// As [`World::new`], in memory where that can be: for records that are large.
    pub(crate) fn roomy() -> Self {
        let memory = Path::new("/dev/shm");
        let room = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        Self::in_room(room, &[("u-1", &["James"])])
    }

    fn in_room(room: &Path, accounts: &[(&str, &[&str])]) -> Self {
        let directory = room.join(format!("rekey-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        let clock = Arc::new(SetClock::new(UnixSecond(START)));
        let store = SqliteKv::open_with_clock(&directory.join("kv.db"), clock.clone()).unwrap();
        let accounts = accounts.iter().map(|(id, names)| ((*id).to_owned(), texts(names))).collect();
        Self { store: Arc::new(store), clock, accounts: Accounts(accounts), directory }
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::new(Plan::new(rules(), at("JOURNAL"), Arc::new(SyncedIds)).unwrap())
    }

    pub(crate) fn rekey(&self) -> Rekey {
        self.rekey_on(self.store.clone())
    }

    pub(crate) fn rekey_on(&self, store: Kv) -> Rekey {
        Rekey::new(store, self.plan(), Arc::new(self.accounts.clone())).unwrap()
    }

    pub(crate) async fn write(&self, write: Write) {
        assert!(matches!(self.store.write(write).await.unwrap(), Written::Done(_)));
    }

    pub(crate) async fn put(&self, namespace: &str, key: &str, value: &Value) {
        self.write(put(namespace, key, &value.to_string(), None, None)).await;
    }

    pub(crate) async fn delete(&self, namespace: &str, key: &str) {
        let (namespace, key) = (at(namespace), Key::new(key).unwrap());
        self.write(Write { namespace, key, change: Change::Delete, condition: Condition::Always }).await;
    }

    pub(crate) async fn get(&self, namespace: &str, key: &str) -> Option<Entry> {
        self.store.get(&at(namespace), &Key::new(key).unwrap()).await.unwrap()
    }

    pub(crate) async fn json(&self, namespace: &str, key: &str) -> Option<Value> {
        self.get(namespace, key).await.map(|entry| serde_json::from_slice(&entry.value).unwrap())
    }

    pub(crate) async fn contents(&self, namespace: &str) -> Contents {
        let mut contents = Contents::new();
        for listed in self.store.list_all(&at(namespace), "", 100_000).await.unwrap() {
            let entry = self.store.get(&at(namespace), &listed.key).await.unwrap().unwrap();
            let end = entry.expires_at.map(|end| end.0);
            contents.insert(listed.key.to_string(), (entry.value, entry.metadata, end));
        }
        contents
    }

    /// Everything but the journal.
    pub(crate) async fn data(&self) -> BTreeMap<&'static str, Contents> {
        let mut data = BTreeMap::new();
        for namespace in ["LOGS", "MILEAGE", "SETTINGS", "HNS", "TRASH"] {
            data.insert(namespace, self.contents(namespace).await);
        }
        data
    }

    pub(crate) async fn apply(&self, subject: &Subject) -> Report {
        self.rekey().apply(subject, bounds(), "jane").await.unwrap()
    }
}

/// The numbers of one rule.
pub(crate) fn of(report: &Report, rule: &str) -> RuleCounts {
    report.counts.rule(rule).copied().unwrap_or_default()
}
