//! What slows a backfill down: provoked, told with its reason and since when, and over by itself.

use testkit::{Cluster, ClusterOptions};
use tidegate_engine::observer::Progress;
use tidegate_store::postgres::Session;

use crate::backfills::{INSERT, mirrored, numbers, sealed};
use crate::stage_hand::{Stage, done, on_stage};

/// Looks before a copy that is never slowed is given up.
const LOOKS_MAX: u32 = 6_000;

/// Waits until the copy says that it is slowed for this reason, and since when.
async fn slowed(stage: &Stage, session: &Session, why: &str) {
    let said = |progress: &Progress| matches!(progress, Progress::Copying { slowed: Some(said), .. } if said.contains(why) && said.contains("since"));
    for _ in 0..LOOKS_MAX {
        if stage.seen.borrow().progress.iter().any(said) {
            return;
        }
        session.run("SELECT pg_sleep(0.005)").await.unwrap();
    }
    panic!("the copy was never slowed because {why}");
}

/// Waits until the server says that a table is being vacuumed.
async fn until_at_work(session: &Session) {
    for _ in 0..LOOKS_MAX {
        if rows(session, "SELECT count(*) FROM pg_stat_progress_vacuum").await > 0 {
            return;
        }
        session.run("SELECT pg_sleep(0.005)").await.unwrap();
    }
    panic!("no vacuum began");
}

/// Whether the copy said last that nothing slows it, after it had been slowed.
fn recovered(stage: &Stage) -> bool {
    let seen = stage.seen.borrow();
    let slowed = |progress: &&Progress| matches!(progress, Progress::Copying { slowed: Some(_), .. });
    let free = |progress: &&Progress| matches!(progress, Progress::Copying { slowed: None, .. });
    seen.progress.iter().rposition(|progress| slowed(&progress))
        < seen.progress.iter().rposition(|progress| free(&progress))
}

async fn rows(session: &Session, sql: &str) -> i64 {
    session.query(sql, &[]).await.unwrap()[0].get(0)
}

/// The rows that a slowed copy writes in about a second, where a free one writes hundreds.
async fn must_crawl(session: &Session) {
    let before = rows(session, "SELECT count(*) FROM new").await;
    session.run("SELECT pg_sleep(1.2)").await.unwrap();
    let written = rows(session, "SELECT count(*) FROM new").await - before;
    assert!(written <= 60, "one chunk of 20 rows a second, and what was at work before: {written}");
}

#[test]
fn a_standby_that_lags_slows_the_copy_until_it_has_caught_up() {
    on_stage(async {
        let primary = Cluster::start(ClusterOptions::default()).await.unwrap();
        let standby = primary.standby(ClusterOptions::default()).await.unwrap();
        let stage = Stage::on(primary.database("throttles").await);
        let session = stage.session().await;
        session.run(&numbers(30_000)).await.unwrap();
        standby.catch_up_with(&primary).await.unwrap();
        standby.execute("SELECT pg_wal_replay_pause()").await.unwrap();
        let text = sealed("old", "id", "-- @rows 20..20\n-- @throttle replica-lag 300ms\n", INSERT);
        let release = async {
            slowed(&stage, &session, "s behind").await;
            must_crawl(&session).await;
            standby.execute("SELECT pg_wal_replay_resume()").await.unwrap();
        };
        let (ending, ()) = tokio::join!(stage.run(&text), release);
        done(&ending);
        assert!(recovered(&stage));
        assert_eq!(rows(&session, "SELECT count(*) FROM new").await, 30_000);
    });
}

#[test]
fn sessions_that_wait_for_the_copy_slow_it_until_none_waits() {
    on_stage(async {
        let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.015); RETURN NEW; END $$; CREATE TRIGGER slow BEFORE INSERT ON new FOR EACH ROW EXECUTE FUNCTION slow()";
        let stage = Stage::new("throttles").await;
        let session = stage.session().await;
        session.run(&format!("{}; {slow}", numbers(800))).await.unwrap();
        let text = mirrored("-- @rows 20..20\n-- @throttle lock-waiters 0\n", INSERT);
        let waiter = stage.session().await;
        let told = std::cell::Cell::new(false);
        let waits = async {
            // Rows of the chunk that is at work, one after the other.
            while !told.get() {
                waiter
                    .run("UPDATE old SET name = name WHERE id = (SELECT coalesce(max(id), 0) + 5 FROM new)")
                    .await
                    .unwrap();
            }
        };
        let release = async {
            slowed(&stage, &session, "sessions wait for locks that the copy holds").await;
            let copied = rows(&session, "SELECT count(*) FROM new").await;
            assert!(copied < 700, "it was slowed long before its end: {copied}");
            told.set(true);
        };
        let (ending, (), ()) = tokio::join!(stage.run(&text), waits, release);
        done(&ending);
        assert!(recovered(&stage));
        assert_eq!(rows(&session, "SELECT count(*) FROM new").await, 800);
    });
}

#[test]
fn a_target_that_is_vacuumed_slows_the_copy_until_the_vacuum_ends() {
    on_stage(async {
        let stage = Stage::new("throttles").await;
        let session = stage.session().await;
        let pages = "ALTER TABLE new SET (fillfactor = 10); INSERT INTO new SELECT -n, 'there before' FROM generate_series(1, 3000) AS n";
        session.run(&format!("{}; {pages}", numbers(5_000))).await.unwrap();
        let text = sealed("old", "id", "-- @rows 20..20\n-- @throttle autovacuum\n", INSERT);
        let vacuuming = stage.session().await;
        vacuuming.run("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1").await.unwrap();
        let cancel = vacuuming.cancel_handle();
        let vacuum = async {
            // A page in a tenth of a second: of 250 pages it reads few before it is told to stop.
            let failure = vacuuming.run("VACUUM new").await.unwrap_err();
            assert_eq!(failure.sqlstate(), Some("57014"), "{failure}");
        };
        let release = async {
            slowed(&stage, &session, "new is being vacuumed").await;
            must_crawl(&session).await;
            cancel.cancel().await.unwrap();
        };
        // A copy that begins before the vacuum is at work may be through before anything slows it.
        let copy = async {
            until_at_work(&session).await;
            stage.run(&text).await
        };
        let (ending, (), ()) = tokio::join!(copy, vacuum, release);
        done(&ending);
        assert!(recovered(&stage));
        assert_eq!(rows(&session, "SELECT count(*) FROM new").await, 8_000);
    });
}
