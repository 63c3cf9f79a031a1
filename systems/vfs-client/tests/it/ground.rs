//! A database, an object store, two servers on them, and people with clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use testkit::{Cluster, Database, Outcome, Program, S3Endpoint};
use tidegate_store::postgres::{Address, Session};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vfs_server::app::App;
use vfs_server::auth::{TokenSecret, start_session};
use vfs_server::config::Config;
use vfs_server::migrations::MIGRATIONS;
use vfs_server::serve::{ServeError, listen, serve};

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// What tokens are signed with here.
pub(crate) const SECRET: &str = "a secret of the tests";

/// A directory that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vfs-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A database at the last version.
pub(crate) struct Ground {
    pub(crate) database: Database,
    pub(crate) s3: S3Endpoint,
    pub(crate) scratch: Scratch,
    pub(crate) services: Vec<Service>,
}

/// A running server.
pub(crate) struct Service {
    pub(crate) base: String,
    end: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<bool, ServeError>>>,
}

impl Service {
    async fn start(database: &Database, s3: &S3Endpoint, name: &str) -> Self {
        let (url, endpoint) = (database.url(), s3.url());
        let get = |wanted: &str| {
            let value = match wanted {
                "DATABASE_URL" => url.as_str(),
                "JWT_SECRET" => SECRET,
                "PORT" => "0",
                "INSTANCE_NAME" => name,
                "VFS_BLOB_S3_ENDPOINT" => endpoint.as_str(),
                "VFS_BLOB_S3_BUCKET" => s3.bucket(),
                "VFS_BLOB_S3_ACCESS_KEY_ID" => S3Endpoint::ACCESS_KEY,
                "VFS_BLOB_S3_SECRET_ACCESS_KEY" => s3.secret_key(),
                "VFS_BLOB_BACKOFF_MS" => "1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Config::read(&get).unwrap();
        let listener = listen(config.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::start(config).await.unwrap());
        let (end, told) = oneshot::channel();
        let task = tokio::spawn(serve(app, listener, async move {
            let _ended = told.await;
        }));
        Self { base, end: Some(end), task: Some(task) }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(&mut self) {
        if let (Some(end), Some(task)) = (self.end.take(), self.task.take()) {
            end.send(()).unwrap();
            task.await.unwrap().unwrap();
        }
    }
}

impl Ground {
    /// With two servers.
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.database_in_english("vfs_client").await;
        for migration in MIGRATIONS {
            let mut client = database.client().await;
            let transaction = client.transaction().await.unwrap();
            transaction.batch_execute(migration.sql).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let s3 = S3Endpoint::start().await.unwrap();
        let mut services = Vec::new();
        for name in ["one", "two"] {
            services.push(Service::start(&database, &s3, name).await);
        }
        Self { database, s3, scratch: Scratch::new("ground"), services }
    }

    /// The file with a token of somebody who is made if need be.
    pub(crate) async fn token_file(&self, user: &str) -> PathBuf {
        let make = format!("INSERT INTO users (id) VALUES ('{user}') ON CONFLICT DO NOTHING");
        self.database.execute(&make).await;
        let join =
            format!("INSERT INTO user_organizations (user_id, organization_id) VALUES ('{user}', 'us')");
        self.database
            .execute("INSERT INTO organizations (id, name) VALUES ('us', 'Us') ON CONFLICT DO NOTHING")
            .await;
        self.database.execute(&format!("{join} ON CONFLICT DO NOTHING")).await;
        let address = Address::resolve(Some(&self.database.url()), &|_| None).unwrap();
        let session = Session::connect(&address, "test").await.unwrap();
        let secret = TokenSecret::of(SECRET);
        let token = start_session(&session, &secret, user, Duration::from_secs(3_600)).await.unwrap();
        let file = self.scratch.0.join(format!("{}.token", uuid::Uuid::new_v4()));
        std::fs::write(&file, token).unwrap();
        file
    }

    /// A new client of somebody, asking these servers.
    pub(crate) async fn client_at(&self, user: &str, client: &str, servers: &[String]) -> Vfs {
        let directory = self.scratch.0.join(format!("{user}-{client}"));
        let vfs = Vfs { directory, environment: Vec::new() };
        let token = self.token_file(user).await;
        let mut arguments = vec!["init", "--user", user, "--client", client, "--token-file"];
        arguments.push(token.to_str().unwrap());
        for server in servers {
            arguments.extend(["--server", server.as_str()]);
        }
        vfs.good(&arguments).await;
        vfs
    }

    /// A new client of somebody, asking both servers.
    pub(crate) async fn client(&self, user: &str, client: &str) -> Vfs {
        let servers: Vec<String> = self.services.iter().map(|service| service.base.clone()).collect();
        self.client_at(user, client, &servers).await
    }

    /// A file with these bytes.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.scratch.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// The program in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Vfs {
    pub(crate) directory: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

impl Vfs {
    /// In a directory, whether or not it is there.
    pub(crate) fn at(directory: impl AsRef<Path>) -> Self {
        Self { directory: directory.as_ref().to_owned(), environment: Vec::new() }
    }

    /// With one more variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.environment.push((name.to_owned(), value.to_owned()));
        with
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        let mut program = Program::new(env!("CARGO_BIN_EXE_vfs")).arg("--dir").arg(&self.directory);
        for (name, value) in &self.environment {
            program = program.env(name, value);
        }
        program.args(arguments)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        self.program(arguments).run(BOUND).await.unwrap()
    }

    /// What it prints, where it does what it is told.
    pub(crate) async fn good(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments).await;
        assert_eq!(outcome.code(), Some(0), "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
        outcome.stdout
    }

    /// What it says, where it does not.
    pub(crate) async fn bad(&self, code: i32, arguments: &[&str]) -> String {
        let outcome = self.run(arguments).await;
        assert_eq!(outcome.code(), Some(code), "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
        outcome.stderr
    }

    /// The paths of its tree.
    pub(crate) async fn paths(&self) -> Vec<String> {
        self.good(&["tree"]).await.lines().map(str::to_owned).collect()
    }

    /// The state that it keeps.
    pub(crate) async fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.good(&["state", "export"]).await).unwrap()
    }
}
