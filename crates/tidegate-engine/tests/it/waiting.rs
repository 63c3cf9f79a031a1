//! Holds, pauses and stops; bundles that another place asks for.

use std::time::{Duration, Instant};

use tidegate_engine::bundle;
use tidegate_engine::digest::Digest;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Event, Person, WaitingOn};
use tidegate_engine::request::{RequestBody, RequestKind, ask};
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;
use tidegate_engine::state::Phase;

use crate::stage_hand::{Stage, done, halted, on_stage, page, page_with};

const TWO: &str = "## One\n\n```toml\n# @stage one\nhold = \"{HOLD}\"\n```\n\n```sql\n-- @migrate m1\nCREATE TABLE a ()\n-- @undo\nDROP TABLE a\n```\n\n## Two\n\n```sql\n-- @migrate m2\nCREATE TABLE b ()\n-- @undo\nDROP TABLE b\n```\n";

fn holding(hold: &str) -> String {
    page_with("[limits]\nhold_attended = \"2s\"", &TWO.replace("{HOLD}", hold))
}

fn person() -> Person {
    Person { actor: "olga".into(), os_user: "olga".into(), host: "desk".into(), db_role: String::new() }
}

#[test]
fn a_short_hold_is_served_and_a_long_one_is_left_to_a_later_run() {
    on_stage(async {
        let stage = Stage::new("short").await;
        let begun = Instant::now();
        done(&stage.run(&holding("1s")).await);
        assert!(begun.elapsed() >= Duration::from_secs(1));

        let stage = Stage::new("long").await;
        let ending = stage.run(&holding("1h")).await;
        assert!(matches!(&ending, Ending::Waiting { on: WaitingOn::Hold { .. }, .. }), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
        assert!(stage.database.value::<bool>("SELECT holder IS NULL FROM tidegate.lease").await);
        // Still holding.
        assert!(matches!(stage.run(&holding("1h")).await, Ending::Waiting { .. }));
    });
}

#[test]
fn a_stage_that_was_taken_back_is_held_again() {
    on_stage(async {
        let stage = Stage::new("held_again").await;
        let text = holding("1s");
        done(&stage.run(&text).await);
        let back = tidegate_engine::event::Back::Undo { to: None };
        assert!(matches!(stage.back(&text, back).await, Ending::RolledBack { .. }));
        let state = stage.state().await;
        assert!(state.holds.is_empty(), "{:?}", state.holds);
    });
}

#[test]
fn time_under_watch_counts_and_a_trip_ends_the_hold() {
    on_stage(async {
        let stage = Stage::new("watched_hold").await;
        stage.database.execute("CREATE TABLE alarm (n int)").await;
        let text = holding("30s").replace(
            "```sql\n-- @migrate m1",
            "```sql\n-- @watch quiet\n-- @every 100ms\n-- @until one\n-- @expect zero\nSELECT count(*) FROM alarm\n```\n\n```sql\n-- @migrate m1",
        );
        let client = stage.database.client().await;
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            testkit::eventually("the hold is served", Duration::from_secs(20), async || {
                client.query_one("SELECT 1 FROM pg_class WHERE relname = 'a'", &[]).await.ok()
            })
            .await
            .unwrap();
            client.execute("INSERT INTO alarm VALUES (1)", &[]).await.unwrap();
        });
        assert!(halted(&ending).contains("Watch quiet tripped"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
    });
}

#[test]
fn another_process_can_pause_resume_and_stop_a_run() {
    on_stage(async {
        let stage = Stage::new("requests").await;
        let text = page_with(
            "protect = [\"public.kept\"]",
            "## One\n\n```sql\n-- @migrate m1\nCREATE TABLE a ();\nDO $$ BEGIN PERFORM pg_sleep(1); END $$\n-- @undo\nDROP TABLE a\n```\n\n```sql\n-- @migrate m2\n-- @timeout 60s\nCREATE TABLE b ();\nDO $$ BEGIN PERFORM pg_sleep(50); END $$\n-- @undo\nDROP TABLE b\n```\n",
        );
        let mut runner = stage.open(&text, Purpose::Run).await.unwrap();
        let run = runner.state().run;
        let session = stage.session().await;
        let client = stage.database.client().await;
        let phase_is = async |wanted: &str| {
            testkit::eventually(wanted, Duration::from_secs(20), async || {
                let sql = format!("SELECT 1 FROM tidegate.event WHERE body LIKE '%{wanted}%'");
                client.query_opt(sql.as_str(), &[]).await.ok().flatten()
            })
            .await
            .unwrap();
        };
        let request = |ask: RequestKind| RequestBody { run, by: person(), ask };
        let (ending, ()) = tokio::join!(runner.forward(), async {
            ask(&session, &request(RequestKind::Pause {})).await.unwrap();
            phase_is("\"for\":\"pause\"").await;
            assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
            ask(&session, &request(RequestKind::Resume {})).await.unwrap();
            testkit::eventually("the second step sleeps", Duration::from_secs(20), async || {
                client.query_opt("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)%' AND wait_event = 'PgSleep'", &[]).await.ok().flatten()
            })
            .await
            .unwrap();
            ask(&session, &request(RequestKind::Stop {})).await.unwrap();
        });
        assert!(halted(&ending).contains("Stopped by olga on host desk"), "{ending:?}");
        runner.close().await;
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('a') IS NOT NULL").await);
    });
}

#[test]
fn an_approval_is_taken_up_with_the_database_role_that_asked() {
    on_stage(async {
        let stage = Stage::new("approval").await;
        let text = page("## S\n\n```text\n# @confirm go\n# @not-actor\nGo?\n```\n");
        assert!(matches!(stage.run(&text).await, Ending::Waiting { .. }));
        let run = stage.state().await.run;
        let session = stage.session().await;
        let approve = |actor: &str| RequestBody {
            run,
            by: Person { actor: actor.into(), ..person() },
            ask: RequestKind::Approve { step: crate::stage_hand::name("go"), head: Digest::ZERO },
        };
        ask(&session, &approve("alice")).await.unwrap();
        assert!(matches!(stage.run(&text).await, Ending::Waiting { .. }), "the actor may not approve");
        ask(&session, &approve("olga")).await.unwrap();
        done(&stage.run(&text).await);
        let roles: Vec<String> = stage
            .seen
            .borrow()
            .events
            .iter()
            .filter_map(|record| match &record.event {
                Event::Approved { by, .. } => Some(by.db_role.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(roles, ["postgres"]);
        let refused = stage.seen.borrow().events.iter().any(
            |record| matches!(&record.event, Event::RequestTaken { refused: Some(why), .. } if why.contains("alice")),
        );
        assert!(refused);
    });
}

#[test]
fn a_page_that_needs_a_run_elsewhere_asks_for_its_bundle_and_reads_it_closely() {
    on_stage(async {
        let rest =
            "## S\n\n```sql\n-- @migrate m\n-- @version 1\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n";
        let needing = page_with("[needs_run]\nnot_older_than = \"1d\"", rest);
        let mut staging = Stage::new("staging").await;
        staging.options.without_evidence = Some("staging makes the first".into());
        done(&staging.run(&needing).await);
        let run = staging.state().await.run;
        let made = bundle::make(&staging.session().await, run).await.unwrap();
        assert_eq!(made.verify().unwrap().phase, Phase::Finished {});

        let mut production = Stage::new("production").await;
        let missing = production.open(&needing, Purpose::Run).await;
        assert!(
            matches!(&missing, Err(OpenError::Refused { message, .. }) if message.contains("no --evidence"))
        );
        // Of another page.
        production.options.evidence = Some(serde_json::to_vec(&made).unwrap());
        let changed = needing.replace("CREATE TABLE x ()", "CREATE TABLE y ()");
        let other = production.open(&changed, Purpose::Run).await;
        assert!(
            matches!(&other, Err(OpenError::Refused { message, .. }) if message.contains("another page"))
        );
        // Changed by hand.
        let mut forged = made.clone();
        forged.bodies[0] = forged.bodies[0].replace("alice", "mallory");
        assert!(forged.verify().is_err());
        production.options.evidence = Some(serde_json::to_vec(&forged).unwrap());
        let refused = production.open(&needing, Purpose::Run).await;
        assert!(
            matches!(&refused, Err(OpenError::Refused { message, .. }) if message.contains("does not hold"))
        );
        // The right one.
        production.options.evidence = Some(serde_json::to_vec(&made).unwrap());
        done(&production.run(&needing).await);
        let told = production
            .seen
            .borrow()
            .events
            .iter()
            .any(|record| matches!(&record.event, Event::RunStarted { needs_run: Some(_), .. }));
        assert!(told);
    });
}
