//! The throwaway server with the file sync's tables as they were before the flattening, and who works on them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database, Program, eventually};
use tokio_postgres::Client;
use tokio_postgres::types::FromSql;

use super::device::User;
use super::options::Options;
use crate::{Error, stage};

/// The role that migrates and serves: a plain owner of the database.
const OWNER: &str = "vfs_owner";
/// The role that dumps.
const DUMP: &str = "vfs_dump";
/// What signs tokens.
const SECRET: &str = "a secret of the demonstration, as long as it must be";
/// The version before the flattening.
const BEFORE: &str = "23";
/// How long one command of the server's program may take.
const BOUND: Duration = Duration::from_secs(600);

/// Everything that stands before the first command. Dropping it ends the server and removes its files.
#[derive(Debug)]
pub(crate) struct Stage {
    program: PathBuf,
    database: Database,
    scratch: Database,
    folder: PathBuf,
    // Last, so that the server outlives what speaks to it.
    cluster: Cluster,
}

impl Stage {
    /// Starts the server, and fills the tables of before.
    pub(crate) async fn set(program: &Path, options: &Options) -> Result<Self, Error> {
        let settings = ClusterOptions::default().set("shared_buffers", "256MB").set("max_wal_size", "4GB");
        let cluster = Cluster::start(settings).await?;
        cluster.role_with(OWNER, "LOGIN IN ROLE pg_read_all_stats, pg_signal_backend").await?;
        cluster.role_with(DUMP, "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await?;
        let database = cluster.try_database("vfs", "template1").await?;
        let scratch = cluster.try_database("scratch", "template1").await?;
        for name in [database.name(), scratch.name()] {
            cluster.execute(&format!("ALTER DATABASE \"{name}\" OWNER TO {OWNER}")).await?;
        }
        // In the server's directory, which is removed however this process ends.
        let folder = cluster.socket_directory().join("demo");
        for kept in ["backups", "state", "blobs"] {
            let path = folder.join(kept);
            std::fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        }
        let stage = Self { program: program.to_owned(), database, scratch, folder, cluster };
        let grant = format!("GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}");
        stage.root().await?.batch_execute(&grant).await.map_err(Error::postgres("grant"))?;
        stage.program(&["migrate", "--to", BEFORE]).await?;
        let (rows, seed) = (options.rows.to_string(), options.seed.to_string());
        stage.program(&["legacy-seed", "--rows", &rows, "--seed", &seed]).await?;
        Ok(stage)
    }

    /// Users with tokens, whom nobody knew before.
    pub(crate) async fn users(&self, count: usize) -> Result<Vec<User>, Error> {
        let root = self.root().await?;
        let mut users = Vec::new();
        for number in 0..count {
            let id = format!("demo-{number}");
            root.execute("INSERT INTO users (id) VALUES ($1)", &[&id])
                .await
                .map_err(Error::postgres("add a user"))?;
            let token = self.program(&["token", "--user", &id]).await?.trim().into();
            users.push(User { number, id, token });
        }
        Ok(users)
    }

    /// The token of who asks on the page's behalf.
    pub(crate) async fn probe_token(&self) -> Result<String, Error> {
        let root = self.root().await?;
        let sql = "INSERT INTO users (id) VALUES ('tidegate-probe')";
        root.batch_execute(sql).await.map_err(Error::postgres("add a user"))?;
        Ok(self.program(&["token", "--user", "tidegate-probe"]).await?.trim().to_owned())
    }

    /// Where backups go.
    pub(crate) fn backups(&self) -> PathBuf {
        self.folder.join("backups")
    }

    /// Waits until the backup is written: it is rehearsed then.
    pub(crate) async fn backup_taken(&self) -> Result<(), Error> {
        let scratch = stage::connect(&self.scratch.url()).await?;
        let look = || async {
            let sql = "SELECT FROM pg_class WHERE relname = 'vfs_registry'";
            scratch.query(sql, &[]).await.ok().filter(|rows| !rows.is_empty()).map(|_| ())
        };
        Ok(eventually("the backup is rehearsed", BOUND, look).await?)
    }

    /// Runs a command of the server's program to its end, and gives what it wrote.
    pub(crate) async fn program(&self, words: &[&str]) -> Result<String, Error> {
        let program = self
            .settings()
            .into_iter()
            .fold(Program::new(&self.program).args(words), |program, (name, value)| program.env(name, value));
        let outcome = program.run(BOUND).await?;
        if outcome.code() == Some(0) {
            return Ok(outcome.stdout);
        }
        let words = words.join(" ");
        let said = outcome.stderr.trim();
        Err(Error::Task(format!("`vfs-server {words}` ended with {}: {said}", outcome.status)))
    }

    /// The environment of the server's program.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.database.url_for(OWNER)),
            ("DATABASE_POOL_MAX", "16".to_owned()),
            ("JWT_SECRET", SECRET.to_owned()),
            ("VFS_BLOB_STORE_PROVIDER", "file".to_owned()),
            ("VFS_BLOB_FILE_ROOT", self.folder.join("blobs").display().to_string()),
        ]
    }

    /// What stands, for a person.
    pub(crate) fn describe(&self) -> String {
        let version = self.cluster.programs().version();
        let version = version.split(" (Debian").next().unwrap_or(version);
        format!("{version} at 127.0.0.1:{}", self.cluster.port())
    }

    /// The environment of whoever runs the page, but for what a running service adds.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("TIDEGATE_RUNBOOK", "systems/vfs-server/runbooks/flatten.md".to_owned()),
            ("DATABASE_URL", self.database.url_for(OWNER)),
            ("DATABASE_DUMP_URL", self.database.url_for(DUMP)),
            ("DATABASE_SCRATCH_URL", self.scratch.url_for(OWNER)),
            ("XDG_STATE_HOME", self.folder.join("state").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A new connection of somebody who sees everything.
    pub(crate) async fn root(&self) -> Result<Client, Error> {
        stage::connect(&self.database.url()).await
    }

    /// The one value of a query.
    pub(crate) async fn ask<T>(&self, sql: &str) -> Result<T, Error>
    where
        T: for<'a> FromSql<'a>,
    {
        let row = self.root().await?.query_one(sql, &[]).await.map_err(Error::postgres("look on"))?;
        row.try_get(0).map_err(Error::postgres("look on"))
    }
}
