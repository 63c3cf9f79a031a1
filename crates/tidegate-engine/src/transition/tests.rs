//! Which event may follow which state, and that no sequence of events breaks the fold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_runbook::Name;
use uuid::Uuid;

use super::{fold, next};
use crate::digest::Digest;
use crate::event::{Back, Binding, Event, EventRecord, HaltReason, Person, WaitingOn};
use crate::outcome::Outcome;
use crate::state::{Phase, RunState, StepState};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn person() -> Person {
    Person { actor: "alice".into(), os_user: "a".into(), host: "h".into(), db_role: "r".into() }
}

fn run_started() -> Event {
    Event::RunStarted {
        runbook: name("book"),
        title: "A book".into(),
        plan: Digest::ZERO,
        meaning: Digest::ZERO,
        by: person(),
        parameters: BTreeMap::new(),
        bound_to: Binding { database: "d".into(), system_identifier: None },
        program: "1".into(),
        needs_run: None,
    }
}

fn started(step: &str, attempt: u32) -> Event {
    Event::StepStarted { step: name(step), attempt }
}

fn done(step: &str, attempt: u32) -> Event {
    Event::StepDone { step: name(step), attempt, outcome: Outcome::default() }
}

fn failed(step: &str, attempt: u32) -> Event {
    let message = "it did not".to_owned();
    Event::StepFailed { step: name(step), attempt, unknown: false, message, sqlstate: None }
}

fn undone(step: &str) -> Event {
    Event::StepUndone { step: name(step), loss: Vec::new() }
}

fn halted() -> Event {
    Event::Halted { step: None, reason: HaltReason::Fail, message: "no".into() }
}

fn resumed() -> Event {
    Event::Resumed { by: person(), ended_backends: 0 }
}

fn waiting() -> Event {
    Event::Waiting { on: WaitingOn::Pause {} }
}

fn going_back(order: &[&str]) -> Event {
    let order = order.iter().map(|step| name(step)).collect();
    Event::RollbackStarted { back: Back::Undo { to: None }, order, loss: Vec::new(), by: person() }
}

fn going_elsewhere() -> Event {
    let back = Back::Way { way: name("w"), to: None };
    Event::RollbackStarted { back, order: Vec::new(), loss: Vec::new(), by: person() }
}

fn went_back(at: Option<&str>) -> Event {
    Event::RollbackEnded { at: at.map(name), forgotten: vec![name("a"), name("b")] }
}

fn amended(changed: &[&str]) -> Event {
    Event::Amended {
        plan: Digest::of(b"new"),
        meaning: Digest::of(b"new"),
        changed: changed.iter().map(|step| name(step)).collect(),
        by: person(),
        reason: "why".into(),
    }
}

fn adopted(step: &str) -> Event {
    let outcome = Outcome::default();
    Event::Adopted { step: name(step), outcome, by: person(), reason: "why".into() }
}

fn accepted() -> Event {
    Event::DriftAccepted { subject: "checksum 1".into(), by: person(), reason: "why".into() }
}

fn abandoned() -> Event {
    Event::Abandoned { by: person(), reason: "why".into() }
}

fn finished() -> Event {
    Event::Finished {}
}

/// Numbers events from 1 on as one run's.
fn records(events: impl IntoIterator<Item = Event>) -> Vec<EventRecord> {
    (1..)
        .zip(events)
        .map(|(seq, event)| EventRecord {
            seq,
            run: Uuid::nil(),
            epoch: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            event,
        })
        .collect()
}

/// The state after `run_started` and these; they must be legal.
fn after(events: Vec<Event>) -> RunState {
    let all = std::iter::once(run_started()).chain(events);
    fold(&records(all)).unwrap().unwrap()
}

/// Whether `event` may follow.
fn follows(state: &RunState, event: Event) -> Result<RunState, String> {
    let mut record = records([event]).remove(0);
    record.seq = state.last_seq + 1;
    next(Some(state.clone()), &record).map_err(|illegal| illegal.to_string())
}

