//! The dry run: every check that can be asked now, what each step would do, and what it would lack. Nothing is changed.

mod needs;

use std::rc::Rc;

use serde::Serialize;
use tidegate_runbook::{Action, Name, Question, Step};

use crate::doors::Doors;
use crate::history::History;
use crate::job::Job;
use crate::program::{Program, is_done};
use crate::question::Reply;
use crate::setup::{OpenError, Options};
use crate::state::{Phase, RunState, StepState};
use crate::values::Values;
use crate::verb;
use crate::verdict::Verdict;
use crate::versions::{VersionTable, Versioned};

pub use needs::Lacking;

/// One step of the dry run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanLine {
    /// The stage.
    pub stage: Name,
    /// The step.
    pub step: Name,
    /// Its verb.
    pub verb: &'static str,
    /// What it would do.
    pub what: String,
    /// What was found.
    pub finding: Finding,
}

/// What a dry run finds for a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// A check that holds now.
    Pass {},
    /// A check that does not hold now.
    Fail {
        /// What was found.
        found: String,
    },
    /// A check that could not be told.
    Unknown {
        /// Why.
        why: String,
    },
    /// It can be told only after another step.
    NotYet {
        /// The nearest changing step before it that is not done.
        needs: Name,
    },
    /// `@attempt`, a person, or something outside: not evaluated by a dry run.
    NotAsked {
        /// Why.
        why: &'static str,
    },
    /// It would be done.
    Would {},
    /// It is done already.
    Done {},
    /// A manual stage: runs only when named.
    Manual {},
}

/// The whole dry run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DryRun {
    /// Where the run stands; `None` if there is none that is not final.
    pub run: Option<String>,
    /// Every step, in order.
    pub lines: Vec<PlanLine>,
    /// Versions that do not fit.
    pub drift: Vec<String>,
    /// Tables, functions and privileges that a step needs, that are not there, and that no earlier step sees to.
    pub lacking: Vec<Lacking>,
}

impl DryRun {
    /// Whether anything would stop the run right now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.drift.is_empty()
            && self.lacking.is_empty()
            && !self
                .lines
                .iter()
                .any(|line| matches!(line.finding, Finding::Fail { .. } | Finding::Unknown { .. }))
    }
}

/// What a step would do, in a few words.
#[must_use]
pub fn describe(step: &Step) -> String {
    match &step.action {
        Action::Record(record) if record.rows => "keep the rows that come back".to_owned(),
        Action::Record(_) => "keep the values that come back".to_owned(),
        Action::Check(check) => {
            let expect: Vec<String> = check.expect.iter().map(ToString::to_string).collect();
            let within =
                check.within.map_or(String::new(), |within| format!(", within {} s", within.as_secs_f64()));
            format!("expect {}{within}", expect.join(" and "))
        }
        Action::Backup(backup) => verb::backup::plan(backup),
        Action::Restore(restore) => verb::restore::plan(restore),
        Action::BackupKeys(backup) => verb::backup_keys::plan(backup),
        Action::RestoreKeys(restore) => verb::restore_keys::plan(restore),
        Action::Rekey(moved) => verb::rekey::plan(moved),
        Action::Migrate(migrate) => verb::migrate::plan(migrate),
        Action::Seal(seal) => verb::seal::plan(seal),
        Action::Retire(retire) => verb::retire::plan(retire),
        Action::Evict(evict) => verb::evict::plan(evict),
        Action::Watch(watch) => format!("look every {} s", watch.every.as_secs_f64()),
        Action::Confirm(_) => "wait for a person".to_owned(),
        Action::Command(command) => verb::command::plan(command),
        Action::Compare(compare) => verb::compare::plan(compare),
        Action::Backfill(backfill) => verb::backfill::plan(backfill),
        Action::Flags(flags) => verb::flags::plan(flags),
    }
}

