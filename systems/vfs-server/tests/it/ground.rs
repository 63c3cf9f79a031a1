//! A database to stand on, two instances on it, and people who ask either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Cluster, Database};
use tidegate_store::http::{Client, Request};
use tidegate_store::postgres::{Address, Session};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vfs_server::app::App;
use vfs_server::auth::{TokenSecret, start_session};
use vfs_server::config::Config;
use vfs_server::migrations::MIGRATIONS;
use vfs_server::serve::{ServeError, listen, serve};

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// What tokens are signed with here.
pub(crate) const SECRET: &str = "a secret of the tests";

/// What the instances of a test are called. Every request is made of any of them, here and where blobs are.
pub(crate) const INSTANCES: [&str; 2] = ["one", "two"];

/// A database that orders texts by the rules of English.
pub(crate) struct Ground {
    pub(crate) database: Database,
}

impl Ground {
    /// Without a schema.
    pub(crate) async fn empty() -> Self {
        let cluster = Cluster::shared().await;
        Self { database: cluster.database_in_english("vfs").await }
    }

    /// At the last version, without the tables that were retired on the way.
    pub(crate) async fn new() -> Self {
        Self::at(27).await
    }

    /// At a version.
    pub(crate) async fn at(version: u32) -> Self {
        let ground = Self::empty().await;
        for migration in MIGRATIONS.iter().filter(|migration| migration.version <= version) {
            ground.apply(migration.sql).await;
        }
        let language = "SELECT (lower('ä') < 'b')::text || ('a' < 'B')::text";
        assert_eq!(ground.text(language).await, "truetrue", "texts are ordered by a language's rules");
        ground
    }

    /// One file in one transaction.
    pub(crate) async fn apply(&self, sql: &str) {
        let mut client = self.database.client().await;
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(sql).await.unwrap_or_else(|e| panic!("{e:?}"));
        transaction.commit().await.unwrap();
    }

    /// The one text that a query answers; NULL is `NULL`.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let text: Option<String> = self.database.value(&format!("SELECT ({sql})::text")).await;
        text.unwrap_or_else(|| "NULL".to_owned())
    }

    pub(crate) fn address(&self) -> Address {
        Address::resolve(Some(&self.database.url()), &|_| None).unwrap()
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&self.address(), "test").await.unwrap()
    }

    /// A token of somebody who is made if need be.
    pub(crate) async fn token(&self, user: &str) -> String {
        let literal = user.replace('\'', "''");
        let make = format!(
            "INSERT INTO users (id, display_name) VALUES ('{literal}', 'Name of {literal}') ON CONFLICT DO NOTHING"
        );
        self.database.execute(&make).await;
        let session = self.session().await;
        start_session(&session, &TokenSecret::of(SECRET), user, Duration::from_secs(3_600)).await.unwrap()
    }

    /// Two instances.
    pub(crate) async fn town(self) -> Town {
        self.town_with(&[]).await
    }

    /// Two instances with these variables, too.
    pub(crate) async fn town_with(self, more: &[(&str, &str)]) -> Town {
        let mut services = Vec::new();
        for name in INSTANCES {
            services.push(Service::start(&self, name, more).await);
        }
        Town { ground: self, services }
    }
}

/// A running instance.
pub(crate) struct Service {
    pub(crate) base: String,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<bool, ServeError>>,
}

impl Service {
    /// With these variables, too; an empty one takes one of the usual away.
    pub(crate) async fn start(ground: &Ground, name: &str, more: &[(&str, &str)]) -> Self {
        let url = ground.database.url();
        let usual =
            [("DATABASE_URL", url.as_str()), ("JWT_SECRET", SECRET), ("PORT", "0"), ("INSTANCE_NAME", name)];
        let get = |name: &str| {
            let said = more.iter().chain(&usual).find(|(known, _)| *known == name);
            said.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::read(&get).unwrap();
        let listener = listen(config.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::start(config).await.unwrap());
        let (end, told) = oneshot::channel();
        let task = tokio::spawn(serve(app, listener, async move {
            let _ended = told.await;
        }));
        Self { base, end: Some(end), task }
    }

    /// Ends it in good order; returns whether every request ended in time.
    pub(crate) async fn stop(mut self) -> bool {
        self.end.take().unwrap().send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }
}

/// A database and the instances on it.
pub(crate) struct Town {
    pub(crate) ground: Ground,
    pub(crate) services: Vec<Service>,
}

impl Town {
    pub(crate) async fn new() -> Self {
        Ground::new().await.town().await
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> Asker {
        Asker {
            bases: self.services.iter().map(|service| service.base.clone()).collect(),
            user: String::new(),
            headers: Vec::new(),
        }
    }

    /// Somebody, who is made if need be.
    pub(crate) async fn user(&self, user: &str) -> Asker {
        let token = self.ground.token(user).await;
        let mut asker = self.nobody().with("authorization", &format!("Bearer {token}"));
        user.clone_into(&mut asker.user);
        asker
    }
}

/// Somebody who asks, each time any of the instances.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) bases: Vec<String>,
    pub(crate) user: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Json,
    headers: Vec<(String, String)>,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status and what went wrong.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let error = self.body["error"].as_str();
        (self.status, error.unwrap_or_else(|| panic!("{}: no error in {}", self.status, self.body)))
    }

