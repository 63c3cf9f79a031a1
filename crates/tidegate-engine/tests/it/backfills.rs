//! Backfills: every kind of key, every way to be interrupted, every reason to slow down or to refuse.

use tidegate_engine::ending::Ending;
use tidegate_engine::observer::Progress;
use tidegate_engine::outcome::Outcome;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page, page_with};

/// A page that seals `source` and copies it.
pub(crate) fn sealed(source: &str, key: &str, properties: &str, body: &str) -> String {
    page(&format!(
        "## Copying\n\n```toml\n# @seal quiet\ntables = [\"{source}\"]\n```\n\n```sql\n-- @backfill copy\n-- @requires quiet\n-- @source {source}\n-- @key {key}\n-- @after quiet\n{properties}{body}\n```\n"
    ))
}

const SET: &str = "[flags.app]\ncolumns = [\"reads\", \"writes\", \"dual\"]\nlost_after = \"200ms\"\nold = [\"public.old*\"]\nnew = [\"public.new*\"]\n\
                   rows = { v1 = [false, false, false], mirrored = [false, false, true], turned = { values = [true, true, true], lock_first = \"new\" } }\n\
                   moves = [{ from = \"v1\", to = \"mirrored\", back = true }, { from = \"mirrored\", to = \"turned\", back = true }]\n";

/// A page that mirrors writes of `old` and copies it while it is written.
pub(crate) fn mirrored(properties: &str, body: &str) -> String {
    page_with(
        SET,
        &format!(
            "## Copying\n\n```toml\n# @flags mirror_on\n# @timeout 5s\nset = \"app\"\nto = \"mirrored\"\n```\n\n```sql\n-- @backfill copy\n-- @source old\n-- @key id\n-- @after mirror_on\n{properties}{body}\n```\n"
        ),
    )
}

/// The statement of most copies.
pub(crate) const INSERT: &str = "INSERT INTO new SELECT * FROM chunk ON CONFLICT DO NOTHING";

async fn stage(sql: &str) -> Stage {
    let stage = Stage::new("backfills").await;
    stage.session().await.run(sql).await.unwrap();
    stage
}

/// A source of so many rows, and an empty target.
pub(crate) fn numbers(rows: u32) -> String {
    format!(
        "CREATE TABLE old (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO old SELECT n, 'name ' || n FROM generate_series(1, {rows}) AS n; CREATE TABLE new (LIKE old INCLUDING ALL)"
    )
}

async fn outcome(stage: &Stage) -> Outcome {
    stage.state().await.steps[&name("copy")].outcome().unwrap().clone()
}

async fn figure(stage: &Stage, sql: &str) -> i64 {
    stage.session().await.query(sql, &[]).await.unwrap()[0].get(0)
}

#[test]
fn every_kind_of_key_is_copied_whole() {
    on_stage(async {
        for (columns, key, value) in [
            ("id bigint PRIMARY KEY", "id", "n"),
            ("id uuid PRIMARY KEY", "id", "md5(n::text)::uuid"),
            (
                "id text COLLATE \"en_US\" PRIMARY KEY",
                "id",
                "CASE WHEN n % 2 = 0 THEN 'Ä' ELSE 'a''' END || n",
            ),
            ("id timestamptz PRIMARY KEY", "id", "'2026-01-01'::timestamptz + n * interval '1 us'"),
            ("id varchar(20) PRIMARY KEY", "id", "'k' || n"),
            ("\"A b\" int, id text, PRIMARY KEY (id, \"A b\")", "id, \"A b\"", "n % 7, 'x' || n / 7"),
        ] {
            let sql = format!(
                "CREATE COLLATION IF NOT EXISTS \"en_US\" (provider = icu, locale = 'en-US'); CREATE TABLE old ({columns}); INSERT INTO old SELECT {value} FROM generate_series(1, 3000) AS n; CREATE TABLE new (LIKE old INCLUDING ALL)"
            );
            let stage = stage(&sql).await;
            done(&stage.run(&sealed("old", key, "-- @rows 1..100\n", INSERT)).await);
            let lost = figure(&stage, "SELECT count(*) FROM (TABLE old EXCEPT TABLE new) AS lost").await;
            assert_eq!((lost, figure(&stage, "SELECT count(*) FROM new").await), (0, 3000), "{columns}");
            let outcome = outcome(&stage).await;
            assert_eq!(outcome.figures["rows_written"], 3000);
            assert!(outcome.figures["chunks"] >= 30, "{outcome:?}");
        }
    });
}