/// Evaluates what can be evaluated. Takes no lock stronger than ACCESS SHARE and no lease.
///
/// # Errors
/// [`OpenError`] if parameters or stores cannot be used, or the journal does not hold together.
pub async fn dry_run(program: Rc<Program>, doors: Rc<Doors>, options: &Options) -> Result<DryRun, OpenError> {
    let home = doors.connect_home("tidegate/plan").await?;
    let history = History::read(&home).await?;
    let newest =
        history.newest()?.filter(|state| !state.phase.is_final() && state.runbook == program.runbook.id);
    let of_run = newest.as_ref().map(|state| state.parameters.clone()).unwrap_or_default();
    let declared = &program.runbook.parameters;
    let values =
        crate::parameters::resolve_for(declared, &options.sets, &|name| doors.environment(name), &of_run)
            .map_err(OpenError::Parameters)?;
    let versions = VersionTable::new(&program.runbook.versions);
    let applied = versions.applied(&home).await?;
    let drift = crate::runner::drift_in(&program, &versions, &applied)
        .into_iter()
        .map(|finding| finding.message)
        .collect();
    let run = newest.as_ref().map(|state| state.run.to_string());
    let state = newest.unwrap_or_else(|| nobody(&program));
    let mut dry = Dry { program: &program, doors: &doors, values, versions: &versions, state };
    dry.run_values();
    let mut lines = Vec::new();
    for stage in &program.runbook.stages {
        for step in &stage.steps {
            let by_version = Versioned::of(step)
                .is_some_and(|v| applied.iter().any(|known| known.id == versions.id_of(v.version, v.name)));
            let finding = if by_version || (is_done(&dry.state, &step.id) && !stage.manual) {
                dry.done(&step.id);
                Finding::Done {}
            } else if stage.manual {
                Finding::Manual {}
            } else {
                dry.find(step).await
            };
            let mut what = describe(step);
            if let Action::Backfill(backfill) = &step.action {
                let fired = verb::backfill::triggers(&home, backfill).await.unwrap_or_default();
                if !fired.is_empty() {
                    what.push_str(&format!("; fires {}", fired.join(", ")));
                }
            }
            lines.push(PlanLine {
                stage: stage.id.clone(),
                step: step.id.clone(),
                verb: step.action.verb(),
                what,
                finding,
            });
        }
    }
    let asked = |step: &Name| {
        let line = lines.iter().find(|line: &&PlanLine| line.step == *step);
        line.is_some_and(|line| {
            matches!(line.finding, Finding::Pass {} | Finding::Fail { .. } | Finding::Unknown { .. })
        })
    };
    let done = |step: &Name| lines.iter().any(|line| line.step == *step && line.finding == Finding::Done {});
    let lacking = needs::lacking(&home, &program, doors.home(), &asked, &done).await?;
    Ok(DryRun { run, lines, drift, lacking })
}

struct Dry<'a> {
    program: &'a Program,
    doors: &'a Doors,
    values: Values,
    versions: &'a VersionTable,
    state: RunState,
}

