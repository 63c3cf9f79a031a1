//! `@within`: a check that is asked until it holds, and how that ends.

use std::time::{Duration, Instant};

use tidegate_engine::event::{Event, Person};
use tidegate_engine::observer::Progress;
use tidegate_engine::outcome::Outcome;
use tidegate_engine::request::{RequestBody, RequestKind, ask};
use tidegate_engine::runner::Purpose;

use crate::stage_hand::{Stage, done, halted, on_stage, page};

/// A page whose only check asks this for so long.
fn patient(within: &str, sql: &str) -> String {
    page(&format!("## One\n\n```sql\n-- @check soon\n-- @expect true\n-- @within {within}\n{sql}\n```\n"))
}

fn outcome(stage: &Stage) -> Outcome {
    let seen = stage.seen.borrow();
    let done = seen.events.iter().find_map(|record| match &record.event {
        Event::StepDone { step, outcome, .. } if step.as_str() == "soon" => Some(outcome.clone()),
        _ => None,
    });
    done.expect("the check holds")
}

/// Waits until the runner told that the check does not hold yet.
async fn until_asked_once(stage: &Stage) {
    let said =
        |progress: &Progress| matches!(progress, Progress::NotYet { step, .. } if step.as_str() == "soon");
    testkit::eventually("the check is asked", Duration::from_secs(20), async || {
        stage.seen.borrow().progress.iter().any(said).then_some(())
    })
    .await
    .unwrap();
}

#[test]
fn it_holds_once_others_have_seen_to_it() {
    on_stage(async {
        let stage = Stage::new("patient").await;
        let text = patient("60s", "SELECT every(ready) FROM instances");
        // At first there is no such table: there is no answer at all. Then it does not hold.
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            until_asked_once(&stage).await;
            stage
                .database
                .execute("CREATE TABLE instances AS SELECT n, false AS ready FROM generate_series(1, 3) n")
                .await;
            let fails = |progress: &Progress| matches!(progress, Progress::NotYet { verdict, .. } if verdict.starts_with("false where true is expected"));
            testkit::eventually("it does not hold", Duration::from_secs(20), async || {
                stage.seen.borrow().progress.iter().any(fails).then_some(())
            })
            .await
            .unwrap();
            stage.database.execute("UPDATE instances SET ready = true").await;
        });
        done(&ending);
        let told = outcome(&stage).notices;
        assert!(
            told.iter().any(|line| line.starts_with("held after ") && line.contains(" asked ")),
            "{told:?}"
        );
    });
}

#[test]
fn what_holds_at_once_is_asked_once() {
    on_stage(async {
        let stage = Stage::new("at_once").await;
        let begun = Instant::now();
        done(&stage.run(&patient("10m", "SELECT true")).await);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(outcome(&stage).notices, Vec::<String>::new());
    });
}

#[test]
fn it_halts_when_its_time_has_passed_and_a_resumed_run_waits_anew() {
    on_stage(async {
        let stage = Stage::new("too_late").await;
        stage.database.execute("CREATE TABLE ready ()").await;
        let text = patient("700ms", "SELECT count(*) = 1 FROM ready");
        let begun = Instant::now();
        let ending = stage.run(&text).await;
        let message = halted(&ending);
        assert!(message.contains("within 0.7 s"), "{message}");
        // Asked at 0, 0.1, 0.3 and 0.7 seconds, with a slow machine fewer times; never once only.
        assert!(!message.contains("asked 1 times"), "{message}");
        assert!(begun.elapsed() >= Duration::from_millis(700));
        stage.database.execute("INSERT INTO ready DEFAULT VALUES").await;
        done(&stage.run(&text).await);
    });
}

#[test]
fn another_person_can_stop_the_waiting() {
    on_stage(async {
        let stage = Stage::new("stopped").await;
        let mut runner = stage.open(&patient("1h", "SELECT false"), Purpose::Run).await.unwrap();
        let by = Person {
            actor: "olga".into(),
            os_user: "olga".into(),
            host: "desk".into(),
            db_role: String::new(),
        };
        let stop = RequestBody { run: runner.state().run, by, ask: RequestKind::Stop {} };
        let session = stage.session().await;
        let (ending, ()) = tokio::join!(runner.forward(), async {
            until_asked_once(&stage).await;
            ask(&session, &stop).await.unwrap();
        });
        assert!(halted(&ending).contains("Stopped by olga"), "{ending:?}");
        runner.close().await;
    });
}

/// How long it is waited for may be changed while the run is halted.
#[test]
fn more_time_is_no_other_page() {
    on_stage(async {
        let stage = Stage::new("longer").await;
        stage.database.execute("CREATE TABLE ready ()").await;
        halted(&stage.run(&patient("1ms", "SELECT count(*) = 1 FROM ready")).await);
        stage.database.execute("INSERT INTO ready DEFAULT VALUES").await;
        done(&stage.run(&patient("5s", "SELECT count(*) = 1 FROM ready")).await);
    });
}
