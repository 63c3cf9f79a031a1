//! Opening a run: connect, verify, take the lease, start or resume.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_runbook::{Name, StoreKind};
use tidegate_store::postgres::{FailureKind, Session, TxOutcome, identity, quote_identifier, run_tx};
use uuid::Uuid;

use crate::crash::{self, Site};
use crate::digest::Digest;
use crate::doors::{Doors, Entrance};
use crate::error::StepError;
use crate::event::{Back, Binding, Event, EventRecord, Person};
use crate::history::History;
use crate::holder::{Holder, os_user};
use crate::journal::{self, JournalError};
use crate::lease;
use crate::observer::Observer;
use crate::parameters;
use crate::plan_store;
use crate::program::Program;
use crate::redact::Redactor;
use crate::request;
use crate::runner::{Runner, Stop};
use crate::setup::{OpenError, Options};
use crate::signals::Signals;
use crate::state::{Phase, RunState, StepState};
use crate::transition;
use crate::values::Values;
use crate::versions::VersionTable;

/// What a command wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Start one, or go on with the one that is not final.
    Run,
    /// Work beside the position of the newest run: a manual stage.
    Manual,
    /// Take the newest run back.
    Back,
    /// Journal a decision about the newest run: adopt, amend, accept drift, abandon.
    Decide,
}

/// A run that was opened.
pub struct Opened {
    /// The runner.
    pub runner: Runner,
    /// Whether this started a new run.
    pub new: bool,
}

impl Runner {
    /// Opens a run.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then, but for the journal's own schema.
    pub async fn open(
        program: Rc<Program>,
        doors: Rc<Doors>,
        options: &Options,
        purpose: Purpose,
        observer: Rc<RefCell<dyn Observer>>,
    ) -> Result<Opened, OpenError> {
        let given = |run: &BTreeMap<String, String>| {
            let declared = &program.runbook.parameters;
            parameters::resolve_for(declared, &options.sets, &|name| doors.environment(name), run)
        };
        if let Err(errors) = given(&BTreeMap::new())
            && !errors.iter().all(|error| matches!(error, parameters::ParameterError::Missing { .. }))
        {
            return Err(OpenError::Parameters(errors));
        }
        addresses_resolve(&program, &doors)?;
        let home = doors.connect_home("tidegate/open").await?;
        let binding = bind(&program, &doors, &home).await?;
        let history = History::read(&home).await?;
        history_holds(&history, &binding, options)?;
        let before = history.newest()?;
        let newest = admit(&program, &home, &history, before, purpose, options).await?;
        // What is missing may be what the run was started with.
        let of_run = newest.as_ref().map(|state| state.parameters.clone()).unwrap_or_default();
        let values = given(&of_run).map_err(OpenError::Parameters)?;
        journal::install(&home).await.map_err(|error| not_installed(error, &binding.database))?;
        let me = Holder::this_process(&options.actor);
        let taken = lease::take(&home, &me, program.runbook.limits.lease).await?;
        crash::point(Site::LeaseTaken, program.runbook.id.as_str());
        let start = Start {
            program: &program,
            values: &values,
            me: &me,
            binding: &binding,
            options,
            epoch: taken.epoch,
        };
        let held = match Box::pin(start.under_the_lease(&home, purpose, &observer)).await {
            Ok(held) => held,
            Err(error) => {
                lease::release(&home, taken.epoch).await?;
                return Err(error);
            }
        };
        let Held { history, by, state, head, new } = held;
        let versions = VersionTable::new(&program.runbook.versions);
        let home_pid = home.backend_pid().await?;
        let mut runner = Self {
            program,
            doors,
            values,
            versions,
            me,
            by: by.clone(),
            home,
            home_pid,
            epoch: taken.epoch,
            head,
            state,
            observer,
            signals: Signals::default(),
            inbox: Rc::default(),
            heartbeat: None,
            watches: Vec::new(),
            memory: options.memory.clone(),
            accepted_drift: accepted_drift(&history),
            intents: std::collections::BTreeSet::new(),
            known: Rc::default(),
        };
        crate::kept::restore(&mut runner.values, &runner.program.runbook, &runner.state, &runner.home)
            .await?;
        let asked = request::after(&runner.home, 0).await?;
        runner.inbox.borrow_mut().extend(asked);
        runner.start_heartbeat();
        crash::point(Site::RunStarted, runner.program.runbook.id.as_str());
        if !new && purpose == Purpose::Run {
            let resumed = Event::Resumed { by, ended_backends: taken.ended_backends };
            runner.commit(vec![resumed]).await.map_err(stop_as_open)?;
        }
        Ok(Opened { runner, new })
    }

