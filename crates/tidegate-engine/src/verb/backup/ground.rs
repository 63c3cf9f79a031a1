//! What backups and restores are tested on: a database with a journal, a page, and the lease.

use std::collections::BTreeMap;
use std::path::PathBuf;

use testkit::{Cluster, Database};
use tidegate_runbook::{
    Action, Backup, FileContent, Name, Restore, SourcePath, Sources, Step, ValueRef, parse,
};
use tidegate_store::postgres::{Session, TxOutcome};
use uuid::Uuid;

use crate::digest::Digest;
use crate::doors::Doors;
use crate::error::StepError;
use crate::event::{Binding, Event, Person};
use crate::gate::Passed;
use crate::holder::Holder;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::program::Program;
use crate::state::{Phase, RunState};
use crate::values::{Value, Values};
use crate::versions::VersionTable;
use crate::{journal, lease};

const PAGE: &str = include_str!("ground.md");

/// Who migrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// A superuser.
    Su,
    /// A plain role that owns the database.
    Own,
}

/// A database with a journal, and a run that holds its lease.
pub(crate) struct Ground {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: Database,
    /// Name of the scratch database, which is not there.
    pub(crate) scratch: String,
    /// Where dumps go.
    pub(crate) folder: PathBuf,
    pub(crate) home: Session,
    addresses: BTreeMap<String, String>,
    program: Program,
    doors: Doors,
    values: Values,
    state: RunState,
    versions: VersionTable,
    epoch: u64,
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Ground {
    /// A database with these statements run by the role that migrates, and the lease taken.
    pub(crate) async fn new(deployment: Deployment, sql: &str) -> Self {
        Self::with_page(deployment, sql, PAGE).await
    }

    /// As [`Ground::new`], with a page of the test's own.
    pub(crate) async fn with_page(deployment: Deployment, sql: &str, page: &str) -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.database("backup").await;
        cluster.role_with("plain_owner", "LOGIN").await.unwrap();
        cluster.role_with("dumper", "LOGIN BYPASSRLS IN ROLE pg_read_all_data").await.unwrap();
        cluster.role_with("rehearser", "LOGIN CREATEDB").await.unwrap();
        cluster.role_with("app_user", "LOGIN").await.unwrap();
        let (role, dump, rehearser) = match deployment {
            Deployment::Su => ("postgres", "postgres", "postgres"),
            Deployment::Own => {
                let sql = format!("ALTER DATABASE \"{}\" OWNER TO plain_owner", database.name());
                cluster.execute(&sql).await.unwrap();
                ("plain_owner", "dumper", "rehearser")
            }
        };
        let scratch = format!("{}_scratch", database.name());
        let addresses = BTreeMap::from([
            ("HOME_URL".to_owned(), database.url_for(role)),
            ("DUMP_URL".to_owned(), database.url_for(dump)),
            ("SCRATCH_URL".to_owned(), cluster.url_for(rehearser, &scratch)),
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
        ]);
        let folder = std::env::temp_dir().join(format!("tidegate-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let program = program(page);
        let doors = doors(&program, addresses.clone());
        let home = doors.connect_home("test").await.unwrap();
        home.run(sql).await.unwrap();
        journal::install(&home).await.unwrap();
        let me = Holder::this_process("test");
        let taken = lease::take(&home, &me, std::time::Duration::from_secs(600)).await.unwrap();
        let mut values = Values::default();
        let file = folder.join("copy.dump").display().to_string();
        values.set(
            ValueRef { root: name("file"), field: None },
            Value { type_name: "text".into(), text: Some(file), secret: false },
        );
        let versions = VersionTable::new(&program.runbook.versions);
        let epoch = taken.epoch;
        let state = state();
        Self {
            cluster,
            database,
            scratch,
            folder,
            home,
            addresses,
            program,
            doors,
            values,
            state,
            versions,
            epoch,
        }
    }

    /// Lets one of the page's variables lead elsewhere.
    pub(crate) fn lead(&mut self, variable: &str, url: String) {
        self.addresses.insert(variable.to_owned(), url);
        self.doors = doors(&self.program, self.addresses.clone());
    }

    /// Where one of the page's variables leads.
    pub(crate) fn doors_address(&self, variable: &str) -> tidegate_store::postgres::Address {
        let url = &self.addresses[variable];
        tidegate_store::postgres::Address::resolve(Some(url), &|_| None).unwrap()
    }

    /// The run's state, for a test that adds to it.
    pub(crate) fn state_mut(&mut self) -> &mut RunState {
        &mut self.state
    }

    pub(crate) fn step(&self, id: &str) -> &Step {
        self.program.step(&name(id)).unwrap()
    }

    pub(crate) fn job(&self, id: &str) -> Job<'_> {
        Job {
            program: &self.program,
            doors: &self.doors,
            values: &self.values,
            state: &self.state,
            versions: &self.versions,
            epoch: self.epoch,
            step: self.step(id),
            attempt: 1,
        }
    }

    pub(crate) fn backup_of(&self, id: &str) -> &Backup {
        match &self.step(id).action {
            Action::Backup(backup) => backup,
            other => panic!("{id} is a {}", other.verb()),
        }
    }

    pub(crate) async fn precheck(&self, id: &str) -> Result<Vec<String>, StepError> {
        super::precheck(self.job(id), self.backup_of(id)).await
    }

    /// The records that stand at a backup.
    pub(crate) fn records(&self, id: &str) -> Vec<&Step> {
        let at = name(id);
        let records = self.program.runbook.steps().map(|(_, step)| step);
        records
            .filter(|step| matches!(&step.action, Action::Record(record) if record.at.as_ref() == Some(&at)))
            .collect()
    }

    pub(crate) async fn backup(&self, id: &str) -> Result<(Outcome, Vec<(Name, Outcome)>), StepError> {
        super::perform(self.job(id), self.backup_of(id), &self.records(id)).await
    }

    fn restore_step(&self) -> &Restore {
        match &self.step("back").action {
            Action::Restore(restore) => restore,
            other => panic!("back is a {}", other.verb()),
        }
    }

    pub(crate) async fn restore(&self, backup: &Outcome) -> TxOutcome<Passed, StepError> {
        self.restore_over(&self.home, backup).await
    }

    pub(crate) async fn restore_over(
        &self,
        session: &Session,
        backup: &Outcome,
    ) -> TxOutcome<Passed, StepError> {
        let head = journal::head(&self.home).await.unwrap();
        let events = |_: &Outcome| vec![Event::Finished {}];
        crate::verb::restore::perform(session, self.job("back"), self.restore_step(), backup, head, events)
            .await
    }

    /// The whole database as a script, without the journal.
    pub(crate) fn dumped(&self) -> String {
        let output = std::process::Command::new(self.cluster.programs().program("pg_dump"))
            .args(["--exclude-schema=tidegate", "--dbname", &self.database.url()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines =
            text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The names of what stands in the folder of dumps.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) async fn exists(&self, database: &str) -> bool {
        self.database
            .value(&format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{database}')"))
            .await
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn program(page: &str) -> Program {
    let sources = Sources {
        page: SourcePath("page.md".into()),
        page_bytes: page.as_bytes().to_vec(),
        files: BTreeMap::<SourcePath, FileContent>::new(),
    };
    let parsed = parse(&sources);
    let runbook = parsed.runbook.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    Program::new(runbook, sources)
}

fn doors(program: &Program, addresses: BTreeMap<String, String>) -> Doors {
    Doors::new(&program.runbook, Box::new(move |name| addresses.get(name).cloned())).unwrap()
}

fn state() -> RunState {
    let now = jiff::Timestamp::now();
    RunState {
        run: Uuid::new_v4(),
        runbook: name("ground"),
        title: "Ground".into(),
        plan: Digest::ZERO,
        meaning: Digest::ZERO,
        by: Person {
            actor: "test".into(),
            os_user: "test".into(),
            host: "test".into(),
            db_role: "test".into(),
        },
        started_at: now,
        parameters: BTreeMap::new(),
        bound_to: Binding { database: "test".into(), system_identifier: None },
        phase: Phase::Open {},
        steps: BTreeMap::new(),
        started: Vec::new(),
        approvals: BTreeMap::new(),
        watches: BTreeMap::new(),
        holds: BTreeMap::new(),
        flags: BTreeMap::new(),
        knobs: BTreeMap::new(),
        rechecked: BTreeMap::new(),
        disturbed: 0,
        last_seq: 0,
        last_at: now,
    }
}
