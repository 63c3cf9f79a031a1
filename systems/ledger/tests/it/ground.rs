//! A database to stand on: one per test, for either deployment, at any version of the schema.

use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database, Outcome, Program};
use tokio_postgres::Client;

/// Two tenants, and ids for rows that tests plant.
pub(crate) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
pub(crate) const LOT: &str = "cccccccc-0000-4000-8000-000000000003";

/// The application's login.
pub(crate) const APP: &str = "arrakis_app";
/// The system's login.
pub(crate) const SYSTEM: &str = "arrakis_admin";

const OWNER: &str = "ledger_owner";
const PROGRAM_BOUND: Duration = Duration::from_secs(60);

/// Who migrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// A superuser.
    Su,
    /// A plain role that owns the database.
    Own,
}

/// Makes one test per deployment from `async fn name(deployment: Deployment)`.
macro_rules! in_both_deployments {
    ($($name:ident),+ $(,)?) => {
        mod su {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::ground::Deployment::Su).await;
            })+
        }
        mod own {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::ground::Deployment::Own).await;
            })+
        }
    };
}
pub(crate) use in_both_deployments;

tokio::task_local! {
    /// Whether the service of this test reaches its database through a pooler in transaction mode.
    pub(crate) static POOLED: bool;
}

/// As `in_both_deployments`, directly and through a pooler in transaction mode each.
macro_rules! in_both_deployments_direct_and_pooled {
    ($($name:ident),+ $(,)?) => {
        $crate::ground::in_both_deployments!($($name),+);
        mod pooled_su {
            $(#[tokio::test]
            async fn $name() {
                $crate::ground::POOLED.scope(true, super::$name($crate::ground::Deployment::Su)).await;
            })+
        }
        mod pooled_own {
            $(#[tokio::test]
            async fn $name() {
                $crate::ground::POOLED.scope(true, super::$name($crate::ground::Deployment::Own)).await;
            })+
        }
    };
}
pub(crate) use in_both_deployments_direct_and_pooled;

/// A database and the role that migrates it.
pub(crate) struct Ground {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: Database,
    deployment: Deployment,
}

impl Ground {
    /// Roles and nothing else.
    pub(crate) async fn empty(deployment: Deployment) -> Self {
        Self::empty_on(Cluster::shared().await, deployment).await
    }

    /// Migrated to the last version, on a server of its own that a test may kill. It lives as long as the process.
    pub(crate) async fn mortal(deployment: Deployment) -> Self {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let ground = Self::empty_on(Box::leak(Box::new(cluster)), deployment).await;
        let mut migrator = ground.migrator().await;
        migrator.batch_execute(ledger::BASE_APPLICATION).await.unwrap();
        for (name, sql) in ledger::MIGRATIONS {
            apply(&mut migrator, sql).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
        ground
    }

    async fn empty_on(cluster: &'static Cluster, deployment: Deployment) -> Self {
        let database = cluster.database("ledger").await;
        if deployment == Deployment::Own {
            cluster.role(OWNER).await.unwrap();
            database.execute(&format!("ALTER DATABASE {} OWNER TO {OWNER}", database.name())).await;
        }
        database.execute(ledger::BASE_ROLES).await;
        Self { cluster, database, deployment }
    }

    /// The application's own tables, no migration yet.
    pub(crate) async fn application(deployment: Deployment) -> Self {
        let ground = Self::empty(deployment).await;
        ground.migrator().await.batch_execute(ledger::BASE_APPLICATION).await.unwrap();
        ground
    }

    /// Migrated up to and including `version`.
    pub(crate) async fn at(deployment: Deployment, version: &str) -> Self {
        let ground = Self::application(deployment).await;
        let mut migrator = ground.migrator().await;
        for (name, sql) in ledger::MIGRATIONS.iter().filter(|(name, _)| &name[..4] <= version) {
            apply(&mut migrator, sql).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
        ground
    }

    /// Migrated to the last version.
    pub(crate) async fn migrated(deployment: Deployment) -> Self {
        Self::at(deployment, "9999").await
    }

    /// The name of the role that migrates.
    pub(crate) fn migrator_name(&self) -> &'static str {
        match self.deployment {
            Deployment::Su => "postgres",
            Deployment::Own => OWNER,
        }
    }

    /// A connection of the role that migrates.
    pub(crate) async fn migrator(&self) -> Client {
        self.database.client_as(self.migrator_name()).await
    }

    /// A connection of the application.
    pub(crate) async fn app(&self) -> Client {
        self.database.client_as(APP).await
    }

    /// A connection of the system role.
    pub(crate) async fn system(&self) -> Client {
        self.database.client_as(SYSTEM).await
    }

    /// Runs a file as the runbook's author would by hand: `psql -1 -v ON_ERROR_STOP=1 -f`.
    pub(crate) async fn psql_file(&self, name: &str) -> Outcome {
        let file = ledger::directory().join("migrations").join(name);
        Program::new(self.cluster.programs().program("psql"))
            .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f"])
            .arg(file)
            .arg(self.database.url_for(self.migrator_name()))
            .run(PROGRAM_BOUND)
            .await
            .unwrap()
    }

    /// The schema as `pg_dump` describes it, without comments, most settings and owners' names.
    pub(crate) async fn schema(&self) -> String {
        let outcome = Program::new(self.cluster.programs().program("pg_dump"))
            .args(["--schema-only", "--no-owner"])
            .arg(self.database.url())
            .run(PROGRAM_BOUND)
            .await
            .unwrap();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        normalised(&outcome.stdout)
    }
}

/// One migration in one transaction.
pub(crate) async fn apply(client: &mut Client, sql: &str) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(sql).await?;
    transaction.commit().await
}

