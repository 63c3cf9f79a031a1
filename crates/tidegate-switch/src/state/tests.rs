use std::time::Duration;

use tidegate_flags::{Entered, Side};

use super::{Heard, Refusal, State, Tables};
use crate::environment::Environment;

const LEASE: Duration = Duration::from_secs(12);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1000 + seconds)
}

fn state(reads: bool) -> State {
    State::new(Environment::of(&[("reads", reads), ("writes", false), ("dual", false)]), LEASE)
}

fn row(epoch: u64, reads: bool) -> Entered {
    Entered {
        epoch,
        row: format!("row {epoch}"),
        columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
        values: vec![reads, false, false],
        lock_first: Side::Old,
    }
}

fn heard(epoch: u64, sent: u64) -> Heard {
    Heard::Row { row: row(epoch, false), sent: at(sent), age: Duration::ZERO }
}

#[test]
fn nobody_is_let_in_before_the_first_answer_nor_after_a_stop() {
    let mut state = state(false);
    assert_eq!(state.admit(at(0)).unwrap_err(), Refusal::NotYet);
    state.hear(Heard::Nothing { tables: Tables::Absent, sent: at(0) }, at(0));
    assert_eq!(state.admit(at(1)).unwrap().0.epoch(), 0);
    state.hear(Heard::Stop, at(2));
    assert_eq!(state.admit(at(2)).unwrap_err(), Refusal::Stopping);
}

#[test]
fn a_lease_is_counted_from_when_the_sign_was_sent_and_less_its_age() {
    let mut state = state(false);
    let age = Duration::from_secs(2);
    state.hear(Heard::Row { row: row(1, false), sent: at(0), age }, at(5));
    assert!(state.may_serve(at(9)).is_ok());
    assert_eq!(state.may_serve(at(10)), Err(Refusal::LeaseLost { since: Duration::from_secs(10) }));
}

#[test]
fn a_request_over_a_lost_lease_is_stale_also_when_the_lease_is_back() {
    let mut state = state(false);
    state.hear(heard(1, 0), at(0));
    let (_, lapses) = state.admit(at(1)).unwrap();
    assert!(state.held_since(lapses, at(2)));
    assert!(!state.held_since(lapses, at(12)));
    // The process stood still; its next sign is answered before anybody looks at the clock.
    state.hear(heard(1, 30), at(30));
    assert!(state.may_serve(at(31)).is_ok());
    assert!(!state.held_since(lapses, at(31)));
    let (_, lapses) = state.admit(at(31)).unwrap();
    assert!(state.held_since(lapses, at(32)));
}

#[test]
fn an_epoch_has_drained_when_the_last_older_request_ends() {
    let mut state = state(false);
    state.hear(heard(4, 0), at(0));
    state.admit(at(0)).unwrap();
    state.admit(at(0)).unwrap();
    state.hear(heard(5, 1), at(1));
    state.admit(at(1)).unwrap();
    assert_eq!((state.seen(), state.drained(), state.in_flight()), (5, 4, 3));
    assert!(!state.release(4));
    assert!(state.release(4));
    assert_eq!((state.seen(), state.drained()), (5, 5));
    assert!(!state.release(5));
    assert_eq!(state.in_flight(), 0);
}

#[test]
fn a_request_by_the_environment_is_older_than_every_row() {
    let mut state = state(false);
    state.hear(Heard::Nothing { tables: Tables::Absent, sent: at(0) }, at(0));
    state.admit(at(0)).unwrap();
    state.hear(heard(1, 1), at(1));
    assert_eq!((state.seen(), state.drained()), (1, 0));
    assert!(state.release(0));
    assert_eq!(state.drained(), 1);
}

#[test]
fn a_late_answer_never_takes_an_epoch_back() {
    let mut state = state(false);
    state.hear(heard(5, 2), at(2));
    state.hear(heard(4, 1), at(3));
    assert_eq!(state.seen(), 5);
    assert!(state.may_serve(at(13)).is_ok());
}

#[test]
fn the_environment_is_held_against_rows_until_it_agrees_once() {
    let mut state = state(true);
    state.hear(heard(1, 0), at(0));
    assert!(state.contradiction().unwrap().contains("reads is true there and false in row 'row 1'"));
    state.hear(Heard::Row { row: row(2, true), sent: at(1), age: Duration::ZERO }, at(1));
    assert_eq!(state.contradiction(), None);
    state.hear(heard(3, 2), at(2));
    assert_eq!(state.contradiction(), None);
}

#[test]
fn tables_that_ruled_may_not_go_away() {
    let mut state = state(false);
    assert!(state.lost_tables());
    state.found_tables();
    assert_eq!(state.tables(), Tables::Undeclared);
    state.hear(heard(7, 0), at(0));
    assert!(!state.lost_tables());
    state.hear(Heard::Nothing { tables: Tables::Absent, sent: at(5) }, at(5));
    assert_eq!(state.seen(), 7);
    assert!(state.last_failure().unwrap().contains("no longer in the database"));
    assert!(matches!(state.may_serve(at(12)), Err(Refusal::LeaseLost { .. })));
}
