//! The gate: what it stops, and that nothing is left then.

use tidegate_engine::event::Event;
use tidegate_engine::runner::Purpose;

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

/// A page that drops a table that was proven empty, with a backup before.
fn dropping(folder: &std::path::Path) -> String {
    page(&format!(
        "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sql\n-- @check empty\n-- @expect zero\nSELECT count(*) FROM doomed\n```\n\n```toml\n# @backup copy\nfile = \"{}/copy.dump\"\nrehearse = {{ waived = \"a test of the gate\" }}\n```\n\n```text\n# @confirm go\nDrop it?\n```\n\n```sql\n-- @migrate drop\n-- @requires empty copy go\n-- @waive squawk-ban-drop-table it is what the page is for\nDROP TABLE doomed\n```\n",
        folder.display()
    ))
}

#[test]
fn a_row_written_between_check_and_drop_stops_the_drop() {
    on_stage(async {
        let stage = Stage::new("doomed").await;
        stage.database.execute("CREATE TABLE doomed (id int)").await;
        let folder = std::env::temp_dir().join(format!("tidegate-drop-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = dropping(&folder);
        let waiting = stage.run(&text).await;
        assert!(matches!(waiting, tidegate_engine::ending::Ending::Waiting { .. }), "{waiting:?}");
        // The check held. Then a row comes.
        stage.database.execute("INSERT INTO doomed VALUES (1)").await;
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("empty does not hold (test.md:"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM doomed").await, 1);
        stage.database.execute("DELETE FROM doomed").await;
        done(&stage.run(&text).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('doomed') IS NULL").await);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_writer_that_waits_for_the_gate_finds_the_table_gone_and_its_row_is_not_lost_in_silence() {
    on_stage(async {
        let stage = Stage::new("writer").await;
        stage.database.execute("CREATE TABLE doomed (id int)").await;
        let folder = std::env::temp_dir().join(format!("tidegate-drop-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let text = dropping(&folder);
        // An open transaction has written and not committed: the gate waits for it, and its check then sees the row.
        let client = stage.database.client().await;
        client.batch_execute("BEGIN; INSERT INTO doomed VALUES (1)").await.unwrap();
        let watcher = stage.database.client().await;
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            testkit::eventually(
                "the gate waits for the lock",
                std::time::Duration::from_secs(20),
                async || {
                    watcher
                        .query_one(
                            "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'",
                            &[],
                        )
                        .await
                        .ok()
                },
            )
            .await
            .unwrap();
            client.batch_execute("COMMIT").await.unwrap();
        });
        assert!(halted(&ending).contains("1 where 0 is expected"), "{ending:?}");
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn retired_tables_look_dropped_and_come_back_with_their_rows() {
    on_stage(async {
        let stage = Stage::new("retire").await;
        stage.database.execute("CREATE TABLE old (id int); INSERT INTO old VALUES (1)").await;
        let folder = std::env::temp_dir().join(format!("tidegate-drop-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = page(&format!(
            "## S\n\n```sql\n-- @check seen\n-- @expect empty\nSELECT * FROM old WHERE id > 5\n```\n\n```toml\n# @backup copy\nfile = \"{}/copy.dump\"\nrehearse = {{ waived = \"a test of the gate\" }}\n```\n\n```toml\n# @retire gone\n# @version 1\n# @requires seen copy\ntables = [\"old\"]\n```\n",
            folder.display()
        ));
        done(&stage.run(&text).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('old') IS NULL").await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_retired.old").await, 1);
        let ending = stage.back(&text, tidegate_engine::event::Back::Undo { to: None }).await;
        assert!(matches!(ending, tidegate_engine::ending::Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM old").await, 1);
        stage.database.execute("INSERT INTO old VALUES (2)").await;
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 0);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_row_written_between_check_and_retirement_stops_the_retirement() {
    on_stage(async {
        let stage = Stage::new("retire_race").await;
        stage.database.execute("CREATE TABLE old (id int)").await;
        let folder = std::env::temp_dir().join(format!("tidegate-retire-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = page(&format!(
            "## S\n\n```sql\n-- @check empty\n-- @expect zero\nSELECT count(*) FROM old\n```\n\n```toml\n# @backup copy\nfile = \"{}/copy.dump\"\nrehearse = {{ waived = \"a test of the gate\" }}\n```\n\n```toml\n# @retire r\n# @requires empty copy\ntables = [\"old\"]\n```\n",
            folder.display()
        ));
        let (writer, looker) = (stage.database.client().await, stage.database.client().await);
        writer.batch_execute("BEGIN; INSERT INTO old VALUES (1)").await.unwrap();
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            testkit::eventually("the gate waits", std::time::Duration::from_secs(20), async || {
                let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'tidegate/%'";
                looker.query_opt(waits, &[]).await.ok().flatten()
            })
            .await
            .unwrap();
            writer.batch_execute("COMMIT").await.unwrap();
        });
        assert!(halted(&ending).contains("empty does not hold"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM public.old").await, 1);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_seal_closes_the_partitions_of_a_table_too() {
    on_stage(async {
        let stage = Stage::new("seal_parts").await;
        stage
            .database
            .execute(
                "CREATE TABLE whole (id int) PARTITION BY RANGE (id);
                 CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10)",
            )
            .await;
        let text = page("## S\n\n```toml\n# @seal quiet\ntables = [\"whole\"]\n```\n");
        done(&stage.run(&text).await);
        let client = stage.database.client().await;
        for write in ["INSERT INTO whole VALUES (1)", "INSERT INTO part VALUES (1)", "TRUNCATE part"] {
            let refused = client.batch_execute(write).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "TG001", "{write}");
        }
        let start = tidegate_engine::event::Back::Undo { to: None };
        let ending = stage.back(&text, start).await;
        assert!(matches!(ending, tidegate_engine::ending::Ending::RolledBack { .. }), "{ending:?}");
        client.batch_execute("INSERT INTO part VALUES (1)").await.unwrap();
    });
}

#[test]
fn an_index_that_another_made_under_the_same_name_is_never_taken_for_the_steps() {
    on_stage(async {
        let stage = Stage::new("foreign_index").await;
        stage.database.execute("CREATE TABLE t (a int, b int); CREATE INDEX i ON t (b)").await;
        let text = page(
            "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sql\n-- @migrate m\n-- @outside-transaction\nCREATE INDEX CONCURRENTLY i ON t (a)\n```\n",
        );
        for _ in 0..2 {
            let ending = stage.run(&text).await;
            assert!(
                halted(&ending).contains("index i is there already and is not what the step makes"),
                "{ending:?}"
            );
        }
        // The same definition is what the step makes, whoever made it.
        stage.database.execute("DROP INDEX i; CREATE INDEX i ON t (a)").await;
        done(&stage.run(&text).await);
    });
}

#[test]
fn an_index_that_an_attempt_left_when_it_was_cut_off_is_the_steps_whatever_its_words() {
    on_stage(async {
        let stage = Stage::new("orphaned_index").await;
        stage.database.execute("CREATE TABLE t (a int)").await;
        let text = page(
            "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sql\n-- @migrate m\n-- @outside-transaction\nCREATE INDEX CONCURRENTLY i ON t (a) WHERE a IS NOT NULL\n```\n",
        );
        // The last sign of the first attempt is its intent; its backend went on and built the index.
        let runner = stage.open(&text, Purpose::Run).await.unwrap();
        let (run, epoch) =
            (runner.state().run, stage.database.value::<i64>("SELECT epoch FROM tidegate.lease").await);
        let head = runner.head();
        runner.close().await;
        let session = stage.session().await;
        let started = Event::StepStarted { step: crate::stage_hand::name("m"), attempt: 1 };
        let prepared = head.prepare(run, epoch.unsigned_abs(), vec![started]).unwrap();
        prepared.write(&session).await.unwrap();
        stage.database.execute("CREATE INDEX i ON t (a) WHERE a IS NOT NULL").await;
        done(&stage.run(&text).await);
        let built: i64 =
            stage.database.value("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass").await;
        assert_eq!(built, 1);
    });
}

#[test]
fn a_stop_ends_a_statement_outside_of_a_transaction_on_the_server_too() {
    on_stage(async {
        let stage = Stage::new("stopped_index").await;
        stage.database.execute("CREATE TABLE t (a int)").await;
        let text = page(
            "## S\n\n```toml\n# @stage s\nno_return = true\n```\n\n```sql\n-- @migrate m\n-- @outside-transaction\nCREATE INDEX CONCURRENTLY i ON t (a)\n```\n",
        );
        let (writer, looker) = (stage.database.client().await, stage.database.client().await);
        writer.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        let mut runner = stage.open(&text, Purpose::Run).await.unwrap();
        let stop = runner.stop_handle();
        let builds = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'";
        let (ending, ()) = tokio::join!(runner.forward(), async {
            testkit::eventually("the build waits", std::time::Duration::from_secs(20), async || {
                looker.query_opt(builds, &[]).await.ok().flatten()
            })
            .await
            .unwrap();
            stop.stop("a person");
        });
        assert!(halted(&ending).contains("Stopped by a person"), "{ending:?}");
        assert!(looker.query_opt(builds, &[]).await.unwrap().is_none());
        runner.close().await;
        writer.batch_execute("COMMIT").await.unwrap();
        done(&stage.run(&text).await);
        assert!(
            stage
                .database
                .value::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")
                .await
        );
    });
}

/// A page that seals a table and retires it.
fn sealed_and_retired(folder: &std::path::Path) -> String {
    page(&format!(
        "## S\n\n```toml\n# @seal quiet\ntables = [\"old\"]\n```\n\n```sql\n-- @check seen\n-- @expect empty\nSELECT * FROM old WHERE id > 5\n```\n\n```toml\n# @backup copy\nfile = \"{}/copy.dump\"\nrehearse = {{ waived = \"a test of the gate\" }}\n```\n\n## T\n\n```toml\n# @retire gone\n# @requires quiet seen copy\ntables = [\"old\"]\n```\n",
        folder.display()
    ))
}

#[test]
fn a_retirement_that_is_undone_leaves_the_seal_of_an_earlier_step() {
    on_stage(async {
        let stage = Stage::new("seal_stays").await;
        stage.database.execute("CREATE TABLE old (id int)").await;
        let folder = std::env::temp_dir().join(format!("tidegate-drop-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = sealed_and_retired(&folder);
        done(&stage.run(&text).await);
        let to = Some(crate::stage_hand::name("s"));
        let ending = stage.back(&text, tidegate_engine::event::Back::Undo { to }).await;
        assert!(halted(&ending).contains("after stage s"), "{ending:?}");
        let refused =
            stage.database.client().await.batch_execute("INSERT INTO old VALUES (1)").await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "TG001");
        done(&stage.run(&text).await);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_table_with_partitions_is_not_retired_by_half() {
    on_stage(async {
        let stage = Stage::new("parts").await;
        stage
            .database
            .execute("CREATE TABLE old (id int) PARTITION BY RANGE (id); CREATE TABLE old_1 PARTITION OF old FOR VALUES FROM (0) TO (9)")
            .await;
        let folder = std::env::temp_dir().join(format!("tidegate-drop-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let ending = stage.run(&sealed_and_retired(&folder)).await;
        assert!(halted(&ending).contains("has partitions or children"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('old') IS NOT NULL").await);
        std::fs::remove_dir_all(folder).unwrap();
    });
}
