//! A database before, in or after the flattening, with data of every kind.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Cluster, Database, Outcome, Program};
use vfs_server::migrations::{MIGRATIONS, Migration, directory};

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A database with some of the migrations.
pub(crate) struct LegacyGround {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: Database,
}

impl LegacyGround {
    /// Nothing at all.
    pub(crate) async fn empty() -> Self {
        let cluster = Cluster::shared().await;
        Self { cluster, database: cluster.database("vfs").await }
    }

    /// Migrated up to and including `version`, without rows.
    pub(crate) async fn at(version: u32) -> Self {
        let ground = Self::empty().await;
        for migration in MIGRATIONS.iter().filter(|migration| migration.version <= version) {
            ground.apply(migration.sql).await;
        }
        ground
    }

    /// Legacy data of every kind, migrated up to and including `version`.
    pub(crate) async fn seeded_at(version: u32) -> Self {
        let ground = Self::at(23).await;
        ground.seed(&[]).await;
        for migration in MIGRATIONS.iter().filter(|migration| (24..=version).contains(&migration.version)) {
            ground.apply(migration.sql).await;
        }
        ground
    }

    /// Fills it by the program.
    pub(crate) async fn seed(&self, arguments: &[&str]) {
        let outcome =
            self.program(&["legacy-seed", "--rows", "60", "--seed", "7"]).args(arguments).run(BOUND).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    }

    /// The server's program on this database.
    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        Program::new(env!("CARGO_BIN_EXE_vfs-server"))
            .args(arguments)
            .env("DATABASE_URL", self.database.url())
    }

    /// One file in one transaction.
    pub(crate) async fn apply(&self, sql: &str) {
        let mut client = self.database.client().await;
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(sql).await.unwrap_or_else(|e| panic!("{e:?}"));
        transaction.commit().await.unwrap();
    }

    /// Runs a file as a person would by hand.
    pub(crate) async fn psql(&self, version: u32) -> Outcome {
        self.psql_with(version, "").await
    }

    /// As [`LegacyGround::psql`], with settings of the session.
    pub(crate) async fn psql_with(&self, version: u32, options: &str) -> Outcome {
        Program::new(self.cluster.programs().program("psql"))
            .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(file(version))
            .arg(self.database.url())
            .env("PGOPTIONS", options)
            .run(BOUND)
            .await
            .unwrap()
    }

    /// The one text that a query answers; NULL is `NULL`.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let text: Option<String> = self.database.value(&format!("SELECT ({sql})::text")).await;
        text.unwrap_or_else(|| "NULL".to_owned())
    }

    /// Every row of every table outside of the journal, as one sum a table.
    pub(crate) async fn contents(&self) -> Vec<(String, String)> {
        let client = self.database.client().await;
        let tables = "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables \
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'tidegate') ORDER BY 1";
        let mut contents = Vec::new();
        for row in client.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let sum = format!(
                "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")), '-') FROM {table} AS t"
            );
            contents.push((table, client.query_one(&sum, &[]).await.unwrap().get(0)));
        }
        contents
    }

    /// The schema as `pg_dump` describes it, without comments, settings and owners.
    pub(crate) async fn schema(&self) -> String {
        let outcome = Program::new(self.cluster.programs().program("pg_dump"))
            .args([
                "--schema-only",
                "--no-owner",
                "--exclude-schema=tidegate",
                "--exclude-schema=tidegate_retired",
            ])
            .arg(self.database.url())
            .run(BOUND)
            .await
            .unwrap();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        let signal = |line: &&str| {
            !(line.starts_with("--")
                // The bodies of functions may name what is made after them.
                || (line.starts_with("SET ") && *line != "SET check_function_bodies = false;")
                || line.starts_with('\\')
                || line.starts_with("SELECT pg_catalog.set_config"))
        };
        let mut text = String::new();
        for line in outcome.stdout.lines().filter(signal) {
            if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }
}

/// A migration.
pub(crate) fn migration(version: u32) -> &'static Migration {
    MIGRATIONS.iter().find(|migration| migration.version == version).unwrap()
}

/// Its file.
pub(crate) fn file(version: u32) -> PathBuf {
    directory().join("migrations").join(migration(version).name)
}