    /// The body of a good answer.
    pub(crate) fn good(self) -> Json {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        assert!(self.header("x-vfs-feed-epoch").is_some());
        self.body
    }
}

/// Draws of all askers together: which instance is asked. The same in every run but for the order of tasks.
static DRAWS: AtomicU64 = AtomicU64::new(0);

/// One of `count`, another each time that somebody asks.
pub(crate) fn draw(count: usize) -> usize {
    let draw = DRAWS.fetch_add(1, Ordering::Relaxed).wrapping_mul(6_364_136_223_846_793_005) >> 33;
    usize::try_from(draw).unwrap() % count
}

impl Asker {
    /// The same person with another header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Asker {
        let mut asker = self.clone();
        asker.headers.retain(|(known, _)| known != name);
        asker.headers.push((name.to_owned(), value.to_owned()));
        asker
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Answered {
        self.ask("POST", path, Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Json) -> Answered {
        self.ask("PATCH", path, Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.ask("DELETE", path, None).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Answered {
        self.try_ask(method, path, body).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Asks any of the instances; an answer that does not come is an error.
    pub(crate) async fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answered, String> {
        let base = &self.bases[draw(self.bases.len())];
        let mut headers = self.headers.clone();
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = Request {
            method: method.to_owned(),
            url: format!("{base}{path}"),
            headers,
            body,
            timeout: BOUND,
        };
        let answer = Client::new().request(request).await.map_err(|error| error.to_string())?;
        let body = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&answer.body).into_owned()));
        Ok(Answered { status: answer.status, body, headers: answer.headers })
    }

    /// Registers an item.
    pub(crate) async fn register(&self, id: &str) {
        let body = json!({ "id": id, "objectType": "file", "encryptedSessionKey": "k" });
        let answer = self.post("/v1/vfs/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// Pushes operations of a client; returns the statuses.
    pub(crate) async fn push(&self, client: &str, operations: &[Json]) -> Vec<String> {
        let body = json!({ "clientId": client, "operations": operations });
        let answer = self.post("/v1/vfs/crdt/push", body).await.good();
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything in the feed of operations behind a cursor, by pages of `limit`, and the cursor at its end.
    pub(crate) async fn pull_all(&self, from: Option<&str>, limit: usize) -> (Vec<Json>, Option<String>) {
        let mut cursor = from.map(str::to_owned);
        let mut items = Vec::new();
        loop {
            let from = cursor.as_deref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.get(&format!("/v1/vfs/crdt/sync?limit={limit}{from}")).await.good();
            let found = page["items"].as_array().unwrap();
            items.extend(found.iter().cloned());
            if let Some(last) = found.last() {
                cursor = Some(cursor_of(last));
            }
            if page["hasMore"] == false {
                assert_eq!(page["nextCursor"], Json::Null);
                return (items, cursor);
            }
            assert_eq!(page["nextCursor"].as_str(), cursor.as_deref());
        }
    }
}

/// The cursor at an item of the feed of operations.
pub(crate) fn cursor_of(item: &Json) -> String {
    let at = item["occurredAt"].as_str().unwrap().parse().unwrap();
    vfs_core::Cursor::new(at, item["opId"].as_str().unwrap()).unwrap().encode()
}

/// An operation that puts an item below a parent.
pub(crate) fn link(client: &str, write: u64, item: &str, parent: &str) -> Json {
    json!({
        "opId": format!("{client}-{write}"), "opType": "link_add", "itemId": item, "replicaId": client,
        "writeId": write, "occurredAt": "2026-02-14T20:00:00.000Z", "parentId": parent, "childId": item,
    })
}
