//! The gate: what it stops, and that nothing is left then.

use crate::stage_hand::{Stage, done, halted, on_stage, page, page_with};

#[test]
fn a_failing_ensures_leaves_nothing() {
    on_stage(async {
        let stage = Stage::new("ensures").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\n-- @version 1\n-- @ensures full\nCREATE TABLE x (id int)\n-- @undo\nDROP TABLE x\n```\n\n```sql\n-- @check full\n-- @expect true\nSELECT count(*) > 0 FROM x\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("full does not hold"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('tidegate_version') IS NULL").await);
    });
}

#[test]
fn protect_sees_what_is_hidden_in_functions_and_blocks() {
    on_stage(async {
        for (hint, hidden) in [
            ("drop_in_function", "SELECT hidden_drop()"),
            ("truncate_in_do", "DO $$ BEGIN TRUNCATE kept; END $$"),
            ("rename", "ALTER TABLE kept RENAME TO gone"),
            ("set_schema", "CREATE SCHEMA s; ALTER TABLE kept SET SCHEMA s"),
            ("no_rls", "ALTER TABLE kept ENABLE ROW LEVEL SECURITY"),
        ] {
            let stage = Stage::new(hint).await;
            stage
                .database
                .execute(
                    "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);
                     CREATE FUNCTION hidden_drop() RETURNS void LANGUAGE plpgsql AS 'BEGIN DROP TABLE kept; END'",
                )
                .await;
            // What the words alone tell is refused by `check`; the engine must see the rest by catalog.
            let text = page_with(
                "protect = [\"public.kept\"]",
                &format!(
                    "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sql\n-- @migrate m\nCREATE TABLE other ();\n{}\n```\n",
                    wrapped(hidden)
                ),
            );
            let ending = stage.run(&text).await;
            assert!(halted(&ending).contains("public.kept"), "{hint}: {ending:?}");
            assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM kept").await, 1, "{hint}");
            assert!(stage.database.value::<bool>("SELECT to_regclass('other') IS NULL").await, "{hint}");
        }
    });
}

/// Hides a statement from the words of the page.
fn wrapped(statement: &str) -> String {
    let quoted = statement.replace('\'', "''");
    if statement.starts_with("SELECT") || statement.starts_with("DO") {
        return statement.to_owned();
    }
    format!("DO $outer$ BEGIN EXECUTE '{quoted}'; END $outer$")
}

#[test]
fn conserved_values_must_be_equal_before_and_after() {
    on_stage(async {
        let stage = Stage::new("conserves").await;
        stage.database.execute("CREATE TABLE money (amount int); INSERT INTO money VALUES (5), (7)").await;
        let text = |undo: &str, by: i32| {
            page(&format!(
                "## S\n\n```sql\n-- @record total\nSELECT sum(amount) AS sum FROM money\n```\n\n```sql\n-- @migrate m\n-- @conserves total\nUPDATE money SET amount = amount + {by} WHERE amount = 5;\nUPDATE money SET amount = amount - 1 WHERE amount = 7\n-- @undo\n{undo}\n```\n"
            ))
        };
        let ending = stage.run(&text("SELECT 1", 3)).await;
        assert!(halted(&ending).contains("it was 12 and would be 14"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT sum(amount) FROM money").await, 12);
    });
}

#[test]
fn a_seal_stops_direct_writes_and_lets_cascades_through() {
    on_stage(async {
        let stage = Stage::new("seal").await;
        stage
            .database
            .execute(
                "CREATE TABLE parent (id int PRIMARY KEY);
                 CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
                 INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 2)",
            )
            .await;
        let text = page("## S\n\n```toml\n# @seal quiet\ntables = [\"child\"]\n```\n");
        done(&stage.run(&text).await);
        let client = stage.database.client().await;
        for write in ["INSERT INTO child VALUES (3, 1)", "UPDATE child SET id = 9", "TRUNCATE child"] {
            let refused = client.batch_execute(write).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "TG001", "{write}");
        }
        client.batch_execute("DELETE FROM parent WHERE id = 1").await.unwrap();
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM child").await, 1);
        let strays = "SELECT count(*) FROM tidegate.seal_stray WHERE kind = 'DELETE'";
        assert_eq!(stage.database.value::<i64>(strays).await, 1);
    });
}
