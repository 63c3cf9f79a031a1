//! What a halt says: what does not hold, with its values, where it stands in the page, and what to type next.

use testkit::Port;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Back, HaltReason};
use tidegate_engine::runner::Purpose;

use crate::stage_hand::{Stage, halted, name, on_stage, page, page_with, program};

/// `file:line` of a step's first line.
fn place(text: &str, head: &str) -> String {
    let line = text.lines().position(|line| line == head).unwrap() + 1;
    format!("test.md:{line}")
}

fn next_of(ending: &Ending) -> &[String] {
    match ending {
        Ending::Halted { next, .. } => next,
        other => panic!("expected a halt: {other:?}"),
    }
}

fn reason_of(ending: &Ending) -> HaltReason {
    match ending {
        Ending::Halted { reason, .. } => *reason,
        other => panic!("expected a halt: {other:?}"),
    }
}

const GO_ON: &str = "Go on from here: tidegate run --apply --actor NAME";

#[test]
fn a_check_says_its_value_and_its_line_also_where_another_step_requires_it() {
    on_stage(async {
        let stage = Stage::new("halt_required").await;
        stage.database.execute("CREATE TABLE facts (id int)").await;
        let text = page(
            "## First\n\n```sql\n-- @check none\n-- @says \"Somebody was here.\"\n-- @expect zero\nSELECT count(*) FROM facts\n```\n\n\
             ## Second\n\n```text\n# @confirm go\nGo?\n```\n\n```sql\n-- @migrate m\n-- @requires none go\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n",
        );
        stage.run(&text).await;
        stage.database.execute("INSERT INTO facts VALUES (1), (2), (3)").await;
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let ending = stage.run(&text).await;
        let at = place(&text, "-- @check none");
        assert_eq!(
            halted(&ending),
            format!("Somebody was here. none does not hold ({at}): 3 where 0 is expected")
        );
        assert!(
            matches!(&ending, Ending::Halted { step: Some(step), .. } if *step == name("m")),
            "{ending:?}"
        );
        assert!(next_of(&ending).iter().any(|line| line == GO_ON), "{ending:?}");
    });
}

#[test]
fn what_has_no_answer_says_where_it_was_asked() {
    on_stage(async {
        let stage = Stage::new("halt_unknown").await;
        let text = page("## S\n\n```sql\n-- @check c\n-- @expect zero\nSELECT NULL::int\n```\n");
        let ending = stage.run(&text).await;
        let at = place(&text, "-- @check c");
        assert_eq!(
            halted(&ending),
            format!("c is unknown ({at}): the value is NULL, so there is nothing to judge")
        );
        assert_eq!(reason_of(&ending), HaltReason::Unknown);
    });
}

#[test]
fn a_request_and_a_script_say_what_was_asked_and_what_came() {
    on_stage(async {
        let stage = Stage::new("halt_outside").await;
        let port = Port::reserve().unwrap();
        let url = format!("http://127.0.0.1:{}", port.number());
        drop(port);
        let store = format!("[stores.service]\nkind = \"http\"\nurl = \"{url}\"");
        let text =
            page_with(&store, "## S\n\n```http\n# @check up\n# @expect status 200\nGET /health\n```\n");
        let ending = stage.run(&text).await;
        let at = place(&text, "# @check up");
        let said = halted(&ending);
        assert!(said.starts_with(&format!("up is unknown ({at}): GET /health: ")), "{said}");

        let stage = Stage::new("halt_script").await;
        let text = page(
            "## S\n\n```sh\n# @check gate\n# @harmless looks only\n# @expect exit 0\necho 'the gate is shut' >&2\nexit 3\n```\n",
        );
        let ending = stage.run(&text).await;
        let at = place(&text, "# @check gate");
        assert_eq!(
            halted(&ending),
            format!("gate does not hold ({at}): exit 3 where 0 is expected: the gate is shut")
        );
    });
}

#[test]
fn a_manual_stage_says_how_it_is_named_again() {
    on_stage(async {
        let stage = Stage::new("halt_manual").await;
        let text = page(
            "## Main\n\n```text\n# @confirm go\nGo?\n```\n\n## Later\n\n```toml\n# @stage later\nmanual = true\n```\n\n\
             ```sql\n-- @check off\n-- @expect true\nSELECT false\n```\n",
        );
        stage.run(&text).await;
        let mut runner = stage.open(&text, Purpose::Manual).await.unwrap();
        let ending = runner.manual_stage(&name("later")).await;
        runner.close().await;
        let at = place(&text, "-- @check off");
        assert_eq!(halted(&ending), format!("off does not hold ({at}): false where true is expected"));
        let wanted = format!("{GO_ON} --stage later");
        assert!(next_of(&ending).contains(&wanted), "{ending:?}");
        // Also of a run that it found waiting, and to whoever asks later.
        let next = tidegate_engine::advice::standing(&stage.state().await, &program(&text), None);
        assert!(next.contains(&wanted), "{next:?}");
    });
}

#[test]
fn a_way_back_that_halts_names_the_command_with_the_loss_that_was_accepted() {
    on_stage(async {
        let stage = Stage::new("halt_back").await;
        let text = page(
            "## One\n\n```sql\n-- @migrate m\nCREATE TABLE kept (id int)\n-- @undo\nDROP TABLE kept\n```\n\n\
             ## Two\n\n```sql\n-- @migrate n\nCREATE TABLE more (id int)\n-- @undo\nDROP TABLE more\n```\n",
        );
        stage.run(&text).await;
        stage.database.execute("INSERT INTO kept VALUES (1), (2)").await;
        let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        // Somebody comes between the look and the deed.
        stage.database.execute("CREATE VIEW theirs AS SELECT * FROM more").await;
        let ending = runner.go_back(plan).await;
        runner.close().await;
        assert!(halted(&ending).contains("objects of others hang on what n made"), "{ending:?}");
        let wanted = "Go on with the way back: tidegate rollback --to start --accept-loss 'public.kept=2' --actor NAME";
        assert!(next_of(&ending).iter().any(|line| line == wanted), "{ending:?}");
    });
}

#[test]
fn a_sealed_table_refuses_in_sentences_with_one_full_stop_each() {
    on_stage(async {
        let stage = Stage::new("halt_sealed").await;
        stage.database.execute("CREATE TABLE t (id int)").await;
        let text = page(
            "## S\n\n```toml\n# @seal quiet\ntables = [\"public.t\"]\n```\n\n```sql\n-- @migrate m\nINSERT INTO t VALUES (1)\n-- @undo\nDELETE FROM t WHERE id = 1\n```\n",
        );
        let ending = stage.run(&text).await;
        let said = halted(&ending);
        assert!(said.contains("public.t is sealed: INSERT is refused"), "{said}");
        assert!(
            said.contains(". Sealed by step quiet of run ") && said.contains(". A migration is moving"),
            "{said}"
        );
        assert!(!said.contains(".."), "{said}");
    });
}
