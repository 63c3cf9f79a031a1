//! Why every write to both sides locks the row first on the side from which old rows are copied meanwhile, and in a
//! statement of its own. Each rule is shown twice: kept, and broken on purpose.

use std::time::Duration;

use testkit::{Cluster, Database, eventually};
use tidegate_flags::Stage;
use tidegate_store::postgres::{
    Failure, FailureKind, Isolation, Session, TxOptions, TxOutcome, parse_qualified_name, run_tx,
};
use tidegate_switch::{Side, TablePair, dual_write};

use crate::application::{BOUND, committed, rolled_back, session, value};

/// What copies one old row to the new side while writes go on, as a backfill does it.
const COPY: &str = "WITH chunk AS (SELECT id, name FROM v1 WHERE id = 1 FOR SHARE) \
     INSERT INTO v2 SELECT id, name FROM chunk ON CONFLICT (id) DO UPDATE SET name = excluded.name";

fn pair() -> TablePair {
    let name = |text| parse_qualified_name(text).unwrap();
    TablePair::new(&name("v1"), &name("v2"), &[("id", "id")], &[("name", "name")]).unwrap()
}

/// Writes go to the new side, and the old one is kept.
fn locking(lock_first: Side) -> Stage {
    Stage { reads: Side::New, primary: Side::New, mirror: Some(Side::Old), lock_first }
}

fn once(lock_timeout: Duration) -> TxOptions {
    TxOptions {
        isolation: Isolation::ReadCommitted,
        lock_timeout: Some(lock_timeout),
        attempts: 1,
        ..TxOptions::default()
    }
}

async fn tables(hint: &str, rows: &str) -> Database {
    let database = Cluster::shared().await.database(hint).await;
    let sql =
        "CREATE TABLE v1 (id int PRIMARY KEY, name text); CREATE TABLE v2 (id int PRIMARY KEY, name text);";
    database.execute(&format!("{sql} {rows}")).await;
    database
}

/// Removes a row that has not been copied yet; the copying comes between the removal and its mirror. Returns how the
/// copying ended.
async fn remove_while_it_is_copied(database: &Database, lock_first: Side) -> TxOutcome<(), Failure> {
    let (writer, copier) = (session(&database.url()).await, session(&database.url()).await);
    let pair = pair();
    let mut copied = None;
    let removed = run_tx(&writer, "remove", &once(BOUND), async |writer: &Session| {
        dual_write(writer, locking(lock_first), &pair, &["1"], async |writer: &Session, _: Side| {
            writer.run("DELETE FROM v2 WHERE id = 1").await?;
            let short = once(Duration::from_millis(100));
            let outcome =
                run_tx(&copier, "copy", &short, async |copier: &Session| copier.run(COPY).await).await;
            copied = Some(match outcome {
                TxOutcome::Committed(_) => TxOutcome::Committed(()),
                TxOutcome::RolledBack(failure) => TxOutcome::RolledBack(failure),
                TxOutcome::Unknown(failure) => TxOutcome::Unknown(failure),
            });
            Ok::<_, Failure>(())
        })
        .await
    })
    .await;
    committed(removed);
    copied.unwrap()
}

#[tokio::test]
async fn with_the_source_locked_first_a_removed_row_stays_removed() {
    let database = tables("removed", "INSERT INTO v1 VALUES (1, 'old')").await;
    let copied = remove_while_it_is_copied(&database, Side::Old).await;
    assert_eq!(rolled_back(copied).kind(), FailureKind::LockTimeout);
    let copier = session(&database.url()).await;
    copier.run(COPY).await.unwrap();
    let left = "SELECT (SELECT count(*) FROM v1) + (SELECT count(*) FROM v2)";
    assert_eq!(value(&copier, left).await, "0");
}

#[tokio::test]
async fn with_the_target_locked_first_a_removed_row_comes_back() {
    let database = tables("comes_back", "INSERT INTO v1 VALUES (1, 'old')").await;
    committed(remove_while_it_is_copied(&database, Side::New).await);
    let session = session(&database.url()).await;
    let left = "SELECT (SELECT count(*) FROM v1) + (SELECT count(*) FROM v2)";
    assert_eq!(value(&session, left).await, "2", "the broken rule does no harm any more: say so in the rule");
}

/// Changes a row that is on both sides; the copying begins after the change and before its mirror. Returns how the
/// change and the copying ended.
async fn change_while_it_is_copied(
    database: &Database,
    lock_first: Side,
) -> (TxOutcome<(), Failure>, TxOutcome<(), Failure>) {
    let (writer, copier, observer) =
        (session(&database.url()).await, session(&database.url()).await, session(&database.url()).await);
    let pair = pair();
    let begun = tokio::sync::Notify::new();
    let patient = once(BOUND);
    let change = run_tx(&writer, "change", &patient, async |writer: &Session| {
        dual_write(writer, locking(lock_first), &pair, &["1"], async |writer: &Session, _: Side| {
            writer.run("UPDATE v2 SET name = 'new' WHERE id = 1").await?;
            begun.notify_one();
            eventually("the copying waits", BOUND, || async {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'copy' \
                           AND wait_event_type = 'Lock'";
                (value(&observer, sql).await == "1").then_some(())
            })
            .await
            .unwrap();
            Ok::<_, Failure>(())
        })
        .await
    });
    let copy = async {
        begun.notified().await;
        run_tx(&copier, "copy", &once(BOUND), async |copier: &Session| copier.run(COPY).await.map(drop)).await
    };
    tokio::join!(change, copy)
}

const ROWS: &str = "INSERT INTO v1 VALUES (1, 'old'); INSERT INTO v2 VALUES (1, 'old')";

#[tokio::test]
async fn with_the_source_locked_first_a_change_and_a_copy_wait_in_order() {
    let database = tables("in_order", ROWS).await;
    let (changed, copied) = change_while_it_is_copied(&database, Side::Old).await;
    committed(changed);
    committed(copied);
    let session = session(&database.url()).await;
    let both = "SELECT (SELECT name FROM v1) || (SELECT name FROM v2)";
    assert_eq!(value(&session, both).await, "newnew");
}

#[tokio::test]
async fn with_the_target_locked_first_a_change_and_a_copy_wait_for_each_other() {
    let database = tables("deadlock", ROWS).await;
    let (changed, copied) = change_while_it_is_copied(&database, Side::New).await;
    let failure = match (changed, copied) {
        (TxOutcome::RolledBack(failure), TxOutcome::Committed(()))
        | (TxOutcome::Committed(()), TxOutcome::RolledBack(failure)) => failure,
        other => panic!("one of them must have been chosen: {other:?}"),
    };
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}
