//! A throwaway PgBouncer in front of a cluster.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::account::Account;
use crate::image::SUPERUSER;
use crate::lifecycle::last_lines;
use crate::port::Port;
use crate::warden::{self, Ending, Guard};
use crate::{Cluster, Database, Error, eventually, prerequisites, scratch};

/// The superuser's password on a pooler that asks for passwords.
const PASSWORD: &str = "pooler";

/// How long it may take to come up.
const BOUND: Duration = Duration::from_secs(30);

/// When a server connection goes back to the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client disconnects.
    Session,
    /// When its transaction ends.
    #[default]
    Transaction,
    /// After each statement.
    Statement,
}

impl PoolMode {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

/// How a pooler is started.
#[derive(Debug, Clone)]
pub struct PgbouncerOptions {
    /// When a server connection goes back to the pool.
    pub mode: PoolMode,
    /// Server connections for each pair of database and user.
    pub pool_size: u16,
    /// Whether clients must give the password that the server holds for them (SCRAM-SHA-256), instead of being
    /// trusted by name. The superuser's is then part of [`Pgbouncer::url`] and [`Pgbouncer::console_url`].
    pub passwords: bool,
    /// Further lines of its `[pgbouncer]` section.
    pub settings: Vec<(String, String)>,
}

impl Default for PgbouncerOptions {
    fn default() -> Self {
        Self { mode: PoolMode::Transaction, pool_size: 5, passwords: false, settings: Vec::new() }
    }
}

/// A running pooler for every database and role of one cluster. Dropping it kills it.
#[derive(Debug)]
pub struct Pgbouncer {
    port: Port,
    directory: PathBuf,
    passwords: bool,
    process: Child,
    _guard: Guard,
}

impl Pgbouncer {
    /// Starts a pooler in front of a cluster, or of anything else that listens on `upstream` in front of it.
    ///
    /// # Errors
    /// When PgBouncer is not installed or does not come up; the error carries its log.
    pub async fn start(cluster: &Cluster, options: PgbouncerOptions) -> Result<Self, Error> {
        Self::start_at(cluster.port(), options).await
    }

    /// Starts a pooler in front of a port of this machine, for example a [`Proxy`](crate::Proxy)'s.
    ///
    /// # Errors
    /// As for [`Pgbouncer::start`].
    pub async fn start_at(upstream: u16, options: PgbouncerOptions) -> Result<Self, Error> {
        let program = prerequisites::pgbouncer()?;
        let account = Account::for_servers()?;
        let (port, directory) = (Port::reserve()?, scratch::directory("b")?);
        let users = directory.join("users");
        std::fs::write(&users, format!("\"{SUPERUSER}\" \"{PASSWORD}\"\n"))
            .map_err(Error::file("write", &users))?;
        let settings = directory.join("settings");
        let text = configuration(upstream, port.number(), &users, &options);
        std::fs::write(&settings, text).map_err(Error::file("write", &settings))?;
        let log_path = directory.join("log");
        let log = File::create(&log_path).map_err(Error::file("make", &log_path))?;
        let mut command = account.command(program);
        command.arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().map_err(Error::process("start", "pgbouncer"))?;
        let guard = warden::guard(process.id(), Ending::Kill)?;
        let pooler = Self { port, directory, passwords: options.passwords, process, _guard: guard };
        let ready = eventually("the pooler answers", BOUND, || async {
            let console = pooler.console().await.ok()?;
            console.simple_query("SHOW VERSION").await.ok()
        })
        .await;
        match ready {
            Ok(_) => Ok(pooler),
            Err(_) => Err(Error::Timeout {
                what: "the pooler answers".to_owned(),
                bound: BOUND,
                seen: last_lines(&pooler.log().unwrap_or_default()),
            }),
        }
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The pooled URL of a database as a role.
    #[must_use]
    pub fn url_for(&self, role: &str, database: &Database) -> String {
        database.url_at(self.port(), role)
    }

    /// The pooled URL of a database as the superuser.
    #[must_use]
    pub fn url(&self, database: &Database) -> String {
        self.url_for(&self.superuser(), database)
    }

    /// The URL of the admin console. It understands `SHOW` and its own commands only, by the simple protocol.
    #[must_use]
    pub fn console_url(&self) -> String {
        format!("postgresql://{}@127.0.0.1:{}/pgbouncer", self.superuser(), self.port())
    }

    /// The superuser as it stands in a URL.
    fn superuser(&self) -> String {
        if self.passwords { format!("{SUPERUSER}:{PASSWORD}") } else { SUPERUSER.to_owned() }
    }

    /// A connection to the admin console, driven by the current runtime.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn console(&self) -> Result<Client, Error> {
        crate::cluster::connect(&self.console_url()).await
    }

    /// What the console answers to a `SHOW`: one map from column to value a row, as the console prints them.
    ///
    /// # Errors
    /// When the console refuses the command.
    pub async fn show(&self, command: &str) -> Result<Vec<Vec<(String, String)>>, Error> {
        let console = self.console().await?;
        let messages = console
            .simple_query(&format!("SHOW {command}"))
            .await
            .map_err(Error::postgres(format!("SHOW {command}")))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows
            .map(|row| {
                row.columns()
                    .iter()
                    .enumerate()
                    .map(|(at, column)| {
                        (column.name().to_owned(), row.get(at).unwrap_or_default().to_owned())
                    })
                    .collect()
            })
            .collect())
    }

    /// A pooled connection to a database as the superuser, driven by the current runtime.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn client(&self, database: &Database) -> Result<Client, Error> {
        crate::cluster::connect(&self.url(database)).await
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        let path = self.directory.join("log");
        std::fs::read_to_string(&path).map_err(Error::file("read", path))
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let started = Instant::now();
        let _ = self.process.kill();
        while started.elapsed() < BOUND && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The text of its configuration file.
fn configuration(upstream: u16, port: u16, users: &std::path::Path, options: &PgbouncerOptions) -> String {
    let auth = if options.passwords { "scram-sha-256" } else { "trust" };
    let mut text = format!(
        "[databases]\n\
         * = host=127.0.0.1 port={upstream} auth_user={SUPERUSER}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = {auth}\n\
         auth_file = {}\n\
         admin_users = {SUPERUSER}\n\
         pool_mode = {}\n\
         default_pool_size = {}\n\
         ignore_startup_parameters = extra_float_digits\n",
        users.display(),
        options.mode.name(),
        options.pool_size,
    );
    for (name, value) in &options.settings {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}
