//! A store with a clock that is set, the service on it, and keys as they were before the migration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use testkit::Redis;
use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{
    Change, Condition, Entry, Key, Kv, KvError, KvStore, Namespace, Page, Properties, UnixSecond, Write,
    Written, WrittenAll,
};
use trips::migration::cohort::CohortReport;
use trips::migration::{Actor, Migration};
use trips::{App, keyspace, shapes};
use uuid::Uuid;

/// 2026-03-01T12:00:00Z.
pub(crate) const NOON: UnixSecond = UnixSecond(1_772_366_400);
/// A time of long ago, and one after it.
pub(crate) const OLD: &str = "2026-01-01T09:00:00Z";
pub(crate) const NEW: &str = "2026-02-02T09:00:00Z";

/// What stands at a key: value, metadata, expiry.
pub(crate) type Standing = (Bytes, Option<String>, Option<UnixSecond>);

pub(crate) struct Ground {
    pub(crate) store: Kv,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) app: Arc<App>,
    pub(crate) migration: Arc<Migration>,
    pub(crate) directory: PathBuf,
    refusing: Arc<Refusing>,
    _redis: Option<Redis>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What is left in the directory of temporary files disturbs nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What says on which store the tests run: nothing, or `redis`.
const STORE: &str = "TRIPS_TEST_STORE";

/// The embedded store, or a Redis of the test's own.
async fn open(directory: &std::path::Path, clock: &Arc<SetClock>) -> (Kv, Option<Redis>) {
    match std::env::var(STORE).as_deref() {
        Ok("redis") => {
            let redis = Redis::start().await.unwrap();
            let store = RedisKv::open_with_clock(&redis.url(), clock.clone()).await.unwrap();
            (Arc::new(store), Some(redis))
        }
        Ok(other) => panic!("{STORE}={other} is no store; write redis, or nothing"),
        Err(_) => {
            let store = SqliteKv::open_with_clock(&directory.join("trips.db"), clock.clone()).unwrap();
            (Arc::new(store), None)
        }
    }
}

/// A store that refuses what a test says.
#[derive(Debug)]
struct Refusing {
    inner: Kv,
    what: Mutex<Vec<(Namespace, String)>>,
    unread: Mutex<Option<String>>,
    /// Bytes of the values of the largest answer.
    largest: AtomicUsize,
}

impl Refusing {
    fn check(&self, writes: &[Write]) -> Result<(), KvError> {
        let what = self.what.lock().unwrap();
        let is_refused = |write: &Write| {
            what.iter().any(|(namespace, part)| {
                *namespace == write.namespace && write.key.as_str().contains(part.as_str())
            })
        };
        match writes.iter().find(|write| is_refused(write)) {
            None => Ok(()),
            Some(write) => {
                Err(KvError::TooLarge { what: "the value", key: write.key.to_string(), bytes: 2, limit: 1 })
            }
        }
    }
}

#[async_trait]
impl KvStore for Refusing {
    fn properties(&self) -> Properties {
        self.inner.properties()
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        self.inner.now().await
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let is_unread = |key: &Key| self.unread.lock().unwrap().as_deref() == Some(key.as_str());
        if keys.iter().any(is_unread) {
            return Err(KvError::Unavailable {
                store: "a test's".to_owned(),
                message: "it is away".to_owned(),
            });
        }
        let found = self.inner.get_some(namespace, keys).await?;
        let bytes = found.iter().flatten().map(|entry| entry.value.len()).sum();
        self.largest.fetch_max(bytes, Ordering::SeqCst);
        Ok(found)
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        self.inner.list(namespace, prefix, after, limit).await
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        self.check(writes)?;
        self.inner.write_each(writes).await
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        self.check(writes)?;
        self.inner.write_all(writes).await
    }
}

impl Ground {
    pub(crate) async fn new() -> Ground {
        Ground::with_environment(&[]).await
    }

