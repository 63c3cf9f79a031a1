//! The throwaway server with the accounts' first schema in it, and the environment of whoever works on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database, Program};
use tokio_postgres::Client;
use tokio_postgres::types::FromSql;

use super::cast::PASSWORD;
use super::options::Options;
use crate::{Error, stage};

/// The role that migrates and serves: a plain owner of the database.
const OWNER: &str = "accounts_owner";
/// The role that dumps.
const DUMP: &str = "accounts_dump";
/// The first version that the page applies.
const FIRST: &str = "0005";
/// How long filling the first schema may take.
const SEED_BOUND: Duration = Duration::from_secs(1800);

/// Everything that stands before the first command. Dropping it ends the server and removes its files.
#[derive(Debug)]
pub(crate) struct Stage {
    database: Database,
    scratch: Database,
    folder: PathBuf,
    page: PathBuf,
    // Last, so that the server outlives what speaks to it.
    cluster: Cluster,
}

impl Stage {
    /// Starts the server and fills the first schema.
    pub(crate) async fn set(accounts: &Path, options: &Options) -> Result<Self, Error> {
        let settings = ClusterOptions::default()
            .set("shared_buffers", "256MB")
            .set("max_wal_size", "4GB")
            .set("checkpoint_timeout", "30min");
        let cluster = Cluster::start(settings).await?;
        cluster.role_with(OWNER, "LOGIN IN ROLE pg_read_all_stats").await?;
        cluster.role_with(DUMP, "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await?;
        let database = cluster.try_database("accounts", "template1").await?;
        let scratch = cluster.try_database("scratch", "template1").await?;
        for name in [database.name(), scratch.name()] {
            cluster.execute(&format!("ALTER DATABASE \"{name}\" OWNER TO {OWNER}")).await?;
        }
        cluster.execute(&format!("GRANT pg_signal_backend TO {OWNER}")).await?;
        // In the server's directory, which is removed however this process ends.
        let folder = cluster.socket_directory().join("demo");
        for kept in ["backups", "state", "page"] {
            let path = folder.join(kept);
            std::fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        }
        let page = page(&folder.join("page"), options.lost_after_ms)?;
        let stage = Self { database, scratch, folder, page, cluster };
        stage.migrate().await?;
        stage.fill(accounts, options.rows).await?;
        Ok(stage)
    }

    /// The files of the first schema, with their rows in the version table.
    async fn migrate(&self) -> Result<(), Error> {
        let owner = self.database.try_client(OWNER).await?;
        let run = async |sql: &str| {
            owner.batch_execute(sql).await.map_err(Error::postgres("make the first schema"))
        };
        // A superuser's: what `public` of a new database allows an owner to do differs between versions.
        self.root()
            .await?
            .batch_execute(include_str!("stage/before.sql"))
            .await
            .map_err(Error::postgres("grant"))?;
        run(include_str!("stage/versions.sql")).await?;
        for migration in ::accounts::MIGRATIONS.iter().filter(|migration| migration.name < FIRST) {
            run(migration.sql).await?;
            let (noted, name) = (include_str!("stage/applied.sql"), migration.name);
            owner
                .execute(noted, &[&name, &migration.sql])
                .await
                .map_err(Error::postgres("note a migration"))?;
        }
        Ok(())
    }

    async fn fill(&self, accounts: &Path, rows: u32) -> Result<(), Error> {
        let outcome = Program::new(accounts)
            .args(["seed", "--rows", &rows.to_string()])
            .env("DATABASE_URL", self.url())
            .env("ACCOUNT_SEED_PASSWORD", PASSWORD)
            .run(SEED_BOUND)
            .await?;
        if outcome.code() == Some(0) {
            return Ok(());
        }
        Err(Error::Task(format!("`accounts seed` ended with {}: {}", outcome.status, outcome.stderr.trim())))
    }

    /// What stands, for a person.
    pub(crate) fn describe(&self) -> String {
        let version = self.cluster.programs().version();
        let version = version.split(" (Debian").next().unwrap_or(version);
        format!("{version} at 127.0.0.1:{}", self.cluster.port())
    }

    /// The database's address, for who owns it.
    pub(crate) fn url(&self) -> String {
        self.database.url_for(OWNER)
    }

    /// The environment of whoever runs the page, but for what a running service adds.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("TIDEGATE_RUNBOOK", self.page.display().to_string()),
            ("DATABASE_URL", self.url()),
            ("DATABASE_DUMP_URL", self.database.url_for(DUMP)),
            ("DATABASE_SCRATCH_URL", self.scratch.url_for(OWNER)),
            ("ACCOUNT_BACKUP_DIR", self.folder.join("backups").display().to_string()),
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

    /// `kill -9` for every process of the server, and a new start on what it left.
    pub(crate) async fn kill_and_start(&self) -> Result<(), Error> {
        self.cluster.kill9().await?;
        Ok(self.cluster.launch().await?)
    }
}

/// The head of the table that the page's flags stand in.
const FLAGS: &str = "[flags.accounts]\n";

/// The page as it stands in the repository, with one line more: after how long an instance counts as gone. What it names
/// stands beside it.
fn page(folder: &Path, lost_after_ms: u32) -> Result<PathBuf, Error> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let above = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(above).map_err(Error::file("make", above))?;
        std::fs::write(&path, text).map_err(Error::file("write", &path))?;
        Ok(path)
    };
    for migration in ::accounts::MIGRATIONS {
        write(&format!("migrations/{}", migration.name), migration.sql)?;
    }
    let archive = ::accounts::ARCHIVE;
    write(&format!("migrations/manual/{}", archive.name), archive.sql)?;
    // Says that files above the page's folder may be named.
    write("tidegate.toml", "")?;
    let from = ::accounts::directory().join("runbooks/accounts-v2.md");
    let text = std::fs::read_to_string(&from).map_err(Error::file("read", &from))?;
    let line = format!("{FLAGS}lost_after = \"{lost_after_ms}ms\"\n");
    write("runbooks/accounts-v2.md", &text.replacen(FLAGS, &line, 1))
}
