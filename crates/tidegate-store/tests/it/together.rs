//! A transaction in two round trips: a look that goes out with BEGIN, a last statement that goes out with COMMIT.

use testkit::{Cluster, Database, Fault, Proxy};
use tidegate_store::postgres::{
    Failure, FailureKind, Ready, Session, TxAttempts, TxOptions, TxOutcome, Type,
};

use crate::door::{session, single, value};

const INSERT: &str = "INSERT INTO t VALUES ($1) RETURNING a";
const LOOK: &str = "SELECT count(*) FROM t";

async fn ground(name: &str) -> Database {
    let database = Cluster::shared().await.database(name).await;
    database.execute("CREATE TABLE t (a int CHECK (a <> 13))").await;
    database
}

async fn insert(session: &Session, statement: &Ready, number: i32) -> Result<i32, Failure> {
    let rows = session.query_ready(statement, &[&number]).await?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| Failure::unusable_answer("no row"))
}

async fn look(session: &Session, statement: &Ready) -> Result<i64, Failure> {
    Ok(session.query_ready(statement, &[]).await?.first().map_or(-1, |row| row.get(0)))
}

/// One whole transaction, through a session.
async fn whole(session: &Session, number: i32) -> (Result<i64, Failure>, TxOutcome<i32, Failure>) {
    let (looking, inserting) =
        (session.ready(LOOK, &[]).await.unwrap(), session.ready(INSERT, &[Type::INT4]).await.unwrap());
    let options = TxOptions::default();
    let mut attempts = TxAttempts::new(session, "together", &options, "LOCK TABLE t IN EXCLUSIVE MODE");
    let begun = attempts.begin_with(look(session, &looking)).await;
    let outcome = match begun {
        Ok(_) => attempts.end_behind(insert(session, &inserting, number)).await,
        Err(ref failure) => attempts.end(Err(failure.clone())).await,
    };
    (begun.map(|(_, seen)| seen), outcome.expect("nothing here is tried again"))
}

#[tokio::test]
async fn the_look_sees_what_the_opening_locked_and_the_last_statement_is_committed() {
    let database = ground("together").await;
    let session = session(&database.url()).await;
    for expected in 0..3 {
        let (seen, outcome) = whole(&session, 5).await;
        assert_eq!(seen.unwrap(), expected);
        assert!(matches!(outcome, TxOutcome::Committed(5)), "{outcome:?}");
    }
    assert_eq!(database.value::<i64>(LOOK).await, 3);
}

#[tokio::test]
async fn a_last_statement_that_is_refused_is_rolled_back_with_its_own_reason() {
    let database = ground("together_refused").await;
    let session = session(&database.url()).await;
    let (_, outcome) = whole(&session, 13).await;
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.sqlstate(), Some("23514"), "and not that COMMIT found the transaction aborted");
    assert_eq!(database.value::<i64>(LOOK).await, 0);
    assert_eq!(value(&session, "SELECT pg_current_xact_id_if_assigned()").await, None);
    assert!(matches!(whole(&session, 1).await.1, TxOutcome::Committed(1)));
}

#[tokio::test]
async fn an_opening_that_fails_hides_the_look_and_leaves_nothing() {
    let database = ground("together_opening").await;
    let session = session(&database.url()).await;
    let looking = session.ready(LOOK, &[]).await.unwrap();
    let options = TxOptions::default();
    let mut attempts = TxAttempts::new(&session, "together", &options, "SELECT 1 / 0");
    let failure = attempts.begin_with(look(&session, &looking)).await.unwrap_err();
    assert_eq!(failure.sqlstate(), Some("22012"));
    let outcome: TxOutcome<(), Failure> = attempts.end(Err(failure)).await.unwrap();
    assert!(matches!(outcome, TxOutcome::RolledBack(_)));
    assert!(matches!(whole(&session, 1).await.1, TxOutcome::Committed(1)));
}

