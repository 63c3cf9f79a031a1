//! Writes inside the barrier.

use testkit::{Cluster, Pgbouncer, PgbouncerOptions, eventually};
use tidegate_flags::open_writers;
use tidegate_store::postgres::{Failure, FailureKind, Isolation, Session, TxError, TxOptions};
use tidegate_switch::{Pool, PoolOptions, Snapshot, Switch};
use tokio::sync::Notify;

use crate::application::{
    BOUND, Operator, SET, address, committed, options, rolled_back, session, silent, start, until_seen,
    value, went_by,
};

#[tokio::test]
async fn a_write_keeps_a_move_waiting_from_its_first_statement_to_its_commit() {
    let database = Cluster::shared().await.database("holds").await;
    database.execute("CREATE TABLE written (by text)").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let (writer, observer) = (session(&database.url()).await, session(&database.url()).await);
    let inside = Notify::new();
    let wrote = switch.write(&writer, "write", async |writer: &Session, snapshot: &Snapshot| {
        inside.notify_one();
        eventually("the mover waits", BOUND, || async {
            let writers = open_writers(&observer, SET).await.ok()?;
            writers.iter().any(|writer| !writer.inside).then_some(())
        })
        .await
        .unwrap();
        writer.run(&format!("INSERT INTO written VALUES ('{}')", went_by(snapshot))).await?;
        Ok::<_, Failure>(())
    });
    let moved = async {
        inside.notified().await;
        operator.move_to("mirrored").await
    };
    let (wrote, epoch) = tokio::join!(wrote, moved);
    committed(wrote);
    assert_eq!((epoch, &*value(&observer, "SELECT by FROM written").await), (2, "v1 1"));
    let metrics = switch.metrics();
    assert_eq!((metrics.writes.get("v1"), metrics.barrier_wait.count()), (Some(&1), 1));
}

#[tokio::test]
async fn a_write_goes_by_what_rules_inside_and_not_by_what_its_request_began_with() {
    let database = Cluster::shared().await.database("newer").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let request = switch.request().unwrap();
    operator.move_to("mirrored").await;
    let writer = session(&database.url()).await;
    let outcome = switch.write(&writer, "write", async |_: &Session, snapshot: &Snapshot| {
        Ok::<_, Failure>((snapshot.epoch(), snapshot.stage().mirror.is_some()))
    });
    assert_eq!(committed(outcome.await), (2, true));
    assert_eq!((request.epoch(), request.stage().mirror), (1, None));
    request.finish().unwrap();
    until_seen(&switch, 2).await;
}

#[tokio::test]
async fn a_stale_snapshot_is_tried_again_by_itself() {
    let database = Cluster::shared().await.database("stale").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let (writer, blocker) = (session(&database.url()).await, session(&database.url()).await);
    // The write waits for a mover with its snapshot taken: BEGIN and the barrier are one message.
    blocker.run("BEGIN").await.unwrap();
    tidegate_flags::move_to(&blocker, &crate::application::accounts(), "mirrored", "a test").await.unwrap();
    let mut runs = 0;
    let isolated =
        TxOptions { isolation: Isolation::RepeatableRead, lock_timeout: Some(BOUND), ..TxOptions::default() };
    let wrote = switch.write_with(&writer, "write", &isolated, async |_: &Session, snapshot: &Snapshot| {
        runs += 1;
        Ok::<_, Failure>(went_by(snapshot))
    });
    let commits = async {
        eventually("the writer waits", BOUND, || async {
            let writers = open_writers(&operator.session, SET).await.ok()?;
            writers.iter().any(|writer| !writer.inside).then_some(())
        })
        .await
        .unwrap();
        blocker.run("COMMIT").await.unwrap();
    };
    let (wrote, ()) = tokio::join!(wrote, commits);
    assert_eq!(committed(wrote), "mirrored 2");
    assert_eq!(runs, 1);
}

