//! Whatever is asked of a run, in whatever phase: its journal can be read again.

use tidegate_engine::digest::Digest;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Back, Event, Person};
use tidegate_engine::request::{RequestBody, RequestKind, ask};
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;
use tidegate_engine::state::{Phase, StepState};

use crate::stage_hand::{Stage, done, halted, name, on_stage, page};

const BY_HAND: &str = "## Hand\n\n```toml\n# @stage hand\nmanual = true\n```\n\n";

fn person() -> Person {
    Person { actor: "olga".into(), os_user: "olga".into(), host: "desk".into(), db_role: String::new() }
}

async fn by_hand(stage: &Stage, text: &str) -> Ending {
    let mut runner = stage.open(text, Purpose::Manual).await.unwrap();
    let ending = runner.manual_stage(&name("hand")).await;
    runner.close().await;
    ending
}

#[test]
fn a_pause_asked_of_a_halted_or_finished_run_is_refused_and_its_manual_stage_goes_on() {
    on_stage(async {
        let stage = Stage::new("pause_beside").await;
        stage.database.execute("CREATE TABLE ready ()").await;
        let text = page(&format!(
            "## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT to_regclass('go') IS NOT NULL\n```\n\n{BY_HAND}```sql\n-- @check looked\n-- @expect true\nSELECT to_regclass('ready') IS NOT NULL\n```\n"
        ));
        halted(&stage.run(&text).await);
        let session = stage.session().await;
        let run = stage.state().await.run;
        let pause = RequestBody { run, by: person(), ask: RequestKind::Pause {} };
        ask(&session, &pause).await.unwrap();
        done(&by_hand(&stage, &text).await);
        assert!(matches!(stage.state().await.phase, Phase::Halted { .. }));

        stage.database.execute("CREATE TABLE go ()").await;
        done(&stage.run(&text).await);
        ask(&session, &pause).await.unwrap();
        done(&by_hand(&stage, &text).await);
        assert_eq!(stage.state().await.phase, Phase::Finished {});
        let refused = stage.seen.borrow().events.iter().filter(
            |record| matches!(&record.event, Event::RequestTaken { refused: Some(why), .. } if why.contains("nothing of it")),
        ).count();
        assert_eq!(refused, 2);
    });
}

#[test]
fn a_complete_step_of_a_manual_stage_that_is_refused_when_run_again_stays_complete() {
    on_stage(async {
        let stage = Stage::new("by_hand_again").await;
        stage.database.execute("CREATE TABLE flag (up bool); INSERT INTO flag VALUES (false)").await;
        let text = page(&format!(
            "## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT true\n```\n\n{BY_HAND}```sql\n-- @check raised\n-- @only unless\n-- @expect true\nSELECT up FROM flag\n```\n\n```sql\n-- @migrate m\n-- @unless raised\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n"
        ));
        done(&stage.run(&text).await);
        done(&by_hand(&stage, &text).await);
        stage.database.execute("DELETE FROM flag").await;
        assert!(halted(&by_hand(&stage, &text).await).contains("raised is unknown (test.md:"));
        assert!(matches!(stage.state().await.steps.get(&name("m")), Some(StepState::Done { .. })));
    });
}

