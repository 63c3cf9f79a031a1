//! Columns that are filled in place: a trigger fills what is written, a backfill what is there.

use std::time::Duration;

use tidegate_engine::ending::Ending;

use crate::stage_hand::{Stage, done, halted, on_stage, page};

const TRIGGER: &str =
    "CREATE TRIGGER fill_name BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fill_name()";

/// A page that adds a column, lets a trigger fill it, and fills it in what is there.
fn filling(trigger: &str, properties: &str) -> String {
    page(&format!(
        "## Filling\n\n```sql\n-- @migrate fill_first\nALTER TABLE people ADD COLUMN first_name text;\n\
         CREATE FUNCTION fill_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.first_name := split_part(NEW.name, ' ', 1); RETURN NEW; END $$;\n\
         {trigger}\n-- @undo\nDROP TRIGGER IF EXISTS fill_name ON people;\nDROP FUNCTION fill_name;\nALTER TABLE people DROP COLUMN first_name\n```\n\n\
         ```sql\n-- @backfill fill_those_there\n-- @source people\n-- @key id\n-- @after fill_first\n{properties}\
         UPDATE people SET first_name = split_part(chunk.name, ' ', 1) FROM chunk WHERE people.id = chunk.id\n```\n\n\
         ```sql\n-- @check all_filled\n-- @expect zero\nSELECT count(*) FROM people WHERE first_name IS DISTINCT FROM split_part(name, ' ', 1)\n```\n"
    ))
}

async fn people(rows: u32) -> Stage {
    let stage = Stage::new("filling").await;
    let sql = format!(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO people SELECT n, 'Ann' || n || ' Bee' FROM generate_series(1, {rows}) AS n"
    );
    stage.database.execute(&sql).await;
    stage
}

fn next_of(ending: &Ending) -> String {
    match ending {
        Ending::Halted { next, .. } => next.join(" "),
        other => panic!("expected a halt: {other:?}"),
    }
}

/// Waits until some chunks are done.
async fn some_chunks(stage: &Stage) {
    let client = stage.database.client().await;
    testkit::eventually("chunks are done", Duration::from_secs(20), async || {
        client.query_one("SELECT 1 FROM tidegate.chunk OFFSET 2 LIMIT 1", &[]).await.ok()
    })
    .await
    .unwrap();
}

#[test]
fn rows_that_are_written_while_others_are_filled_are_filled_too() {
    on_stage(async {
        let stage = people(3000).await;
        let text = filling(TRIGGER, "-- @rows 1..20\n-- @workers 1\n");
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            some_chunks(&stage).await;
            let client = stage.database.client().await;
            client
                .batch_execute(
                    "INSERT INTO people VALUES (0, 'Zoe First'), (9000, 'Zed Last'); UPDATE people SET name = 'Cleo ' || id WHERE id % 7 = 0; DELETE FROM people WHERE id % 11 = 0",
                )
                .await
                .unwrap();
        });
        done(&ending);
        assert!(
            stage.database.value::<i64>("SELECT count(*) FROM people WHERE name LIKE 'Cleo %'").await > 100
        );
        // Taken back and forward again, it begins anew.
        let back = stage.back(&text, tidegate_engine::event::Back::Undo { to: None }).await;
        assert!(matches!(back, Ending::RolledBack { .. }), "{back:?}");
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_trigger_that_is_switched_off_stops_the_filling_with_the_next_chunk() {
    on_stage(async {
        for switch in [
            "ALTER TABLE people DISABLE TRIGGER fill_name",
            "DROP TRIGGER fill_name ON people",
            "ALTER TABLE people DISABLE TRIGGER fill_name; ALTER TABLE people ENABLE TRIGGER fill_name",
        ] {
            let stage = people(2000).await;
            let text = filling(TRIGGER, "-- @rows 1..10\n-- @workers 1\n");
            let (ending, ()) = tokio::join!(stage.run(&text), async {
                some_chunks(&stage).await;
                stage.database.execute(switch).await;
            });
            let said = halted(&ending);
            assert!(
                said.contains("do not all stand and fire")
                    || said.contains("were changed or switched off meanwhile"),
                "{switch}: {said}"
            );
            assert!(next_of(&ending).contains("Go back before fill_first"), "{switch}: {ending:?}");
            let filled = "SELECT count(*) FROM people WHERE first_name IS NOT NULL";
            assert!(stage.database.value::<i64>(filled).await < 2000, "{switch}");
        }
    });
}

#[test]
fn a_trigger_that_was_switched_off_while_nobody_ran_is_found_when_the_run_goes_on() {
    on_stage(async {
        let stage = people(100).await;
        // One row is refused, so that the step halts with all others filled.
        stage.database.execute("UPDATE people SET name = 'Xan Ox' WHERE id = 50").await;
        let text = filling(&format!("{TRIGGER};\nALTER TABLE people ADD CHECK (first_name <> 'Xan')"), "");
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("refused 1 rows"), "{ending:?}");
        stage
            .database
            .execute("UPDATE people SET name = 'Ann Ox' WHERE id = 50; ALTER TABLE people DISABLE TRIGGER fill_name; INSERT INTO people VALUES (-5, 'Lost One'); ALTER TABLE people ENABLE TRIGGER fill_name")
            .await;
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("were changed or switched off meanwhile"), "{ending:?}");
    });
}

#[test]
fn a_trigger_that_misses_rows_is_refused_before_the_first_chunk() {
    on_stage(async {
        for trigger in [
            "CREATE TRIGGER fill_name BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION fill_name()",
            "CREATE TRIGGER fill_name BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fill_name()",
            "CREATE TRIGGER fill_name AFTER INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fill_name()",
            "CREATE TRIGGER fill_name BEFORE INSERT OR UPDATE ON people FOR EACH STATEMENT EXECUTE FUNCTION fill_name()",
        ] {
            let stage = people(10).await;
            // One on another table is no matter of this one.
            let other = "CREATE TABLE others (LIKE people);\nCREATE TRIGGER fill_name BEFORE INSERT OR UPDATE ON others FOR EACH ROW EXECUTE FUNCTION fill_name()";
            let ending = stage.run(&filling(&format!("{trigger};\n{other}"), "")).await;
            assert!(
                halted(&ending).contains("fires BEFORE INSERT OR UPDATE FOR EACH ROW"),
                "{trigger}: {ending:?}"
            );
            assert_eq!(
                stage.database.value::<i64>("SELECT count(*) FROM people WHERE first_name IS NOT NULL").await,
                0
            );
        }
    });
}
