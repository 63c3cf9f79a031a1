//! Comparisons: what differs, what does not, and what later steps may do with it.

use tidegate_engine::ending::Ending;
use tidegate_engine::state::StepState;

use crate::stage_hand::{Stage, halted, name, on_stage, page, page_with};

const TABLES: &str = "
    CREATE TABLE old (id bigint PRIMARY KEY, name text, amount numeric(20, 4), at timestamptz, doc jsonb, real float8, void text);
    INSERT INTO old SELECT n, 'name ' || n, n / 7.0, '2026-01-01'::timestamptz + n * interval '1 s',
        jsonb_build_object('a', n, 'b', 'x'), n / 3.0, NULL FROM generate_series(1, 2000) AS n;
    CREATE TABLE new (LIKE old INCLUDING ALL);
    INSERT INTO new SELECT * FROM old;";

fn compare(properties: &str) -> String {
    page(&format!(
        "## Verify\n\n```sql\n-- @compare parity\n-- @key id\n{properties}SELECT * FROM old\n-- @against\nSELECT * FROM new\n```\n"
    ))
}

async fn stage(sql: &str) -> Stage {
    let stage = Stage::new("compares").await;
    let session = stage.session().await;
    session.run(TABLES).await.unwrap();
    session.run(sql).await.unwrap();
    stage
}

/// What a comparison says of a tampered copy.
async fn found(sql: &str, properties: &str) -> String {
    let stage = stage(sql).await;
    halted(&stage.run(&compare(properties)).await).to_owned()
}

#[test]
fn equal_tables_are_equal_and_say_how_much_was_compared() {
    on_stage(async {
        for properties in ["", "-- @equal values\n", "-- @mode contained\n"] {
            let stage = stage("SELECT 1").await;
            let ending = stage.run(&compare(properties)).await;
            assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
            let state = stage.state().await;
            let outcome = state.steps[&name("parity")].outcome().unwrap().clone();
            assert_eq!(outcome.figures["left_rows"], 2000);
            assert_eq!(outcome.texts["reads"], "\"public\".\"new\", \"public\".\"old\"");
        }
    });
}

#[test]
fn every_single_tamper_is_found_by_key_and_column() {
    on_stage(async {
        for (tamper, expected) in [
            ("UPDATE new SET name = 'other' WHERE id = 7", "differing id \"7\" in name"),
            ("UPDATE new SET amount = amount + 0.0001 WHERE id = 8", "differing id \"8\" in amount"),
            ("UPDATE new SET at = at + interval '1 microsecond' WHERE id = 9", "differing id \"9\" in at"),
            ("UPDATE new SET doc = doc || '{\"c\": null}' WHERE id = 10", "differing id \"10\" in doc"),
            ("UPDATE new SET void = '' WHERE id = 11", "differing id \"11\" in void"),
            (
                "UPDATE new SET real = '-0' WHERE id = 12; UPDATE old SET real = 0 WHERE id = 12",
                "differing id \"12\" in real",
            ),
            ("DELETE FROM new WHERE id = 13", "1 missing of 2000 and 1999 rows: missing id \"13\""),
            ("INSERT INTO new (id) VALUES (5000)", "1 extra of 2000 and 2001 rows: extra id \"5000\""),
            (
                "DELETE FROM new WHERE id = 14; INSERT INTO new (id) VALUES (5000)",
                "1 missing, 1 extra of 2000 and 2000 rows",
            ),
            (
                "UPDATE new n SET name = o.name FROM old o WHERE (n.id, o.id) IN ((15, 16), (16, 15))",
                "2 differing of 2000 and 2000 rows: differing id \"15\" in name; differing id \"16\" in name",
            ),
        ] {
            let found = found(tamper, "").await;
            assert!(found.contains(expected), "{tamper}: {found}");
        }
    });
}

#[test]
fn values_that_print_alike_or_hash_alike_are_told_as_the_page_asks() {
    on_stage(async {
        let scale = "ALTER TABLE new ALTER amount TYPE numeric; UPDATE new SET amount = trim_scale(amount)";
        assert!(found(scale, "").await.contains("in amount"));
        let order = "UPDATE new SET doc = jsonb_build_object('b', 'x', 'a', id)";
        for (change, properties) in
            [(scale, "-- @equal values\n"), (order, ""), (order, "-- @equal values\n")]
        {
            let stage = stage(change).await;
            assert!(matches!(stage.run(&compare(properties)).await, Ending::Done { .. }), "{change}");
        }
    });
}

#[test]
fn a_contained_table_may_have_more_and_not_less() {
    on_stage(async {
        let more = "INSERT INTO new (id) VALUES (5000)";
        let stage = stage(more).await;
        assert!(matches!(stage.run(&compare("-- @mode contained\n")).await, Ending::Done { .. }));
        let less = found("DELETE FROM new WHERE id = 3", "-- @mode contained\n").await;
        assert!(less.contains("missing id \"3\""), "{less}");
    });
}

