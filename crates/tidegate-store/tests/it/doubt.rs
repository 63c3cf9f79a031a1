//! Commits whose answer is lost.

use std::cell::Cell;

use testkit::{Cluster, Fault, Proxy, eventually};
use tidegate_store::postgres::{Failure, FailureKind, TxOptions, TxOutcome, run_tx};

use crate::door::{BOUND, session, value};

/// The statement that ends a transaction; `BEGIN … READ COMMITTED` holds the word COMMIT as well.
const COMMIT: &str = "; COMMIT";

async fn insert_through(proxy: &Proxy, database: &testkit::Database) -> (TxOutcome<(), Failure>, u32) {
    let through = session(&database.url_at(proxy.port(), "postgres")).await;
    let runs = Cell::new(0);
    let outcome = run_tx(&through, "in doubt", &TxOptions::default(), async |session| {
        runs.set(runs.get() + 1);
        session.run("INSERT INTO t VALUES (1)").await.map(|_| ())
    })
    .await;
    (outcome, runs.get())
}

async fn rows(database: &testkit::Database) -> i64 {
    database.value("SELECT count(*) FROM t").await
}

#[tokio::test]
async fn a_commit_that_arrived_and_was_not_answered_is_unknown_and_not_tried_again() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("arrived").await;
    database.execute("CREATE TABLE t (a int)").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.inject(Fault::drop_answer_of(COMMIT));
    let (outcome, runs) = insert_through(&proxy, &database).await;
    let TxOutcome::Unknown(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.kind(), proxy.fired(), runs), (FailureKind::ConnectionLost, 1, 1));
    assert!(failure.is_unknown_verdict());
    assert_eq!(rows(&database).await, 1, "it is there, once");
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_unknown_as_well() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("never").await;
    database.execute("CREATE TABLE t (a int)").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.inject(Fault::drop_before(COMMIT));
    let (outcome, runs) = insert_through(&proxy, &database).await;
    assert!(matches!(outcome, TxOutcome::Unknown(_)), "{outcome:?}");
    assert_eq!((proxy.fired(), runs), (1, 1));
    eventually("the server notices", BOUND, || async {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'in doubt'";
        (database.value::<i64>(open).await == 0).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(rows(&database).await, 0, "it is not there");
}

#[tokio::test]
async fn a_connection_lost_before_commit_was_sent_is_a_rollback() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("before").await;
    database.execute("CREATE TABLE t (a int)").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.inject(Fault::drop_answer_of("INSERT"));
    let (outcome, runs) = insert_through(&proxy, &database).await;
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.kind(), proxy.fired(), runs), (FailureKind::ConnectionLost, 1, 1));
    assert_eq!(rows(&database).await, 0);
}

#[tokio::test]
async fn a_connection_lost_in_begin_is_a_rollback() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("begin").await;
    database.execute("CREATE TABLE t (a int)").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.inject(Fault::drop_before("BEGIN"));
    let (outcome, runs) = insert_through(&proxy, &database).await;
    assert!(matches!(outcome, TxOutcome::RolledBack(_)), "{outcome:?}");
    assert_eq!((proxy.fired(), runs), (1, 0));
}

#[tokio::test]
async fn a_connection_that_was_lost_behind_the_bodys_back_is_a_rollback() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("behind").await;
    database.execute("CREATE TABLE t (a int)").await;
    let (session, other) = (session(&database.url()).await, session(&database.url()).await);
    let outcome = run_tx(&session, "behind", &TxOptions::default(), async |session| {
        session.run("INSERT INTO t VALUES (1)").await?;
        let pid = session.backend_pid().await?;
        other.run(&format!("SELECT pg_terminate_backend({pid})")).await?;
        eventually("the session notices", BOUND, || async { session.is_closed().then_some(()) })
            .await
            .unwrap();
        Ok::<_, Failure>(())
    })
    .await;
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.sqlstate(), Some("57P01"), "{failure}");
    assert_eq!(rows(&database).await, 0);
}

#[tokio::test]
async fn a_backend_that_is_ended_while_it_commits_leaves_the_outcome_unknown() {
    let database = Cluster::shared().await.database("fatal").await;
    database
        .execute(
            "CREATE TABLE t (a int);
             CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION end_me()",
        )
        .await;
    let session = session(&database.url()).await;
    let outcome = run_tx(&session, "fatal", &TxOptions::default(), async |session| {
        session.run("INSERT INTO t VALUES (1)").await
    })
    .await;
    let TxOutcome::Unknown(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.sqlstate(), Some("57P01"));
    assert_eq!(rows(&database).await, 0, "here it came too early; the answer alone does not say so");
}

#[tokio::test]
async fn a_transaction_through_a_session_that_is_gone_is_a_rollback() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("gone").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let through = session(&database.url_at(proxy.port(), "postgres")).await;
    assert_eq!(value(&through, "SELECT 1").await.as_deref(), Some("1"));
    proxy.drop_all().await.unwrap();
    let outcome =
        run_tx(&through, "gone", &TxOptions::default(), async |session| session.run("SELECT 1").await).await;
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.kind(), FailureKind::ConnectionLost);
}

#[tokio::test]
async fn a_body_that_dawdles_is_ended_by_the_server_and_rolled_back() {
    let database = Cluster::shared().await.database("dawdles").await;
    database.execute("CREATE TABLE t (a int)").await;
    let session = session(&database.url()).await;
    let options = TxOptions {
        idle_in_transaction_timeout: Some(std::time::Duration::from_millis(50)),
        ..TxOptions::default()
    };
    let outcome = run_tx(&session, "dawdles", &options, async |session| {
        session.run("INSERT INTO t VALUES (1)").await?;
        eventually("the server ends it", BOUND, || async { session.is_closed().then_some(()) })
            .await
            .unwrap();
        Ok::<_, Failure>(())
    })
    .await;
    let TxOutcome::RolledBack(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.sqlstate(), Some("25P03"));
    assert!(failure.is_unknown_verdict());
    assert_eq!(rows(&database).await, 0);
}
