//! The ledger's runbook on stage: a cluster, a pooler, the base schema, and the program.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Database, Outcome, Pgbouncer, PgbouncerOptions, Program};

/// How long one call of the program may take.
const BOUND: Duration = Duration::from_secs(240);

/// Who migrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// A superuser.
    Su,
    /// A plain owner of the database.
    Own,
}

/// The stage.
pub(crate) struct LedgerStage {
    pub(crate) cluster: Cluster,
    pub(crate) database: Database,
    pub(crate) scratch: Database,
    pub(crate) pooler: Pgbouncer,
    pub(crate) backups: PathBuf,
    pub(crate) migrator: String,
}

impl LedgerStage {
    pub(crate) async fn new(deployment: Deployment) -> Self {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let database = cluster.database("ledger").await;
        let scratch = cluster.database("scratch").await;
        let migrator = match deployment {
            Deployment::Su => "postgres",
            Deployment::Own => "ledger_owner",
        };
        if deployment == Deployment::Own {
            cluster.role(migrator).await.unwrap();
        }
        cluster.role("ledger_scratch").await.unwrap();
        cluster.role_with("ledger_dump", "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await.unwrap();
        for (name, owner) in [(database.name(), migrator), (scratch.name(), "ledger_scratch")] {
            cluster.execute(&format!("ALTER DATABASE {name} OWNER TO {owner}")).await.unwrap();
        }
        database.execute(ledger::BASE_ROLES).await;
        database.client_as(migrator).await.batch_execute(ledger::BASE_APPLICATION).await.unwrap();
        let pooler = Pgbouncer::start(&cluster, PgbouncerOptions::default()).await.unwrap();
        let backups = std::env::temp_dir().join(format!("tidegate-backups-{}", database.name()));
        std::fs::create_dir_all(&backups).unwrap();
        Self { cluster, database, scratch, pooler, backups, migrator: migrator.to_owned() }
    }

    /// The program with the environment that the page asks for.
    pub(crate) fn program<const N: usize>(&self, arguments: [&str; N]) -> Program {
        Program::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .env("TIDEGATE_RUNBOOK", ledger::runbook_path())
            .env("TIDEGATE_NO_MEMORY", "1")
            .env("DATABASE_URL", self.database.url_for(&self.migrator))
            .env("DATABASE_POOLED_URL", self.pooler.url_for(&self.migrator, &self.database))
            .env("DATABASE_APP_URL", self.database.url_for("arrakis_app"))
            .env("DATABASE_DUMP_URL", self.database.url_for("ledger_dump"))
            .env("DATABASE_SCRATCH_URL", self.scratch.url_for("ledger_scratch"))
            .env("PGBOUNCER_ADMIN_URL", self.pooler.console_url())
            .env("LEDGER_URL", "http://127.0.0.1:9")
    }

    /// The program for a command that needs the page's parameters.
    pub(crate) fn with_parameters<const N: usize>(&self, arguments: [&str; N]) -> Program {
        self.program(arguments)
            .args(["--set", "window_start=2020-01-01T00:00:00Z", "--set", "window_end=2100-01-01T00:00:00Z"])
            .args(["--set".to_owned(), format!("backup_dir={}", self.backups.display())])
    }

    pub(crate) fn run_program(&self) -> Program {
        self.with_parameters(["run", "--apply", "--yes", "--actor", "alice"])
    }

    pub(crate) async fn call(&self, program: &Program) -> Outcome {
        program.run(BOUND).await.unwrap()
    }

    pub(crate) async fn run(&self) -> Outcome {
        self.call(&self.run_program()).await
    }

    pub(crate) async fn approve(&self, step: &str) {
        let approved = self.call(&self.program(["approve", step, "--actor", "bob"])).await;
        assert_eq!(approved.code(), Some(0), "{}", told(&approved));
    }

    /// To the end, confirms answered.
    pub(crate) async fn run_to_the_end(&self) {
        let waiting = self.run().await;
        assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
        self.approve("window").await;
        let done = self.run().await;
        assert_eq!(done.code(), Some(0), "{}", told(&done));
    }

    /// Schema and versions, without what differs between two equal runs.
    pub(crate) async fn schema(&self) -> String {
        let dump = Program::new(self.cluster.programs().program("pg_dump"))
            .args(["--schema-only", "--exclude-schema=tidegate", "--dbname"])
            .arg(self.database.url())
            .run(BOUND)
            .await
            .unwrap();
        assert_eq!(dump.code(), Some(0), "{}", told(&dump));
        let schema: Vec<&str> = dump
            .stdout
            .lines()
            .filter(|line| !line.starts_with("--") && !line.starts_with("\\") && !line.trim().is_empty())
            .collect();
        let versions: Option<String> = match self.database.value::<bool>("SELECT to_regclass('tidegate_version') IS NOT NULL").await {
            true => {
                self.database
                    .value("SELECT string_agg(version || ' ' || name || ' ' || checksum, E'\\n' ORDER BY version) FROM tidegate_version")
                    .await
            }
            false => None,
        };
        format!("{}\n{}", schema.join("\n"), versions.unwrap_or_default())
    }
}

impl Drop for LedgerStage {
    fn drop(&mut self) {
        // What is left in the system's temporary folder is told by the next run of the test.
        drop(std::fs::remove_dir_all(&self.backups));
    }
}

/// Everything a call printed.
pub(crate) fn told(outcome: &Outcome) -> String {
    format!("{:?}\n--- stdout\n{}\n--- stderr\n{}", outcome.status, outcome.stdout, outcome.stderr)
}

/// Runs a test on its own runtime.
pub(crate) fn on_stage(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}
