//! Puts the events of a run where they belong in the page.

use std::collections::BTreeMap;

use tidegate_runbook::{Name, Step};
use uuid::Uuid;

use crate::event::{Event, EventRecord, WaitingOn};
use crate::history::History;
use crate::journal::JournalError;
use crate::moment::precise;
use crate::program::Program;
use crate::report::{Course, Happened, Report, Section, StepReport, Turn, What, step_words};

/// What the journal tells of `run`; `None` if it has no such run. Without the page, steps stand in the order of events.
///
/// # Errors
/// [`JournalError::Illegal`] if its events do not follow each other.
pub fn report(
    history: &History,
    run: Uuid,
    program: Option<&Program>,
) -> Result<Option<Report>, JournalError> {
    let Some(state) = history.state(run)? else { return Ok(None) };
    let mut happened: BTreeMap<Name, Vec<Happened>> = BTreeMap::new();
    let mut order: Vec<Name> = Vec::new();
    let mut course = Vec::new();
    let (mut version, mut plan, mut needs_run) = (String::new(), state.plan, None);
    let mut ended_at = None;
    for record in history.of(run) {
        if let Event::RunStarted { program, plan: first, needs_run: needed, .. } = &record.event {
            (version, plan, needs_run) = (program.clone(), *first, *needed);
        }
        if ends(&record.event) {
            ended_at = Some(record.at);
        }
        if let Some((step, what)) = of_step(&record.event) {
            if !order.contains(step) {
                order.push(step.clone());
            }
            let happening = Happened { event: record.seq, at: record.at, what };
            happened.entry(step.clone()).or_default().push(happening);
        }
        course.extend(of_run(record));
    }
    let mut sections = Vec::new();
    if let Some(program) = program {
        let served = |id: &Name| state.holds.get(id).map_or(0, |hold| hold.served_seconds);
        for stage in &program.runbook.stages {
            sections.push(Section {
                id: stage.id.clone(),
                title: stage.title.clone(),
                way: false,
                manual: stage.manual,
                hold_served_seconds: stage.hold.as_ref().map(|_| served(&stage.id)),
                steps: of_section(&stage.steps, program, &mut happened),
            });
        }
        for way in &program.runbook.ways {
            sections.push(Section {
                id: way.id.clone(),
                title: way.title.clone(),
                way: true,
                manual: false,
                hold_served_seconds: None,
                steps: of_section(&way.steps, program, &mut happened),
            });
        }
    }
    // Steps that an amended page does not have any more.
    let rest: Vec<StepReport> = order
        .into_iter()
        .filter_map(|id| {
            let happened = happened.remove(&id)?;
            let (verb, what) = step_words(program, &id);
            Some(StepReport { id, verb, what, happened })
        })
        .collect();
    if !rest.is_empty()
        && let Ok(id) = Name::parse("not_in_the_page")
    {
        sections.push(Section {
            id,
            title: "Steps that the page does not have any more".to_owned(),
            way: false,
            manual: false,
            hold_served_seconds: None,
            steps: rest,
        });
    }
    Ok(Some(Report {
        run,
        runbook: state.runbook.clone(),
        title: state.title.clone(),
        page: program.map(|program| program.runbook.page.clone()),
        plan,
        by: state.by.clone(),
        program: version,
        parameters: state.parameters.clone(),
        bound_to: state.bound_to.clone(),
        needs_run,
        started_at: state.started_at,
        ended_at: state.phase.is_final().then_some(ended_at).flatten(),
        phase: state.phase.clone(),
        sections,
        course,
        head_event: history.head.seq,
        head: history.head.hash,
    }))
}

/// Whether a run may be final from that event on. A finished one may still have manual stages run beside it.
fn ends(event: &Event) -> bool {
    matches!(event, Event::Finished {} | Event::Abandoned { .. } | Event::RollbackEnded { at: None, .. })
}

fn of_section(
    steps: &[Step],
    program: &Program,
    happened: &mut BTreeMap<Name, Vec<Happened>>,
) -> Vec<StepReport> {
    steps
        .iter()
        .map(|step| {
            let (verb, what) = step_words(Some(program), &step.id);
            let happened = happened.remove(&step.id).unwrap_or_default();
            StepReport { id: step.id.clone(), verb, what, happened }
        })
        .collect()
}