#[test]
fn no_row_and_one_row_are_copied_too() {
    on_stage(async {
        for rows in [0, 1] {
            let stage = stage(&numbers(rows)).await;
            done(&stage.run(&sealed("old", "id", "", INSERT)).await);
            assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, i64::from(rows));
        }
    });
}

#[test]
fn what_has_no_usable_key_is_refused_before_anything_is_copied() {
    on_stage(async {
        for (sql, key, said) in [
            ("CREATE TABLE old (id int, name text)", "id", "no unique index makes id a key"),
            ("CREATE TABLE old (id int UNIQUE, name text)", "id", "no unique index makes id a key"),
            ("CREATE TABLE old (id int PRIMARY KEY)", "ident", "has not all of the columns ident"),
        ] {
            let stage = stage(&format!("{sql}; CREATE TABLE new (id int)")).await;
            let text = sealed("old", key, "", "INSERT INTO new (id) SELECT 1 FROM chunk");
            let ending = stage.run(&text).await;
            assert!(halted(&ending).contains(said), "{sql}: {ending:?}");
        }
    });
}

#[test]
fn rows_that_the_target_refuses_are_found_listed_and_block_completion() {
    on_stage(async {
        let stage = stage(&format!(
            "{}; ALTER TABLE new ADD CHECK (name NOT IN ('name 77', 'name 1500'))",
            numbers(2000)
        ))
        .await;
        let text = sealed("old", "id", "", INSERT);
        let ending = stage.run(&text).await;
        let said = halted(&ending);
        assert!(
            said.contains("the target refused 2 rows; all others are copied") && said.contains("77: "),
            "{said}"
        );
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 1998);
        assert_eq!(figure(&stage, "SELECT count(*) FROM tidegate.refused WHERE sqlstate = '23514'").await, 2);
        let before = figure(&stage, "SELECT count(*) FROM tidegate.chunk").await;
        stage.session().await.run("ALTER TABLE new DROP CONSTRAINT new_name_check").await.unwrap();
        done(&stage.run(&text).await);
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 2000);
        assert_eq!(
            figure(&stage, "SELECT count(*) FROM tidegate.chunk").await,
            before + 2,
            "only they are tried again"
        );
    });
}

#[test]
fn a_halted_copy_leaves_no_notes_when_it_is_taken_back() {
    on_stage(async {
        let stage = stage(&format!("{}; ALTER TABLE new ADD CHECK (name <> 'name 7')", numbers(50))).await;
        let text = sealed("old", "id", "", INSERT);
        let ending = stage.run(&text).await;
        assert!(!halted(&ending).contains("Failing row"), "no values are told: {ending:?}");
        let ending = stage.back(&text, tidegate_engine::event::Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        let notes = "SELECT (SELECT count(*) FROM tidegate.chunk) + (SELECT count(*) FROM tidegate.backfill) + (SELECT count(*) FROM tidegate.refused)";
        assert_eq!(figure(&stage, notes).await, 0);
    });
}

#[test]
fn chunks_of_another_meaning_count_no_longer() {
    on_stage(async {
        let stage = stage(&format!("{}; ALTER TABLE new ADD CHECK (name <> 'name 7')", numbers(50))).await;
        let text = sealed("old", "id", "", INSERT);
        assert!(halted(&stage.run(&text).await).contains("refused 1 rows"));
        // As if the page had been amended: what the notes meant is another thing now.
        stage.session().await.run("UPDATE tidegate.backfill SET meaning = sha256('other'); ALTER TABLE new DROP CONSTRAINT new_name_check").await.unwrap();
        done(&stage.run(&text).await);
        assert_eq!(
            outcome(&stage).await.figures["rows_written"],
            1,
            "all others were there, and all were copied again"
        );
        assert_eq!(figure(&stage, "SELECT count(*) FROM tidegate.chunk").await, 1);
    });
}

#[test]
fn a_chunk_that_takes_too_long_is_split() {
    on_stage(async {
        let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$; CREATE TRIGGER slow BEFORE INSERT ON new FOR EACH ROW EXECUTE FUNCTION slow()";
        let stage = stage(&format!("{}; {slow}", numbers(300))).await;
        // A thousand rows in the first chunk take longer than 300 ms; fifty do not.
        done(&stage.run(&sealed("old", "id", "-- @timeout 300ms\n-- @rows 1..1000\n", INSERT)).await);
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 300);
    });
}