#[test]
fn values_are_shown_only_as_evidence() {
    on_stage(async {
        let tamper = "UPDATE new SET name = 'other' WHERE id = 7";
        assert!(!found(tamper, "").await.contains("other"));
        let shown = found(tamper, "-- @evidence rows\n").await;
        assert!(shown.contains("in name: \"name 7\" and \"other\""), "{shown}");
    });
}

#[test]
fn accepted_keys_are_no_difference_and_are_counted() {
    on_stage(async {
        let stage = stage("DELETE FROM new WHERE id = 13").await;
        let ending = stage.run(&compare("-- @accept \"13\" closed by hand\n")).await;
        assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
        let state = stage.state().await;
        assert_eq!(state.steps[&name("parity")].outcome().unwrap().figures["accepted"], 1);
    });
}

#[test]
fn a_key_that_stands_twice_or_is_null_is_refused() {
    on_stage(async {
        let twice = "ALTER TABLE new DROP CONSTRAINT new_pkey; INSERT INTO new (id) VALUES (5)";
        let said = found(twice, "").await;
        assert!(said.contains("in the second query, id does not tell rows apart: (5)"), "{said}");
        let null = "ALTER TABLE new DROP CONSTRAINT new_pkey; ALTER TABLE new ALTER id DROP NOT NULL; INSERT INTO new (id) VALUES (NULL)";
        let said = found(null, "").await;
        assert!(said.contains("(NULL) stands more than once or is NULL"), "{said}");
    });
}

#[test]
fn columns_that_do_not_pair_are_refused_with_their_place() {
    on_stage(async {
        let more = found("ALTER TABLE new ADD more int", "").await;
        assert!(more.contains("the first query has 7 columns and the second has 8"), "{more}");
        let other = found("ALTER TABLE new ALTER name TYPE int USING id", "").await;
        assert!(
            other.contains("column 2 (name) is text in the first query and integer in the second"),
            "{other}"
        );
        let json = found(
            "ALTER TABLE new ALTER doc TYPE json; ALTER TABLE old ALTER doc TYPE json",
            "-- @equal values\n",
        )
        .await;
        assert!(json.contains("hash function for type json"), "{json}");
    });
}

#[test]
fn rows_that_row_security_hides_make_it_unknown() {
    on_stage(async {
        let stage = stage(
            "CREATE ROLE looker_of_compares; GRANT SELECT ON old, new TO looker_of_compares; ALTER TABLE new ENABLE ROW LEVEL SECURITY",
        )
        .await;
        let ending = stage.run(&compare("-- @role looker_of_compares\n")).await;
        assert!(halted(&ending).contains("row security hides rows of \"public\".\"new\""), "{ending:?}");
        let state = stage.state().await;
        assert!(matches!(state.steps[&name("parity")], StepState::Failed { unknown: true, .. }));
    });
}

