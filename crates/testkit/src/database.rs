//! A database of one's own.

use tokio_postgres::Client;

use crate::cluster::{Cluster, connect, quoted};
use crate::image::SUPERUSER;
use crate::{Error, scratch};

/// Longest part of a hint that goes into a database's name; PostgreSQL cuts names at 63 bytes.
const HINT_BYTES: usize = 40;

/// A database that no other test uses, dropped with its sessions when this value is dropped.
#[derive(Debug)]
pub struct Database {
    name: String,
    port: u16,
}

impl Cluster {
    /// An empty database with a unique name that begins with the hint.
    ///
    /// # Panics
    /// When it cannot be made; [`Cluster::try_database`] returns the error.
    pub async fn database(&self, hint: &str) -> Database {
        match self.try_database(hint, "template1").await {
            Ok(database) => database,
            Err(error) => give_up("make a database", &error),
        }
    }

    /// A database that begins as a copy of a template made by [`Cluster::template`].
    ///
    /// # Panics
    /// When it cannot be made; [`Cluster::try_database`] returns the error.
    pub async fn database_from(&self, hint: &str, template: &str) -> Database {
        match self.try_database(hint, template).await {
            Ok(database) => database,
            Err(error) => give_up("make a database", &error),
        }
    }

    /// An empty database whose texts are ordered by a language's rules (ICU, `en-US`) and not by their bytes.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn database_in_english(&self, hint: &str) -> Database {
        let how = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
        match self.create_database(hint, how).await {
            Ok(database) => database,
            Err(error) => give_up("make a database", &error),
        }
    }

    /// A database with a unique name, copied from a template.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn try_database(&self, hint: &str, template: &str) -> Result<Database, Error> {
        self.create_database(hint, &format!("TEMPLATE {}", quoted(template))).await
    }

    async fn create_database(&self, hint: &str, how: &str) -> Result<Database, Error> {
        let mut start: String = hint
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        start.truncate(HINT_BYTES);
        let name = format!("{start}_{}_{}", std::process::id(), scratch::next_number());
        self.execute(&format!("CREATE DATABASE {} {how}", quoted(&name))).await?;
        Ok(Database { name, port: self.port() })
    }

    /// Makes a template database from SQL, once a cluster, and returns its name for [`Cluster::database_from`].
    ///
    /// # Idempotence
    /// Later calls with the same name find it made. The SQL is not compared: name it for its content.
    ///
    /// # Errors
    /// When the server refuses a statement; the half-made template is removed.
    pub async fn template(&self, name: &str, sql: &str) -> Result<String, Error> {
        let database = format!("template_{name}");
        let mut made = self.templates.lock().await;
        if made.contains(&database) {
            return Ok(database);
        }
        self.execute(&format!("CREATE DATABASE {}", quoted(&database))).await?;
        let filled = match self.connect(&database).await {
            Ok(client) => {
                client.batch_execute(sql).await.map_err(Error::postgres(format!("fill template {name}")))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = filled {
            self.execute(&format!("DROP DATABASE {} WITH (FORCE)", quoted(&database))).await?;
            return Err(error);
        }
        // A template may not have sessions; the one above ends a moment after its client is dropped.
        let literal = database.replace('\'', "''");
        self.until(&format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{literal}')"))
            .await?;
        made.push(database.clone());
        Ok(database)
    }
}

impl Database {
    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL as the superuser `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for(SUPERUSER)
    }

    /// The URL as a role, without a password.
    #[must_use]
    pub fn url_for(&self, role: &str) -> String {
        self.url_at(self.port, role)
    }

    /// The URL as a role at another port of this machine: a proxy's, a pooler's, a standby's.
    #[must_use]
    pub fn url_at(&self, port: u16, role: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{port}/{}", self.name)
    }

    /// A superuser's connection, driven by the current runtime.
    ///
    /// # Panics
    /// When the server refuses it; [`Database::try_client`] returns the error.
    pub async fn client(&self) -> Client {
        self.client_as(SUPERUSER).await
    }

    /// A role's connection, driven by the current runtime.
    ///
    /// # Panics
    /// When the server refuses it; [`Database::try_client`] returns the error.
    pub async fn client_as(&self, role: &str) -> Client {
        match self.try_client(role).await {
            Ok(client) => client,
            Err(error) => give_up("connect", &error),
        }
    }

    /// A role's connection.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn try_client(&self, role: &str) -> Result<Client, Error> {
        connect(&self.url_for(role)).await
    }

    /// Runs statements as the superuser.
    ///
    /// # Panics
    /// When the server refuses one.
    pub async fn execute(&self, sql: &str) {
        let client = self.client().await;
        if let Err(source) = client.batch_execute(sql).await {
            give_up("run statements", &Error::postgres(sql)(source));
        }
    }

    /// The one value of a query, as the superuser.
    ///
    /// # Panics
    /// When the query fails, does not answer exactly one row, or its first column is of another type.
    pub async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let client = self.client().await;
        match client.query_one(sql, &[]).await.and_then(|row| row.try_get(0)) {
            Ok(value) => value,
            Err(source) => give_up("ask for one value", &Error::postgres(sql)(source)),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let url = format!("postgresql://{SUPERUSER}@127.0.0.1:{}/postgres", self.port);
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name));
        // In the background, on a runtime of its own: a test must not wait for it, and if the process ends first, the
        // whole cluster goes.
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                if let Ok(client) = connect(&url).await {
                    let _ = client.batch_execute(&sql).await;
                }
            });
        });
    }
}

/// Ends a test whose server cannot be used.
#[expect(clippy::panic, reason = "a test without its server has no result; the documented panics come here")]
pub(crate) fn give_up(what: &str, error: &Error) -> ! {
    panic!("could not {what}: {error}")
}