#[test]
fn a_table_that_is_written_while_it_is_copied_ends_and_no_deleted_row_comes_back() {
    on_stage(async {
        let stage = stage(&numbers(5000)).await;
        let text = mirrored("-- @rows 50..50\n", INSERT);
        let runs = stage.run(&text);
        let writes = async {
            // As an application does: nothing but what its transaction reads behind the barrier.
            let session = stage.session().await;
            let mut mirrors = 0;
            for n in 0..400_i64 {
                let there =
                    session.query("SELECT to_regclass('tidegate.flag_set') IS NOT NULL", &[]).await.unwrap();
                if !there[0].get::<_, bool>(0) {
                    tokio::task::yield_now().await;
                }
                session.run("BEGIN").await.unwrap();
                let dual = if there[0].get(0) {
                    let row = session
                        .query("SELECT row_values[3] FROM tidegate.flag_enter('app')", &[])
                        .await
                        .unwrap();
                    row[0].get::<_, Option<bool>>(0).unwrap_or(false)
                } else {
                    false
                };
                mirrors += i64::from(dual);
                let (fresh, gone) = (100_000 + n, 1 + n * 12);
                session.run(&format!("SELECT FROM old WHERE id = {gone} FOR UPDATE; DELETE FROM old WHERE id = {gone}; INSERT INTO old VALUES ({fresh}, 'late')")).await.unwrap();
                if dual {
                    session.run(&format!("DELETE FROM new WHERE id = {gone}; INSERT INTO new SELECT * FROM old WHERE id = {fresh} ON CONFLICT DO NOTHING")).await.unwrap();
                }
                session.run("COMMIT").await.unwrap();
            }
            mirrors
        };
        let (ending, mirrors) = tokio::join!(runs, writes);
        done(&ending);
        assert!(mirrors > 50, "the application wrote while rows were copied: {mirrors}");
        let differ = figure(&stage, "SELECT (SELECT count(*) FROM (TABLE old EXCEPT TABLE new) AS a) + (SELECT count(*) FROM (TABLE new EXCEPT TABLE old) AS b)").await;
        assert_eq!(differ, 0);
    });
}