/// Drops what differs between servers and says nothing about the schema.
fn normalised(dump: &str) -> String {
    // Functions stand before the tables that their bodies name, so this one setting is part of the text.
    const KEPT: &str = "SET check_function_bodies";
    let signal = |line: &&str| {
        !(line.starts_with("--")
            || line.starts_with("SET ") && !line.starts_with(KEPT)
            || line.starts_with('\\')
            || line.starts_with("SELECT pg_catalog.set_config"))
    };
    let mut text = String::new();
    for line in dump.lines().filter(signal) {
        if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Names the tenant of the open transaction.
pub(crate) async fn become_tenant(client: &Client, tenant: &str) {
    client.batch_execute(&format!("SELECT app.set_community_context('{tenant}')")).await.unwrap();
}

/// Begins a transaction for a tenant.
pub(crate) async fn begin_as(client: &Client, tenant: &str) {
    client.batch_execute("BEGIN").await.unwrap();
    become_tenant(client, tenant).await;
}

/// A lot of 1 000 000 micro for tenant A, committed by the application, with its credit entry.
pub(crate) async fn plant_lot(client: &Client) {
    begin_as(client, A).await;
    client
        .batch_execute(&format!(
            "INSERT INTO credit_lots (id, community_id, source, amount_micro) VALUES ('{LOT}', '{A}', 'seed', 1000000);
             INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro)
             VALUES ('{LOT}', '{A}', 'credit', 1000000);
             COMMIT"
        ))
        .await
        .unwrap();
}

/// How a statement was refused: SQLSTATE and message.
pub(crate) async fn refusal(client: &Client, sql: &str) -> (String, String) {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("should have been refused: {sql}"),
        Err(error) => {
            let refused = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
            (refused.code().code().to_owned(), refused.message().to_owned())
        }
    }
}

/// The same inside an open transaction, which stays usable.
pub(crate) async fn refusal_inside(client: &Client, sql: &str) -> (String, String) {
    client.batch_execute("SAVEPOINT attempt").await.unwrap();
    let refused = refusal(client, sql).await;
    client.batch_execute("ROLLBACK TO SAVEPOINT attempt").await.unwrap();
    refused
}

/// A statement that must succeed and is then taken back, inside an open transaction.
pub(crate) async fn accepted_inside(client: &Client, sql: &str) {
    client.batch_execute("SAVEPOINT attempt").await.unwrap();
    client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    client.batch_execute("ROLLBACK TO SAVEPOINT attempt").await.unwrap();
}

/// The one number that a query answers.
pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

/// The one text that a query answers.
pub(crate) async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}
