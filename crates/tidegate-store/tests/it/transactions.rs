//! Transactions that end one way or the other.

use std::cell::Cell;
use std::time::Duration;

use testkit::Cluster;
use tidegate_store::postgres::{
    Failure, FailureKind, Isolation, Session, TxAttempts, TxError, TxOptions, TxOutcome, run_tx,
};

use crate::door::{session, value};

/// A body's own kind of error beside the store's.
#[derive(Debug)]
enum BodyError {
    Own(&'static str),
    Store(Failure),
}

impl From<Failure> for BodyError {
    fn from(failure: Failure) -> BodyError {
        BodyError::Store(failure)
    }
}

impl TxError for BodyError {
    fn failure(&self) -> Option<&Failure> {
        match self {
            BodyError::Own(_) => None,
            BodyError::Store(failure) => Some(failure),
        }
    }
}

fn quick() -> TxOptions {
    TxOptions {
        backoff_base: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        jitter_seed: 42,
        ..TxOptions::default()
    }
}

fn committed<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: TxOutcome<T, E>) -> T {
    match outcome {
        TxOutcome::Committed(value) => value,
        other => panic!("expected a commit: {other:?}"),
    }
}

fn rolled_back<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: TxOutcome<T, E>) -> E {
    match outcome {
        TxOutcome::RolledBack(error) => error,
        other => panic!("expected a rollback: {other:?}"),
    }
}

async fn count(session: &Session) -> String {
    value(session, "SELECT count(*) FROM t").await.unwrap()
}

#[tokio::test]
async fn a_transaction_has_its_name_settings_and_isolation_and_leaves_none_behind() {
    let database = Cluster::shared().await.database("settings").await;
    let session = session(&database.url()).await;
    let settings = "SELECT concat_ws('|', current_setting('application_name'), \
                    current_setting('transaction_isolation'), current_setting('transaction_read_only'), \
                    current_setting('lock_timeout'), current_setting('statement_timeout'), \
                    current_setting('idle_in_transaction_session_timeout'))";
    let before = value(&session, settings).await;
    let options = TxOptions {
        isolation: Isolation::RepeatableRead,
        read_only: true,
        lock_timeout: Some(Duration::from_micros(1)),
        statement_timeout: Some(Duration::from_millis(61_001)),
        idle_in_transaction_timeout: None,
        application_prefix: "tidegate 7 ".to_owned(),
        ..quick()
    };
    let name = format!("it's a \\ name that is far too long {}", "é".repeat(40));
    let within = run_tx(&session, &name, &options, async |session| session.run(settings).await).await;
    let within = crate::door::single(&committed(within)).unwrap();
    let (shown, rest) = within.split_once('|').unwrap();
    assert_eq!(rest, "repeatable read|on|1ms|61001ms|0");
    assert!(shown.starts_with("tidegate 7 it's a \\ name"), "{shown}");
    assert!(shown.len() <= 63);
    assert_eq!(value(&session, settings).await, before);
    assert_eq!(session.application_name(), "store-test");
}

#[tokio::test]
async fn nothing_before_the_body_takes_a_snapshot() {
    let database = Cluster::shared().await.database("snapshot").await;
    database.execute("CREATE TABLE t (a int)").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    let options = TxOptions { isolation: Isolation::RepeatableRead, ..quick() };
    let seen = run_tx(&session, "late snapshot", &options, async |session| {
        other.run("INSERT INTO t VALUES (1)").await?;
        Ok::<_, Failure>(count(session).await)
    })
    .await;
    assert_eq!(committed(seen), "1");
}

#[tokio::test]
async fn a_body_that_fails_is_rolled_back_and_its_own_error_returned() {
    let database = Cluster::shared().await.database("fails").await;
    database.execute("CREATE TABLE t (a int)").await;
    let session = session(&database.url()).await;
    let runs = Cell::new(0);
    let outcome = run_tx(&session, "fails", &quick(), async |session| {
        runs.set(runs.get() + 1);
        session.run("INSERT INTO t VALUES (1)").await?;
        Err::<(), _>(BodyError::Own("enough"))
    })
    .await;
    assert!(matches!(rolled_back(outcome), BodyError::Own("enough")));
    assert_eq!((runs.get(), &*count(&session).await), (1, "0"));
}

#[tokio::test]
async fn a_body_that_swallows_a_failure_does_not_commit() {
    let database = Cluster::shared().await.database("swallows").await;
    database.execute("CREATE TABLE t (a int)").await;
    let session = session(&database.url()).await;
    let outcome = run_tx(&session, "swallows", &quick(), async |session| {
        session.run("INSERT INTO t VALUES (1)").await?;
        let _swallowed = session.run("SELECT 1 / 0").await;
        Ok::<_, Failure>(())
    })
    .await;
    assert_eq!(rolled_back(outcome).sqlstate(), Some("25P02"));
    assert_eq!(count(&session).await, "0");
}

