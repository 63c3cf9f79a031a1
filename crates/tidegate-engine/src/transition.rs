//! The one function that changes a run's state. Live work and recovery both go through it.

use std::sync::Arc;

use crate::event::{Event, EventRecord, HaltReason, WaitingOn};
use crate::state::{Approval, FlagsState, GoingBack, Phase, Recheck, RunState, StepState, WatchState};

/// An event that cannot follow the events before it: the journal is damaged, or the program is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} ({event}) cannot happen to a run that is {phase}: {why}")]
pub struct IllegalEvent {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub event: String,
    /// Where the run stood.
    pub phase: String,
    /// The rule it breaks.
    pub why: String,
}

/// The state after `record`.
///
/// # Errors
/// [`IllegalEvent`] when `record` cannot follow; the state before is lost with it, because nothing may be built on it.
pub fn next(state: Option<RunState>, record: &EventRecord) -> Result<RunState, IllegalEvent> {
    let illegal = |phase: &str, why: &str| IllegalEvent {
        seq: record.seq,
        event: kind(&record.event),
        phase: phase.to_owned(),
        why: why.to_owned(),
    };
    let Some(mut state) = state else {
        return begin(record).ok_or_else(|| illegal("not started", "the first event must be run_started"));
    };
    if record.run != state.run {
        return Err(illegal(state.phase.word(), "it belongs to another run"));
    }
    if record.seq <= state.last_seq {
        return Err(illegal(state.phase.word(), "its number does not grow"));
    }
    let phase_word = state.phase.word();
    apply(&mut state, record).map_err(|why| illegal(phase_word, why))?;
    state.last_seq = record.seq;
    state.last_at = record.at;
    Ok(state)
}

/// The fold of all events of one run.
///
/// # Errors
/// [`IllegalEvent`] at the first event that cannot follow.
pub fn fold<'a>(
    records: impl IntoIterator<Item = &'a EventRecord>,
) -> Result<Option<RunState>, IllegalEvent> {
    records.into_iter().try_fold(None, |state, record| next(state, record).map(Some))
}

fn kind(event: &Event) -> String {
    serde_json::to_value(event)
        .ok()
        .and_then(|value| value.get("kind").and_then(|kind| kind.as_str().map(str::to_owned)))
        .unwrap_or_else(|| "event".to_owned())
}

fn begin(record: &EventRecord) -> Option<RunState> {
    let Event::RunStarted { runbook, title, plan, meaning, by, parameters, bound_to, .. } = &record.event
    else {
        return None;
    };
    Some(RunState {
        run: record.run,
        runbook: runbook.clone(),
        title: title.clone(),
        plan: *plan,
        meaning: *meaning,
        by: by.clone(),
        started_at: record.at,
        parameters: parameters.clone(),
        bound_to: bound_to.clone(),
        phase: Phase::Open {},
        steps: Default::default(),
        started: Vec::new(),
        approvals: Default::default(),
        watches: Default::default(),
        holds: Default::default(),
        flags: Default::default(),
        knobs: Default::default(),
        rechecked: Default::default(),
        disturbed: record.seq,
        last_seq: record.seq,
        last_at: record.at,
    })
}

