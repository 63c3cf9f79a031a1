//! Moves of flags: who keeps them waiting, what they demand, what is relied on for them.

use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Back, Event};
use tidegate_engine::observer::Progress;
use tidegate_engine::runner::Purpose;
use tidegate_store::postgres::Session;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page_with};

fn set(moves: &str) -> String {
    format!(
        "[flags.app]\ncolumns = [\"reads\", \"writes\", \"dual\"]\nlost_after = \"200ms\"\nold = [\"old\"]\nnew = [\"new\"]\n\
         rows = {{ v1 = [false, false, false], mirrored = [false, false, true], read_v2 = [true, false, false] }}\nmoves = [{moves}]\n"
    )
}

const MOVES: &str = "{ from = \"v1\", to = \"mirrored\", back = true }, { from = \"mirrored\", to = \"read_v2\", back = true }";

fn flags(id: &str, to: &str, properties: &str) -> String {
    format!("```toml\n# @flags {id}\n# @timeout 3s\n{properties}set = \"app\"\nto = \"{to}\"\n```\n\n")
}

const PARITY: &str =
    "```sql\n-- @compare parity\n-- @key id\nSELECT * FROM old\n-- @against\nSELECT * FROM new\n```\n\n";

fn whole(between: &str) -> String {
    page_with(
        &set(MOVES),
        &format!(
            "## Mirror\n\n{}## Verify\n\n{PARITY}{between}## Switch\n\n{}",
            flags("mirror_on", "mirrored", ""),
            flags("reads", "read_v2", "# @requires parity\n")
        ),
    )
}

async fn stage() -> Stage {
    let stage = Stage::new("moves").await;
    let tables = "CREATE TABLE old (id int PRIMARY KEY, name text); CREATE TABLE new (LIKE old INCLUDING ALL); INSERT INTO old VALUES (1, 'a'); INSERT INTO new VALUES (1, 'a')";
    stage.session().await.run(tables).await.unwrap();
    stage
}

async fn row(session: &Session) -> (String, i64) {
    let rows =
        session.query("SELECT row_name, epoch FROM tidegate.flag_set WHERE name = 'app'", &[]).await.unwrap();
    (rows[0].get(0), rows[0].get(1))
}

/// Gives a sign of life, as an instance does.
async fn beat(session: &Session, seen: i64, contradiction: &str) {
    let sql = format!(
        "SELECT * FROM tidegate.flag_beat('app', '00000000-0000-0000-0000-000000000007', 'api-7', 'gate', '1.2', 60000, {seen}, {seen}, {contradiction}, 0)"
    );
    session.run(&sql).await.unwrap();
}