#[tokio::test]
async fn a_body_that_ends_the_transaction_itself_is_not_believed() {
    let database = Cluster::shared().await.database("ends").await;
    database.execute("CREATE TABLE t (a int)").await;
    let session = session(&database.url()).await;
    for ending in ["COMMIT", "ROLLBACK"] {
        let outcome = run_tx(&session, "ends", &quick(), async |session| session.run(ending).await).await;
        assert!(matches!(outcome, TxOutcome::Unknown(_)), "{ending}: {outcome:?}");
    }
    let insert = async |session: &Session| session.run("INSERT INTO t VALUES (1)").await;
    committed(run_tx(&session, "next", &quick(), insert).await);
    assert_eq!(count(&session).await, "1");
}

#[tokio::test]
async fn a_constraint_that_is_deferred_to_commit_rolls_back() {
    let database = Cluster::shared().await.database("deferred").await;
    database.execute("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await;
    let session = session(&database.url()).await;
    let outcome = run_tx(&session, "deferred", &quick(), async |session| {
        session.run("INSERT INTO t VALUES (1), (1)").await
    })
    .await;
    assert_eq!(rolled_back(outcome).sqlstate(), Some("23505"));
    assert_eq!(count(&session).await, "0");
}

#[tokio::test]
async fn a_serialization_failure_is_tried_again() {
    let database = Cluster::shared().await.database("serial").await;
    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    let runs = Cell::new(0);
    let options = TxOptions { isolation: Isolation::Serializable, ..quick() };
    let outcome = run_tx(&session, "serial", &options, async |session| {
        runs.set(runs.get() + 1);
        let seen = value(session, "SELECT a FROM t").await;
        if runs.get() == 1 {
            other.run("UPDATE t SET a = a + 10").await?;
        }
        session.run("UPDATE t SET a = a * 2").await?;
        Ok::<_, Failure>(seen)
    })
    .await;
    assert_eq!(committed(outcome).as_deref(), Some("11"));
    assert_eq!(runs.get(), 2);
    assert_eq!(value(&session, "SELECT a FROM t").await.as_deref(), Some("22"));
}

#[tokio::test]
async fn a_serialization_failure_at_commit_is_tried_again() {
    let database = Cluster::shared().await.database("skew").await;
    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    let runs = Cell::new(0);
    let options = TxOptions { isolation: Isolation::Serializable, ..quick() };
    // Write skew: both read everything and then write what the other has read; the second to commit must fail.
    let outcome = run_tx(&session, "skew", &options, async |session| {
        runs.set(runs.get() + 1);
        let sum = value(session, "SELECT sum(a) FROM t").await;
        session.run("INSERT INTO t VALUES (100)").await?;
        if runs.get() == 1 {
            other
                .run("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(a) FROM t; INSERT INTO t VALUES (200); COMMIT")
                .await?;
        }
        Ok::<_, Failure>(sum)
    })
    .await;
    assert_eq!(committed(outcome).as_deref(), Some("203"));
    assert_eq!(runs.get(), 2);
}

#[tokio::test]
async fn attempts_are_bounded_and_other_failures_get_one() {
    let database = Cluster::shared().await.database("bounded").await;
    let session = session(&database.url()).await;
    for (sqlstate, expected) in [("40001", 4), ("40P01", 4), ("55P03", 1), ("57014", 1), ("23505", 1)] {
        let runs = Cell::new(0);
        let options = TxOptions { attempts: 4, ..quick() };
        let outcome = run_tx(&session, "bounded", &options, async |session| {
            runs.set(runs.get() + 1);
            let sql = format!("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$");
            session.run(&sql).await
        })
        .await;
        assert_eq!(rolled_back(outcome).sqlstate(), Some(sqlstate));
        assert_eq!(runs.get(), expected, "{sqlstate}");
    }
}

#[tokio::test]
async fn two_transactions_that_deadlock_both_commit_in_the_end() {
    let database = Cluster::shared().await.database("deadlock").await;
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 0), (2, 0)").await;
    let url = format!("{}?options=-c%20deadlock_timeout%3D20ms", database.url());
    let (one, two) = (session(&url).await, session(&url).await);
    let both_hold_one = tokio::sync::Barrier::new(2);
    let runs = Cell::new(0);
    let options = TxOptions { lock_timeout: None, ..quick() };
    let update = async |session: &Session, first: i32, second: i32| {
        let mine = Cell::new(0);
        let outcome = run_tx(session, "deadlock", &options, async |session| {
            runs.set(runs.get() + 1);
            mine.set(mine.get() + 1);
            session.run(&format!("UPDATE t SET a = a + 1 WHERE id = {first}")).await?;
            if mine.get() == 1 {
                both_hold_one.wait().await;
            }
            session.run(&format!("UPDATE t SET a = a + 1 WHERE id = {second}")).await
        })
        .await;
        committed(outcome);
    };
    tokio::join!(update(&one, 1, 2), update(&two, 2, 1));
    assert!(runs.get() > 2, "one of them was tried again");
    assert_eq!(value(&one, "SELECT string_agg(a::text, ',') FROM t").await.as_deref(), Some("2,2"));
}