#[test]
fn a_set_that_mirrors_no_more_stops_the_copy() {
    on_stage(async {
        let stage = stage(&numbers(10)).await;
        let text = mirrored("-- @requires gone_wrong\n", INSERT).replace(
            "```sql\n-- @backfill",
            "```sql\n-- @check gone_wrong\n-- @expect true\nSELECT true\n```\n\n```sql\n-- @backfill",
        );
        // Somebody moves the set behind the run's back, between the two steps.
        let session = stage.session().await;
        session
            .run("CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
            .await
            .unwrap();
        let mut runner = stage.open(&text, tidegate_engine::runner::Purpose::Run).await.unwrap();
        let watch = async {
            loop {
                let moved = session.run("UPDATE tidegate.flag_set SET row_name = 'v1', row_values = '{f,f,f}', epoch = epoch + 1 WHERE row_name = 'mirrored'").await;
                if moved.is_ok_and(|answers| answers[0].affected == 1) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let (ending, ()) = tokio::join!(runner.forward(), watch);
        runner.close().await;
        assert!(
            halted(&ending).contains("does not mirror writes") || halted(&ending).contains("not drained"),
            "{ending:?}"
        );
    });
}

#[test]
fn a_source_under_row_security_halts_instead_of_copying_nothing() {
    on_stage(async {
        let stage = stage(&format!(
            "{}; CREATE ROLE copier_of_backfills; GRANT ALL ON old, new TO copier_of_backfills; ALTER TABLE old ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON old FOR SELECT USING (true)",
            numbers(10)
        ))
        .await;
        let ending = stage.run(&mirrored("-- @role copier_of_backfills\n", INSERT)).await;
        assert!(halted(&ending).contains("row security hides rows"), "{ending:?}");
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 0);
    });
}

#[test]
fn each_reason_to_slow_down_is_told_and_it_recovers_by_itself() {
    on_stage(async {
        for (throttle, on, off, why) in [
            (
                "sql SELECT EXISTS (SELECT FROM brake)",
                "INSERT INTO brake VALUES (1)",
                "DELETE FROM brake",
                "the page's condition holds",
            ),
            (
                "canary 40ms SELECT pg_sleep(0.1) FROM brake",
                "INSERT INTO brake VALUES (1)",
                "DELETE FROM brake",
                "the canary took",
            ),
        ] {
            let stage = stage(&format!("{}; CREATE TABLE brake (id int)", numbers(3000))).await;
            let session = stage.session().await;
            session.run(on).await.unwrap();
            let text = sealed("old", "id", &format!("-- @rows 20..20\n-- @throttle {throttle}\n"), INSERT);
            let slowed = |progress: &Progress| matches!(progress, Progress::Copying { slowed: Some(said), .. } if said.contains(why) && said.contains("since"));
            let release = async {
                while !stage.seen.borrow().progress.iter().any(slowed) {
                    session.run("SELECT pg_sleep(0.005)").await.unwrap();
                }
                let copied: i64 = session.query("SELECT count(*) FROM new", &[]).await.unwrap()[0].get(0);
                assert!(copied < 2000, "it was slowed: {copied}");
                session.run(off).await.unwrap();
            };
            let (ending, ()) = tokio::join!(stage.run(&text), release);
            done(&ending);
            assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 3000);
        }
    });
}

#[test]
fn a_repeated_run_copies_nothing_twice_and_an_undo_forgets_but_keeps_rows() {
    on_stage(async {
        let stage = stage(&numbers(100)).await;
        let text = sealed("old", "id", "", INSERT);
        done(&stage.run(&text).await);
        let ending = stage.back(&text, tidegate_engine::event::Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 100);
        assert_eq!(figure(&stage, "SELECT count(*) FROM tidegate.chunk").await, 0);
        done(&stage.run(&text).await);
        assert_eq!(outcome(&stage).await.figures["rows_written"], 0, "all of it was there");
    });
}

#[test]
fn a_finished_copy_that_carries_a_version_is_passed_over_by_a_later_run() {
    on_stage(async {
        let mut stage = stage(&numbers(100)).await;
        let text = sealed("old", "id", "-- @version 7\n", INSERT);
        done(&stage.run(&text).await);
        assert_eq!(outcome(&stage).await.figures["rows_written"], 100);
        stage.options.again = true;
        done(&stage.run(&text).await);
        assert!(outcome(&stage).await.already, "its version stands");
        stage.options.again = false;
        // A version that is new begins a run by itself.
        let more = format!(
            "{text}\n```sql\n-- @migrate more\n-- @version 8\nCREATE TABLE more ()\n-- @undo\nDROP TABLE more\n```\n"
        );
        done(&stage.run(&more).await);
        assert!(outcome(&stage).await.already);
        let versions = "SELECT string_agg(version, ',' ORDER BY version) FROM tidegate_version";
        assert_eq!(stage.database.value::<String>(versions).await, "7,8");
    });
}

#[test]
fn columns_of_a_table_are_filled_in_place_behind_a_set_without_a_new_side() {
    on_stage(async {
        let stage = stage(&numbers(3000)).await;
        stage.session().await.run("ALTER TABLE old ADD COLUMN loud text").await.unwrap();
        let set = "[flags.app]\ncolumns = [\"reads\", \"writes\", \"dual\"]\nlost_after = \"200ms\"\nold = [\"public.old\"]\n\
                   rows = { v1 = [false, false, false], mirrored = [false, false, true] }\n\
                   moves = [{ from = \"v1\", to = \"mirrored\", back = true }]\n";
        let fill = "UPDATE old SET loud = upper(chunk.name) FROM chunk WHERE old.id = chunk.id";
        let text = mirrored("", fill).replace(SET, set);
        done(&stage.run(&text).await);
        assert_eq!(figure(&stage, "SELECT count(*) FROM old WHERE loud = upper(name)").await, 3000);
    });
}

#[test]
fn a_target_that_lacks_a_column_halts_with_its_place() {
    on_stage(async {
        let stage = stage("CREATE TABLE old (id int PRIMARY KEY, more int); CREATE TABLE new (id int)").await;
        let ending = stage
            .run(&sealed("old", "id", "", "INSERT INTO new (id, more) SELECT id, more FROM chunk"))
            .await;
        let said = halted(&ending);
        assert!(
            said.contains("column \"more\"") && said.contains("42703") && said.contains("test.md:"),
            "{said}"
        );
    });
}

#[test]
fn rows_that_are_in_the_way_are_passed_over_and_the_others_copied_once() {
    on_stage(async {
        let stage = stage(&format!(
            "{}; INSERT INTO new SELECT id, 'mirrored' FROM old WHERE id % 500 = 0 OR id < 300",
            numbers(5000)
        ))
        .await;
        let there = figure(&stage, "SELECT count(*) FROM new").await;
        for clause in ["ON CONFLICT DO NOTHING", "ON CONFLICT (id) DO NOTHING"] {
            stage.session().await.run("DELETE FROM new WHERE name <> 'mirrored'").await.unwrap();
            let body = format!("INSERT INTO new SELECT * FROM chunk {clause}");
            done(&stage.run(&sealed("old", "id", "-- @rows 50..50\n", &body)).await);
            let written = outcome(&stage).await.figures["rows_written"];
            assert_eq!(written, 5000 - u64::try_from(there).unwrap(), "each row once, and counted once");
            assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 5000);
            assert_eq!(figure(&stage, "SELECT count(*) FROM new WHERE name = 'mirrored'").await, there);
            let ending = stage
                .back(
                    &sealed("old", "id", "-- @rows 50..50\n", &body),
                    tidegate_engine::event::Back::Undo { to: None },
                )
                .await;
            assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        }
    });
}