/// One state of every phase, with step `a` complete.
fn phases() -> Vec<(&'static str, RunState)> {
    let with =
        |events: Vec<Event>| after([started("a", 1), done("a", 1)].into_iter().chain(events).collect());
    vec![
        ("open", with(vec![])),
        ("halted", with(vec![halted()])),
        ("waiting", with(vec![waiting()])),
        ("going back", with(vec![going_back(&["a"])])),
        ("halted going back", with(vec![going_back(&["a"]), halted()])),
        ("waiting going back", with(vec![going_back(&["a"]), waiting()])),
        ("finished", with(vec![finished()])),
        ("rolled back", with(vec![going_back(&["a"]), undone("a"), went_back(None)])),
        ("abandoned", with(vec![abandoned()])),
    ]
}

#[test]
fn each_phase_takes_its_events_and_refuses_the_others() {
    let table: [(&str, Event, &[&str]); 15] = [
        ("run_started", run_started(), &[]),
        (
            "resumed",
            resumed(),
            &["open", "halted", "waiting", "going back", "halted going back", "waiting going back"],
        ),
        (
            "step_started",
            started("b", 1),
            &[
                "open",
                "halted",
                "waiting",
                "going back",
                "halted going back",
                "waiting going back",
                "finished",
            ],
        ),
        ("step_started with a gap", started("b", 2), &[]),
        (
            "halted",
            halted(),
            &["open", "halted", "waiting", "going back", "halted going back", "waiting going back"],
        ),
        ("waiting", waiting(), &["open", "waiting", "going back", "waiting going back"]),
        // The same way back may be accepted anew, with other figures; another may not begin.
        (
            "rollback_started",
            going_back(&["a"]),
            &[
                "open",
                "halted",
                "waiting",
                "going back",
                "halted going back",
                "waiting going back",
                "finished",
            ],
        ),
        ("rollback_started elsewhere", going_elsewhere(), &["open", "halted", "waiting", "finished"]),
        ("step_undone", undone("a"), &["going back", "halted going back", "waiting going back"]),
        ("rollback_ended", went_back(None), &["going back", "halted going back", "waiting going back"]),
        ("amended", amended(&["b"]), &["open", "halted", "waiting"]),
        ("adopted", adopted("b"), &["open", "halted", "waiting"]),
        (
            "drift_accepted",
            accepted(),
            &["open", "halted", "waiting", "going back", "halted going back", "waiting going back"],
        ),
        ("finished", finished(), &["open"]),
        (
            "abandoned",
            abandoned(),
            &["open", "halted", "waiting", "going back", "halted going back", "waiting going back"],
        ),
    ];
    for (phase, state) in phases() {
        for (event_name, event, legal_in) in &table {
            let found = follows(&state, event.clone());
            let legal = legal_in.contains(&phase);
            assert_eq!(found.is_ok(), legal, "{event_name} when {phase}: {found:?}");
        }
    }
}

#[test]
fn a_refusal_says_which_event_which_phase_and_why() {
    let state = after(vec![finished()]);
    let why = follows(&state, halted()).unwrap_err();
    assert_eq!(why, "event 3 (halted) cannot happen to a run that is finished: the run is over");
    let nothing = next(None, &records([halted()])[0]).unwrap_err().to_string();
    assert!(nothing.contains("the first event must be run_started"), "{nothing}");
}

#[test]
fn events_of_another_run_or_an_older_number_are_refused() {
    let state = after(vec![]);
    let mut record = records([halted()]).remove(0);
    record.seq = 2;
    record.run = Uuid::max();
    assert!(next(Some(state.clone()), &record).unwrap_err().why.contains("another run"));
    let record = &records([halted()])[0];
    assert!(next(Some(state), record).unwrap_err().why.contains("does not grow"));
}

#[test]
fn an_outcome_must_be_that_of_the_attempt_that_was_started() {
    let state = after(vec![started("b", 1)]);
    assert!(follows(&state, done("b", 2)).unwrap_err().contains("another attempt"));
    assert!(follows(&state, failed("b", 2)).unwrap_err().contains("another attempt"));
    assert!(follows(&state, started("b", 1)).unwrap_err().contains("without gaps"));
    assert!(follows(&state, done("b", 1)).is_ok());
}