#[test]
fn kept_differences_are_repaired_by_the_steps_below() {
    on_stage(async {
        let stage = stage(
            "DELETE FROM new WHERE id IN (1, 2); INSERT INTO new (id) VALUES (9001), (9002); UPDATE new SET name = 'x' WHERE id = 3",
        )
        .await;
        let text = page(
            "## Repair\n\n```sql\n-- @compare found\n-- @key id\n-- @expect differences\nSELECT * FROM old\n-- @against\nSELECT * FROM new\n```\n\n\
             ```sql\n-- @backfill take_away\n-- @requires found\n-- @source :{found.extra}\nDELETE FROM new USING chunk WHERE new.id = chunk.id\n```\n\n\
             ```sql\n-- @backfill bring_back\n-- @requires found\n-- @source :{found.missing}\n-- @reads old\nINSERT INTO new SELECT old.* FROM old JOIN chunk USING (id)\n```\n\n\
             ```sql\n-- @backfill put_right\n-- @requires found\n-- @source :{found.differing}\n-- @reads old\nUPDATE new SET name = old.name FROM old JOIN chunk USING (id) WHERE new.id = old.id\n```\n\n\
             ```sql\n-- @compare parity\n-- @key id\nSELECT * FROM old\n-- @against\nSELECT * FROM new\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
        let state = stage.state().await;
        let outcome = state.steps[&name("found")].outcome().unwrap();
        assert_eq!(
            (outcome.figures["missing"], outcome.figures["extra"], outcome.figures["differing"]),
            (2, 2, 1)
        );
        assert_eq!(state.steps[&name("bring_back")].outcome().unwrap().figures["rows_written"], 2);
    });
}

#[test]
fn a_repair_of_no_differences_changes_nothing() {
    on_stage(async {
        let stage = stage("SELECT 1").await;
        let text = page(
            "## Repair\n\n```sql\n-- @compare found\n-- @key id\n-- @expect differences\nSELECT * FROM old\n-- @against\nSELECT * FROM new\n```\n\n\
             ```sql\n-- @backfill take_away\n-- @requires found\n-- @source :{found.extra}\nDELETE FROM new USING chunk WHERE new.id = chunk.id\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
        let state = stage.state().await;
        assert_eq!(state.steps[&name("take_away")].outcome().unwrap().figures["rows_written"], 0);
    });
}

#[test]
fn each_query_gets_its_own_values() {
    on_stage(async {
        let stage = stage("SELECT 1").await;
        let parameters =
            "[parameters]\nlow = { type = \"int\", default = 10 }\nhigh = { type = \"int\", default = 20 }\n";
        let text = page_with(
            parameters,
            "## Verify\n\n```sql\n-- @compare parity\n-- @key id\nSELECT id FROM old WHERE id <= :low\n-- @against\nSELECT id FROM new WHERE id <= :high\n```\n",
        );
        let said = halted(&stage.run(&text).await).to_owned();
        assert!(said.contains("10 extra of 10 and 20 rows"), "{said}");
    });
}

#[test]
fn more_differences_than_may_be_kept_halt_and_say_so() {
    on_stage(async {
        let stage = stage("DELETE FROM new WHERE id <= 20").await;
        let ending = stage.run(&compare("-- @expect differences\n-- @at-most 10\n")).await;
        assert!(halted(&ending).contains("more than 10 differences"), "{ending:?}");
    });
}

#[test]
fn a_column_of_any_type_is_told_from_null_and_from_what_is_near_it() {
    on_stage(async {
        for (type_name, left, right) in [
            // Both halves of the one fold to those of the other.
            ("bigint", "5", "4294967300"),
            ("bigint", "-1", "0"),
            ("bigint", "NULL", "0"),
            ("smallint", "NULL", "0"),
            ("text", "NULL", "''"),
            ("text", "'a'", "'A'"),
            ("char(3)", "NULL", "''"),
            ("numeric", "NULL", "0"),
            ("numeric", "10000000000000000000000001", "10000000000000000000000002"),
            ("timestamptz", "'2026-01-01 00:00:00Z'", "'2026-01-01 01:11:34.967296Z'"),
            ("timestamp", "NULL", "'epoch'"),
            ("date", "NULL", "'epoch'"),
            ("boolean", "NULL", "false"),
            ("uuid", "NULL", "'00000000-0000-0000-0000-000000000000'"),
            ("float8", "NULL", "0"),
            ("int[]", "'{}'", "'{NULL}'"),
            ("jsonb", "NULL", "'null'"),
        ] {
            let sql = format!(
                "CREATE TABLE l (id int PRIMARY KEY, v {type_name}, w {type_name}); CREATE TABLE r (LIKE l INCLUDING ALL); \
                 INSERT INTO l VALUES (1, {left}, {right}); INSERT INTO r VALUES (1, {right}, {left})"
            );
            let stage = stage(&sql).await;
            for equal in ["text", "values"] {
                let text = compare(&format!("-- @equal {equal}\n"))
                    .replace("FROM old", "FROM l")
                    .replace("FROM new", "FROM r");
                let ending = stage.run(&text).await;
                let said = halted(&ending);
                assert!(said.contains("differing id \"1\" in v, w"), "{type_name} {equal}: {said}");
                let ending = stage.back(&text, tidegate_engine::event::Back::Undo { to: None }).await;
                assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
            }
        }
    });
}

#[test]
fn rows_of_very_many_columns_are_compared_too() {
    on_stage(async {
        // The two numbers differ only in what a hash of 32 bits folds away.
        let columns: Vec<String> = (0..300).map(|n| format!("c{n} bigint DEFAULT {n}")).collect();
        let sql = format!(
            "CREATE TABLE l (id int PRIMARY KEY, {}); CREATE TABLE r (LIKE l INCLUDING ALL); INSERT INTO l VALUES (1), (2); INSERT INTO r VALUES (1), (2); UPDATE l SET c299 = 5; UPDATE r SET c299 = 5 WHERE id = 1; UPDATE r SET c299 = 4294967300 WHERE id = 2",
            columns.join(", ")
        );
        for equal in ["text", "values"] {
            let stage = stage(&sql).await;
            let text = compare(&format!("-- @equal {equal}\n"))
                .replace("FROM old", "FROM l")
                .replace("FROM new", "FROM r");
            assert!(
                halted(&stage.run(&text).await)
                    .contains("1 differing of 2 and 2 rows: differing id \"2\" in c299")
            );
        }
    });
}