#[test]
fn a_set_is_declared_moved_journaled_and_moved_back() {
    on_stage(async {
        let stage = stage().await;
        let text = whole("");
        done(&stage.run(&text).await);
        let session = stage.session().await;
        assert_eq!(row(&session).await, ("read_v2".to_owned(), 3));
        let state = stage.state().await;
        let known = &state.flags[&name("app")];
        assert_eq!((known.row.as_str(), known.epoch, known.mirrors), ("read_v2", 3, true));
        let moved =
            stage.seen.borrow().events.iter().filter(|r| matches!(r.event, Event::FlagsMoved { .. })).count();
        assert_eq!(moved, 2);
        let ending = stage.back(&text, Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(row(&session).await, ("v1".to_owned(), 5), "epochs never fall");
    });
}

#[test]
fn a_writer_that_stands_between_reading_and_commit_is_waited_for_and_named() {
    on_stage(async {
        let stage = stage().await;
        done(
            &stage
                .run(&page_with(&set(MOVES), &format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", ""))))
                .await,
        );
        let writer = stage.session().await;
        writer
            .run("SET application_name = 'shop'; BEGIN; SELECT * FROM tidegate.flag_enter('app')")
            .await
            .unwrap();
        let text = page_with(
            &set(MOVES).replace("200ms", "150ms"),
            &format!("## Back\n\n{}", flags("off", "v1", "")),
        );
        let mut fresh = tidegate_engine::setup::Options { actor: "alice".into(), ..Default::default() };
        fresh.again = true;
        let stage = Stage { options: fresh, ..stage };
        let ending = stage.run(&text).await;
        let said = halted(&ending);
        assert!(said.contains("barrier of app could not be closed") && said.contains("shop"), "{said}");
        let session = stage.session().await;
        assert_eq!(row(&session).await.0, "mirrored", "nothing moved");
        writer.run("COMMIT").await.unwrap();
        done(&stage.run(&text).await);
        assert_eq!(row(&session).await.0, "v1");
    });
}

#[test]
fn an_instance_that_has_not_drained_is_named_and_then_let_go_of() {
    on_stage(async {
        let stage = stage().await;
        let text = page_with(&set(MOVES), &format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", "")));
        let session = stage.session().await;
        let mut runner = stage.open(&text, Purpose::Run).await.unwrap();
        let instance = async {
            loop {
                let there =
                    session.query("SELECT to_regclass('tidegate.flag_set') IS NOT NULL", &[]).await.unwrap();
                if there[0].get(0) {
                    break;
                }
                tokio::task::yield_now().await;
            }
            // It has seen nothing but the first epoch until the runner says that it waits for it.
            loop {
                beat(&session, 1, "NULL").await;
                let named = |progress: &Progress| matches!(progress, Progress::Draining { by, .. } if by.iter().any(|who| who.contains("api-7")));
                if stage.seen.borrow().progress.iter().any(named) {
                    break;
                }
                session.run("SELECT pg_sleep(0.005)").await.unwrap();
            }
            beat(&session, 2, "NULL").await;
        };
        let (ending, ()) = tokio::join!(runner.forward(), instance);
        runner.close().await;
        done(&ending);
    });
}

#[test]
fn an_instance_with_another_environment_blocks_the_move_and_the_next_run_only_waits() {
    on_stage(async {
        let stage = stage().await;
        let text = page_with(
            &set(MOVES),
            &format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", "").replace("3s", "1s")),
        );
        let session = stage.session().await;
        let mut runner = stage.open(&text, Purpose::Run).await.unwrap();
        let instance = async {
            while !session.query("SELECT to_regclass('tidegate.flag_set') IS NOT NULL", &[]).await.unwrap()[0]
                .get::<_, bool>(0)
            {
                tokio::task::yield_now().await;
            }
            for _ in 0..400 {
                beat(&session, 2, "'ACCOUNT_SCHEMA_V2_READS=true'").await;
                session.run("SELECT pg_sleep(0.005)").await.unwrap();
            }
        };
        let (ending, ()) = tokio::join!(runner.forward(), instance);
        runner.close().await;
        let said = halted(&ending);
        assert!(said.contains("not drained") && said.contains("ACCOUNT_SCHEMA_V2_READS"), "{said}");
        assert_eq!(row(&session).await, ("mirrored".to_owned(), 2), "the move stands");
        session.run("DELETE FROM tidegate.flag_instance").await.unwrap();
        done(&stage.run(&text).await);
        assert_eq!(row(&session).await, ("mirrored".to_owned(), 2), "and is not made again");
    });
}

#[test]
fn a_move_that_is_not_declared_is_refused_with_the_legal_ones() {
    on_stage(async {
        let stage = stage().await;
        let leap = flags("leap", "read_v2", "");
        let text = page_with(
            &set(MOVES),
            &format!("## Leap\n\n```toml\n# @stage leap_on\nno_return = true\n```\n\n{leap}"),
        );
        let ending = stage.run(&text).await;
        let said = halted(&ending);
        assert!(
            said.contains("may not move from 'v1' to 'read_v2'") && said.contains("it may move to mirrored"),
            "{said}"
        );
    });
}

#[test]
fn a_set_that_is_there_already_is_not_moved_and_its_undo_leaves_it() {
    on_stage(async {
        let stage = stage().await;
        let text = page_with(&set(MOVES), &format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", "")));
        done(&stage.run(&text).await);
        let options =
            tidegate_engine::setup::Options { actor: "alice".into(), again: true, ..Default::default() };
        let stage = Stage { options, ..stage };
        done(&stage.run(&text).await);
        let session = stage.session().await;
        assert_eq!(row(&session).await, ("mirrored".to_owned(), 2), "the second run found it there");
        let ending = stage.back(&text, Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(row(&session).await, ("mirrored".to_owned(), 2));
    });
}

#[test]
fn the_doctor_names_sets_that_others_moved_and_instances_that_contradict_them() {
    on_stage(async {
        let stage = stage().await;
        let text = page_with(&set(MOVES), &format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", "")));
        done(&stage.run(&text).await);
        let examine = async || {
            let program = crate::stage_hand::program(&text);
            let doors = stage.doors(&program);
            let found = tidegate_engine::doctor::doctor(Some(program), doors).await.unwrap();
            found.into_iter().map(|one| one.code).collect::<Vec<_>>()
        };
        assert_eq!(examine().await, [""; 0]);
        let session = stage.session().await;
        beat(&session, 2, "'ACCOUNT_SCHEMA_V2_READS=true'").await;
        assert_eq!(examine().await, ["flags-contradicted"]);
        session.run("DELETE FROM tidegate.flag_instance; UPDATE tidegate.flag_set SET epoch = 9, row_name = 'odd'").await.unwrap();
        session
            .run("INSERT INTO tidegate.refused SELECT gen_random_uuid(), 'copy', '{7}', '23514', 'odd'")
            .await
            .unwrap();
        assert_eq!(examine().await, ["rows-refused", "flags-moved-by-others", "flags-row-unknown"]);
    });
}

#[test]
fn a_move_that_is_not_drained_is_taken_back_with_its_stage() {
    on_stage(async {
        let stage = stage().await;
        let mirror = format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", ""));
        let reads = flags("reads", "read_v2", "").replace("3s", "300ms");
        let text = page_with(&set(MOVES), &format!("{mirror}## Switch\n\n{reads}"));
        done(&stage.run(&page_with(&set(MOVES), &mirror)).await);
        let session = stage.session().await;
        // It never gets further than the second epoch.
        beat(&session, 2, "NULL").await;
        let options =
            tidegate_engine::setup::Options { actor: "alice".into(), again: true, ..Default::default() };
        let stage = Stage { options, ..stage };
        assert!(halted(&stage.run(&text).await).contains("not drained"));
        assert_eq!(row(&session).await, ("read_v2".to_owned(), 3));
        session.run("DELETE FROM tidegate.flag_instance").await.unwrap();
        stage.back(&text, Back::Undo { to: Some(name("mirror")) }).await;
        assert_eq!(row(&session).await, ("mirrored".to_owned(), 4));
    });
}

#[test]
fn what_the_page_demands_of_a_move_must_be_required_and_hold() {
    on_stage(async {
        let stage = stage().await;
        let moves = "{ from = \"v1\", to = \"mirrored\", back = true }, { from = \"mirrored\", to = \"read_v2\", requires = [\"parity\"], back = true }, { from = \"v1\", to = \"read_v2\" }";
        let text = whole("").replace(MOVES, moves).replace("# @requires parity\n", "");
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("may move from mirrored to read_v2 only with parity"), "{ending:?}");
    });
}

#[test]
fn a_tampered_row_refuses_the_move_although_the_comparison_was_equal_before() {
    on_stage(async {
        let stage = stage().await;
        let tamper = "```sql\n-- @migrate tamper\n-- @version 0001\nUPDATE new SET name = 'b' WHERE id = 1;\n-- @undo\nUPDATE new SET name = 'a' WHERE id = 1;\n```\n\n";
        // The comparison is older than the mirror: what it found is looked at again, behind the barrier.
        let text = page_with(
            &set(MOVES),
            &format!(
                "## Verify\n\n{PARITY}{tamper}## Mirror\n\n{}## Switch\n\n{}",
                flags("mirror_on", "mirrored", ""),
                flags("reads", "read_v2", "# @requires parity\n")
            ),
        );
        let ending = stage.run(&text).await;
        let said = halted(&ending);
        assert!(
            said.contains("parity does not hold") && said.contains("differing id \"1\" in name"),
            "{said}"
        );
        let session = stage.session().await;
        assert_eq!(row(&session).await.0, "mirrored");
    });
}

#[test]
fn a_comparison_too_long_to_be_made_again_is_relied_on_only_if_mirrored_since() {
    on_stage(async {
        let slow = "SELECT old.*, (SELECT pg_sleep(0.05))::text FROM old";
        let text = |before: &str, after: &str| {
            page_with(
                &format!("{}[limits]\ngate_max = \"20ms\"\n", set(MOVES)),
                &format!(
                    "{before}## Verify\n\n{}{after}## Switch\n\n{}",
                    PARITY
                        .replace("SELECT * FROM old", slow)
                        .replace("SELECT * FROM new", "SELECT new.*, '' FROM new"),
                    flags("reads", "read_v2", "# @requires parity\n")
                ),
            )
        };
        let mirror = format!("## Mirror\n\n{}", flags("mirror_on", "mirrored", ""));
        let first = stage().await;
        done(&first.run(&text(&mirror, "")).await);
        let second = stage().await;
        let ending = second.run(&text("", &mirror)).await;
        let said = halted(&ending);
        assert!(
            said.contains("may not hold any more")
                && said.contains("has not mirrored, drained, since before it"),
            "{said}"
        );
    });
}

#[test]
fn a_long_comparison_is_made_again_in_a_gate_for_which_nobody_waits() {
    on_stage(async {
        let text = |tamper: &str| {
            let parity = PARITY
                .replace("SELECT * FROM old", "SELECT old.*, (SELECT pg_sleep(0.05))::text FROM old")
                .replace("SELECT * FROM new", "SELECT new.*, '' FROM new");
            page_with(
                &format!("{}[limits]\ngate_max = \"20ms\"\n", set(MOVES)),
                &format!(
                    "## Verify\n\n{parity}{tamper}```sql\n-- @migrate verified\n-- @version 0002\n-- @requires parity\nCREATE TABLE verified ();\n-- @undo\nDROP TABLE verified;\n```\n"
                ),
            )
        };
        let tamper = "```sql\n-- @migrate tamper\n-- @version 0001\nUPDATE new SET name = 'b' WHERE id = 1;\n-- @undo\nUPDATE new SET name = 'a' WHERE id = 1;\n```\n\n";
        let equal = stage().await;
        done(&equal.run(&text(&tamper.replace("'b'", "name"))).await);
        let other = stage().await;
        let ending = other.run(&text(tamper)).await;
        let said = halted(&ending);
        assert!(said.contains("parity does not hold"), "it is looked at, and not taken on trust: {said}");
    });
}