#[test]
fn a_target_without_the_key_that_the_page_names_gets_no_row_twice() {
    on_stage(async {
        let stage = stage(&format!("{}; INSERT INTO new SELECT * FROM old", numbers(200))).await;
        let body = "INSERT INTO new SELECT * FROM chunk ON CONFLICT (id) DO NOTHING";
        stage.session().await.run("ALTER TABLE new DROP CONSTRAINT new_pkey").await.unwrap();
        let ending = stage.run(&sealed("old", "id", "", body)).await;
        assert!(halted(&ending).contains("42P10"), "{ending:?}");
        assert_eq!(figure(&stage, "SELECT count(*) FROM new").await, 200);
    });
}

#[test]
fn gaps_between_whole_numbers_are_stepped_over_and_no_chunk_is_larger_than_it_may_be() {
    on_stage(async {
        // Dense, a gap that no counting ends, sparse, dense again, below zero as well.
        let keys = "SELECT n FROM generate_series(-1000, 1000) AS n UNION ALL SELECT 4000000000000000000 + n * 997 FROM generate_series(1, 1000) AS n UNION ALL SELECT 9223372036854774807 + n FROM generate_series(0, 1000) AS n";
        let stage = stage(&format!(
            "CREATE TABLE old (id bigint PRIMARY KEY); INSERT INTO old {keys}; CREATE TABLE new (LIKE old INCLUDING ALL)"
        ))
        .await;
        done(&stage.run(&sealed("old", "id", "-- @rows 50..50\n", INSERT)).await);
        let lost = figure(&stage, "SELECT count(*) FROM (TABLE old EXCEPT TABLE new) AS lost").await;
        assert_eq!((lost, figure(&stage, "SELECT count(*) FROM new").await), (0, 4002));
        let chunks = figure(&stage, "SELECT count(*) FROM tidegate.chunk").await;
        assert!((81..=90).contains(&chunks), "{chunks}");
        assert_eq!(figure(&stage, "SELECT max(written) FROM tidegate.chunk").await, 50);
    });
}
