//! The file sync's page on stage: a database with legacy data of every kind, a scratch database, and the program.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testkit::{Cluster, Database, Outcome, Program, S3Endpoint};
use tidegate_store::postgres::{Address, Session, TxOptions, TxOutcome, run_tx};
use tokio::sync::oneshot;
use vfs_server::app::App;
use vfs_server::auth::{TokenSecret, start_session};
use vfs_server::config::Config;
use vfs_server::legacy::{LegacyData, seed};
use vfs_server::migrations::{MIGRATIONS, runbook_path};
use vfs_server::serve::{listen, serve};

use crate::ledger_stage::told;

/// How long one call of the program may take.
pub(crate) const BOUND: Duration = Duration::from_secs(240);

/// What the server signs tokens with.
const SECRET: &str = "a secret of the tests";

/// The synthetic user.
const PROBE: &str = "tidegate-probe";

/// Items of the legacy data.
const ROWS: u32 = 60;

/// A server that is seen to run, for as long as a test takes.
const INSTANCE: &str = "INSERT INTO vfs_instances (instance, version, highest_migration_known, freeze_epoch_seen, feed_epoch_seen, seen_at) \
                        VALUES ('seen:1', '0.1.0', 27, 1000, 1, now() + interval '1 day')";

/// The good version, started anew.
pub(crate) const DEPLOYED: &str = "INSERT INTO vfs_instances (instance, version, highest_migration_known, freeze_epoch_seen, feed_epoch_seen, seen_at) \
                                   VALUES ('deployed:1', '0.1.0', 27, 1000, 1, now() + interval '1 day')";

/// 1 where writes are held on the database itself.
pub(crate) const WRITES_HELD: &str = "SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text LIKE '%vfs.frozen_until%' \
                                      AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The stage.
pub(crate) struct FlattenStage {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: Database,
    scratch: Database,
    backups: PathBuf,
    redeploy: PathBuf,
    service: String,
    token: String,
}

