//! Checks leave nothing behind, and what cannot be judged is unknown.

use crate::stage_hand::{Stage, done, halted, on_stage, page};

fn check(lines: &str, sql: &str) -> String {
    page(&format!("## S\n\n```sql\n-- @check c\n{lines}\n{sql}\n```\n"))
}

#[test]
fn an_attempt_is_rolled_back_with_all_it_did() {
    on_stage(async {
        let stage = Stage::new("attempt").await;
        stage.database.execute("CREATE TABLE t (id int)").await;
        let text = check(
            "-- @attempt\n-- @expect true",
            "INSERT INTO t VALUES (1);\nCREATE TABLE made ();\nCREATE TEMPORARY TABLE temp_made ();\nSELECT count(*) = 1 FROM t",
        );
        done(&stage.run(&text).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM t").await, 0);
        assert!(stage.database.value::<bool>("SELECT to_regclass('made') IS NULL").await);
    });
}

#[test]
fn a_plain_check_cannot_write_not_even_through_a_function() {
    on_stage(async {
        let stage = Stage::new("plain").await;
        stage
            .database
            .execute(
                "CREATE TABLE t (id int); CREATE SEQUENCE s;
                 CREATE FUNCTION sneaky() RETURNS bigint LANGUAGE sql AS 'INSERT INTO t VALUES (1); SELECT 1::bigint';
                 CREATE FUNCTION counting() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('s')$$",
            )
            .await;
        for (sql, code) in [("SELECT sneaky()", "25006"), ("SELECT counting()", "25006")] {
            let ending = stage.run(&check("-- @expect zero", sql)).await;
            assert!(halted(&ending).contains(code), "{sql}: {ending:?}");
            stage.database.execute("DROP SCHEMA tidegate CASCADE").await;
        }
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM t").await, 0);
        assert!(!stage.database.value::<bool>("SELECT is_called FROM s").await);
    });
}

#[test]
fn a_session_lock_taken_by_a_function_is_gone_after_the_check() {
    on_stage(async {
        let stage = Stage::new("locks").await;
        stage
            .database
            .execute(
                "CREATE FUNCTION locking() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN true; END'",
            )
            .await;
        done(&stage.run(&check("-- @expect true", "SELECT locking()")).await);
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7";
        assert_eq!(stage.database.value::<i64>(held).await, 0);
    });
}

#[test]
fn a_role_that_cannot_be_taken_is_unknown_even_where_its_error_is_expected() {
    on_stage(async {
        let stage = Stage::new("role").await;
        let ending = stage
            .run(&check(
                "-- @role no_such_role\n-- @attempt\n-- @expect error 22023",
                "INSERT INTO missing VALUES (1)",
            ))
            .await;
        assert!(halted(&ending).contains("could not be taken, so nothing was judged"), "{ending:?}");
    });
}

#[test]
fn a_check_over_nothing_is_unknown() {
    on_stage(async {
        let stage = Stage::new("nothing").await;
        stage.database.execute("CREATE TABLE t (bad boolean)").await;
        let text =
            check("-- @over SELECT count(*) FROM t\n-- @expect zero", "SELECT count(*) FROM t WHERE bad");
        assert!(halted(&stage.run(&text).await).contains("nothing was examined"));
        stage.database.execute("INSERT INTO t VALUES (false)").await;
        done(&stage.run(&text).await);
    });
}

#[test]
fn each_statement_after_the_setup_is_judged_by_itself() {
    on_stage(async {
        let stage = Stage::new("each").await;
        stage.database.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
        let text = |last: &str| {
            check(
                "-- @attempt\n-- @each\n-- @expect error 23505",
                &format!(
                    "INSERT INTO t VALUES (1);\n-- @setup\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES ({last})"
                ),
            )
        };
        let ending = stage.run(&text("2")).await;
        assert!(halted(&ending).contains("succeeded where error 23505 is expected"), "{ending:?}");
        stage.database.execute("DROP SCHEMA tidegate CASCADE").await;
        done(&stage.run(&text("1")).await);
    });
}
