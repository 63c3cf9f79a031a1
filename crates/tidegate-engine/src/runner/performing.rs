//! One step: its condition, what it requires, its work, its outcome.

use std::time::Duration;

use tidegate_runbook::{Action, Command, Step};
use tidegate_store::postgres::{CancelHandle, Session, TxOutcome, sessions};

use crate::crash::{self, Site};
use crate::digest::Digest;
use crate::doors::Entrance;
use crate::error::StepError;
use crate::event::{Event, LossLine};
use crate::gate::{self, Passed};
use crate::job::Job;
use crate::loss;
use crate::observer::Progress;
use crate::outcome::{KeptColumn, KeptRows, Outcome, ROWS_KEPT_MAX};
use crate::plan;
use crate::program::is_done;
use crate::question::{Answered, Reply};
use crate::redact::Redactor;
use crate::runner::back::same_figures;
use crate::runner::forward::{Flow, Gated};
use crate::runner::requiring::Required;
use crate::runner::{Evidence, Runner, Stop};
use crate::signals::Signal;
use crate::state::StepState;
use crate::values::Relation;
use crate::verb;
use crate::verdict::Verdict;
use crate::versions::Versioned;

/// How long an interrupted step may take to end.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(15);

/// How often a waiting person is told what a step waits for.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Runner {
    /// Does one step of a stage or of a way.
    pub(crate) async fn do_step(&mut self, step: &Step) -> Result<Flow, Stop> {
        let manual = self.program.stage_of(&step.id).is_some_and(|stage| stage.manual);
        if is_done(&self.state, &step.id) && !manual {
            return Ok(Flow::Next);
        }
        if let Some(flow) = self.already_done(step).await? {
            return Ok(flow);
        }
        let gated = step.action_is_gated();
        if let Required::Refused(error) = self.require(step, gated).await? {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        match &step.action {
            Action::Record(_) | Action::Check(_) | Action::Compare(_) => {
                Box::pin(self.do_question(step)).await
            }
            Action::Flags(flags) => Box::pin(self.do_flags(step, flags)).await,
            Action::Backfill(backfill) if !gated => Box::pin(self.do_backfill(step, backfill)).await,
            Action::Watch(_) => Box::pin(self.do_watch(step)).await,
            Action::Confirm(confirm) => Box::pin(self.do_confirm(step, confirm)).await,
            Action::Migrate(migrate) if !gated => Box::pin(self.do_outside_transaction(step, migrate)).await,
            Action::Migrate(_) | Action::Seal(_) | Action::Retire(_) | Action::Backfill(_) => {
                Box::pin(self.do_gated(step)).await
            }
            Action::Command(Command { cohort: Some(_), .. }) | Action::Rekey(_) => {
                Box::pin(self.do_cohort(step)).await
            }
            Action::Backup(_) | Action::BackupKeys(_) | Action::Evict(_) | Action::Command(_) => {
                Box::pin(self.do_outside(step)).await
            }
            Action::RestoreKeys(restore) => Box::pin(self.do_restore_keys(step, restore)).await,
            Action::Restore(restore) => Box::pin(self.do_restore(step, restore)).await,
        }
    }

    /// `@unless` holds, or the version is applied already.
    async fn already_done(&mut self, step: &Step) -> Result<Option<Flow>, Stop> {
        let program = self.program.clone();
        if let Some(check) = step.unless.as_ref().and_then(|unless| program.step(unless)) {
            match self.evaluate(check).await.verdict {
                Verdict::Pass => {
                    return self
                        .done_already(step, format!("already done: {} holds", check.id))
                        .await
                        .map(Some);
                }
                verdict @ Verdict::Unknown(_) => {
                    let error = StepError::not_holding(&program, check, verdict);
                    return Ok(Some(Flow::End(self.halt_on(&step.id, error).await?)));
                }
                Verdict::Fail(_) => {}
            }
        }
        if let Some(versioned) = Versioned::of(step) {
            let id = self.versions.id_of(versioned.version, versioned.name);
            let there = self.versions.has(&self.home, id).await;
            if there.map_err(|failure| Stop::InDoubt(failure.to_string()))? {
                let summary = format!("already applied: {id} stands in {}", self.versions.name());
                return self.done_already(step, summary).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn done_already(&mut self, step: &Step, summary: String) -> Result<Flow, Stop> {
        let attempt = self.job(step).attempt;
        let outcome = Outcome { summary, already: true, ..Outcome::default() };
        self.commit(vec![Event::StepDone { step: step.id.clone(), attempt, outcome }]).await?;
        Ok(Flow::Next)
    }

    /// A record or a check.
    async fn do_question(&mut self, step: &Step) -> Result<Flow, Stop> {
        let begun = jiff::Timestamp::now();
        self.progress(Progress::Working { step: step.id.clone(), what: plan::describe(step) });
        let answered = {
            let work = self.evaluate_patiently(step);
            match self.guarded(step, None, work).await {
                Ok(answered) => answered,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        crash::point(Site::Judged, step.id.as_str());
        if !answered.verdict.holds() {
            let error = StepError::not_holding(&self.program, step, answered.verdict);
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        let (mut outcome, relation) = match kept(step, answered, &self.redactor()) {
            Ok(kept) => kept,
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
        };
        outcome.took_ms = gate::milliseconds_since(begun);
        let evidence = evidence_of(relation.as_ref(), &mut outcome);
        let attempt = self.job(step).attempt;
        let done = Event::StepDone { step: step.id.clone(), attempt, outcome };
        self.commit_with(vec![done], &evidence).await?;
        if let Some(relation) = relation {
            let program = self.program.clone();
            crate::kept::of_rows(&mut self.values, &program.runbook, &step.id, relation);
        }
        crash::point(Site::Outcome, step.id.as_str());
        Ok(Flow::Next)
    }

    /// Journals the intent, unless this runner has done so with the step before.
    pub(crate) async fn intend(&mut self, step: &Step) -> Result<(), Stop> {
        let started = matches!(self.state.steps.get(&step.id), Some(StepState::Started { .. }));
        if started && self.intents.remove(&step.id) {
            crash::point(Site::Intent, step.id.as_str());
            return Ok(());
        }
        let attempt = self.state.steps.get(&step.id).map_or(0, StepState::attempt) + 1;
        self.commit(vec![Event::StepStarted { step: step.id.clone(), attempt }]).await?;
        crash::point(Site::Intent, step.id.as_str());
        Ok(())
    }

    /// A step in one gate transaction.
    async fn do_gated(&mut self, step: &Step) -> Result<Flow, Stop> {
        self.intend(step).await?;
        self.progress(Progress::Working { step: step.id.clone(), what: crate::plan::describe(step) });
        let program = self.program.clone();
        let gate = self.gate_of(&program, step);
        let next = self.next_gated_after(step).map(|next| next.id.clone());
        let next_attempt =
            next.as_ref().map_or(1, |next| self.state.steps.get(next).map_or(0, StepState::attempt) + 1);
        let passed = {
            let job = self.job(step);
            let events = |outcome: &Outcome| {
                let mut events = vec![Event::StepDone {
                    step: step.id.clone(),
                    attempt: job.attempt,
                    outcome: outcome.clone(),
                }];
                if let Some(next) = &next {
                    events.push(Event::StepStarted { step: next.clone(), attempt: next_attempt });
                }
                events
            };
            let accepted = self.loss_accepted_on_a_way(step);
            let deed = async |session: &Session| {
                if let (Some(accepted), Action::Migrate(migrate)) = (&accepted, &step.action) {
                    let lines = Box::pin(loss::of_way_step(session, job, migrate)).await?;
                    same_figures(accepted, &lines)?;
                }
                deed(session, job).await
            };
            let work = gate::pass(&self.home, job, self.head, &gate, deed, events);
            match self.guarded(step, Some(self.home.cancel_handle()), work).await {
                Ok(passed) => passed,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        let flow = self.after_gate(step, passed).await?;
        if let (Flow::Next, Some(next)) = (&flow, next)
            && matches!(self.state.steps.get(&next), Some(StepState::Started { .. }))
        {
            self.intents.insert(next);
        }
        crash::point(Site::Outcome, step.id.as_str());
        Ok(flow)
    }

    /// What may be lost by a step of a way, as it was accepted; `None` for steps of stages.
    fn loss_accepted_on_a_way(&self, step: &Step) -> Option<Vec<LossLine>> {
        self.program.way_of(&step.id)?;
        let back = self.state.phase.back()?;
        Some(back.loss.iter().filter(|line| line.step == step.id).cloned().collect())
    }

    /// Takes over a gate's end; one in doubt is resolved, never guessed.
    pub(crate) async fn after_gate(
        &mut self,
        step: &Step,
        passed: TxOutcome<Passed, StepError>,
    ) -> Result<Flow, Stop> {
        match passed {
            TxOutcome::Committed(passed) => {
                tracing::info!(step = %step.id, summary = passed.outcome.summary, "a step was committed");
                self.accept(passed.prepared)?;
                Ok(Flow::Next)
            }
            TxOutcome::RolledBack(error) => self.halt_on(&step.id, error).await.map(Flow::End),
            TxOutcome::Unknown(failure) => {
                let before = self.head;
                self.recover(&format!("the answer to COMMIT of {} was lost", step.id)).await?;
                if self.head != before {
                    return Ok(Flow::Next);
                }
                let message = format!(
                    "the connection was lost at COMMIT; the journal was read and {} had no effect",
                    step.id
                );
                self.halt_on(&step.id, StepError::Server { message, failure }).await.map(Flow::End)
            }
        }
    }

    /// A statement that cannot run in a transaction: at least once, verified by catalog.
    async fn do_outside_transaction(
        &mut self,
        step: &Step,
        migrate: &tidegate_runbook::Migrate,
    ) -> Result<Flow, Stop> {
        let cut_off = matches!(self.state.steps.get(&step.id), Some(StepState::Started { .. }));
        self.intend(step).await?;
        self.progress(Progress::Working { step: step.id.clone(), what: crate::plan::describe(step) });
        let begun = jiff::Timestamp::now();
        let application = self.job(step).application();
        let store = self.job(step).store().clone();
        let session = match self.doors.connect(&store, &Entrance::Direct, &application).await {
            Ok(session) => session,
            Err(error) => return self.halt_on(&step.id, error.into()).await.map(Flow::End),
        };
        let done = {
            let job = self.job(step);
            let work = verb::migrate::perform_outside(&session, job, migrate, cut_off);
            match self.guarded(step, Some(session.cancel_handle()), work).await {
                Ok(done) => done,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        session.close().await;
        let mut outcome = match done {
            Ok(outcome) => outcome,
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
        };
        outcome.took_ms = gate::milliseconds_since(begun);
        // What was made is verified; its version and outcome are one transaction.
        let program = self.program.clone();
        let gate = gate::Gate { versioned: migrate.version.is_some(), ..self.gate_of(&program, step) };
        let gate = gate::Gate { doomed: Vec::new(), requires: Vec::new(), ..gate };
        let passed = {
            let job = self.job(step);
            let events = |passed: &Outcome| {
                let outcome =
                    Outcome { held: passed.held.clone(), transaction: passed.transaction, ..outcome.clone() };
                vec![Event::StepDone { step: step.id.clone(), attempt: job.attempt, outcome }]
            };
            let deed = async |session: &Session| {
                verb::migrate::add_version(session, job, migrate).await?;
                Ok(Outcome::default())
            };
            gate::pass(&self.home, job, self.head, &gate, deed, events).await
        };
        self.after_gate(step, passed).await
    }

    /// A step whose effect is outside any transaction of ours.
    pub(crate) async fn do_outside(&mut self, step: &Step) -> Result<Flow, Stop> {
        self.intend(step).await?;
        self.progress(Progress::Working { step: step.id.clone(), what: crate::plan::describe(step) });
        let begun = jiff::Timestamp::now();
        let program = self.program.clone();
        let ended = std::cell::RefCell::new(Vec::new());
        let done = {
            let job = self.job(step);
            let work = async {
                match &step.action {
                    Action::Backup(backup) => {
                        let records = program.records_at(&step.id);
                        let (outcome, recorded) =
                            Box::pin(verb::backup::perform(job, backup, &records)).await?;
                        let events = recorded
                            .into_iter()
                            .map(|(record, outcome)| Event::StepDone {
                                attempt: job.state.steps.get(&record).map_or(1, |state| state.attempt() + 1),
                                step: record,
                                outcome,
                            })
                            .collect();
                        Ok((outcome, events))
                    }
                    Action::BackupKeys(backup) => {
                        Ok((Box::pin(verb::backup_keys::perform(job, backup)).await?, Vec::new()))
                    }
                    Action::RestoreKeys(restore) => {
                        let accepted = self.accepted_of(step);
                        Ok((
                            Box::pin(verb::restore_keys::perform(job, restore, &accepted)).await?,
                            Vec::new(),
                        ))
                    }
                    Action::Evict(evict) => {
                        Ok((verb::evict::perform(&self.home, job, evict, &ended).await?, Vec::new()))
                    }
                    Action::Command(command) => Ok((verb::command::perform(job, command).await?, Vec::new())),
                    other => Err(StepError::refused(
                        format!("`{}` is not done outside a transaction", other.verb()),
                        "This is a defect of tidegate.",
                    )),
                }
            };
            self.guarded(step, None, work).await
        };
        // What was ended is told, whatever became of the step.
        let ended = ended.into_inner();
        if !matches!(&done, Ok(Ok(_))) && !ended.is_empty() {
            self.commit(ended.clone()).await?;
        }
        match done {
            Ok(Ok((mut outcome, events))) => {
                if let Err(error) = Box::pin(self.must_be_ensured(step)).await {
                    return self.halt_on(&step.id, error).await.map(Flow::End);
                }
                outcome.took_ms = gate::milliseconds_since(begun);
                let attempt = self.job(step).attempt;
                let mut events: Vec<Event> = ended.into_iter().chain(events).collect();
                events.push(Event::StepDone { step: step.id.clone(), attempt, outcome });
                self.commit(events).await?;
                crash::point(Site::Outcome, step.id.as_str());
                Ok(Flow::Next)
            }
            Ok(Err(error)) => self.halt_on(&step.id, error).await.map(Flow::End),
            Err(signal) => self.interrupted(step, signal).await,
        }
    }

    /// Works until done or until a signal: then the server is asked to cancel, and the work may end in its own way.
    pub(crate) async fn guarded<T>(
        &self,
        step: &Step,
        cancel: Option<CancelHandle>,
        work: impl Future<Output = T>,
    ) -> Result<T, Signal> {
        let mut work = Box::pin(work);
        let tell = self.tell_blockers(step);
        let mut tell = Box::pin(tell);
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = self.signals.wait() => {}
            () = &mut tell => {}
        }
        let signal =
            self.signals.take().unwrap_or_else(|| Signal::Stop { by: "an unknown signal".to_owned() });
        let Some(cancel) = cancel else { return Err(signal) };
        if let Err(failure) = cancel.cancel().await {
            tracing::debug!(%failure, "the running statement could not be cancelled");
        }
        match tokio::time::timeout(INTERRUPTED_WITHIN, work).await {
            // It ended by itself or by the cancel; what it was is judged with the signal still standing.
            Ok(done) => {
                self.signals.give(signal);
                Ok(done)
            }
            Err(_) => Err(signal),
        }
    }

    /// Tells again and again who blocks our backend; never ends.
    async fn tell_blockers(&self, step: &Step) {
        let mut side: Option<Session> = None;
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            if side.is_none() {
                let application = format!("{}blockers", crate::lease::application_prefix(self.epoch));
                side = self.doors.connect_home(&application).await.ok();
            }
            let Some(session) = &side else { continue };
            match sessions::blockers_of(session, self.home_pid).await {
                Ok(blockers) if !blockers.is_empty() => {
                    let by = blockers.iter().map(crate::sessions::describe).collect();
                    self.progress(Progress::Blocked { step: step.id.clone(), by });
                }
                Ok(_) => {}
                Err(_) => side = None,
            }
        }
    }

    /// A step that made way for a signal: it is done again if the run goes on.
    pub(crate) async fn interrupted(&mut self, step: &Step, signal: Signal) -> Result<Flow, Stop> {
        match Box::pin(self.follow_signal(Some(&step.id), signal)).await? {
            Some(ending) => Ok(Flow::End(ending)),
            None => Ok(Flow::Next),
        }
    }
}

/// What a gated step does inside its gate.
async fn deed(session: &Session, job: Job<'_>) -> Result<Outcome, StepError> {
    match &job.step.action {
        Action::Migrate(migrate) => verb::migrate::perform(session, job, migrate).await,
        Action::Seal(seal) => verb::seal::perform(session, job, seal).await,
        Action::Backfill(backfill) => verb::backfill::repair(session, job, backfill).await,
        Action::Retire(retire) => verb::retire::perform(session, job, retire).await,
        other => Err(StepError::refused(
            format!("`{}` does not go through a gate", other.verb()),
            "This is a defect of tidegate.",
        )),
    }
}

/// What a record or check keeps of its answer.
fn kept(
    step: &Step,
    answered: Answered,
    secrets: &Redactor,
) -> Result<(Outcome, Option<Relation>), StepError> {
    let column = |(name, value): (String, crate::values::Value)| KeptColumn {
        name,
        type_name: value.type_name,
        text: value.text,
    };
    if let (Action::Compare(compare), Reply::Compared(comparison)) = (&step.action, &answered.reply) {
        // Steps below may ask for differences of which there are none.
        let kept = (compare.expect_differences || !comparison.found.is_empty())
            .then(|| verb::compare::relations(&comparison.found, &comparison.key, step.evidence_rows));
        must_be_no_secret(&[], kept.as_ref(), secrets)?;
        return Ok((comparison.outcome(compare), kept));
    }
    let notices = answered.told;
    let (values, relation) = match answered.reply {
        Reply::None => (Vec::new(), None),
        Reply::Values(values) => (values.into_iter().map(column).collect(), None),
        Reply::Rows(relation) => (Vec::new(), Some(relation)),
        Reply::Compared(_) => (Vec::new(), None),
    };
    let keeps_rows = match &step.action {
        Action::Record(record) => record.rows,
        Action::Check(check) if check.cohort.is_some() => true,
        _ => step.evidence_rows,
    };
    let summary = match (&step.action, &relation) {
        (Action::Check(check), Some(relation)) if check.cohort.is_some() => {
            format!("asked for each of {}", relation.rows.len())
        }
        (Action::Check(_), _) => "holds".to_owned(),
        (_, Some(relation)) => format!("kept {} rows", relation.rows.len()),
        (_, None) => format!("kept {} values", values.len()),
    };
    let relation = relation.filter(|_| keeps_rows);
    if let Some(relation) = &relation
        && relation.rows.len() > ROWS_KEPT_MAX
    {
        return Err(StepError::refused(
            format!("{} rows came back and at most {ROWS_KEPT_MAX} are kept", relation.rows.len()),
            "Narrow the query, or count instead of keeping rows.",
        ));
    }
    let values =
        if matches!(step.action, Action::Check(_)) && relation.is_none() { named(values) } else { values };
    must_be_no_secret(&values, relation.as_ref(), secrets)?;
    Ok((Outcome { summary, values, notices, ..Outcome::default() }, relation))
}

/// What is kept is journaled, and later steps need it as it is: a secret cannot be taken out of it.
pub(crate) fn must_be_no_secret(
    values: &[KeptColumn],
    relation: Option<&Relation>,
    secrets: &Redactor,
) -> Result<(), StepError> {
    let found_in = |text: &Option<String>| text.as_deref().is_some_and(|text| secrets.finds_in(text));
    let value = values.iter().find(|value| found_in(&value.text)).map(|value| value.name.clone());
    let row = relation.and_then(|relation| {
        relation.rows.iter().any(|row| row.iter().any(&found_in)).then(|| "a row".to_owned())
    });
    match value.or(row) {
        None => Ok(()),
        Some(place) => Err(StepError::refused(
            format!("the answer holds a secret parameter ({place}), and what is kept is journaled"),
            "Keep a count or a hash of it instead.",
        )),
    }
}

/// A script check's output is evidence, not a value that later steps may name.
fn named(values: Vec<KeptColumn>) -> Vec<KeptColumn> {
    values.into_iter().filter(|value| value.name != "stdout").collect()
}

pub(crate) fn evidence_of(relation: Option<&Relation>, outcome: &mut Outcome) -> Vec<Evidence> {
    let Some(relation) = relation else { return Vec::new() };
    let body = serde_json::to_string(relation).unwrap_or_default();
    let digest = Digest::of(body.as_bytes());
    let count = u64::try_from(relation.rows.len()).unwrap_or(u64::MAX);
    outcome.rows = Some(KeptRows { count, digest });
    vec![(digest, body)]
}
