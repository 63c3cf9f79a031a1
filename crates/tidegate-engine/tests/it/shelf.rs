//! A key-value store beside the home store, with a page that names it.

use std::path::PathBuf;

use tidegate_engine::event::Event;
use tidegate_engine::outcome::Outcome;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{self, Change, Condition, Key, Kv, Namespace, Write};

use testkit::Redis;

use crate::stage_hand::{Stage, page_with};

/// A store in a folder of its own, or on a server of its own.
pub(crate) struct Shelf {
    pub(crate) folder: PathBuf,
    pub(crate) keys: Kv,
    url: String,
    _server: Option<Redis>,
}

impl Shelf {
    fn new(stage: &Stage) -> Self {
        let folder = folder(stage);
        let path = folder.join("keys.db");
        let keys: Kv = std::sync::Arc::new(SqliteKv::open(&path).unwrap());
        Self { folder, keys, url: format!("sqlite:{}", path.display()), _server: None }
    }

    async fn on_redis(stage: &Stage) -> Self {
        let server = Redis::start().await.unwrap();
        let url = server.url();
        let keys = kv::open(&url).await.unwrap();
        Self { folder: folder(stage), keys, url, _server: Some(server) }
    }

    pub(crate) async fn change(&self, key: &str, change: Change) {
        let namespace = Namespace::new("logs").unwrap();
        let key = Key::new(key).unwrap();
        let write = Write { namespace, key, change, condition: Condition::Always };
        self.keys.write(write).await.unwrap();
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        let change = Change::Put { value: value.to_owned().into(), metadata: None, expires_at: None };
        self.change(key, change).await;
    }

    /// Everything in the store, with its versions: what a reading must leave as it is.
    pub(crate) async fn whole(&self) -> String {
        let namespace = Namespace::new("logs").unwrap();
        let listed = self.keys.list_all(&namespace, "", 1_000).await.unwrap();
        let keys: Vec<Key> = listed.iter().map(|one| one.key.clone()).collect();
        format!("{listed:?} {:?}", self.keys.get_many(&namespace, &keys).await.unwrap())
    }

    pub(crate) fn page(&self, rest: &str) -> String {
        self.page_with("", rest)
    }

    /// As [`Shelf::page`], with more tables in the `@runbook` block.
    pub(crate) fn page_with(&self, tables: &str, rest: &str) -> String {
        let url = &self.url;
        let more = format!(
            "[stores.trips]\nkind = \"kv\"\nurl = \"{url}\"\n[parameters]\nuser = {{ type = \"text\", default = \"u1\" }}\n{tables}"
        );
        page_with(&more, rest)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A stage and a shelf with a few keys.
pub(crate) async fn set(hint: &str) -> (Stage, Shelf) {
    let stage = Stage::new(hint).await;
    let shelf = Shelf::new(&stage);
    fill(&shelf).await;
    (stage, shelf)
}

/// As [`set`], on a server of keys.
pub(crate) async fn set_on_redis(hint: &str) -> (Stage, Shelf) {
    let stage = Stage::new(hint).await;
    let shelf = Shelf::on_redis(&stage).await;
    fill(&shelf).await;
    (stage, shelf)
}

fn folder(stage: &Stage) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-keys-{}", stage.database.name()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn fill(shelf: &Shelf) {
    shelf.put("trip:Ann:1", r#"{"userId":"Ann","miles":12}"#).await;
    shelf.put("trip:Ann:2", r#"{"userId":"Bob","miles":7}"#).await;
    shelf.put("migration:u1:state", r#"{"done":false,"migrated":2}"#).await;
}

/// What a step that is done did and kept.
pub(crate) fn outcome_of(stage: &Stage, step: &str) -> Outcome {
    let seen = stage.seen.borrow();
    let outcome = seen.events.iter().find_map(|record| match &record.event {
        Event::StepDone { step: done, outcome, .. } if done.as_str() == step => Some(outcome.clone()),
        _ => None,
    });
    outcome.unwrap_or_else(|| panic!("{step} is not done"))
}