#[tokio::test]
async fn a_serialization_failure_of_the_last_statement_is_begun_again() {
    let database = ground("together_again").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    database.execute("CREATE TABLE n (a int); INSERT INTO n VALUES (0)").await;
    let adding = session.ready("UPDATE n SET a = a + 1 RETURNING a", &[]).await.unwrap();
    let looking = session.ready("SELECT count(*) FROM n", &[]).await.unwrap();
    let options =
        TxOptions { isolation: tidegate_store::postgres::Isolation::RepeatableRead, ..TxOptions::default() };
    let mut attempts = TxAttempts::new(&session, "together", &options, "");
    let mut begun = 0;
    let outcome: TxOutcome<i32, Failure> = loop {
        attempts.begin_with(look(&session, &looking)).await.unwrap();
        begun += 1;
        if begun == 1 {
            other.run("UPDATE n SET a = a + 10").await.unwrap();
        }
        let last = async { Ok(session.query_ready(&adding, &[]).await?.first().map_or(0, |row| row.get(0))) };
        if let Some(outcome) = attempts.end_behind(last).await {
            break outcome;
        }
    };
    assert!(matches!(outcome, TxOutcome::Committed(11)), "{outcome:?}");
    assert_eq!(begun, 2);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_comes_too_late_and_the_outcome_is_unknown() {
    let database = ground("together_unusable").await;
    let session = session(&database.url()).await;
    let inserting = session.ready(INSERT, &[Type::INT4]).await.unwrap();
    let options = TxOptions::default();
    let mut attempts = TxAttempts::new(&session, "together", &options, "");
    attempts.begin().await.unwrap();
    let last = async {
        insert(&session, &inserting, 1).await?;
        Err::<i32, _>(Failure::unusable_answer("another one was expected"))
    };
    let outcome: TxOutcome<i32, Failure> = attempts.end_behind(last).await.unwrap();
    let TxOutcome::Unknown(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.to_string().contains("another one was expected"), "{failure}");
    assert_eq!(database.value::<i64>(LOOK).await, 1);
}

#[tokio::test]
async fn a_last_statement_that_never_left_is_never_told_as_committed() {
    let database = ground("together_unsent").await;
    let session = session(&database.url()).await;
    let inserting = session.ready(INSERT, &[Type::INT4]).await.unwrap();
    let options = TxOptions::default();
    let mut attempts = TxAttempts::new(&session, "together", &options, "");
    attempts.begin().await.unwrap();
    let last = async { session.query_ready(&inserting, &[&"no number"]).await.map(|rows| rows.len()) };
    let outcome: TxOutcome<usize, Failure> = attempts.end_behind(last).await.unwrap();
    assert!(matches!(outcome, TxOutcome::Unknown(_)), "COMMIT went out behind nothing: {outcome:?}");
    assert_eq!(database.value::<i64>(LOOK).await, 0);
    assert!(matches!(whole(&session, 1).await.1, TxOutcome::Committed(1)));
}

#[tokio::test]
async fn what_was_not_begun_is_not_ended() {
    let database = ground("together_not_begun").await;
    let session = session(&database.url()).await;
    let options = TxOptions::default();
    let mut attempts = TxAttempts::new(&session, "together", &options, "");
    let outcome: TxOutcome<(), Failure> =
        attempts.end_behind(async { panic!("it is not sent") }).await.unwrap();
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.message().contains("not begun"));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_whether_or_not_it_arrived() {
    let cluster = Cluster::shared().await;
    for (name, fault, there) in [
        ("together_arrived", Fault::drop_answer_of("; COMMIT"), 1),
        ("together_never", Fault::drop_before("; COMMIT"), 0),
    ] {
        let database = ground(name).await;
        let proxy = Proxy::start(cluster.port()).await.unwrap();
        let through = session(&database.url_at(proxy.port(), "postgres")).await;
        proxy.inject(fault);
        let (_, outcome) = whole(&through, 1).await;
        let TxOutcome::Unknown(failure) = outcome else { panic!("{name}: {outcome:?}") };
        assert_eq!((failure.kind(), proxy.fired()), (FailureKind::ConnectionLost, 1), "{name}");
        // Whoever wants to know takes the lock that the transaction held.
        let after = session(&database.url()).await;
        let counted = after.run(&format!("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE; {LOOK}")).await.unwrap();
        let counted = single(&counted[2..]);
        assert_eq!(counted.as_deref(), Some(there.to_string().as_str()), "{name}");
    }
}

#[tokio::test]
async fn a_statement_is_prepared_once_and_again_where_the_server_forgot_it() {
    let database = ground("together_ready").await;
    let session = session(&database.url()).await;
    let count = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO t%'";
    for _ in 0..2 {
        session.ready(INSERT, &[Type::INT4]).await.unwrap();
        assert_eq!(value(&session, count).await.as_deref(), Some("1"));
    }
    session.run("DEALLOCATE ALL").await.unwrap();
    let anew = session.ready(INSERT, &[Type::INT4]).await.unwrap();
    assert_eq!(insert(&session, &anew, 7).await.unwrap(), 7);
}