#[tokio::test]
async fn a_lock_timeout_is_tried_again_only_where_asked() {
    let database = Cluster::shared().await.database("locked").await;
    database.execute("CREATE TABLE t (a int)").await;
    let (session, holder) = (session(&database.url()).await, session(&database.url()).await);
    holder.run("BEGIN; LOCK TABLE t").await.unwrap();
    let options = TxOptions { lock_timeout: Some(Duration::from_millis(20)), attempts: 3, ..quick() };
    let runs = Cell::new(0);
    let lock = async |session: &Session| {
        runs.set(runs.get() + 1);
        session.run("LOCK TABLE t").await
    };
    let failure = rolled_back(run_tx(&session, "locked", &options, lock).await);
    assert_eq!((failure.kind(), runs.get()), (FailureKind::LockTimeout, 1));

    let options = TxOptions { retry_lock_timeouts: true, ..options };
    runs.set(0);
    let failure = rolled_back(run_tx(&session, "locked", &options, lock).await);
    assert_eq!((failure.kind(), runs.get()), (FailureKind::LockTimeout, 3));

    runs.set(0);
    let outcome = run_tx(&session, "locked", &options, async |session| {
        runs.set(runs.get() + 1);
        if runs.get() == 2 {
            holder.run("ROLLBACK").await?;
        }
        session.run("LOCK TABLE t").await
    })
    .await;
    committed(outcome);
    assert_eq!(runs.get(), 2);
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_the_session_goes_on() {
    let database = Cluster::shared().await.database("dropped").await;
    database.execute("CREATE TABLE t (a int)").await;
    let session = session(&database.url()).await;
    let inserted = tokio::sync::Notify::new();
    let options = quick();
    let running = run_tx(&session, "dropped", &options, async |session| {
        session.run("INSERT INTO t VALUES (1)").await?;
        inserted.notify_one();
        std::future::pending::<Result<(), Failure>>().await
    });
    tokio::select! {
        outcome = running => panic!("it cannot end: {outcome:?}"),
        () = inserted.notified() => {}
    }
    assert_eq!(count(&session).await, "0");
    assert_eq!(value(&session, "SELECT pg_current_xact_id_if_assigned()").await, None);
    let next =
        run_tx(&session, "next", &options, async |session| session.run("INSERT INTO t VALUES (2)").await);
    committed(next.await);
    assert_eq!(count(&session).await, "1");
}

#[tokio::test]
async fn what_goes_out_with_begin_is_answered_and_asked_anew_in_each_attempt() {
    let database = Cluster::shared().await.database("opening").await;
    database.execute("CREATE TABLE t (a int)").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    let opening = "SELECT count(*) FROM t; SELECT current_setting('lock_timeout')";
    let options = TxOptions { isolation: Isolation::Serializable, ..quick() };
    let mut attempts = TxAttempts::new(&session, "opened", &options, opening);
    let mut seen = Vec::new();
    let outcome = loop {
        let ended = match attempts.begin().await {
            Ok(answers) => {
                assert_eq!(answers.len(), 2);
                assert_eq!(answers[1].single(), Some(Some("2s")));
                seen.push(answers[0].single().unwrap().unwrap().to_owned());
                other.run("INSERT INTO t VALUES (1)").await.unwrap();
                let again = "DO $$BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END$$";
                if seen.len() < 3 { session.run(again).await.map(drop) } else { Ok(()) }
            }
            Err(failure) => Err(failure),
        };
        if let Some(outcome) = attempts.end(ended).await {
            break outcome;
        }
    };
    committed(outcome);
    assert_eq!(seen, ["0", "1", "2"]);
}

#[tokio::test]
async fn an_opening_that_fails_is_rolled_back_and_never_reaches_the_body() {
    let database = Cluster::shared().await.database("bad_opening").await;
    let session = session(&database.url()).await;
    let options = quick();
    let mut attempts = TxAttempts::new(&session, "opened", &options, "SELECT 1 / 0");
    let failure = attempts.begin().await.unwrap_err();
    let outcome = attempts.end(Err::<(), _>(failure)).await.unwrap();
    assert_eq!(rolled_back(outcome).sqlstate(), Some("22012"));
    let outcome: TxOutcome<(), Failure> = attempts.end(Ok(())).await.unwrap();
    assert!(rolled_back(outcome).message().contains("not begun"));
    assert_eq!(value(&session, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_run_on_any_thread_and_none_is_lost() {
    let database = Cluster::shared().await.database("threads").await;
    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (0)").await;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..4_u64 {
        let session = session(&database.url()).await;
        workers.spawn(async move {
            let options = TxOptions {
                isolation: Isolation::Serializable,
                attempts: 100,
                jitter_seed: worker,
                ..quick()
            };
            for _ in 0..10 {
                let outcome = run_tx(&session, "add", &options, async |session: &Session| {
                    let seen = session.run("SELECT a FROM t").await?;
                    let seen: i64 = crate::door::single(&seen).unwrap().parse().unwrap();
                    session.run(&format!("UPDATE t SET a = {}", seen + 1)).await
                })
                .await;
                committed(outcome);
            }
        });
    }
    workers.join_all().await;
    assert_eq!(database.value::<i32>("SELECT a FROM t").await, 40);
}
