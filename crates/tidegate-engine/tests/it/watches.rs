//! Watches: a trip stops what runs; no answer only halts; the window is closed at its end.

use std::time::{Duration, Instant};

use tidegate_engine::event::Event;
use tidegate_engine::state::WatchState;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page};

fn watched(sleep_seconds: u32, condition: &str, more: &str) -> String {
    page(&format!(
        "## S\n\n```sql\n-- @watch w\n-- @every 100ms\n{more}-- @expect zero\n{condition}\n```\n\n```sql\n-- @migrate m\n-- @timeout 60s\nCREATE TABLE x ();\nDO $$ BEGIN PERFORM pg_sleep({sleep_seconds}); END $$\n-- @undo\nDROP TABLE x\n```\n"
    ))
    .replace("[stores.db]", "protect = [\"public.kept\"]\n[stores.db]")
}

#[test]
fn a_trip_stops_a_running_statement_within_one_look() {
    on_stage(async {
        let stage = Stage::new("trip").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        let text = watched(30, "SELECT count(*) FROM alarm", "");
        let client = stage.database.client().await;
        let begun = Instant::now();
        let (ending, tripped_at) = tokio::join!(stage.run(&text), async {
            testkit::eventually("the statement runs", Duration::from_secs(20), async || {
                client
                    .query_one("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid() AND state = 'active'", &[])
                    .await
                    .ok()
            })
            .await
            .unwrap();
            client.execute("INSERT INTO alarm VALUES (1)", &[]).await.unwrap();
            Instant::now()
        });
        let took = tripped_at.elapsed();
        let said = halted(&ending);
        assert!(said.starts_with("Watch w tripped (test.md:"), "{said}");
        assert!(said.ends_with("): 1 where 0 is expected"), "{said}");
        assert!(took < Duration::from_secs(5), "{took:?} of {:?}", begun.elapsed());
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        assert_eq!(stage.state().await.watches.get(&name("w")), Some(&WatchState::Tripped));
        // It must pass before the run goes on.
        assert!(halted(&stage.run(&text).await).contains("Watch w tripped"));
        stage.database.execute("TRUNCATE alarm").await;
    });
}

#[test]
fn a_watch_without_answer_halts_and_does_not_trip() {
    on_stage(async {
        let stage = Stage::new("unanswered").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        let text = watched(20, "SELECT count(*) FROM alarm", "-- @unknown-after 500ms\n-- @timeout 200ms\n");
        let client = stage.database.client().await;
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            testkit::eventually("the statement runs", Duration::from_secs(20), async || {
                client
                    .query_one("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid() AND state = 'active'", &[])
                    .await
                    .ok()
            })
            .await
            .unwrap();
            client.batch_execute("BEGIN; LOCK TABLE alarm IN ACCESS EXCLUSIVE MODE").await.unwrap();
        });
        assert!(halted(&ending).contains("Watch w has no answer"), "{ending:?}");
        client.batch_execute("ROLLBACK").await.unwrap();
        let events = stage.seen.borrow();
        assert!(!events.events.iter().any(|r| matches!(r.event, Event::WatchTripped { .. })));
    });
}

#[test]
fn a_watch_is_closed_at_the_end_of_its_range_with_its_looks() {
    on_stage(async {
        let stage = Stage::new("closed").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        done(&stage.run(&watched(1, "SELECT count(*) FROM alarm", "")).await);
        let looks = stage.seen.borrow().events.iter().find_map(|r| match r.event {
            Event::WatchClosed { looks, .. } => Some(looks),
            _ => None,
        });
        assert!(looks.is_some_and(|looks| looks >= 3), "{looks:?}");
    });
}

/// A watch over two migrations that asks for more than a halt.
fn with_trip(action: &str, extra: &str) -> String {
    page(&format!(
        "## One\n\n```sql\n-- @watch w\n-- @every 50ms\n-- @until two\n-- @on-trip {action}\n-- @expect zero\nSELECT count(*) FROM alarm\n```\n\n```sql\n-- @migrate m1\nCREATE TABLE x (id int);\nINSERT INTO alarm SELECT 1 WHERE {extra}\n-- @undo\nDROP TABLE x\n```\n\n## Two\n\n```toml\n# @stage two\nhold = \"2s\"\n```\n\n```sql\n-- @migrate m2\nCREATE TABLE y (id int)\n-- @undo\nDROP TABLE y\n```\n"
    ))
}

#[test]
fn a_trip_that_asks_for_it_takes_the_run_back_when_nothing_is_lost() {
    on_stage(async {
        let stage = Stage::new("goes_back").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        let ending = stage.run(&with_trip("rollback", "true")).await;
        assert!(matches!(ending, tidegate_engine::ending::Ending::RolledBack { .. }), "{ending:?}");
        let left = "SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y')";
        assert_eq!(stage.database.value::<i64>(left).await, 0);
        let tripped =
            stage.seen.borrow().events.iter().any(|r| matches!(r.event, Event::WatchTripped { .. }));
        assert!(tripped);
    });
}

#[test]
fn a_trip_never_takes_rows_of_others_along() {
    on_stage(async {
        let stage = Stage::new("stays").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        let text = with_trip("rollback", "false");
        let client = stage.database.client().await;
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            testkit::eventually("the hold is served", Duration::from_secs(20), async || {
                client.query_opt("SELECT 1 FROM pg_class WHERE relname = 'y'", &[]).await.ok().flatten()
            })
            .await
            .unwrap();
            client.batch_execute("INSERT INTO x VALUES (1); INSERT INTO alarm VALUES (1)").await.unwrap();
        });
        let tidegate_engine::ending::Ending::Halted { next, .. } = &ending else {
            panic!("it must halt: {ending:?}");
        };
        assert!(next[0].contains("public.x=1"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM x").await, 1);
    });
}

#[test]
fn a_trip_that_only_notifies_is_journaled_and_the_run_goes_on() {
    on_stage(async {
        let stage = Stage::new("notifies").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        done(&stage.run(&with_trip("notify", "true")).await);
        let told = stage
            .seen
            .borrow()
            .events
            .iter()
            .any(|r| matches!(&r.event, Event::WatchTripped { action, .. } if action == "notify"));
        assert!(told);
        assert!(stage.database.value::<bool>("SELECT to_regclass('y') IS NOT NULL").await);
    });
}

#[test]
fn a_halt_runs_the_pages_hook_with_what_happened() {
    on_stage(async {
        let stage = Stage::new("hook").await;
        let told = std::env::temp_dir().join(format!("tidegate-hook-{}", stage.database.name()));
        let hook = format!(
            "on_halt = [\"/bin/sh\", \"-c\", \"echo $TG_RUNBOOK $TG_STEP $TG_PLACE $TG_MESSAGE > {}\"]",
            told.display()
        );
        let text = crate::stage_hand::page_with(
            &hook,
            "## S\n\n```sql\n-- @check c\n-- @expect zero\nSELECT 1\n```\n",
        );
        halted(&stage.run(&text).await);
        let said = std::fs::read_to_string(&told).unwrap();
        let line = text.lines().position(|line| line == "-- @check c").unwrap() + 1;
        let wanted =
            format!("test c test.md:{line} c does not hold (test.md:{line}): 1 where 0 is expected\n");
        assert_eq!(said, wanted);
        std::fs::remove_file(told).unwrap();
    });
}
