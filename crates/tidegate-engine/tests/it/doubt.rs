//! A COMMIT whose answer is lost is resolved by reading the journal, never guessed.

use std::time::Duration;

use testkit::{Cluster, Fault, Proxy};
use tidegate_engine::ending::Ending;
use tidegate_engine::event::Event;
use tidegate_engine::runner::Purpose;

use crate::stage_hand::{Stage, done, halted, on_stage, page_with};

const ONE: &str = "## S\n\n```sql\n-- @migrate m\n-- @version 1\nCREATE TABLE x (id int);\nINSERT INTO x VALUES (1)\n-- @undo\nDROP TABLE x\n```\n";

async fn behind_a_proxy(hint: &str) -> (Stage, Proxy) {
    let mut stage = Stage::new(hint).await;
    let proxy = Proxy::start(Cluster::shared().await.port()).await.unwrap();
    stage.url = stage.database.url_at(proxy.port(), "postgres");
    (stage, proxy)
}

fn text() -> String {
    page_with("[limits]\nlease = \"2s\"", ONE)
}

#[test]
fn a_commit_that_arrived_counts_though_its_answer_was_lost() {
    on_stage(async {
        let (stage, proxy) = behind_a_proxy("arrived").await;
        let mut runner = stage.open(&text(), Purpose::Run).await.unwrap();
        proxy.inject(Fault::drop_answer_of("CREATE TABLE x"));
        // The first fault hits the statement; the commit is hit in the second round.
        let ending = runner.forward().await;
        assert!(halted(&ending).contains("m") || matches!(ending, Ending::Halted { .. }), "{ending:?}");
        runner.close().await;
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);

        let mut runner = stage.open(&text(), Purpose::Run).await.unwrap();
        // Two commits: the intent's, then the gate's.
        proxy.inject_after(1, Fault::drop_answer_of("tidegate_commit"));
        let ending = runner.forward().await;
        done(&ending);
        runner.close().await;
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM x").await, 1);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 1);
    });
}

#[test]
fn a_commit_that_never_arrived_had_no_effect() {
    on_stage(async {
        let (stage, proxy) = behind_a_proxy("never_arrived").await;
        let mut runner = stage.open(&text(), Purpose::Run).await.unwrap();
        proxy.inject_after(1, Fault::drop_before("tidegate_commit"));
        let ending = runner.forward().await;
        assert!(halted(&ending).contains("had no effect"), "{ending:?}");
        runner.close().await;
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        done(&stage.run(&text()).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM x").await, 1);
    });
}

#[test]
fn a_store_that_stays_away_leaves_the_run_in_doubt_and_the_next_run_goes_on() {
    on_stage(async {
        let (stage, proxy) = behind_a_proxy("away").await;
        let mut runner = stage.open(&text(), Purpose::Run).await.unwrap();
        proxy.outage().await.unwrap();
        let ending = runner.forward().await;
        assert!(matches!(ending, Ending::InDoubt { .. } | Ending::LeaseLost { .. }), "{ending:?}");
        drop(runner);
        proxy.resume().await.unwrap();
        let free = "SELECT expires_at IS NULL OR expires_at < clock_timestamp() FROM tidegate.lease";
        let client = stage.database.client().await;
        testkit::eventually("the lease is free", Duration::from_secs(10), async || {
            client.query_one(free, &[]).await.ok().filter(|row| row.get::<_, bool>(0))
        })
        .await
        .unwrap();
        done(&stage.run(&text()).await);
        let lost =
            stage.seen.borrow().events.iter().filter(|r| matches!(r.event, Event::StepDone { .. })).count();
        assert_eq!(lost, 1);
    });
}