#[tokio::test]
async fn a_mover_that_holds_the_barrier_too_long_is_an_error_of_the_write_and_nothing_is_written() {
    let database = Cluster::shared().await.database("held").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let writer = session(&database.url()).await;
    operator.session.run("BEGIN").await.unwrap();
    tidegate_flags::close_barrier(&operator.session, SET).await.unwrap();
    let impatient = TxOptions {
        lock_timeout: Some(std::time::Duration::from_millis(30)),
        attempts: 1,
        ..TxOptions::default()
    };
    let mut ran = false;
    let wrote = switch.write_with(&writer, "write", &impatient, async |_: &Session, _: &Snapshot| {
        ran = true;
        Ok::<_, Failure>(())
    });
    let failure = rolled_back(wrote.await);
    assert_eq!((failure.failure().map(Failure::kind), ran), (Some(FailureKind::LockTimeout), false));
    // Readers are not kept waiting.
    switch.request().unwrap().finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_write_through_a_pooler_and_none_straddles_a_move() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("pooled").await;
    database
        .execute(
            "CREATE TABLE written (epoch bigint);
             CREATE FUNCTION compare() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
                IF NEW.epoch <> (SELECT epoch FROM tidegate.flag_set) THEN RAISE EXCEPTION 'straddled'; END IF;
                RETURN NULL;
             END$$;
             CREATE CONSTRAINT TRIGGER compare AFTER INSERT ON written
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION compare();",
        )
        .await;
    let operator = Operator::of(&database).await;
    let pooler = Pgbouncer::start(cluster, PgbouncerOptions { pool_size: 4, ..PgbouncerOptions::default() })
        .await
        .unwrap();
    let pooled = pooler.url(&database);
    let switch = Switch::start(options(&pooled, silent())).await;
    switch.ready().unwrap();
    let sessions = PoolOptions { size: 8, wait: BOUND, application_name: "app".to_owned() };
    let pool = Pool::new(address(&pooled), sessions).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (switch, pool) = (switch.clone(), pool.clone());
        tasks.spawn(async move {
            for _ in 0..15 {
                write_one(&switch, &pool, "INSERT INTO written VALUES").await;
            }
        });
    }
    let mut epoch = 1;
    for turn in 0..10 {
        epoch = operator.move_to(if turn % 2 == 0 { "mirrored" } else { "v1" }).await;
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!((epoch, &*value(&operator.session, "SELECT count(*) FROM written").await), (11, "240"));
    assert!(pool.status().open <= 8);
    assert_eq!(switch.metrics().writes.values().sum::<u64>(), 240);
    until_seen(&switch, 11).await;
}

/// As a handler does it that borrows what it writes: in pieces, so that its future may go to any thread.
async fn write_one(switch: &Switch, pool: &Pool, insert: &str) {
    let request = switch.request().unwrap();
    let session = pool.get().await.unwrap();
    let patient = TxOptions { lock_timeout: Some(BOUND), ..TxOptions::default() };
    let mut writing = switch.writing(&session, "write", &patient);
    let outcome = loop {
        let ended = match writing.begin().await {
            Ok(snapshot) => session.run(&format!("{insert} ({})", snapshot.epoch())).await,
            Err(failure) => Err(failure),
        };
        if let Some(outcome) = writing.end(ended).await {
            break outcome;
        }
    };
    committed(outcome);
    request.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_owns_what_it_writes_runs_on_any_thread() {
    let database = Cluster::shared().await.database("threads").await;
    Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let writer = session(&database.url()).await;
    let (copy, name) = (switch.clone(), "owned".to_owned());
    let task = tokio::spawn(async move {
        let body = async move |session: &Session, _: &Snapshot| {
            session.run(&format!("SELECT '{name}'")).await.map(drop)
        };
        committed(copy.write(&writer, "write", body).await);
    });
    task.await.unwrap();
    assert_eq!(switch.metrics().writes.get("v1"), Some(&1));
}

#[tokio::test]
async fn figures_tell_what_was_done() {
    let database = Cluster::shared().await.database("figures").await;
    let operator = Operator::of(&database).await;
    let switch = Switch::start_comparing(options(&database.url(), silent()), 1).await;
    operator.move_to("dual").await;
    until_seen(&switch, 2).await;
    let writer = session(&database.url()).await;
    let open = switch.request().unwrap();
    for _ in 0..3 {
        let wrote =
            switch.write(&writer, "write", async |_: &Session, _: &Snapshot| Ok::<_, Failure>(())).await;
        committed(wrote);
    }
    let read = async |side| Ok::<_, Failure>(side);
    switch.shadow().read(open.stage(), || "a side".to_owned(), read).await.unwrap();
    switch.mirror_failed();
    switch.outbox_is(4);
    let text = switch.metrics().to_prometheus();
    for line in [
        "tidegate_switch_epoch{set=\"accounts\"} 2",
        "tidegate_switch_row{set=\"accounts\",row=\"dual\"} 1",
        "tidegate_switch_in_flight{set=\"accounts\"} 1",
        "tidegate_switch_serving{set=\"accounts\"} 1",
        "tidegate_switch_override{set=\"accounts\"} 0",
        "tidegate_switch_writes_total{set=\"accounts\",row=\"dual\"} 3",
        "tidegate_switch_mirror_errors_total{set=\"accounts\"} 1",
        "tidegate_switch_outbox_open{set=\"accounts\"} 4",
        "tidegate_switch_shadow_differing_total{set=\"accounts\"} 1",
        "tidegate_switch_barrier_wait_ms_count{set=\"accounts\"} 3",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
    drop(open);
    assert_eq!(switch.metrics().in_flight, 0);
}
