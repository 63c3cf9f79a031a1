//! One throwaway PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use tokio_postgres::{Client, NoTls};

use crate::account::Account;
use crate::image::{self, SUPERUSER};
use crate::port::Port;
use crate::prerequisites::PostgresPrograms;
use crate::warden::Guard;
use crate::{Error, scratch};

/// How a cluster is started.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Whether writes reach the disk (`fsync`, `full_page_writes`). Off by default: nothing here outlives its test.
    /// A process that is killed loses nothing either way; only a power cut would show the difference.
    pub fsync: bool,
    /// Whether every statement is written to the log with `log_statement = all`.
    pub log_statements: bool,
    /// Further settings, passed as `-c name=value`.
    pub settings: Vec<(String, String)>,
}

impl ClusterOptions {
    /// Writes every statement to the log, for tests that look for what must not be there.
    #[must_use]
    pub fn log_statements(mut self) -> Self {
        self.log_statements = true;
        self
    }

    /// Makes writes reach the disk.
    #[must_use]
    pub fn fsync(mut self) -> Self {
        self.fsync = true;
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running (or stopped) server with its data directory, port and log.
///
/// The superuser is `postgres`; everybody on this machine is trusted, except members of the role `scram_only`
/// (see [`Cluster::role_with_password`]). Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) programs: PostgresPrograms,
    pub(crate) account: Account,
    pub(crate) directory: PathBuf,
    pub(crate) port: Port,
    pub(crate) options: ClusterOptions,
    pub(crate) server: Mutex<Option<Server>>,
    pub(crate) templates: tokio::sync::Mutex<Vec<String>>,
}

/// The server's process while it runs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) _guard: Guard,
}

static SHARED: tokio::sync::OnceCell<Cluster> = tokio::sync::OnceCell::const_new();

impl Cluster {
    /// The cluster of this process, with default options, started at the first call.
    ///
    /// Do not stop it or change its settings: other tests of the process may use it. Start one of your own for that.
    ///
    /// # Panics
    /// When it cannot be started; the message says why and names what to install.
    pub async fn shared() -> &'static Self {
        match SHARED.get_or_try_init(|| Self::start(ClusterOptions::default())).await {
            Ok(cluster) => cluster,
            Err(error) => crate::database::give_up("start the shared cluster", &error),
        }
    }

    /// Starts a cluster of one's own.
    ///
    /// # Errors
    /// When the programs are missing or the server does not come up; the error carries its log.
    pub async fn start(options: ClusterOptions) -> Result<Self, Error> {
        let cluster = Self::place(options)?;
        let image = image::prepared(&cluster.programs, &cluster.account)?;
        image::copy(&image, &cluster.data(), &cluster.account)?;
        cluster.launch().await?;
        Ok(cluster)
    }

    /// A cluster with a directory and a port, without data and without a server.
    pub(crate) fn place(options: ClusterOptions) -> Result<Self, Error> {
        Ok(Self {
            programs: PostgresPrograms::find()?,
            account: Account::for_servers()?,
            directory: scratch::directory("c")?,
            port: Port::reserve()?,
            options,
            server: Mutex::new(None),
            templates: tokio::sync::Mutex::new(Vec::new()),
        })
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The directory of the Unix socket, as libpq's `host`.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The programs of this server's version, for example for `pg_dump`.
    #[must_use]
    pub fn programs(&self) -> &PostgresPrograms {
        &self.programs
    }

    /// The file that the server logs to.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Everything that the server has logged so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        let path = self.log_path();
        let bytes = std::fs::read(&path).map_err(Error::file("read", path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The process id of the postmaster while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map(|server| server.process.id())
    }

    /// The URL of a database as the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_for(SUPERUSER, database)
    }

    /// The URL of a database as a role.
    #[must_use]
    pub fn url_for(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port())
    }

    /// A superuser's connection to a database.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn connect(&self, database: &str) -> Result<Client, Error> {
        connect(&self.url(database)).await
    }

    /// Runs statements as the superuser, in the database `postgres`: roles, settings, anything of the whole cluster.
    ///
    /// # Errors
    /// When the server refuses one of them.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        let client = self.connect("postgres").await?;
        client.batch_execute(sql).await.map_err(Error::postgres(format!("run {sql}")))
    }

    /// Makes a login role if it is not there yet.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn role(&self, name: &str) -> Result<(), Error> {
        self.role_with(name, "LOGIN").await
    }

    /// Makes a role with these attributes (for example `LOGIN NOSUPERUSER BYPASSRLS`) if it is not there yet.
    ///
    /// # Idempotence
    /// Safe to call from many tests at once: the look and the creation are under one lock.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn role_with(&self, name: &str, attributes: &str) -> Result<(), Error> {
        let mut client = self.connect("postgres").await?;
        let context = || format!("make role {name}");
        let work = client.transaction().await.map_err(Error::postgres(context()))?;
        work.batch_execute("SELECT pg_advisory_xact_lock(7416385)")
            .await
            .map_err(Error::postgres(context()))?;
        let there = work
            .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&name])
            .await
            .map_err(Error::postgres(context()))?;
        if there.is_none() {
            let create = format!("CREATE ROLE {} {attributes}", quoted(name));
            work.batch_execute(&create).await.map_err(Error::postgres(context()))?;
        }
        work.commit().await.map_err(Error::postgres(context()))
    }

    /// Makes a login role that must give its password (SCRAM-SHA-256) on TCP.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn role_with_password(&self, name: &str, password: &str) -> Result<(), Error> {
        let literal = password.replace('\'', "''");
        self.role_with(name, &format!("LOGIN PASSWORD '{literal}' IN ROLE scram_only")).await
    }
}

/// Connects and drives the connection on the current runtime until the client is dropped.
pub(crate) async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(Error::postgres(format!("connect to {url}")))?;
    tokio::spawn(async move {
        // The client sees the same failure on its next statement.
        let _ = connection.await;
    });
    Ok(client)
}

/// An identifier in PostgreSQL's quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
