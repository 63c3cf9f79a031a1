//! A server with its database and its object store, and somebody who asks it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value as Json, json};
use testkit::{Cluster, Database, Proxy, S3Endpoint};
use tidegate_store::postgres::{Address, Session};
use tokio::sync::oneshot;
use vfs_server::app::App;
use vfs_server::auth::{TokenSecret, start_session};
use vfs_server::config::Config;
use vfs_server::serve::{listen, serve};

use crate::ground::{INSTANCES, draw};

const SECRET: &str = "a secret for tests";

/// The migrations by their versions, each of which notes itself.
const MIGRATIONS: [(i32, &str); 5] = [
    (23, include_str!("../../../migrations/0023_baseline.sql")),
    (24, include_str!("../../../migrations/0024_backfill_blob_stages.sql")),
    (25, include_str!("../../../migrations/0025_retire_blob_staging.sql")),
    (26, include_str!("../../../migrations/0026_retire_blob_objects.sql")),
    (27, include_str!("../../../migrations/0027_retire_access.sql")),
];

/// A time far away.
pub(super) const LATER: &str = "2100-01-01T00:00:00.000Z";

pub(super) struct World {
    pub(super) database: Database,
    pub(super) s3: S3Endpoint,
    variables: Vec<(String, String)>,
    /// Where it is served; each request is made of any.
    addresses: Vec<SocketAddr>,
    _ends: Vec<oneshot::Sender<()>>,
}

/// The text of a migration.
pub(super) fn migration(version: i32) -> &'static str {
    MIGRATIONS.iter().find(|(known, _)| *known == version).unwrap().1
}

/// A database at a version of the schema, with the users ann, bob and eve; `acme` is an organization of ann and bob.
pub(super) async fn database(version: i32) -> Database {
    let mut sql = String::new();
    for (_, text) in MIGRATIONS.iter().filter(|(known, _)| *known <= version) {
        sql.push_str("BEGIN;\n");
        sql.push_str(text);
        sql.push_str("\nCOMMIT;\n");
    }
    sql.push_str(
        "INSERT INTO users (id) VALUES ('ann'), ('bob'), ('eve');
         INSERT INTO organizations (id, name) VALUES ('acme', 'Acme');
         INSERT INTO user_organizations (user_id, organization_id) VALUES ('ann', 'acme'), ('bob', 'acme');
         INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
         VALUES ('file-1', 'file', 'ann', now()), ('file-2', 'file', 'ann', now()), ('file-bob', 'file', 'bob', now());",
    );
    let cluster = Cluster::shared().await;
    let template = cluster.template(&format!("vfs_blobs_{version}"), &sql).await.unwrap();
    cluster.database_from("blobs", &template).await
}

impl World {
    /// Two instances on the newest schema.
    pub(super) async fn start() -> World {
        World::with(27, &[]).await
    }

    /// Two instances on a schema, with variables besides those that lead to the store.
    pub(super) async fn with(version: i32, extra: &[(&str, &str)]) -> World {
        let mut world = World::without_server(version, extra).await;
        world.launch().await;
        world
    }

    /// Two instances whose answers from the database can be lost.
    pub(super) async fn behind_a_proxy() -> (World, Proxy) {
        let proxy = Proxy::start(Cluster::shared().await.port()).await.unwrap();
        let mut world = World::without_server(27, &[]).await;
        let url = world.database.url_at(proxy.port(), "postgres");
        world.variables.push(("DATABASE_URL".to_owned(), url));
        world.launch().await;
        (world, proxy)
    }

    async fn launch(&mut self) {
        for name in INSTANCES {
            let variables = self.variables.clone();
            let read = move |wanted: &str| {
                let named = (wanted == "INSTANCE_NAME").then(|| name.to_owned());
                let said = variables.iter().rev().find(|(known, _)| known == wanted);
                named.or_else(|| said.map(|(_, value)| value.clone()))
            };
            let app = Arc::new(App::start(Config::read(&read).unwrap()).await.unwrap());
            let listener = listen(app.config().listen).await.unwrap();
            self.addresses.push(listener.local_addr().unwrap());
            let (end, ended) = oneshot::channel();
            self._ends.push(end);
            tokio::spawn(serve(app, listener, async {
                let _ = ended.await;
            }));
        }
    }