impl FlattenStage {
    /// At version 23, with a server that is only said to run.
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.database("flatten").await;
        database.execute(MIGRATIONS[0].sql).await;
        let stage = Self::around(cluster, database).await;
        stage.fill().await;
        stage.database.execute(INSTANCE).await;
        stage
    }

    /// The same rows in another database.
    pub(crate) async fn copy(&self) -> Self {
        let copy = self.cluster.try_database("flatten", self.database.name()).await.unwrap();
        Self::around(self.cluster, copy).await
    }

    async fn around(cluster: &'static Cluster, database: Database) -> Self {
        let scratch = cluster.database("scratch").await;
        let backups = std::env::temp_dir().join(format!("tidegate-backups-{}", database.name()));
        std::fs::create_dir_all(&backups).unwrap();
        let redeploy = backups.join("redeploy");
        let service = "http://127.0.0.1:9".to_owned();
        let stage =
            Self { cluster, database, scratch, backups, redeploy, service, token: "no-token".to_owned() };
        stage.redeploying(&format!("DELETE FROM vfs_instances; {DEPLOYED}"));
        stage
    }

    /// What a redeployment does to the list of instances.
    pub(crate) fn redeploying(&self, sql: &str) {
        let program = format!(
            "#!/bin/sh\nexec '{}' -X -q -v ON_ERROR_STOP=1 '{}' -c \"{sql}\"\n",
            self.cluster.programs().program("psql").display(),
            self.database.url()
        );
        std::fs::write(&self.redeploy, program).unwrap();
        std::fs::set_permissions(&self.redeploy, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn address(&self) -> Address {
        Address::resolve(Some(&self.database.url()), &|_| None).unwrap()
    }

    async fn fill(&self) {
        let session = Session::connect(&self.address(), "test").await.unwrap();
        let data = LegacyData { rows: ROWS, seed: 3, prefix: String::new(), several_kinds: false };
        let options = TxOptions::default();
        let outcome =
            run_tx(&session, "seed", &options, async |session: &Session| seed(session, &data).await);
        assert!(matches!(outcome.await, TxOutcome::Committed(())));
    }

    /// The program with the environment that the page asks for.
    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        Program::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .env("TIDEGATE_RUNBOOK", runbook_path())
            .env("TIDEGATE_NO_MEMORY", "1")
            .env("DATABASE_URL", self.database.url())
            .env("DATABASE_SCRATCH_URL", self.scratch.url())
            .env("VFS_URL", &self.service)
            .env("VFS_PROBE_TOKEN", &self.token)
    }

    /// The program for a command that needs the page's parameters.
    pub(crate) fn with_parameters(&self, arguments: &[&str]) -> Program {
        self.program(arguments)
            .args(["--set".to_owned(), format!("backup_dir={}", self.backups.display())])
            .args(["--set".to_owned(), format!("redeploy={}", self.redeploy.display())])
    }

    pub(crate) fn run_program(&self) -> Program {
        self.with_parameters(&["run", "--apply", "--yes", "--actor", "alice"])
    }

    pub(crate) async fn call(&self, program: &Program) -> Outcome {
        program.run(BOUND).await.unwrap()
    }

    pub(crate) async fn run(&self) -> Outcome {
        self.call(&self.run_program()).await
    }

    pub(crate) async fn approve(&self, step: &str) {
        let approved = self.call(&self.program(&["approve", step, "--actor", "bob"])).await;
        assert_eq!(approved.code(), Some(0), "{}", told(&approved));
    }

    /// To the confirm, which is answered.
    pub(crate) async fn begin(&self) {
        let waiting = self.run().await;
        assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
        self.approve("go_ahead").await;
    }

    /// On until the process ends itself at a place.
    pub(crate) async fn run_until(&self, place: &str) {
        let died = self.call(&self.run_program().env("TIDEGATE_CRASH", place)).await;
        assert_eq!(died.code(), None, "it must die at {place}: {}", told(&died));
    }

    /// On until it halts, which it must do at this step.
    pub(crate) async fn run_until_halted_at(&self, step: &str) -> String {
        let halted = self.run().await;
        assert_eq!(halted.code(), Some(3), "{}", told(&halted));
        assert!(halted.stdout.contains(&format!("HALTED at {step} ")), "{step}: {}", told(&halted));
        halted.stdout
    }

    /// The one text that a query answers; NULL is `NULL`.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let text: Option<String> = self.database.value(&format!("SELECT ({sql})::text")).await;
        text.unwrap_or_else(|| "NULL".to_owned())
    }

    pub(crate) async fn version(&self) -> String {
        self.text("SELECT max(version) FROM schema_migrations").await
    }

    /// Every row of every table, retired or not, without the times of the migration itself, as one sum a table.
    pub(crate) async fn contents(&self) -> Vec<(String, String)> {
        let client = self.database.client().await;
        let tables = "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename), tablename::text FROM pg_tables \
                      WHERE schemaname IN ('public', 'tidegate_retired') ORDER BY 1";
        let mut contents = Vec::new();
        for row in client.query(tables, &[]).await.unwrap() {
            let (table, name): (String, String) = (row.get(0), row.get(1));
            let masked = match name.as_str() {
                "schema_migrations" => "version",
                "vfs_legacy_writes" => "(table_name, writes)",
                "vfs_crdt_ops" => {
                    "(id, item_id, op_type, parent_id, child_id, principal_id, access_level, seq)"
                }
                "vfs_sync_changes" => "(id, item_id, change_type, changed_by, root_id, seq)",
                "vfs_feed_head" => "(epoch, seq)",
                _ => "t",
            };
            let sum = format!(
                "SELECT count(*) || ' ' || coalesce(md5(string_agg({masked}::text, E'\\n' ORDER BY {masked}::text COLLATE \"C\")), '-') FROM {table} AS t"
            );
            contents.push((table, client.query_one(&sum, &[]).await.unwrap().get(0)));
        }
        contents
    }

    /// A token of somebody new.
    pub(crate) async fn token_of(&self, user: &str) -> String {
        self.database.execute(&format!("INSERT INTO users (id) VALUES ('{user}')")).await;
        self.new_token(user).await
    }

    /// A token of somebody who is there.
    pub(crate) async fn new_token(&self, user: &str) -> String {
        let session = Session::connect(&self.address(), "test").await.unwrap();
        let secret = TokenSecret::of(SECRET);
        start_session(&session, &secret, user, Duration::from_secs(3_600)).await.unwrap()
    }

    /// Where the server answers.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// A server with an object store, in place of the one that was only said to run. It serves until this is dropped.
    pub(crate) async fn serve(&mut self) -> Served {
        self.database.execute("DELETE FROM vfs_instances").await;
        self.token = self.token_of(PROBE).await;
        self.serve_as("served").await
    }

    /// A server of this name, beside whatever else there is.
    pub(crate) async fn serve_as(&mut self, name: &str) -> Served {
        let objects = S3Endpoint::start().await.unwrap();
        let (database, endpoint) = (self.database.url(), objects.url());
        let variables = [
            ("DATABASE_URL", database.as_str()),
            ("JWT_SECRET", SECRET),
            ("PORT", "0"),
            ("INSTANCE_NAME", name),
            ("VFS_BLOB_S3_BUCKET", objects.bucket()),
            ("VFS_BLOB_S3_ENDPOINT", endpoint.as_str()),
            ("VFS_BLOB_S3_ACCESS_KEY_ID", S3Endpoint::ACCESS_KEY),
            ("VFS_BLOB_S3_SECRET_ACCESS_KEY", objects.secret_key()),
        ];
        let read = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let config = Config::read(&read).unwrap();
        let listener = listen(config.listen).await.unwrap();
        self.service = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::start(config).await.unwrap());
        let (end, told) = oneshot::channel::<()>();
        tokio::spawn(serve(app, listener, async move {
            let _ended = told.await;
        }));
        let seen = format!(
            "SELECT count(*) = 1 FROM vfs_instances WHERE instance = '{name}' AND seen_at > now() - interval '5 seconds'"
        );
        testkit::eventually("the server gives a sign of life", BOUND, || async {
            self.database.value::<bool>(&seen).await.then_some(())
        })
        .await
        .unwrap();
        Served { objects, _end: end }
    }
}

impl Drop for FlattenStage {
    fn drop(&mut self) {
        // What is left in the system's temporary folder is told by the next run of the test.
        drop(std::fs::remove_dir_all(&self.backups));
    }
}

/// A running server.
pub(crate) struct Served {
    pub(crate) objects: S3Endpoint,
    _end: oneshot::Sender<()>,
}