fn apply(state: &mut RunState, record: &EventRecord) -> Result<(), &'static str> {
    let (seq, at) = (record.seq, record.at);
    if state.phase.is_final() && !may_follow_a_final_phase(&state.phase, &record.event) {
        return Err("the run is over");
    }
    match &record.event {
        Event::RunStarted { .. } => return Err("a run starts once"),
        Event::Resumed { .. } => {
            let back = state.phase.back().cloned();
            state.phase = back.map_or(Phase::Open {}, Phase::GoingBack);
            state.disturbed = seq;
        }
        Event::StepStarted { step, attempt } => {
            let so_far = state.steps.get(step).map_or(0, StepState::attempt);
            if *attempt != so_far + 1 {
                return Err("attempts are counted without gaps");
            }
            if !state.started.contains(step) {
                state.started.push(step.clone());
            }
            state.steps.insert(step.clone(), StepState::Started { attempt: *attempt, at });
        }
        Event::StepDone { step, attempt, outcome } => {
            match state.steps.get(step) {
                Some(StepState::Started { attempt: started, .. }) if started != attempt => {
                    return Err("another attempt was started");
                }
                Some(StepState::Started { .. }) => state.disturbed = seq,
                _ => {}
            }
            let done = StepState::Done { attempt: *attempt, outcome: Arc::new(outcome.clone()), seq, at };
            state.steps.insert(step.clone(), done);
            drained(state, step, seq);
        }
        Event::FlagsMoved { step, set, from, to, epoch, mirrors } => {
            let before = state.flags.get(set);
            if before.is_some_and(|before| before.epoch > *epoch) {
                return Err("epochs never fall");
            }
            let drained = before.filter(|_| *mirrors).and_then(|before| before.drained);
            let now = FlagsState {
                from: Some(from.clone()),
                row: to.clone(),
                epoch: *epoch,
                mirrors: *mirrors,
                step: step.clone(),
                drained,
            };
            state.flags.insert(set.clone(), now);
            state.disturbed = seq;
        }
        Event::KnobTurned { step, knob, value, .. } => {
            let knobs = state.knobs.entry(step.clone()).or_default();
            knobs.turn(knob, value).map_err(|_| "there is no such knob, or it does not go so far")?;
        }
        Event::StepFailed { step, attempt, unknown, message, .. } => {
            if matches!(state.steps.get(step), Some(StepState::Started { attempt: started, .. }) if started != attempt)
            {
                return Err("another attempt was started");
            }
            let complete = matches!(state.steps.get(step), Some(StepState::Done { .. }));
            if complete && state.started.contains(step) {
                return Err("a completed change does not fail");
            }
            let failed =
                StepState::Failed { attempt: *attempt, unknown: *unknown, message: message.clone(), at };
            state.steps.insert(step.clone(), failed);
        }
        Event::Rechecked { step, holds, .. } => {
            state.rechecked.insert(step.clone(), Recheck { seq, at, holds: *holds });
        }
        Event::Adopted { step, outcome, .. } => {
            if matches!(state.steps.get(step), Some(StepState::Done { .. })) {
                return Err("a completed step has nothing to adopt");
            }
            if state.phase.back().is_some() {
                return Err("a way back is under way");
            }
            let attempt = state.steps.get(step).map_or(0, StepState::attempt) + 1;
            if !state.started.contains(step) {
                state.started.push(step.clone());
            }
            let done = StepState::Done { attempt, outcome: Arc::new(outcome.clone()), seq, at };
            state.steps.insert(step.clone(), done);
            state.disturbed = seq;
        }
        Event::SessionEnded { step, .. } => {
            if !matches!(state.steps.get(step), Some(StepState::Started { .. })) {
                return Err("only a started step ends sessions");
            }
        }
        Event::Halted { step, reason, message } => {
            state.phase = Phase::Halted {
                step: step.clone(),
                reason: *reason,
                message: message.clone(),
                back: state.phase.back().cloned(),
            };
            state.disturbed = seq;
        }
        Event::Waiting { on } => {
            if matches!(state.phase, Phase::Halted { .. }) {
                return Err("a halted run waits for nothing else");
            }
            if let WaitingOn::Hold { stage, .. } = on {
                state.holds.entry(stage.clone()).or_default();
            }
            state.phase = Phase::Waiting { on: on.clone(), back: state.phase.back().cloned() };
        }
        Event::Approved { step, by, .. } => {
            state.approvals.insert(step.clone(), Approval { by: by.clone(), at });
        }
        Event::HoldServed { stage, seconds, complete } => {
            let hold = state.holds.entry(stage.clone()).or_default();
            hold.served_seconds = hold.served_seconds.saturating_add(*seconds);
            hold.complete = *complete;
        }
        Event::WatchOpened { step } => {
            state.watches.insert(step.clone(), WatchState::Open);
        }
        Event::WatchTripped { step, action, .. } => {
            let watch = state.watches.get_mut(step).ok_or("the watch is not open")?;
            if action != "notify" {
                *watch = WatchState::Tripped;
            }
        }
        Event::WatchClosed { step, .. } => {
            let watch = state.watches.get_mut(step).ok_or("the watch is not open")?;
            *watch = WatchState::Closed;
        }
        Event::RollbackStarted { back, order, loss, .. } => {
            if state.phase.back().is_some_and(|under_way| under_way.back != *back) {
                return Err("another way back is under way");
            }
            state.phase =
                Phase::GoingBack(GoingBack { back: back.clone(), order: order.clone(), loss: loss.clone() });
            state.disturbed = seq;
        }
        Event::StepUndone { step, .. } => {
            if state.phase.back().is_none() {
                return Err("no way back is under way");
            }
            let attempt = match state.steps.get(step) {
                // One that failed may have committed a part: a move that was not drained, chunks of a copy.
                Some(
                    StepState::Done { attempt, .. }
                    | StepState::Started { attempt, .. }
                    | StepState::Failed { attempt, .. },
                ) => *attempt,
                Some(StepState::Undone { .. }) | None => {
                    return Err("only a step with an effect is undone");
                }
            };
            state.steps.insert(step.clone(), StepState::Undone { attempt, at });
            drained(state, step, seq);
            state.disturbed = seq;
        }
        Event::RollbackEnded { at: stage, forgotten } => {
            if state.phase.back().is_none() {
                return Err("no way back is under way");
            }
            for step in forgotten {
                forget(state, step, at);
            }
            state.phase = match stage {
                None => Phase::RolledBack {},
                Some(stage) => Phase::Halted {
                    step: None,
                    reason: HaltReason::WentBack,
                    message: format!("Went back to the state after stage {stage}."),
                    back: None,
                },
            };
            state.disturbed = seq;
        }
        Event::RequestTaken { .. } | Event::DriftAccepted { .. } => {}
        Event::Amended { plan, meaning, changed, .. } => {
            if state.phase.back().is_some() {
                return Err("a way back follows the page that it was begun with");
            }
            let fixed = |step| {
                matches!(state.steps.get(step), Some(StepState::Done { .. } | StepState::Started { .. }))
            };
            if changed.iter().any(fixed) {
                return Err("a completed or begun step may not change meaning");
            }
            // What was seen, approved or looked at by the old words counts no longer.
            for step in changed {
                state.steps.remove(step);
                state.approvals.remove(step);
                state.rechecked.remove(step);
                state.watches.remove(step);
                state.started.retain(|started| started != step);
            }
            state.plan = *plan;
            state.meaning = *meaning;
            state.disturbed = seq;
        }
        Event::Finished {} => {
            if !matches!(state.phase, Phase::Open {}) {
                return Err("only an open run finishes");
            }
            state.phase = Phase::Finished {};
        }
        Event::Abandoned { reason, .. } => state.phase = Phase::Abandoned { reason: reason.clone() },
    }
    Ok(())
}