    /// A service whose environment says this.
    pub(crate) async fn with_environment(environment: &[(&str, &str)]) -> Ground {
        let directory = std::env::temp_dir().join(format!("trips-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let clock = Arc::new(SetClock::new(NOON));
        let (inner, redis) = open(&directory, &clock).await;
        let refusing = Arc::new(Refusing {
            inner,
            what: Mutex::default(),
            unread: Mutex::default(),
            largest: AtomicUsize::new(0),
        });
        let store: Kv = refusing.clone();
        let get = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let app = App::new(store.clone(), &get);
        let migration = Arc::new(Migration::new(&app).unwrap());
        Ground { store, clock, app, migration, directory, refusing, _redis: redis }
    }

    /// Each batch with a write to this namespace is refused from now on.
    pub(crate) fn refuse_writes_to(&self, namespace: &Namespace) {
        self.refuse_keys(namespace, "");
    }

    /// Each batch with a write to a key with this text in it is refused from now on, as too large.
    pub(crate) fn refuse_keys(&self, namespace: &Namespace, part: &str) {
        self.refusing.what.lock().unwrap().push((namespace.clone(), part.to_owned()));
    }

    /// Bytes of the values of the largest answer since this was asked last.
    pub(crate) fn largest_answer(&self) -> usize {
        self.refusing.largest.swap(0, Ordering::SeqCst)
    }

    /// A reading of this key is answered by an error from now on.
    pub(crate) fn refuse_reads_of(&self, key: &str) {
        *self.refusing.unread.lock().unwrap() = Some(key.to_owned());
    }

    pub(crate) fn allow_writes(&self) {
        self.refusing.what.lock().unwrap().clear();
    }

    pub(crate) fn month(&self) -> String {
        "2026-03".to_owned()
    }

    /// An account as they were: nothing of a role.
    pub(crate) async fn user(&self, user_name: &str, name: &str) -> String {
        self.user_with(user_name, name, json!({})).await
    }

    pub(crate) async fn user_with(&self, user_name: &str, name: &str, more: Value) -> String {
        let id = Uuid::new_v4().to_string();
        let mut core = json!({
            "id": id, "username": user_name, "email": format!("{user_name}@example.org"), "password": "x",
            "plan": "free", "name": name, "createdAt": "2025-06-01T00:00:00Z",
        });
        core.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_else(Map::new));
        self.put(&keyspace::users(), &format!("user:{id}"), &core).await;
        self.raw(
            &keyspace::users(),
            &format!("idx:username:{}", user_name.to_lowercase()),
            id.as_bytes(),
            None,
            None,
        )
        .await;
        id
    }

    pub(crate) async fn trip(&self, owner: &str, record: &str, updated_at: &str) {
        let body = shapes::trip(record, owner, updated_at);
        self.put(&keyspace::logs(), &format!("trip:{owner}:{record}"), &body).await;
    }

    pub(crate) async fn put(&self, namespace: &Namespace, key: &str, value: &Value) {
        self.raw(namespace, key, value.to_string().as_bytes(), None, None).await;
    }

    pub(crate) async fn raw(
        &self,
        namespace: &Namespace,
        key: &str,
        value: &[u8],
        metadata: Option<&str>,
        expires_at: Option<UnixSecond>,
    ) {
        let change = Change::Put {
            value: Bytes::copy_from_slice(value),
            metadata: metadata.map(str::to_owned),
            expires_at,
        };
        self.change(namespace, key, change).await;
    }

    pub(crate) async fn delete(&self, namespace: &Namespace, key: &str) {
        self.change(namespace, key, Change::Delete).await;
    }

    /// Gives an account another id, everywhere that an account stands.
    pub(crate) async fn user_with_id(&self, id: &str, user_name: &str, name: &str, more: Value) {
        let made = self.user_with(user_name, name, more).await;
        let mut core = self.json(&keyspace::users(), &format!("user:{made}")).await;
        core["id"] = json!(id);
        self.delete(&keyspace::users(), &format!("user:{made}")).await;
        self.put(&keyspace::users(), &format!("user:{id}"), &core).await;
        let index = format!("idx:username:{}", user_name.to_lowercase());
        self.raw(&keyspace::users(), &index, id.as_bytes(), None, None).await;
    }

    async fn change(&self, namespace: &Namespace, key: &str, change: Change) {
        let (namespace, key) = (namespace.clone(), Key::new(key).unwrap());
        let write = Write { namespace, key, change, condition: Condition::Always };
        assert!(matches!(self.store.write(write).await.unwrap(), Written::Done(_)));
    }

    pub(crate) async fn entry(&self, namespace: &Namespace, key: &str) -> Option<Entry> {
        self.store.get(namespace, &Key::new(key).unwrap()).await.unwrap()
    }

    pub(crate) async fn json(&self, namespace: &Namespace, key: &str) -> Value {
        match self.entry(namespace, key).await {
            Some(entry) => serde_json::from_slice(&entry.value).unwrap(),
            None => Value::Null,
        }
    }

    pub(crate) async fn keys(&self, namespace: &Namespace, prefix: &str) -> Vec<String> {
        let listed = self.store.list_all(namespace, prefix, 100_000).await.unwrap();
        listed.into_iter().map(|listed| listed.key.to_string()).collect()
    }

    /// Everything in the store.
    pub(crate) async fn all(&self) -> BTreeMap<(Namespace, String), Standing> {
        let mut all = BTreeMap::new();
        for namespace in keyspace::all() {
            for key in self.keys(&namespace, "").await {
                let entry = self.entry(&namespace, &key).await.unwrap();
                all.insert((namespace.clone(), key), (entry.value, entry.metadata, entry.expires_at));
            }
        }
        all
    }

    /// Everything but what the migration keeps for itself, and indexes.
    pub(crate) async fn data(&self) -> BTreeMap<(Namespace, String), Standing> {
        let mut all = self.all().await;
        all.retain(|(namespace, key), _| {
            *namespace != keyspace::migrations()
                && *namespace != keyspace::index()
                && !key.contains(":trip_count")
        });
        all
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor { name: "an admin".to_owned(), user_id: "an admin".to_owned(), ip: None }
    }

    pub(crate) async fn cohort(&self, inputs: &[&str], apply: bool) -> CohortReport {
        let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
        self.migration.cohort(&inputs, apply, &self.actor()).await
    }

    /// What a run says of one user.
    pub(crate) async fn run(&self, input: &str, apply: bool) -> Value {
        self.cohort(&[input], apply).await.results[input].clone()
    }

    /// How many reads at legacy keys this service has counted.
    pub(crate) fn legacy_reads(&self) -> u64 {
        let told = self.app.metrics().render();
        let count = told.lines().find_map(|line| line.strip_prefix("migration_legacy_reads "));
        count.unwrap().parse().unwrap()
    }

    pub(crate) async fn status(&self, input: &str) -> Value {
        self.migration.status(&[input.to_owned()]).await.1[input].clone()
    }
}

/// A count of a rule in what a run says.
pub(crate) fn count(told: &Value, rule: &str, field: &str) -> u64 {
    assert!(told["counts"].is_object(), "{told:#}");
    // A rule without records is not told of.
    told["counts"][rule][field].as_u64().unwrap_or(0)
}