#[test]
fn a_begun_or_completed_step_keeps_its_meaning_and_a_failed_one_may_change() {
    let begun = after(vec![started("b", 1), halted()]);
    assert!(follows(&begun, amended(&["b"])).unwrap_err().contains("may not change meaning"));
    let complete = after(vec![started("b", 1), done("b", 1), halted()]);
    assert!(follows(&complete, amended(&["b"])).unwrap_err().contains("may not change meaning"));
    let failed = after(vec![started("b", 1), failed("b", 1), halted()]);
    let amended = follows(&failed, amended(&["b"])).unwrap();
    assert_eq!(amended.plan, Digest::of(b"new"));
    assert!(!amended.steps.contains_key(&name("b")), "it begins anew");
    assert!(follows(&amended, started("b", 1)).is_ok());
}

#[test]
fn an_approval_of_words_that_changed_counts_no_longer() {
    let approved = Event::Approved { step: name("b"), by: person(), head: Digest::ZERO };
    let state = after(vec![waiting(), approved]);
    assert!(state.approvals.contains_key(&name("b")));
    let amended = follows(&state, amended(&["b"])).unwrap();
    assert!(amended.approvals.is_empty());
}

#[test]
fn what_is_adopted_counts_as_done_and_can_be_undone() {
    let state = after(vec![started("b", 1), failed("b", 1), halted()]);
    let state = follows(&state, adopted("b")).unwrap();
    assert!(matches!(state.steps.get(&name("b")), Some(StepState::Done { attempt: 2, .. })));
    assert!(follows(&state, adopted("b")).unwrap_err().contains("nothing to adopt"));
    let state = follows(&state, going_back(&["b"])).unwrap();
    assert!(follows(&state, undone("b")).is_ok());
    assert!(follows(&state, undone("c")).unwrap_err().contains("only a step with an effect"));
}

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(name)
}

fn any_event() -> impl Strategy<Value = Event> {
    let back = prop_oneof![
        proptest::option::of(any_name()).prop_map(|to| Back::Undo { to }),
        any_name().prop_map(|way| Back::Way { way, to: None }),
    ];
    let on = prop_oneof![
        any_name().prop_map(|step| WaitingOn::Confirm { step }),
        any_name().prop_map(|stage| WaitingOn::Hold { stage, until: jiff::Timestamp::UNIX_EPOCH }),
        Just(WaitingOn::Pause {}),
    ];
    let names = || proptest::collection::vec(any_name(), 0..3);
    prop_oneof![
        1 => Just(run_started()),
        2 => Just(resumed()),
        6 => (any_name(), 1..4_u32).prop_map(|(step, attempt)| Event::StepStarted { step, attempt }),
        6 => (any_name(), 1..4_u32)
            .prop_map(|(step, attempt)| Event::StepDone { step, attempt, outcome: Outcome::default() }),
        4 => (any_name(), 1..4_u32, any::<bool>()).prop_map(|(step, attempt, unknown)| Event::StepFailed {
            step, attempt, unknown, message: "m".into(), sqlstate: None
        }),
        2 => (any_name(), any::<bool>())
            .prop_map(|(step, holds)| Event::Rechecked { step, holds, message: "m".into() }),
        1 => any_name().prop_map(|step| Event::SessionEnded {
            step, pid: 1, role: "r".into(), application: "a".into(), state: "idle".into()
        }),
        3 => Just(halted()),
        3 => on.prop_map(|on| Event::Waiting { on }),
        2 => any_name().prop_map(|step| Event::Approved { step, by: person(), head: Digest::ZERO }),
        2 => (any_name(), any::<u64>(), any::<bool>())
            .prop_map(|(stage, seconds, complete)| Event::HoldServed { stage, seconds, complete }),
        2 => any_name().prop_map(|step| Event::WatchOpened { step }),
        2 => (any_name(), prop_oneof![Just("halt"), Just("notify")])
            .prop_map(|(step, action)| Event::WatchTripped { step, message: "m".into(), action: action.into() }),
        2 => any_name().prop_map(|step| Event::WatchClosed { step, looks: 1, longest_gap_ms: 1 }),
        2 => (back, names()).prop_map(|(back, order)| Event::RollbackStarted {
            back, order, loss: Vec::new(), by: person()
        }),
        2 => any_name().prop_map(|step| Event::StepUndone { step, loss: Vec::new() }),
        1 => (proptest::option::of(any_name()), names())
            .prop_map(|(at, forgotten)| Event::RollbackEnded { at, forgotten }),
        1 => Just(Event::RequestTaken { request: 1, what: "stop".into(), refused: None }),
        2 => names().prop_map(|changed| Event::Amended {
            plan: Digest::ZERO, meaning: Digest::ZERO, changed, by: person(), reason: "r".into()
        }),
        1 => Just(accepted()),
        2 => any_name().prop_map(|step| adopted(step.as_str())),
        1 => Just(finished()),
        1 => Just(abandoned()),
    ]
}