    /// Database and store, for a server as a program.
    pub(super) async fn without_server(version: i32, extra: &[(&str, &str)]) -> World {
        let (database, s3) = (database(version).await, S3Endpoint::start().await.unwrap());
        let mut variables: Vec<(String, String)> = [
            ("DATABASE_URL", database.url()),
            ("JWT_SECRET", SECRET.to_owned()),
            ("PORT", "0".to_owned()),
            ("VFS_BLOB_S3_BUCKET", s3.bucket().to_owned()),
            ("VFS_BLOB_S3_ENDPOINT", s3.url()),
            ("VFS_BLOB_S3_KEY_PREFIX", "p/".to_owned()),
            ("VFS_BLOB_S3_ACCESS_KEY_ID", S3Endpoint::ACCESS_KEY.to_owned()),
            ("VFS_BLOB_S3_SECRET_ACCESS_KEY", s3.secret_key().to_owned()),
            // Pauses of a few milliseconds: what is tested is that there are some.
            ("VFS_BLOB_BACKOFF_MS", "2".to_owned()),
            ("VFS_BLOB_ATTEMPTS", "3".to_owned()),
            ("VFS_BLOB_ATTEMPT_TIMEOUT_MS", "5000".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        variables.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        World { database, s3, variables, addresses: Vec::new(), _ends: Vec::new() }
    }

    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(super) fn serves_at(&mut self, address: SocketAddr) {
        self.addresses = vec![address];
    }

    /// Somebody who asks the server.
    pub(super) async fn user(&self, user: &str) -> Asker {
        let address = Address::resolve(Some(&self.database.url()), &|_| None).unwrap();
        let session = Session::connect(&address, "test").await.unwrap();
        let hour = Duration::from_secs(3_600);
        let token = start_session(&session, &TokenSecret::of(SECRET), user, hour).await.unwrap();
        Asker {
            addresses: self.addresses.clone(),
            token,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// A session of the tests' own.
    pub(super) async fn session(&self) -> Session {
        let address = Address::resolve(Some(&self.database.url()), &|_| None).unwrap();
        Session::connect(&address, "test").await.unwrap()
    }

    /// One value of the database, as text.
    pub(super) async fn value(&self, sql: &str) -> Option<String> {
        let answers = self.session().await.run(sql).await.unwrap();
        answers.last().and_then(|answer| answer.single()).flatten().map(str::to_owned)
    }

    /// Rows of a table under a condition.
    pub(super) async fn count(&self, from: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {from}")).await.unwrap().parse().unwrap()
    }
}

#[derive(Clone)]
pub(super) struct Asker {
    addresses: Vec<SocketAddr>,
    pub(super) token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }

    /// Status and text of a refusal.
    pub(super) fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Asker {
    /// Somebody who shows nothing.
    pub(super) fn without_token(&self) -> Asker {
        Asker { token: String::new(), ..self.clone() }
    }

    /// The same person at each of the instances.
    pub(super) fn each(&self) -> Vec<Asker> {
        self.addresses.iter().map(|at| Asker { addresses: vec![*at], ..self.clone() }).collect()
    }

    /// Where any of the instances listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.addresses[draw(self.addresses.len())]
    }

    pub(super) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(self.uri(path));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Bytes::new()).await.unwrap()
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], Bytes::new()).await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: &Json) -> Reply {
        self.send(Method::POST, path, &[], body.to_string()).await.unwrap()
    }

    pub(super) async fn put(&self, path: &str, kind: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::PUT, path, &[("content-type", kind)], body).await.unwrap()
    }

    /// Stages bytes.
    pub(super) async fn stage(&self, staging: &str, blob: &str, data: Option<&str>) -> Reply {
        let mut body = json!({ "stagingId": staging, "blobId": blob, "expiresAt": LATER });
        if let Some(data) = data {
            body["dataBase64"] = json!(data);
        }
        self.post("/v1/vfs/blobs/stage", &body).await
    }

    pub(super) async fn attach(&self, staging: &str, body: &Json) -> Reply {
        self.post(&format!("/v1/vfs/blobs/stage/{staging}/attach"), body).await
    }

    pub(super) async fn abandon(&self, staging: &str) -> Reply {
        self.post(&format!("/v1/vfs/blobs/stage/{staging}/abandon"), &Json::Null).await
    }

    pub(super) async fn read(&self, blob: &str) -> Reply {
        self.get(&format!("/v1/vfs/blobs/{blob}")).await
    }

    pub(super) async fn remove(&self, blob: &str) -> Reply {
        self.delete(&format!("/v1/vfs/blobs/{blob}")).await
    }

    pub(super) async fn upload(&self, blob: &str, kind: &str, body: impl Into<Bytes>) -> Reply {
        self.put(&format!("/v1/vfs/blobs/{blob}/content"), kind, body).await
    }
}