/// The move of a step is seen by every instance from here on.
fn drained(state: &mut RunState, step: &tidegate_runbook::Name, seq: u64) {
    for flags in state.flags.values_mut().filter(|flags| flags.mirrors && flags.step == *step) {
        flags.drained.get_or_insert(seq);
    }
}

/// A finished run may still be taken back, and its manual stages may still be run.
fn may_follow_a_final_phase(phase: &Phase, event: &Event) -> bool {
    matches!(phase, Phase::Finished {})
        && matches!(
            event,
            Event::RollbackStarted { .. }
                | Event::StepStarted { .. }
                | Event::StepDone { .. }
                | Event::StepFailed { .. }
                | Event::Rechecked { .. }
                | Event::FlagsMoved { .. }
                | Event::KnobTurned { .. }
                | Event::SessionEnded { .. }
                | Event::Approved { .. }
                | Event::RequestTaken { .. }
        )
}

/// Drops a result that counts no longer; attempts go on being counted.
fn forget(state: &mut RunState, step: &tidegate_runbook::Name, at: jiff::Timestamp) {
    if let Some(known) = state.steps.get(step) {
        let attempt = known.attempt();
        state.steps.insert(step.clone(), StepState::Undone { attempt, at });
    }
    state.approvals.remove(step);
    state.rechecked.remove(step);
    state.watches.remove(step);
    state.holds.remove(step);
    state.started.retain(|started| started != step);
}

#[cfg(test)]
mod tests;