#[test]
fn going_forward_is_refused_while_a_way_back_is_under_way() {
    on_stage(async {
        let stage = Stage::new("forward_on_the_way_back").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m1\nCREATE TABLE a (id int)\n-- @undo\nDROP TABLE a\n```\n\n```sql\n-- @migrate m2\nCREATE TABLE b ()\n-- @undo\nDROP TABLE b\n```\n",
        );
        done(&stage.run(&text).await);
        stage.database.execute("CREATE VIEW theirs AS SELECT id FROM a").await;
        let start = Back::Undo { to: None };
        assert!(halted(&stage.back(&text, start.clone()).await).contains("view"));
        let refused = stage.open(&text, Purpose::Run).await.err();
        assert!(
            matches!(&refused, Some(OpenError::Refused { message, next }) if message.contains("way back") && next.contains("--to start")),
            "{refused:?}"
        );
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
        stage.database.execute("DROP VIEW theirs").await;
        assert!(matches!(stage.back(&text, start).await, Ending::RolledBack { .. }));
    });
}

#[test]
fn an_approval_that_is_too_old_when_it_is_read_counts_for_nothing() {
    on_stage(async {
        let stage = Stage::new("old_approval").await;
        let text = page("## S\n\n```text\n# @confirm go\n# @valid 10m\nGo?\n```\n");
        assert!(matches!(stage.run(&text).await, Ending::Waiting { .. }));
        let session = stage.session().await;
        let run = stage.state().await.run;
        let approve = RequestBody {
            run,
            by: person(),
            ask: RequestKind::Approve { step: name("go"), head: Digest::ZERO },
        };
        let id = ask(&session, &approve).await.unwrap();
        stage
            .database
            .execute(&format!("UPDATE tidegate.request SET at = at - interval '11 min' WHERE id = {id}"))
            .await;
        assert!(matches!(stage.run(&text).await, Ending::Waiting { .. }));
        ask(&session, &approve).await.unwrap();
        done(&stage.run(&text).await);
    });
}

#[test]
fn what_another_decided_while_the_lease_was_waited_for_counts() {
    on_stage(async {
        let stage = Stage::new("readmitted").await;
        let text =
            page("## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT to_regclass('go') IS NOT NULL\n```\n");
        halted(&stage.run(&text).await);
        let before = stage.state().await.run;
        stage.database.execute("CREATE TABLE go ()").await;
        let session = stage.session().await;
        let looker = stage.database.client().await;
        session.run("BEGIN; SELECT FROM tidegate.lease FOR UPDATE").await.unwrap();
        let (opened, ()) = tokio::join!(stage.open(&text, Purpose::Run), async {
            testkit::eventually("the lease is waited for", std::time::Duration::from_secs(20), async || {
                let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
                looker.query_opt(waits, &[]).await.ok().flatten()
            })
            .await
            .unwrap();
            let head = tidegate_engine::journal::head(&session).await.unwrap();
            let abandoned = Event::Abandoned { by: person(), reason: "enough".into() };
            let prepared = head.prepare(before, 1, vec![abandoned]).unwrap();
            prepared.write(&session).await.unwrap();
            session.run("COMMIT").await.unwrap();
        });
        let runner = opened.unwrap();
        assert_ne!(runner.state().run, before);
        assert_eq!(runner.state().phase, Phase::Open {});
        runner.close().await;
    });
}

#[test]
fn a_run_that_cannot_be_opened_leaves_no_lease() {
    on_stage(async {
        let mut stage = Stage::new("no_lease_left").await;
        let text = crate::stage_hand::page_with(
            "[parameters]\nn = { type = \"int\", default = 1 }",
            "## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT :n > 5\n```\n",
        );
        halted(&stage.run(&text).await);
        stage.options.sets.insert("n".into(), "9".into());
        assert!(matches!(stage.open(&text, Purpose::Run).await, Err(OpenError::Parameters(_))));
        assert!(stage.database.value::<bool>("SELECT holder IS NULL FROM tidegate.lease").await);
    });
}

#[test]
fn a_takeover_ends_every_connection_of_the_holder_before() {
    on_stage(async {
        let stage = Stage::new("takeover").await;
        let text = page("## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT true\n```\n");
        let first = stage.open(&text, Purpose::Run).await.unwrap();
        let ours = "SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tidegate/%'";
        let before: String = stage.database.value(ours).await;
        assert!(!before.is_empty());
        stage
            .database
            .execute("UPDATE tidegate.lease SET expires_at = clock_timestamp() - interval '1 s'")
            .await;
        let second = stage.open(&text, Purpose::Run).await.unwrap();
        let after: String = stage.database.value(ours).await;
        let left: Vec<&str> =
            before.split(' ').filter(|pid| after.split(' ').any(|known| known == *pid)).collect();
        assert!(left.is_empty(), "{left:?} of {before} are left in {after}");
        second.close().await;
        drop(first);
    });
}
