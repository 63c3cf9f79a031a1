//! Sets, addresses and sessions for the other modules.

use std::time::Duration;

use testkit::Database;
use tidegate_flags::{Current, FlagSet, FlagsError, Move, Row, Side, declare, install, move_to};
use tidegate_store::postgres::{Address, Session, TxOptions, TxOutcome, run_tx};

/// How long a test waits for something that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The name of the set in these tests.
pub(crate) const SET: &str = "accounts";

pub(crate) fn address(url: &str) -> Address {
    Address::resolve(Some(url), &|name| (name == "USER").then(|| "nobody".to_owned())).unwrap()
}

pub(crate) async fn session(url: &str) -> Session {
    Session::connect(&address(url), "flags-test").await.unwrap()
}

/// A switch set: reads, writes, dual.
pub(crate) fn accounts() -> FlagSet {
    let row = |name: &str, values: [bool; 3], lock_first| Row {
        name: name.to_owned(),
        values: values.to_vec(),
        lock_first,
    };
    let both = |from: &str, to: &str| {
        [Move { from: from.to_owned(), to: to.to_owned() }, Move { from: to.to_owned(), to: from.to_owned() }]
    };
    FlagSet {
        name: SET.to_owned(),
        columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
        rows: vec![
            row("v1", [false, false, false], Side::Old),
            row("mirrored", [false, false, true], Side::Old),
            row("dual", [true, false, true], Side::Old),
            row("write_v2", [true, true, true], Side::Old),
            row("catching_up", [true, true, true], Side::New),
        ],
        moves: [both("v1", "mirrored"), both("mirrored", "dual"), both("dual", "write_v2")].concat(),
        initial: "v1".to_owned(),
    }
}

/// A session of a database in which the set is declared.
pub(crate) async fn declared(database: &Database) -> Session {
    let session = session(&database.url()).await;
    install(&session).await.unwrap();
    declare(&session, &accounts()).await.unwrap();
    session
}

/// Options of a mover: it does not wait long and does not try again.
pub(crate) fn mover(lock_timeout: Duration) -> TxOptions {
    TxOptions { lock_timeout: Some(lock_timeout), attempts: 1, ..TxOptions::default() }
}

/// Moves in a transaction of its own.
pub(crate) async fn move_now(
    session: &Session,
    to: &str,
    options: &TxOptions,
) -> TxOutcome<Current, FlagsError> {
    run_tx(session, "move", options, async |session: &Session| {
        move_to(session, &accounts(), to, "a test").await
    })
    .await
}

pub(crate) fn committed<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: TxOutcome<T, E>) -> T {
    match outcome {
        TxOutcome::Committed(value) => value,
        other => panic!("expected a commit: {other:?}"),
    }
}

pub(crate) fn rolled_back<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: TxOutcome<T, E>) -> E {
    match outcome {
        TxOutcome::RolledBack(error) => error,
        other => panic!("expected a rollback: {other:?}"),
    }
}

/// The one value of a query, as text.
pub(crate) async fn value(session: &Session, sql: &str) -> String {
    let answers = session.run(sql).await.unwrap();
    answers.last().unwrap().single().unwrap().unwrap_or("NULL").to_owned()
}