    /// Keeps what an event's outcome keeps, and drops what was undone.
    pub(crate) fn keep_values(&mut self, record: &EventRecord) {
        match &record.event {
            Event::StepDone { step, outcome, .. } | Event::Adopted { step, outcome, .. } => {
                crate::kept::of_step(&mut self.values, step, outcome);
            }
            Event::StepUndone { step, .. } => self.values.forget(step),
            Event::RollbackEnded { forgotten, .. } => {
                for step in forgotten {
                    self.values.forget(step);
                }
            }
            _ => {}
        }
    }

    /// Keeps the newest head for the next time.
    pub(crate) fn remember(&self) {
        if let Some(folder) = &self.memory {
            crate::memory::remember(folder, &self.state.bound_to, self.head);
        }
    }

    /// Knows every secret of this run.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::new(self.values.secrets())
    }
}

/// What was ever accepted in this database.
fn accepted_drift(history: &History) -> std::collections::BTreeSet<String> {
    history
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::DriftAccepted { subject, .. } => Some(subject.clone()),
            _ => None,
        })
        .collect()
}

/// A run keeps the parameters it was started with.
fn same_parameters(program: &Program, values: &Values, state: &RunState) -> Result<(), OpenError> {
    let given = parameters::for_journal(&program.runbook.parameters, values);
    let mut errors = Vec::new();
    for (name, was) in &state.parameters {
        let Some(given) = given.get(name) else { continue };
        if given != was
            && let Ok(name) = Name::parse(name)
        {
            errors.push(parameters::ParameterError::Fixed { name, was: was.clone(), given: given.clone() });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(OpenError::Parameters(errors)) }
}

/// Who is at work.
async fn person(actor: &str, me: &Holder, home: &Session) -> Result<Person, OpenError> {
    let rows = home.query("SELECT session_user::text", &[]).await?;
    Ok(Person {
        actor: actor.to_owned(),
        os_user: os_user(),
        host: me.host.clone(),
        db_role: rows.first().map(|row| row.get(0)).unwrap_or_default(),
    })
}

/// Every address that stages other than manual ones use, so that a missing variable is found before anything runs.
fn addresses_resolve(program: &Program, doors: &Doors) -> Result<(), OpenError> {
    for stage in program.runbook.stages.iter().filter(|stage| !stage.manual) {
        for step in &stage.steps {
            let Some(store) = &step.store else { continue };
            match doors.kind(store)? {
                StoreKind::Postgres | StoreKind::Pgbouncer => {
                    doors.address(store, &Entrance::of(step))?;
                }
                StoreKind::Http | StoreKind::Kv => {
                    doors.url(store, &Entrance::Direct)?;
                }
            }
        }
    }
    Ok(())
}

/// Checks that the home store is the one that the page means and can be written to.
async fn bind(program: &Program, doors: &Doors, home: &Session) -> Result<Binding, OpenError> {
    let found = identity(home).await?;
    if found.in_recovery {
        return Err(OpenError::ReadOnly(
            "the home store is a standby: it takes no writes. Point its url at the primary, or promote it first"
                .to_owned(),
        ));
    }
    let rows = home.query("SELECT current_setting('default_transaction_read_only') = 'on'", &[]).await?;
    if rows.first().is_some_and(|row| row.get(0)) {
        return Err(read_only());
    }
    let declared = doors.store(doors.home())?;
    if let Some(database) = &declared.database
        && *database != found.database
    {
        return Err(OpenError::Binding(format!(
            "store {} is declared as database {database:?} and the url leads to {:?}; correct the url or the page",
            declared.name, found.database
        )));
    }
    if let (Some(declared_id), Some(found_id)) = (declared.system_identifier, found.system_identifier)
        && declared_id != found_id
    {
        return Err(OpenError::Binding(format!(
            "store {} is declared with system_identifier {declared_id} and the server has {found_id}: this is another server",
            program.runbook.home().map(|home| home.name.to_string()).unwrap_or_default()
        )));
    }
    Ok(Binding { database: found.database, system_identifier: found.system_identifier })
}

fn read_only() -> OpenError {
    OpenError::ReadOnly(
        "the home store is read-only (default_transaction_read_only or a standby): lift that, then run again"
            .to_owned(),
    )
}

/// SQLSTATE of what a role may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

fn not_installed(error: JournalError, database: &str) -> OpenError {
    match &error {
        JournalError::Store(failure) if failure.kind() == FailureKind::ReadOnlyServer => read_only(),
        JournalError::Store(failure) if failure.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {
            OpenError::Refused {
                message: format!("the role may not make the journal in database {database}: {failure}"),
                next: format!(
                    "Let the role that runs the page make and own the schema `tidegate`: GRANT CREATE ON DATABASE {} TO its \
                 name; or name another role in the url. Nothing was changed.",
                    quote_identifier(database)
                ),
            }
        }
        _ => OpenError::Journal(error),
    }
}

/// The journal is the newest that was ever seen, as far as that can be told.
fn history_holds(history: &History, binding: &Binding, options: &Options) -> Result<(), OpenError> {
    if let Some(head) = &options.head {
        let known = Digest::from_hex(head);
        let at_head = known == Some(history.head.hash);
        if !at_head {
            return Err(OpenError::Drift {
                message: format!("the journal's head is {} and --head says {head}", history.head.hash),
                next: "Look at `tidegate events`: either something was journaled since that head was printed, or \
                       events are missing."
                    .to_owned(),
            });
        }
    }
    if let Some(folder) = &options.memory
        && let Some(missing) = crate::memory::missing(folder, binding, history)
    {
        return Err(OpenError::Drift {
            message: missing,
            next: format!(
                "Bring back the store that has all events. If they are lost for good, remove the note of them, {}, \
                 and decide with `tidegate status` and `tidegate doctor` what to do. Of a database that was dropped and \
                 made anew nothing is lost.",
                crate::memory::file(folder, binding).display()
            ),
        });
    }
    Ok(())
}

/// Decides which run a command works on: `None` starts a new one.
async fn admit(
    program: &Program,
    home: &Session,
    history: &History,
    newest: Option<RunState>,
    purpose: Purpose,
    options: &Options,
) -> Result<Option<RunState>, OpenError> {
    let runbook = &program.runbook.id;
    let Some(state) = newest else {
        return match purpose {
            Purpose::Run => Ok(None),
            Purpose::Manual | Purpose::Back | Purpose::Decide => {
                Err(OpenError::NoRun { runbook: runbook.clone() })
            }
        };
    };
    if &state.runbook != runbook {
        if purpose == Purpose::Run && state.phase.is_final() {
            return Ok(None);
        }
        return Err(OpenError::Refused {
            message: format!(
                "the newest run in this database is one of {}, {}; this page is {runbook}",
                state.runbook,
                state.phase.word()
            ),
            next: format!(
                "Go on with the page of {0}, or name that page to end its run: `tidegate abandon PAGE_OF_{0} --actor \
                 NAME --reason WHY`.",
                state.runbook
            ),
        });
    }
    let final_phase = state.phase.is_final();
    match purpose {
        Purpose::Run if final_phase => {
            let finished = matches!(state.phase, Phase::Finished {});
            if finished
                && !program.runbook.repeatable
                && !options.again
                && nothing_new(program, history, &state)
            {
                return Err(OpenError::Refused {
                    message: format!(
                        "run {} of {runbook} is finished, and the page has no new version",
                        state.run
                    ),
                    next: "Look at `tidegate report`. To run the page once more, add --again.".to_owned(),
                });
            }
            return Ok(None);
        }
        Purpose::Back | Purpose::Manual
            if matches!(state.phase, Phase::RolledBack {} | Phase::Abandoned { .. }) =>
        {
            return Err(OpenError::Refused {
                message: format!(
                    "run {} is {}; there is nothing to take back",
                    state.run,
                    state.phase.word()
                ),
                next: "Look at `tidegate status`.".to_owned(),
            });
        }
        Purpose::Decide if final_phase => {
            return Err(OpenError::Refused {
                message: format!("run {} is {}", state.run, state.phase.word()),
                next: "Start a new run first.".to_owned(),
            });
        }
        Purpose::Run | Purpose::Manual | Purpose::Back | Purpose::Decide => {}
    }
    if purpose == Purpose::Run
        && let Some(back) = state.phase.back()
    {
        let again = match &back.back {
            Back::Way { way, .. } => format!("--way {way}"),
            Back::Undo { to } => format!("--to {}", to.as_ref().map_or("start", Name::as_str)),
        };
        return Err(OpenError::Refused {
            message: format!("run {} is on its way back", state.run),
            next: format!("Go on with it: tidegate rollback {again}, as it was begun"),
        });
    }
    if purpose != Purpose::Decide && state.meaning != program.meaning() {
        return Err(drift(program, home, &state).await?);
    }
    Ok(Some(state))
}

/// Whether every version of the page was part of the finished run.
fn nothing_new(program: &Program, _history: &History, state: &RunState) -> bool {
    program.runbook.steps().all(|(stage, step)| {
        stage.manual
            || step.action.is_read_only()
            || matches!(state.steps.get(&step.id), Some(StepState::Done { .. }))
    })
}

/// Names the steps that changed meaning since the run was started.
async fn drift(program: &Program, home: &Session, state: &RunState) -> Result<OpenError, OpenError> {
    let stored = plan_store::load(home, state.plan).await?;
    let changed = stored.map_or_else(Vec::new, |stored| changed_steps(&stored, program));
    let names: Vec<String> = changed.iter().map(ToString::to_string).collect();
    let what = if names.is_empty() {
        "its stores, parameters, limits or order".to_owned()
    } else {
        format!("step {}", names.join(", "))
    };
    Ok(OpenError::Drift {
        message: format!(
            "the page changed meaning since run {} was started: {what}. Comments and prose may change; statements may not",
            state.run
        ),
        next: "Put the page back as it was, or take the change over with `tidegate amend --actor NAME --reason WHY`, if no step that is done or was cut off changed."
            .to_owned(),
    })
}

/// Steps that were added, removed, or changed meaning.
#[must_use]
pub fn changed_steps(before: &Program, after: &Program) -> Vec<Name> {
    let all = |program: &Program| -> std::collections::BTreeMap<Name, [u8; 32]> {
        let of_ways = program.runbook.ways.iter().flat_map(|way| &way.steps);
        program
            .runbook
            .steps()
            .map(|(_, step)| step)
            .chain(of_ways)
            .map(|step| (step.id.clone(), step.meaning))
            .collect()
    };
    let (before, after) = (all(before), all(after));
    let mut names: Vec<Name> = before.keys().chain(after.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| before.get(name) != after.get(name));
    names
}

/// What is known once the lease is held.
struct Held {
    history: History,
    by: Person,
    state: RunState,
    head: journal::Head,
    /// Whether this started a new run.
    new: bool,
}

/// A run to be gone on with, or to be started.
struct Start<'a> {
    program: &'a Program,
    values: &'a Values,
    me: &'a Holder,
    binding: &'a Binding,
    options: &'a Options,
    epoch: u64,
}

