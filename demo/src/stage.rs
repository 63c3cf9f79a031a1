//! The throwaway server, its pooler, the database with the application in it, and who may log in.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database, Pgbouncer, PgbouncerOptions, eventually};
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, NoTls};

use crate::{Error, program, schema};

/// The role that migrates: a plain owner of the database.
const OWNER: &str = "ledger_owner";
/// The role that dumps: row security does not stop it.
const DUMP: &str = "ledger_dump";
/// The application.
const APP: &str = "arrakis_app";
/// The role that looks across tenants.
const SYSTEM: &str = "arrakis_admin";

/// How long anything on the server may take to become true.
const BOUND: Duration = Duration::from_secs(30);

/// Everything that stands before the first command. Dropping it ends the servers and removes their files.
#[derive(Debug)]
pub(crate) struct Stage {
    database: Database,
    scratch: Database,
    pooler: Pgbouncer,
    folder: PathBuf,
    /// A superuser's connection, for looking on.
    root: Client,
    // Last, so that the server outlives what speaks to it.
    cluster: Cluster,
}

impl Stage {
    /// Starts the servers and fills the database with the application's tables and sample rows.
    pub(crate) async fn set() -> Result<Self, Error> {
        let cluster = Cluster::start(ClusterOptions::default()).await?;
        let pooler = Pgbouncer::start(&cluster, PgbouncerOptions::default()).await?;
        cluster.role(OWNER).await?;
        cluster.role_with(DUMP, "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await?;
        let database = cluster.try_database("app", "template1").await?;
        let scratch = cluster.try_database("scratch", "template1").await?;
        for name in [database.name(), scratch.name()] {
            cluster.execute(&format!("ALTER DATABASE \"{name}\" OWNER TO {OWNER}")).await?;
        }
        let root = database.try_client("postgres").await?;
        root.batch_execute(::ledger::BASE_ROLES).await.map_err(Error::postgres("make the roles"))?;
        let owner = database.try_client(OWNER).await?;
        owner
            .batch_execute(::ledger::BASE_APPLICATION)
            .await
            .map_err(Error::postgres("make the application's tables"))?;
        // In the server's directory, which is removed however this process ends.
        let folder = cluster.socket_directory().join("demo");
        for kept in ["backups", "state"] {
            let path = folder.join(kept);
            std::fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        }
        Ok(Self { database, scratch, pooler, folder, root, cluster })
    }

    /// What stands, for a person.
    pub(crate) fn describe(&self) -> String {
        let version = self.cluster.programs().version();
        let version = version.split(" (Debian").next().unwrap_or(version);
        format!(
            "{version} at 127.0.0.1:{}, PgBouncer in transaction mode at 127.0.0.1:{}",
            self.cluster.port(),
            self.pooler.port()
        )
    }

    /// The environment of whoever runs the page.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let page = ::ledger::runbook_path();
        let page = page.strip_prefix(program::root()).unwrap_or(&page);
        [
            ("TIDEGATE_RUNBOOK", page.display().to_string()),
            ("DATABASE_URL", self.database.url_for(OWNER)),
            ("DATABASE_POOLED_URL", self.pooler.url_for(OWNER, &self.database)),
            ("DATABASE_APP_URL", self.database.url_for(APP)),
            ("DATABASE_DUMP_URL", self.database.url_for(DUMP)),
            ("DATABASE_SCRATCH_URL", self.scratch.url_for(OWNER)),
            ("PGBOUNCER_ADMIN_URL", self.pooler.console_url()),
            ("XDG_STATE_HOME", self.folder.join("state").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The folder for backups.
    pub(crate) fn backups(&self) -> PathBuf {
        self.folder.join("backups")
    }

    /// Where the application connects: through the pooler.
    pub(crate) fn pooled_url(&self) -> String {
        self.pooler.url_for(APP, &self.database)
    }

    /// Where the system role connects: without the pooler.
    pub(crate) fn system_url(&self) -> String {
        self.database.url_for(SYSTEM)
    }

    /// A direct connection of the application, under a name that others see.
    pub(crate) async fn application(&self, name: &str) -> Result<Client, Error> {
        connect(&format!("{}?application_name={name}", self.database.url_for(APP))).await
    }

    /// The one value of a query, asked by somebody who sees everything.
    pub(crate) async fn ask<T>(&self, sql: &str) -> Result<T, Error>
    where
        T: for<'a> FromSql<'a>,
    {
        let row = self.root.query_one(sql, &[]).await.map_err(Error::postgres("look on"))?;
        row.try_get(0).map_err(Error::postgres("look on"))
    }

    /// How many of these acknowledged writes are not in the database exactly once: communities, members.
    pub(crate) async fn missing(
        &self,
        communities: &[String],
        members: &[String],
    ) -> Result<(i64, i64), Error> {
        let sql = include_str!("stage/missing.sql");
        let row = self.root.query_one(sql, &[&communities, &members]).await;
        let row = row.map_err(Error::postgres("look for what was written"))?;
        let column = |at| row.try_get(at).map_err(Error::postgres("look for what was written"));
        Ok((column(0)?, column(1)?))
    }

    /// Waits until a query answers true.
    pub(crate) async fn until(&self, what: &str, sql: &str) -> Result<(), Error> {
        let look = || async { self.ask::<bool>(sql).await.ok().filter(|holds| *holds).map(|_| ()) };
        Ok(eventually(what, BOUND, look).await?)
    }

    /// Sessions of Tidegate on the server and clients of it at the pooler, once those that are ending have ended.
    pub(crate) async fn sessions_left(&self) -> Result<i64, Error> {
        let look = || async { self.sessions().await.ok().filter(|left| *left == 0) };
        match eventually("tidegate's sessions end", BOUND, look).await {
            Ok(none) => Ok(none),
            Err(_) => self.sessions().await,
        }
    }

    async fn sessions(&self) -> Result<i64, Error> {
        // The pooler keeps its own connections for whoever comes next, under the name of who came last.
        let servers = self.pooler.show("SERVERS").await?;
        let ports: Vec<i32> =
            servers.iter().filter_map(|server| column(server, "local_port")?.parse().ok()).collect();
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE application_name LIKE 'tidegate%' AND NOT client_port = ANY($1)";
        let row = self.root.query_one(sql, &[&ports]).await.map_err(Error::postgres("count sessions"))?;
        let direct: i64 = row.try_get(0).map_err(Error::postgres("count sessions"))?;
        let clients = self.pooler.show("CLIENTS").await?;
        let pooled = clients.iter().filter(|client| column(client, "user") == Some(OWNER)).count();
        Ok(direct + i64::try_from(pooled).unwrap_or(i64::MAX))
    }

    /// Runs a statement as the superuser, after showing it.
    pub(crate) async fn administer(&self, sql: &str) -> Result<(), Error> {
        println!("\npostgres=# {sql};");
        self.root.batch_execute(sql).await.map_err(Error::postgres("change a setting"))
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        self.database.name()
    }

    /// The schema as text, without the journal's.
    pub(crate) async fn schema(&self) -> Result<String, Error> {
        schema::read(self.cluster.programs().program("pg_dump"), &self.database.url()).await
    }
}

/// One column of a row that the pooler's console printed.
fn column<'a>(row: &'a [(String, String)], name: &str) -> Option<&'a str> {
    row.iter().find(|(column, _)| column == name).map(|(_, value)| value.as_str())
}

/// Connects and drives the connection until the client is dropped.
pub(crate) async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(Error::postgres("connect"))?;
    tokio::spawn(async move {
        // The client sees the same failure on its next statement.
        let _ = connection.await;
    });
    Ok(client)
}