/// The step that an event is about, and what happened to it.
fn of_step(event: &Event) -> Option<(&Name, What)> {
    let found = match event {
        Event::StepStarted { step, attempt } => (step, What::Started { attempt: *attempt }),
        Event::StepDone { step, attempt, outcome } => {
            (step, What::Done { attempt: *attempt, outcome: Box::new(outcome.clone()) })
        }
        Event::StepFailed { step, attempt, unknown, message, sqlstate } => (
            step,
            What::Failed {
                attempt: *attempt,
                unknown: *unknown,
                message: message.clone(),
                sqlstate: sqlstate.clone(),
            },
        ),
        Event::Rechecked { step, holds, message } => {
            (step, What::Rechecked { holds: *holds, message: message.clone() })
        }
        Event::SessionEnded { step, pid, role, application, state } => (
            step,
            What::SessionEnded { session: format!("process {pid} of {role} ({application}), {state}") },
        ),
        Event::FlagsMoved { step, set, from, to, epoch, .. } => {
            (step, What::FlagsMoved { set: set.clone(), from: from.clone(), to: to.clone(), epoch: *epoch })
        }
        Event::KnobTurned { step, knob, value, by } => {
            (step, What::KnobTurned { knob: knob.clone(), value: value.clone(), by: by.clone() })
        }
        Event::Approved { step, by, head } => (step, What::Approved { by: by.clone(), head: *head }),
        Event::WatchOpened { step } => (step, What::WatchOpened {}),
        Event::WatchTripped { step, message, action } => {
            (step, What::WatchTripped { message: message.clone(), action: action.clone() })
        }
        Event::WatchClosed { step, looks, longest_gap_ms } => {
            (step, What::WatchClosed { looks: *looks, longest_gap_ms: *longest_gap_ms })
        }
        Event::StepUndone { step, loss } => (step, What::Undone { loss: loss.clone() }),
        Event::Adopted { step, outcome, by, reason } => (
            step,
            What::Adopted { outcome: Box::new(outcome.clone()), by: by.clone(), reason: reason.clone() },
        ),
        Event::RunStarted { .. }
        | Event::Resumed { .. }
        | Event::Halted { .. }
        | Event::Waiting { .. }
        | Event::HoldServed { .. }
        | Event::RollbackStarted { .. }
        | Event::RollbackEnded { .. }
        | Event::RequestTaken { .. }
        | Event::Amended { .. }
        | Event::DriftAccepted { .. }
        | Event::Finished {}
        | Event::Abandoned { .. } => return None,
    };
    Some(found)
}

/// What an event means for the run as a whole.
fn of_run(record: &EventRecord) -> Option<Turn> {
    let what = match &record.event {
        Event::RunStarted { .. } => Course::Started {},
        Event::Resumed { by, ended_backends } => {
            Course::Resumed { by: by.clone(), ended_backends: *ended_backends }
        }
        Event::Halted { step, reason, message } => {
            Course::Halted { step: step.clone(), reason: *reason, message: message.clone() }
        }
        Event::Waiting { on } => Course::Waiting { on: words(on) },
        Event::RequestTaken { what, refused, .. } => {
            Course::Request { what: what.clone(), refused: refused.clone() }
        }
        Event::Amended { plan, changed, by, reason, .. } => {
            Course::Amended { changed: changed.clone(), plan: *plan, by: by.clone(), reason: reason.clone() }
        }
        Event::DriftAccepted { subject, by, reason } => {
            Course::DriftAccepted { subject: subject.clone(), by: by.clone(), reason: reason.clone() }
        }
        Event::RollbackStarted { back, order, loss, by } => Course::RollbackStarted {
            back: back.clone(),
            order: order.clone(),
            loss: loss.clone(),
            by: by.clone(),
        },
        Event::RollbackEnded { at, .. } => Course::RollbackEnded { at: at.clone() },
        Event::Finished {} => Course::Finished {},
        Event::Abandoned { by, reason } => Course::Abandoned { by: by.clone(), reason: reason.clone() },
        _ => return None,
    };
    Some(Turn { event: record.seq, at: record.at, what })
}

fn words(on: &WaitingOn) -> String {
    match on {
        WaitingOn::Confirm { step } => format!("a person's approval of {step}"),
        WaitingOn::Hold { stage, until } => format!("the hold of stage {stage}, until {}", precise(*until)),
        WaitingOn::Pause {} => "a `resume`".to_owned(),
    }
}
