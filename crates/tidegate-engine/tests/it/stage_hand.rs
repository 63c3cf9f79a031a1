//! Puts a small page on stage: a database, a program, a runner, and what was seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use testkit::{Cluster, Database};
use tidegate_engine::doors::Doors;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Back, EventRecord};
use tidegate_engine::history::History;
use tidegate_engine::observer::{Answer, Ask, Asking, Observer, Progress};
use tidegate_engine::program::Program;
use tidegate_engine::runner::{Purpose, Runner};
use tidegate_engine::setup::{OpenError, Options};
use tidegate_engine::state::RunState;
use tidegate_runbook::{Name, SourcePath, Sources, parse};
use tidegate_store::postgres::{Address, Session};

/// A page under test with a database of its own.
pub(crate) struct Stage {
    pub(crate) database: Database,
    /// Where the home store's url leads; the database itself unless a test puts something between.
    pub(crate) url: String,
    pub(crate) options: Options,
    pub(crate) seen: Rc<RefCell<Seen>>,
}

/// What an observer saw, and how it answers.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<EventRecord>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) approve_as: Option<String>,
}

impl Observer for Seen {
    fn event(&mut self, record: &EventRecord) {
        told_well(&format!("{:?}", record.event));
        self.events.push(record.clone());
    }

    fn progress(&mut self, progress: Progress) {
        told_well(&format!("{progress:?}"));
        self.progress.push(progress);
    }

    fn ask(&mut self, _ask: &Ask) -> Asking {
        let answer = self.approve_as.clone().map(|actor| Answer::Approve { actor });
        Box::pin(std::future::ready(answer))
    }
}

/// The page's `@runbook` block with one store, and what follows it.
pub(crate) fn page(rest: &str) -> String {
    page_with("", rest)
}

/// As [`page`], with more lines in the `@runbook` block.
pub(crate) fn page_with(more: &str, rest: &str) -> String {
    // Keys of the whole block come before its first table.
    let (keys, tables) = if more.starts_with('[') { ("", more) } else { (more, "") };
    format!(
        "# A test\n\n```toml\n# @runbook test\n{keys}\n[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\n{tables}\n```\n\n{rest}"
    )
}

/// A parsed page; a finding is a defect of the test.
pub(crate) fn program(text: &str) -> Rc<Program> {
    let sources = Sources {
        page: SourcePath("test.md".into()),
        page_bytes: text.as_bytes().to_vec(),
        files: BTreeMap::new(),
    };
    let parsed = parse(&sources);
    let runbook =
        parsed.runbook.unwrap_or_else(|| panic!("the page has findings: {:#?}", parsed.diagnostics));
    Rc::new(Program::new(runbook, sources))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Stage {
    /// A fresh database on the shared cluster.
    pub(crate) async fn new(hint: &str) -> Self {
        let database = Cluster::shared().await.database(hint).await;
        Self::on(database)
    }

    pub(crate) fn on(database: Database) -> Self {
        let url = database.url();
        let options = Options { actor: "alice".into(), ..Options::default() };
        Self { database, url, options, seen: Rc::default() }
    }

    pub(crate) fn doors(&self, program: &Program) -> Rc<Doors> {
        let url = self.url.clone();
        let environment = move |name: &str| match name {
            "DATABASE_URL" => Some(url.clone()),
            "PATH" => std::env::var("PATH").ok(),
            _ => None,
        };
        Rc::new(Doors::new(&program.runbook, Box::new(environment)).unwrap())
    }

    pub(crate) async fn open(&self, text: &str, purpose: Purpose) -> Result<Runner, OpenError> {
        let program = program(text);
        let doors = self.doors(&program);
        let opened = Runner::open(program, doors, &self.options, purpose, self.seen.clone()).await?;
        Ok(opened.runner)
    }

    /// Opens, goes forward, closes.
    pub(crate) async fn run(&self, text: &str) -> Ending {
        let mut runner = self.open(text, Purpose::Run).await.unwrap();
        let ending = runner.forward().await;
        runner.close().await;
        told_well(&format!("{ending:?}"));
        ending
    }

    /// Opens, goes back with the loss accepted as found, closes.
    pub(crate) async fn back(&self, text: &str, back: Back) -> Ending {
        let mut runner = self.open(text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(back).await.unwrap();
        let ending = runner.go_back(plan).await;
        runner.close().await;
        ending
    }

    pub(crate) async fn session(&self) -> Session {
        let address = Address::resolve(Some(&self.database.url()), &|_| None).unwrap();
        Session::connect(&address, "test").await.unwrap()
    }

    pub(crate) async fn state(&self) -> RunState {
        let session = self.session().await;
        History::read(&session).await.unwrap().newest().unwrap().unwrap()
    }
}

/// Runs a test on the kind of runtime that the engine needs.
pub(crate) fn on_stage(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// Texts are put together of others, some of which bring their own full stop: no test of these may meet two in a row.
pub(crate) fn told_well(text: &str) {
    // Three dots stand for what is left out, and two for a folder above.
    let plain = text.replace("...", "…").replace("../", "");
    for slip in [".. ", "..\"", ".;", ".:", "; ;", ": :"] {
        assert!(!plain.contains(slip), "{slip:?} in {text}");
    }
}

/// The halt's sentence; anything else is a defect.
pub(crate) fn halted(ending: &Ending) -> &str {
    match ending {
        Ending::Halted { message, .. } => message,
        other => panic!("expected a halt: {other:?}"),
    }
}

pub(crate) fn done(ending: &Ending) {
    assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
}