impl Dry<'_> {
    fn run_values(&mut self) {
        for (field, type_name, text) in [
            ("id", "uuid", self.state.run.to_string()),
            (
                "started",
                "timestamp with time zone",
                self.state.started_at.strftime("%Y%m%dT%H%M%SZ").to_string(),
            ),
        ] {
            if let (Ok(root), Ok(field)) = (Name::parse("run"), Name::parse(field)) {
                let value =
                    crate::values::Value { type_name: type_name.to_owned(), text: Some(text), secret: false };
                self.values.set(tidegate_runbook::ValueRef { root, field: Some(field) }, value);
            }
        }
    }

    /// Counts a step as complete for the steps below it.
    fn done(&mut self, step: &Name) {
        let (seq, at) = (self.state.last_seq, self.state.last_at);
        self.state.steps.entry(step.clone()).or_insert_with(|| StepState::Done {
            attempt: 1,
            outcome: std::sync::Arc::default(),
            seq,
            at,
        });
    }

    async fn find(&mut self, step: &Step) -> Finding {
        let job = Job {
            program: self.program,
            doors: self.doors,
            values: &self.values,
            state: &self.state,
            versions: self.versions,
            epoch: 0,
            step,
            attempt: 1,
        };
        if let Some(finding) = not_asked(step) {
            return finding;
        }
        let checked = match &step.action {
            Action::Backup(backup) => Some(verb::backup::precheck(job, backup).await.map(drop)),
            Action::BackupKeys(backup) => Some(verb::backup_keys::precheck(job, backup).await),
            Action::Rekey(moved) => Some(verb::rekey::precheck(job, moved).await),
            _ => None,
        };
        if let Some(checked) = checked {
            return match checked {
                Ok(()) => Finding::Would {},
                Err(error) if error.is_unknown() => Finding::Unknown { why: crate::advice::message(&error) },
                Err(error) => Finding::Fail { found: crate::advice::message(&error) },
            };
        }
        if !matches!(
            step.action,
            Action::Record(_) | Action::Check(_) | Action::Compare(_) | Action::Watch(_)
        ) {
            return Finding::Would {};
        }
        let answered = crate::evaluate::ask(job).await;
        let state = &self.state;
        let pending = self.program.pending_change_before(&step.id, &|name| is_done(state, name)).cloned();
        match (answered.verdict, pending) {
            (Verdict::Pass, _) => {
                self.keep(step, answered.reply);
                Finding::Pass {}
            }
            (_, Some(needs)) => Finding::NotYet { needs },
            (Verdict::Fail(found), None) => Finding::Fail { found },
            (Verdict::Unknown(why), None) => Finding::Unknown { why },
        }
    }

    fn keep(&mut self, step: &Step, reply: Reply) {
        match reply {
            Reply::Values(values) => {
                for (name, value) in values {
                    if let Ok(field) = Name::parse(&name) {
                        let at = tidegate_runbook::ValueRef { root: step.id.clone(), field: Some(field) };
                        self.values.set(at, value);
                    }
                }
            }
            Reply::Rows(relation) => {
                crate::kept::of_rows(&mut self.values, &self.program.runbook, &step.id, relation)
            }
            Reply::Compared(comparison) => {
                let kept = verb::compare::relations(&comparison.found, &comparison.key, false);
                crate::kept::of_rows(&mut self.values, &self.program.runbook, &step.id, kept);
            }
            Reply::None => {}
        }
    }
}

fn not_asked(step: &Step) -> Option<Finding> {
    let why = match &step.action {
        Action::Check(check) if check.attempt => "it attempts a change, which a dry run does not",
        Action::Check(check) if check.only_unless => "evaluated only where an @unless names it",
        Action::Check(check) if matches!(check.question, Question::Sh(_)) => {
            "a script, which a dry run does not run"
        }
        Action::Record(record) if record.at.is_some() => "taken on the snapshot of its backup",
        Action::Confirm(_) => "a person is asked when it is reached",
        _ => return None,
    };
    Some(Finding::NotAsked { why })
}

/// A run that was never started, for a dry run without one.
fn nobody(program: &Program) -> RunState {
    let now = jiff::Timestamp::now();
    RunState {
        run: uuid::Uuid::nil(),
        runbook: program.runbook.id.clone(),
        title: program.runbook.title.clone(),
        plan: crate::digest::Digest::ZERO,
        meaning: program.meaning(),
        by: crate::event::Person {
            actor: String::new(),
            os_user: String::new(),
            host: String::new(),
            db_role: String::new(),
        },
        started_at: now,
        parameters: Default::default(),
        bound_to: crate::event::Binding { database: String::new(), system_identifier: None },
        phase: Phase::Open {},
        steps: Default::default(),
        started: Vec::new(),
        approvals: Default::default(),
        watches: Default::default(),
        holds: Default::default(),
        flags: Default::default(),
        knobs: Default::default(),
        rechecked: Default::default(),
        disturbed: 0,
        last_seq: 0,
        last_at: now,
    }
}