/// What must hold of every state that was reached.
fn must_be_sound(before: &RunState, after: &RunState, record: &EventRecord) {
    assert_eq!(after.last_seq, record.seq);
    let mut once = after.started.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), after.started.len(), "a step stands among the started ones once");
    if before.phase.is_final() {
        assert_eq!(before.phase, Phase::Finished {}, "nothing follows a run that was given up or taken back");
        let taken_back = matches!(record.event, Event::RollbackStarted { .. });
        assert!(taken_back || after.phase == before.phase, "work beside a finished run leaves it finished");
    }
    for (step, state) in &before.steps {
        match after.steps.get(step) {
            Some(now) => assert!(
                now.attempt() >= state.attempt()
                    || matches!(record.event, Event::StepDone { .. } | Event::StepFailed { .. }),
                "attempts are never taken back"
            ),
            None => {
                assert!(
                    matches!(record.event, Event::Amended { .. }),
                    "a step is forgotten by an amendment only"
                );
                assert!(!matches!(state, StepState::Done { .. } | StepState::Started { .. }));
            }
        }
    }
    if !matches!(
        record.event,
        Event::StepUndone { .. }
            | Event::RollbackEnded { .. }
            | Event::StepStarted { .. }
            | Event::StepFailed { .. }
            | Event::StepDone { .. }
    ) {
        for (step, state) in before.steps.iter().filter(|(_, state)| matches!(state, StepState::Done { .. }))
        {
            assert_eq!(
                after.steps.get(step),
                Some(state),
                "a completed step is changed by its own events only"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_breaks_the_fold(events in proptest::collection::vec(any_event(), 0..60)) {
        let first = records([run_started()]).remove(0);
        let mut state = next(None, &first).unwrap();
        let mut legal = vec![first];
        for event in events {
            let mut record = records([event]).remove(0);
            record.seq = state.last_seq + 1;
            match next(Some(state.clone()), &record) {
                Ok(after) => {
                    must_be_sound(&state, &after, &record);
                    legal.push(record);
                    state = after;
                }
                Err(illegal) => {
                    prop_assert_eq!(illegal.seq, record.seq);
                    prop_assert!(!illegal.why.is_empty());
                }
            }
            // The fold of what is there so far is the state that was reached step by step.
            let folded = fold(&legal).unwrap();
            prop_assert_eq!(folded.as_ref(), Some(&state));
        }
    }

    #[test]
    fn events_read_back_from_their_text_fold_to_the_same_state(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut state = None;
        let mut legal: Vec<EventRecord> = Vec::new();
        for record in records(std::iter::once(run_started()).chain(events)) {
            if let Ok(after) = next(state.clone(), &record) {
                legal.push(record);
                state = Some(after);
            }
        }
        let read: Vec<EventRecord> = legal
            .iter()
            .map(|record| serde_json::from_str(&serde_json::to_string(record).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(fold(&read).unwrap(), state);
    }
}
