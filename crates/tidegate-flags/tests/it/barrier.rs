//! Writers inside the barrier, and a mover outside.

use std::time::Duration;

use testkit::{Cluster, Database, Pgbouncer, PgbouncerOptions, eventually};
use tidegate_flags::{
    Entered, FlagsError, current, enter, enter_sql, entered, look_sql, looked, open_writers,
};
use tidegate_store::postgres::{
    Failure, FailureKind, Isolation, Session, TxError, TxOptions, TxOutcome, run_tx,
};

use crate::sets::{BOUND, SET, committed, declared, move_now, mover, rolled_back, session, value};

/// How long a mover waits in these tests where it is to give up.
const SHORT: Duration = Duration::from_millis(50);

async fn tables(database: &Database) {
    database.execute("CREATE TABLE written (id int, row_name text, epoch bigint)").await;
}

/// Enters and writes what it read, and leaves the transaction open.
async fn open_writer(writer: &Session) -> Entered {
    writer.run("BEGIN").await.unwrap();
    let row = enter(writer, SET).await.unwrap().unwrap();
    writer.run(&format!("INSERT INTO written VALUES (1, '{}', {})", row.row, row.epoch)).await.unwrap();
    row
}

/// Waits until somebody waits for the barrier.
async fn until_somebody_waits(observer: &Session) {
    eventually("somebody waits for the barrier", BOUND, || async {
        let writers = open_writers(observer, SET).await.ok()?;
        writers.iter().any(|writer| !writer.inside).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_move_waits_for_an_open_writer_and_gets_through_once_it_commits() {
    let database = Cluster::shared().await.database("waits").await;
    tables(&database).await;
    let moving = declared(&database).await;
    let (writer, observer) = (session(&database.url()).await, session(&database.url()).await);
    assert_eq!(open_writer(&writer).await.epoch, 1);
    let options = mover(BOUND);
    let moved = async { committed(move_now(&moving, "mirrored", &options).await) };
    let wrote = async {
        until_somebody_waits(&observer).await;
        assert_eq!(current(&observer, SET).await.unwrap().unwrap().epoch, 1);
        writer.run("COMMIT").await.unwrap();
    };
    let (moved, ()) = tokio::join!(moved, wrote);
    assert_eq!(moved.epoch, 2);
    assert_eq!(value(&observer, "SELECT row_name FROM written").await, "v1");
}

#[tokio::test]
async fn a_writer_that_comes_while_a_move_waits_reads_the_new_row() {
    let database = Cluster::shared().await.database("queued").await;
    tables(&database).await;
    let moving = declared(&database).await;
    let (writer, late, observer) =
        (session(&database.url()).await, session(&database.url()).await, session(&database.url()).await);
    open_writer(&writer).await;
    let options = mover(BOUND);
    let moved = async { committed(move_now(&moving, "mirrored", &options).await) };
    let comes_late = async {
        until_somebody_waits(&observer).await;
        late.run("BEGIN").await.unwrap();
        let ends = async {
            eventually("the late writer waits, too", BOUND, || async {
                let writers = open_writers(&observer, SET).await.ok()?;
                (writers.iter().filter(|writer| !writer.inside).count() == 2).then_some(())
            })
            .await
            .unwrap();
            writer.run("COMMIT").await.unwrap();
        };
        let (row, ()) = tokio::join!(enter(&late, SET), ends);
        late.run("COMMIT").await.unwrap();
        row.unwrap().unwrap()
    };
    let (moved, row) = tokio::join!(moved, comes_late);
    assert_eq!((moved.epoch, row.epoch, &*row.row), (2, 2, "mirrored"));
}

#[tokio::test]
async fn no_write_is_ever_straddled_by_a_move() {
    let database = Cluster::shared().await.database("straddle").await;
    // The row that rules when the write commits is compared with the one it was told, by a deferred trigger.
    tables(&database).await;
    let moving = declared(&database).await;
    database
        .execute(
            "CREATE FUNCTION compare() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
                IF NEW.epoch <> (SELECT epoch FROM tidegate.flag_set) THEN
                    RAISE EXCEPTION 'straddled: told %, now %', NEW.epoch, (SELECT epoch FROM tidegate.flag_set);
                END IF;
                RETURN NULL;
             END$$;
             CREATE CONSTRAINT TRIGGER compare AFTER INSERT ON written
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION compare();",
        )
        .await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..6 {
        let url = database.url();
        writers.spawn(async move {
            let writer = session(&url).await;
            let options = TxOptions { lock_timeout: Some(BOUND), ..TxOptions::default() };
            let mut newest = 0;
            for _ in 0..60 {
                let outcome = run_tx(&writer, "write", &options, async move |writer: &Session| {
                    let row = enter(writer, SET).await?.unwrap();
                    let sql = format!("INSERT INTO written VALUES ({number}, '{}', {})", row.row, row.epoch);
                    writer.run(&sql).await?;
                    Ok::<_, FlagsError>(row.epoch)
                })
                .await;
                newest = committed(outcome);
            }
            newest
        });
    }
    let options = TxOptions { attempts: 100, retry_lock_timeouts: true, ..mover(Duration::from_millis(500)) };
    let mut epoch = 1;
    for turn in 0..20 {
        let to = if turn % 2 == 0 { "mirrored" } else { "v1" };
        epoch = committed(move_now(&moving, to, &options).await).epoch;
    }
    let mut newest = 0;
    while let Some(seen) = writers.join_next().await {
        newest = newest.max(seen.unwrap());
    }
    assert_eq!(epoch, 21);
    assert!(newest > 1, "the moves met no writer");
    assert_eq!(value(&moving, "SELECT count(*) FROM written").await, "360");
}

#[tokio::test]
async fn a_mover_that_gives_up_leaves_writers_unharmed() {
    let database = Cluster::shared().await.database("gives_up").await;
    tables(&database).await;
    let moving = declared(&database).await;
    let (writer, late) = (session(&database.url()).await, session(&database.url()).await);
    open_writer(&writer).await;
    let error = rolled_back(move_now(&moving, "mirrored", &mover(SHORT)).await);
    assert_eq!(error.failure().map(Failure::kind), Some(FailureKind::LockTimeout), "{error}");
    assert_eq!(enter(&late, SET).await.unwrap().unwrap().epoch, 1);
    writer.run("COMMIT").await.unwrap();
    assert_eq!(value(&late, "SELECT count(*) FROM written").await, "1");
    assert_eq!(committed(move_now(&moving, "mirrored", &mover(BOUND)).await).epoch, 2);
}

#[tokio::test]
async fn who_is_inside_and_who_waits_is_named() {
    let database = Cluster::shared().await.database("named").await;
    tables(&database).await;
    let moving = declared(&database).await;
    let (writer, observer) = (session(&database.url()).await, session(&database.url()).await);
    assert_eq!(open_writers(&observer, SET).await.unwrap(), []);
    open_writer(&writer).await;
    let pid = writer.backend_pid().await.unwrap();
    let options = mover(BOUND);
    let moved = async { committed(move_now(&moving, "mirrored", &options).await) };
    let looked = async {
        until_somebody_waits(&observer).await;
        let writers = open_writers(&observer, SET).await.unwrap();
        writer.run("COMMIT").await.unwrap();
        writers
    };
    let (_, writers) = tokio::join!(moved, looked);
    assert_eq!((writers[0].pid, writers[0].inside, writers[1].inside), (Some(pid), true, false));
    assert_eq!((&*writers[0].application, &*writers[1].application), ("flags-test", "move"));
    assert!(writers[0].to_string().contains("is inside, its transaction open for"), "{}", writers[0]);
}

#[tokio::test]
async fn a_stale_snapshot_is_told_by_a_serialization_failure_and_the_next_attempt_reads_the_new_row() {
    let database = Cluster::shared().await.database("stale").await;
    let moving = declared(&database).await;
    let writer = session(&database.url()).await;
    for isolation in [Isolation::RepeatableRead, Isolation::Serializable] {
        let to = if isolation == Isolation::RepeatableRead { "mirrored" } else { "v1" };
        let mut tries = 0;
        let options = TxOptions { isolation, ..TxOptions::default() };
        let outcome: TxOutcome<u64, FlagsError> =
            run_tx(&writer, "stale", &options, async |writer: &Session| {
                tries += 1;
                writer.run("SELECT 1").await?;
                if tries == 1 {
                    committed(move_now(&moving, to, &mover(BOUND)).await);
                }
                let entered = enter(writer, SET).await;
                if tries == 1 {
                    let failure = entered.as_ref().unwrap_err().failure().unwrap().clone();
                    assert_eq!(failure.sqlstate(), Some("40001"), "{failure}");
                }
                Ok(entered?.unwrap().epoch)
            })
            .await;
        let epoch = committed(outcome);
        assert_eq!((tries, epoch), (2, current(&moving, SET).await.unwrap().unwrap().epoch));
    }
}

#[tokio::test]
async fn a_repeatable_read_that_is_not_stale_enters_at_once() {
    let database = Cluster::shared().await.database("fresh").await;
    let moving = declared(&database).await;
    committed(move_now(&moving, "mirrored", &mover(BOUND)).await);
    let (one, two) = (session(&database.url()).await, session(&database.url()).await);
    for writer in [&one, &two] {
        writer.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        assert_eq!(enter(writer, SET).await.unwrap().unwrap().epoch, 2);
    }
    let error = rolled_back(move_now(&moving, "v1", &mover(SHORT)).await);
    assert_eq!(error.failure().map(Failure::kind), Some(FailureKind::LockTimeout));
}

#[tokio::test]
async fn writers_behind_a_pooler_in_transaction_mode_are_waited_for() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("pooled_writers").await;
    tables(&database).await;
    let options = PgbouncerOptions { pool_size: 3, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(cluster, options).await.unwrap();
    let observer = declared(&database).await;
    let (writer, moving) = (session(&pooler.url(&database)).await, session(&pooler.url(&database)).await);
    open_writer(&writer).await;
    let options = mover(BOUND);
    let moved = async { committed(move_now(&moving, "mirrored", &options).await) };
    let wrote = async {
        until_somebody_waits(&observer).await;
        writer.run("COMMIT").await.unwrap();
    };
    let (moved, ()) = tokio::join!(moved, wrote);
    assert_eq!(moved.epoch, 2);
    // The backend went back to the pool, and its lock did not go with it.
    assert_eq!(open_writers(&observer, SET).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_is_read_in_either_form_and_at_either_isolation() {
    let database = Cluster::shared().await.database("forms").await;
    let writer = declared(&database).await;
    for isolation in ["READ COMMITTED", "SERIALIZABLE"] {
        writer.run(&format!("BEGIN ISOLATION LEVEL {isolation}")).await.unwrap();
        let of_text = entered(writer.run(&enter_sql(SET)).await.unwrap().last().unwrap()).unwrap();
        assert!(of_text.is_some());
        assert_eq!(enter(&writer, SET).await.unwrap(), of_text);
        assert_eq!(entered(writer.run(&enter_sql("none")).await.unwrap().last().unwrap()).unwrap(), None);
        writer.run("COMMIT").await.unwrap();
    }
}

#[tokio::test]
async fn whoever_looks_for_tables_enters_the_same_barrier() {
    let database = Cluster::shared().await.database("looking").await;
    let moving = declared(&database).await;
    let writer = session(&database.url()).await;
    writer.run("BEGIN").await.unwrap();
    let answers = writer.run(&look_sql(SET)).await.unwrap();
    assert!(looked(answers.last().unwrap()));
    let error = rolled_back(move_now(&moving, "mirrored", &mover(SHORT)).await);
    assert_eq!(error.failure().map(Failure::kind), Some(FailureKind::LockTimeout));
    writer.run("ROLLBACK").await.unwrap();
    assert_eq!(committed(move_now(&moving, "mirrored", &mover(BOUND)).await).epoch, 2);
    let empty = Cluster::shared().await.database("looking_at_nothing").await;
    let elsewhere = session(&empty.url()).await;
    assert!(!looked(elsewhere.run(&look_sql(SET)).await.unwrap().last().unwrap()));
    let failure = elsewhere.run(&enter_sql(SET)).await.unwrap_err();
    assert!(tidegate_flags::is_missing(&failure), "{failure}");
}
