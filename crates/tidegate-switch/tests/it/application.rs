//! A small application and its operator, for the other modules.

use std::time::Duration;

use testkit::{Database, eventually};
use tidegate_flags::{
    Blocker, Current, FlagSet, FlagsError, Move, Row, Side, declare, install, move_to, undrained,
};
use tidegate_store::postgres::{Address, Session, TxOptions, TxOutcome, run_tx};
use tidegate_switch::{Environment, Snapshot, Switch, SwitchOptions};

/// How long a test waits for something that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The name of the set in these tests.
pub(crate) const SET: &str = "accounts";

pub(crate) fn address(url: &str) -> Address {
    Address::resolve(Some(url), &|name| (name == "USER").then(|| "nobody".to_owned())).unwrap()
}

pub(crate) async fn session(url: &str) -> Session {
    Session::connect(&address(url), "switch-test").await.unwrap()
}

/// An environment that says nothing.
pub(crate) fn silent() -> Environment {
    let variable = |column, name| tidegate_switch::Variable { column, name, default: false };
    let variables = [variable("reads", "READS"), variable("writes", "WRITES"), variable("dual", "DUAL")];
    Environment::read(&variables, &|_| None)
}

/// An environment that says all of it.
pub(crate) fn says(values: [bool; 3]) -> Environment {
    let [reads, writes, dual] = values;
    Environment::of(&[("reads", reads), ("writes", writes), ("dual", dual)])
}

pub(crate) fn options(url: &str, environment: Environment) -> SwitchOptions {
    let mut options = SwitchOptions::new(SET, address(url), environment);
    options.name = "app".to_owned();
    options.version = "7".to_owned();
    options.beat = Duration::from_millis(20);
    options
}

pub(crate) async fn start(database: &Database, environment: Environment) -> Switch {
    Switch::start(options(&database.url(), environment)).await
}

/// A switch set whose every row leads to every other.
pub(crate) fn accounts() -> FlagSet {
    let rows = [
        ("v1", [false, false, false]),
        ("mirrored", [false, false, true]),
        ("dual", [true, false, true]),
        ("write_v2", [true, true, true]),
        ("steady", [true, true, false]),
    ];
    let moves = rows
        .iter()
        .flat_map(|(from, _)| rows.iter().map(move |(to, _)| (*from, *to)))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| Move { from: from.to_owned(), to: to.to_owned() })
        .collect();
    FlagSet {
        name: SET.to_owned(),
        columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
        rows: rows
            .iter()
            .map(|(name, values)| Row {
                name: (*name).to_owned(),
                values: values.to_vec(),
                lock_first: Side::Old,
            })
            .collect(),
        moves,
        initial: "v1".to_owned(),
    }
}

/// Whoever moves the set: a session of its own, with the set declared.
pub(crate) struct Operator {
    pub(crate) session: Session,
}

impl Operator {
    pub(crate) async fn of(database: &Database) -> Operator {
        let session = session(&database.url()).await;
        install(&session).await.unwrap();
        declare(&session, &accounts()).await.unwrap();
        // So old that nobody can have missed it.
        session.run("UPDATE tidegate.flag_set SET settled_at = now() - interval '1 day'").await.unwrap();
        Operator { session }
    }

    pub(crate) async fn try_move(&self, to: &str, wait: Duration) -> TxOutcome<Current, FlagsError> {
        let options = TxOptions { lock_timeout: Some(wait), attempts: 1, ..TxOptions::default() };
        run_tx(&self.session, "move", &options, async |session: &Session| {
            move_to(session, &accounts(), to, "an operator").await
        })
        .await
    }

    pub(crate) async fn move_to(&self, to: &str) -> u64 {
        committed(self.try_move(to, BOUND).await).epoch
    }

    pub(crate) async fn blockers(&self, epoch: u64) -> Vec<Blocker> {
        undrained(&self.session, SET, epoch, Duration::from_millis(1)).await.unwrap()
    }

    pub(crate) async fn until_drained(&self, epoch: u64) {
        eventually("the epoch has drained", BOUND, || async {
            self.blockers(epoch).await.is_empty().then_some(())
        })
        .await
        .unwrap();
    }
}

/// Waits until new requests get this epoch.
pub(crate) async fn until_seen(switch: &Switch, epoch: u64) {
    eventually("the epoch is seen", BOUND, || async { (switch.snapshot().epoch() == epoch).then_some(()) })
        .await
        .unwrap();
}

/// What a write went by, as text.
pub(crate) fn went_by(snapshot: &Snapshot) -> String {
    format!("{} {}", snapshot.row().unwrap_or("environment"), snapshot.epoch())
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