impl Start<'_> {
    /// Reads the journal again: another may have written between the first reading and the taking of the lease.
    async fn under_the_lease(
        &self,
        home: &Session,
        purpose: Purpose,
        observer: &Rc<RefCell<dyn Observer>>,
    ) -> Result<Held, OpenError> {
        let history = History::read(home).await?;
        let newest = admit(self.program, home, &history, history.newest()?, purpose, self.options).await?;
        let by = person(&self.options.actor, self.me, home).await?;
        if let Some(state) = newest {
            same_parameters(self.program, self.values, &state)?;
            let head = history.head;
            return Ok(Held { history, by, state, head, new: false });
        }
        let (state, head) = self.run(home, &history, &by, observer).await?;
        Ok(Held { history, by, state, head, new: true })
    }

    /// Journals the first events of a new run.
    async fn run(
        &self,
        home: &Session,
        history: &History,
        by: &Person,
        observer: &Rc<RefCell<dyn Observer>>,
    ) -> Result<(RunState, journal::Head), OpenError> {
        let needs_run = crate::bundle::must_show(self.program, self.options)?;
        let (plan, text) = plan_store::encode(&self.program.sources);
        let event = Event::RunStarted {
            runbook: self.program.runbook.id.clone(),
            title: self.program.runbook.title.clone(),
            plan,
            meaning: self.program.meaning(),
            by: by.clone(),
            parameters: parameters::for_journal(&self.program.runbook.parameters, self.values),
            bound_to: self.binding.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            needs_run,
        };
        let mut events = vec![event];
        if let (Some(reason), Some(_)) = (&self.options.without_evidence, &self.program.runbook.needs_run) {
            events.push(Event::DriftAccepted {
                subject: "needs_run".to_owned(),
                by: by.clone(),
                reason: reason.clone(),
            });
        }
        let prepared = history.head.prepare(Uuid::now_v7(), self.epoch, events)?;
        let epoch = self.epoch;
        let options = tidegate_store::postgres::TxOptions {
            application_prefix: lease::application_prefix(epoch),
            ..tidegate_store::postgres::TxOptions::default()
        };
        let written = run_tx(home, "start", &options, async |session: &Session| {
            lease::fence(session, epoch).await?.ok_or(StepError::Fenced)?;
            plan_store::store(session, plan, &text).await?;
            prepared.write(session).await?;
            Ok::<_, StepError>(())
        })
        .await;
        match written {
            TxOutcome::Committed(()) => {}
            TxOutcome::RolledBack(error) => return Err(OpenError::Lease(error.to_string())),
            TxOutcome::Unknown(failure) => {
                return Err(OpenError::Lease(format!(
                    "the connection was lost while the run was started; run again to see whether it was: {failure}"
                )));
            }
        }
        let mut state = None;
        for record in &prepared.records {
            state = Some(transition::next(state, record).map_err(JournalError::from)?);
            observer.borrow_mut().event(record);
        }
        let state = state.ok_or_else(|| OpenError::Lease("the run was not started".to_owned()))?;
        Ok((state, prepared.after))
    }
}

fn stop_as_open(stop: Stop) -> OpenError {
    match stop {
        Stop::LeaseLost(why) => OpenError::Raced(why),
        Stop::InDoubt(why) => OpenError::Lease(why),
        Stop::Drift { message, next } => OpenError::Drift { message, next },
    }
}
