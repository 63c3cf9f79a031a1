//! Rules against small runbooks that are put together here, so that a rule is tested apart from the page's grammar.

mod book;
mod copying;

use std::time::Duration;

use super::*;
use crate::expectation::Expectation;
use crate::runbook::Way;
use crate::source::SourcePath;
use crate::step::{Action, Confirm, Question, Retire, Step, Via};
use crate::value::{Parameter, ParameterType, TextPiece, TextTemplate, ValueRef};
use book::{
    attempt, backup, check, codes, codes_of, errors, findings, migrate, name, outside, record, requires,
    runbook, span, sql, step, waives,
};

const NONE: [&str; 0] = [];

#[test]
fn destruction_needs_a_check_over_the_same_relation_and_a_backup() {
    let empty = || check("empty", "SELECT count(*) FROM app.old", Expectation::Zero);
    let drop = || migrate("gone", "DROP TABLE app.old", None);
    assert_eq!(errors(vec![drop()]), ["destructive-without-requires"]);
    assert_eq!(errors(vec![empty(), requires(drop(), &["empty"])]), ["destructive-without-requires"]);
    assert_eq!(errors(vec![backup("copy"), requires(drop(), &["copy"])]), ["destructive-without-requires"]);
    assert_eq!(errors(vec![empty(), backup("copy"), requires(drop(), &["empty", "copy"])]), NONE);
    assert_eq!(errors(vec![empty(), backup("copy"), drop()]), ["destructive-without-requires"]);
    let elsewhere = check("empty", "SELECT count(*) FROM other.old", Expectation::Zero);
    assert_eq!(
        errors(vec![elsewhere, backup("copy"), requires(drop(), &["empty", "copy"])]),
        ["destructive-without-requires"]
    );
    let wrong = check("empty", "SELECT count(*) > 0 FROM app.old", Expectation::True);
    assert_eq!(
        errors(vec![wrong, backup("copy"), requires(drop(), &["empty", "copy"])]),
        ["destructive-without-requires"]
    );
    let setup_only = check("empty", "SELECT * FROM app.old; SELECT 0", Expectation::Zero);
    assert_eq!(
        errors(vec![setup_only, backup("copy"), requires(drop(), &["empty", "copy"])]),
        ["destructive-without-requires"]
    );
}

#[test]
fn the_message_says_what_is_missing_and_where() {
    let found = findings(&runbook(vec![migrate("gone", "SELECT 1;\nTRUNCATE a.b", None)]));
    let finding = found.iter().find(|f| f.code == "destructive-without-requires").unwrap();
    assert_eq!(
        finding.message,
        "TRUNCATE destroys or hides rows a.b, and no `@requires` of this step names a comparison whose first query reads all of a.b, or a check with `@expect zero` or `@expect empty` that reads it, nor a backup"
    );
    assert_eq!(finding.span, Some(span(10, 22)));
    assert!(finding.help.contains("both in `@requires`"), "{}", finding.help);
}

#[test]
fn every_way_to_lose_rows_is_destruction() {
    for text in [
        "DELETE FROM t",
        "UPDATE t SET a = 1 WHERE true",
        "WITH gone AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM gone",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t DROP CONSTRAINT a",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t RENAME a TO b",
        "ALTER TABLE t SET SCHEMA x",
        "ALTER TABLE t DETACH PARTITION p",
        "DROP SCHEMA t CASCADE",
        "DROP VIEW t",
        "DROP FUNCTION t(int)",
        "DROP OWNED BY t",
    ] {
        assert_eq!(errors(vec![migrate("gone", text, None)]), ["destructive-without-requires"], "{text}");
    }
    for text in [
        "DELETE FROM t WHERE a = 1",
        "UPDATE t SET a = 1 FROM b WHERE t.id = b.id",
        "DROP INDEX i",
        "ALTER TABLE t ADD COLUMN a int",
    ] {
        assert_eq!(errors(vec![migrate("kept", text, None)]), NONE, "{text}");
    }
}

#[test]
fn what_the_body_made_or_replaces_is_its_own_to_drop() {
    for text in [
        "CREATE TABLE t (a int); DROP TABLE public.t",
        "CREATE TABLE t (a int); DELETE FROM t; ALTER TABLE t DROP COLUMN a",
        "CREATE TEMP TABLE t (a int); TRUNCATE t",
        "DROP TRIGGER IF EXISTS r ON t; CREATE TRIGGER r BEFORE UPDATE ON t EXECUTE FUNCTION f()",
        "DROP POLICY IF EXISTS p ON t; CREATE POLICY p ON t USING (true)",
        "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1",
    ] {
        assert_eq!(errors(vec![migrate("own", text, None)]), NONE, "{text}");
    }
    for text in ["DROP TABLE t; CREATE TABLE t (a int)", "CREATE TABLE x.t (a int); DROP TABLE y.t"] {
        assert_eq!(errors(vec![migrate("own", text, None)]), ["destructive-without-requires"], "{text}");
    }
    let made_before =
        vec![migrate("made", "CREATE TABLE t (a int)", None), migrate("gone", "DROP TABLE t", None)];
    assert_eq!(errors(made_before), ["destructive-without-requires"]);
}

#[test]
fn undo_and_ways_may_destroy() {
    assert_eq!(errors(vec![migrate("made", "CREATE TABLE t (a int)", Some("DROP TABLE t"))]), NONE);
    let mut book = runbook(Vec::new());
    book.ways.push(Way {
        id: name("back"),
        title: String::new(),
        span: span(0, 1),
        from: Vec::new(),
        to: None,
        when: None,
        ensures: Vec::new(),
        protect: Vec::new(),
        steps: vec![migrate("gone", "DROP TABLE t", None)],
    });
    assert_eq!(codes_of(&book), NONE);
}

#[test]
fn retire_is_held_to_the_same() {
    let retire = || {
        step(
            "away",
            Action::Retire(Retire {
                version: None,
                tables: vec!["app.t".to_owned()],
                checksum: String::new(),
            }),
        )
    };
    assert_eq!(errors(vec![retire()]), ["destructive-without-requires"]);
    let moved = check("moved", "SELECT id FROM app.t EXCEPT SELECT id FROM app.u", Expectation::Empty);
    assert_eq!(errors(vec![moved, backup("copy"), requires(retire(), &["moved", "copy"])]), NONE);
}

#[test]
fn a_required_stage_stands_for_its_steps() {
    let mut book = runbook(vec![check("empty", "TABLE t", Expectation::Empty), backup("copy")]);
    let mut later = book.stages[0].clone();
    later.id = name("later");
    later.steps = vec![requires(migrate("gone", "DROP TABLE t", None), &["stage"])];
    book.stages.push(later);
    assert_eq!(codes_of(&book), ["squawk-ban-drop-table"]);
}

#[test]
fn schemas_are_shown_empty_by_the_catalog() {
    let none_left = check(
        "none",
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace",
        Expectation::Zero,
    );
    let drop = requires(migrate("gone", "DROP SCHEMA app", None), &["none", "copy"]);
    assert_eq!(errors(vec![none_left, backup("copy"), drop]), NONE);
}

#[test]
fn transactions_are_the_engines() {
    assert_eq!(
        errors(vec![migrate("m", "BEGIN; CREATE TABLE t (a int); COMMIT", None)]),
        ["transaction-control"; 2]
    );
    assert_eq!(errors(vec![check("c", "ROLLBACK; SELECT 1", Expectation::Zero)]), ["transaction-control"]);
    assert_eq!(
        errors(vec![check("c", "SET TRANSACTION READ WRITE; SELECT 1", Expectation::Zero)]),
        ["transaction-control"]
    );
    assert_eq!(
        errors(vec![check("c", "SET transaction_read_only = off; SELECT 1", Expectation::Zero)]),
        ["transaction-control"]
    );
    assert_eq!(errors(vec![attempt("c", "SAVEPOINT a; SELECT 1")]), ["transaction-control"]);
}

#[test]
fn concurrent_work_stands_alone_outside_a_transaction() {
    let index = "CREATE INDEX CONCURRENTLY i ON t (a)";
    assert_eq!(errors(vec![migrate("m", index, None)]), ["needs-outside-transaction"]);
    assert_eq!(errors(vec![outside(migrate("m", index, Some("DROP INDEX CONCURRENTLY i")))]), NONE);
    assert_eq!(
        errors(vec![migrate("m", "CREATE INDEX i ON t (a)", Some("DROP INDEX CONCURRENTLY i"))]),
        ["needs-outside-transaction"]
    );
    assert_eq!(
        errors(vec![outside(migrate("m", &format!("{index}; VACUUM t"), None))]),
        ["needs-outside-transaction"]
    );
    assert_eq!(errors(vec![outside(migrate("m", index, Some("DROP INDEX i; SELECT 1")))]), NONE);
}

#[test]
fn session_state_is_an_error_through_a_pooler_and_a_warning_in_a_migration() {
    let mut pooled = check("c", "SET ROLE app; SELECT 0", Expectation::Zero);
    assert_eq!(codes(vec![pooled.clone()]), NONE);
    pooled.via = Via::Pooled;
    assert_eq!(codes(vec![pooled]), ["pooled-session-state"]);
    let found = findings(&runbook(vec![migrate("m", "SET search_path = app", None)]));
    assert_eq!(
        (found[0].code, found[0].severity, found.len()),
        ("pooled-session-state", Severity::Warning, 1)
    );
    assert_eq!(codes(vec![migrate("m", "SET LOCAL search_path = app", None)]), NONE);
    assert_eq!(codes(vec![migrate("m", "SELECT set_config('search_path', 'app', true)", None)]), NONE);
    assert_eq!(
        codes(vec![migrate("m", "SELECT set_config('search_path', 'app', false)", None)]),
        ["pooled-session-state"]
    );
}

#[test]
fn opaque_code_needs_protected_objects() {
    for text in ["DO $$ BEGIN END $$", "CALL p()", "SELECT app.repair()", "SELECT * FROM app.repair() r"] {
        assert_eq!(errors(vec![migrate("m", text, None)]), ["opaque-without-protect"], "{text}");
        let mut book = runbook(vec![migrate("m", text, None)]);
        book.stages[0].protect.push("public.*".to_owned());
        assert_eq!(codes_of(&book), NONE, "{text}");
    }
    assert_eq!(codes(vec![migrate("m", "SELECT setval('s', 1)", None)]), NONE);
    assert_eq!(codes(vec![check("c", "SELECT app.current_community_id()", Expectation::Zero)]), NONE);
}

#[test]
fn reading_steps_change_nothing() {
    for text in [
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t WHERE a = 1",
        "CREATE TABLE t (a int)",
        "SELECT 1 INTO t",
        "SELECT 1 FROM t FOR UPDATE",
        "WITH d AS (UPDATE t SET a = 1 WHERE a = 2 RETURNING 1) SELECT count(*) FROM d",
        "EXPLAIN ANALYZE DELETE FROM t WHERE a = 1",
        "SELECT nextval('s')",
        "SELECT pg_advisory_lock(1)",
        "SELECT * FROM dblink('x', 'y') AS d (a int)",
        "COPY t TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'x'",
        "LOCK TABLE t",
        "NOTIFY x",
        "LISTEN x",
        "DO $$ $$",
        "CALL p()",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_reload_conf()",
        "SELECT lo_export(1, '/tmp/x')",
        "REFRESH MATERIALIZED VIEW m",
        "PREPARE p AS SELECT 1",
        "VACUUM t",
        "CREATE TABLE t AS SELECT 1",
        "SELECT count(*) FROM t WHERE setval('s', 1) = 1",
        "CHECKPOINT",
    ] {
        assert_eq!(errors(vec![check("c", text, Expectation::Zero)]), ["check-has-effects"], "{text}");
        assert_eq!(errors(vec![record("r", text)]), ["check-has-effects"], "{text}");
    }
    for text in [
        "SELECT 1",
        "TABLE t",
        "VALUES (1)",
        "SHOW work_mem",
        "EXPLAIN DELETE FROM t",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SET LOCAL ROLE app; SELECT 0",
        "SELECT set_config('app.community_id', 'x', true); SELECT 0",
        "SET CONSTRAINTS ALL IMMEDIATE; SELECT 0",
        "SELECT app.verify()",
        "SELECT pg_relation_size('t')",
        "SELECT query_to_xml('SELECT 1', true, false, '')",
    ] {
        assert_eq!(errors(vec![check("c", text, Expectation::Zero)]), NONE, "{text}");
    }
}

#[test]
fn an_attempt_may_try_what_a_rollback_takes_back() {
    for text in [
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
        "DROP TABLE t",
        "TRUNCATE t",
        "SELECT 1 FROM t FOR UPDATE",
        "DO $$ $$",
        "NOTIFY x",
    ] {
        assert_eq!(errors(vec![attempt("c", text)]), NONE, "{text}");
    }
    for text in [
        "SELECT nextval('s')",
        "INSERT INTO t VALUES (nextval('s'))",
        "SELECT pg_advisory_lock(1)",
        "COPY t FROM STDIN",
        "VACUUM t",
        "PREPARE p AS SELECT 1",
    ] {
        assert_eq!(errors(vec![attempt("c", text)]), ["check-has-effects"], "{text}");
    }
}

fn with_secret(steps: Vec<Step>) -> Runbook {
    let mut book = runbook(steps);
    book.parameters.push(Parameter {
        name: name("password"),
        kind: ParameterType::Text,
        secret: true,
        env: None,
        default: None,
        allowed: Vec::new(),
        span: span(0, 1),
    });
    book
}

#[test]
fn secrets_are_bound_or_not_at_all() {
    let role = migrate("m", "CREATE ROLE r PASSWORD :'password'", None);
    let found = findings(&with_secret(vec![role]));
    assert_eq!(
        found.iter().map(|f| (f.code, f.span.clone())).collect::<Vec<_>>(),
        [("quoted-secret", Some(span(23, 34)))]
    );
    assert_eq!(
        codes_of(&with_secret(vec![check("c", "SELECT crypt(:password, '')", Expectation::Zero)])),
        NONE
    );
    assert_eq!(
        codes_of(&with_secret(vec![check("c", "SELECT :'other', :'password.field'", Expectation::Zero)])),
        NONE
    );
    let value = ValueRef { root: name("password"), field: None };
    let text = TextTemplate { pieces: vec![TextPiece::Text("use ".to_owned()), TextPiece::Value(value)] };
    let confirm =
        step("ask", Action::Confirm(Confirm { text: text.clone(), approvers: Vec::new(), not_actor: false }));
    assert_eq!(codes_of(&with_secret(vec![confirm])), ["quoted-secret"]);
    let mut copy = backup("copy");
    if let Action::Backup(backup) = &mut copy.action {
        backup.file = text;
    }
    assert_eq!(codes_of(&with_secret(vec![copy])), ["quoted-secret"]);
}

#[test]
fn bound_values_stand_in_queries_only() {
    let found = findings(&runbook(vec![migrate("m", "SET LOCAL lock_timeout = :wait", None)]));
    assert_eq!(
        found.iter().map(|f| (f.code, f.span.clone())).collect::<Vec<_>>(),
        [("bind-in-utility", Some(span(25, 30)))]
    );
    assert!(found[0].help.contains(":'wait'"), "{}", found[0].help);
    assert_eq!(errors(vec![migrate("m", "CREATE TABLE t (a int DEFAULT :n)", None)]), ["bind-in-utility"]);
    assert_eq!(errors(vec![migrate("m", "INSERT INTO t VALUES (:n)", None)]), NONE);
    assert_eq!(errors(vec![migrate("m", "SET LOCAL lock_timeout = :'wait'", None)]), NONE);
}

#[test]
fn squawk_warns_where_the_text_stands() {
    let text = "-- head\nALTER TABLE t ALTER COLUMN a TYPE bigint; CREATE INDEX i ON u (:\"column\")";
    let found = findings(&runbook(vec![migrate("m", text, None)]));
    let shown: Vec<_> =
        found.iter().map(|f| (f.code, &text[f.span.as_ref().unwrap().range.clone()])).collect();
    assert_eq!(
        shown,
        [
            ("squawk-changing-column-type", "TYPE bigint"),
            ("squawk-require-concurrent-index-creation", "CREATE INDEX i ON u (:\"column\")")
        ]
    );
    assert!(found.iter().all(|f| f.severity == Severity::Warning));
}

#[test]
fn new_tables_may_be_indexed_and_constrained() {
    let text = "CREATE TABLE IF NOT EXISTS t (id bigint PRIMARY KEY, a bigint NOT NULL); CREATE INDEX i ON t (a);
        ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0); CREATE UNIQUE INDEX u ON t (a);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES o (a)";
    assert_eq!(codes(vec![migrate("m", text, Some("DROP TABLE t"))]), NONE);
    assert_eq!(
        codes(vec![migrate("m", "CREATE INDEX i ON t (a)", None)]),
        ["squawk-require-concurrent-index-creation"]
    );
}

#[test]
fn every_rule_of_squawk_is_asked_about_the_commands_it_speaks_of() {
    let long = "n".repeat(64);
    for (text, code) in [
        ("ALTER TABLE t ADD COLUMN a float DEFAULT random()", "squawk-adding-field-with-default"),
        (
            "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES o (a)",
            "squawk-adding-foreign-key-constraint",
        ),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", "squawk-adding-not-nullable-field"),
        ("ALTER TABLE t ADD COLUMN a text NOT NULL", "squawk-adding-required-field"),
        ("ALTER TABLE t ADD PRIMARY KEY (id)", "squawk-adding-serial-primary-key-field"),
        ("ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0)", "squawk-ban-alter-domain-with-add-constraint"),
        ("ALTER TABLE t DISABLE TRIGGER r", "squawk-ban-disable-trigger"),
        ("TRUNCATE t CASCADE", "squawk-ban-truncate-cascade"),
        ("ALTER TABLE t ALTER COLUMN a TYPE text", "squawk-changing-column-type"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "squawk-constraint-missing-not-valid"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", "squawk-disallowed-unique-constraint"),
        (&format!("CREATE VIEW {long} AS SELECT 1"), "squawk-identifier-too-long"),
        (&format!("CREATE VIEW v AS SELECT 1 AS \"{long}\""), "squawk-identifier-too-long"),
        ("CREATE INDEX i ON t (a)", "squawk-require-concurrent-index-creation"),
        ("DROP INDEX i", "squawk-require-concurrent-index-deletion"),
        ("ALTER TABLE t DETACH PARTITION p", "squawk-require-concurrent-partition-detach"),
        ("REINDEX TABLE t", "squawk-require-concurrent-reindex"),
        ("ALTER TABLE t DROP COLUMN a", "squawk-ban-drop-column"),
        ("ALTER TYPE t DROP ATTRIBUTE a", "squawk-ban-drop-column"),
        ("ALTER TABLE t DROP CONSTRAINT a", "squawk-ban-drop-constraint"),
        ("DROP DATABASE d", "squawk-ban-drop-database"),
        ("DROP DOMAIN d", "squawk-ban-drop-domain"),
        ("DROP EXTENSION e", "squawk-ban-drop-extension"),
        ("DROP FUNCTION f", "squawk-ban-drop-function"),
        ("ALTER TABLE t ALTER COLUMN a DROP NOT NULL", "squawk-ban-drop-not-null"),
        ("DROP SCHEMA s", "squawk-ban-drop-schema"),
        ("DROP SEQUENCE s", "squawk-ban-drop-sequence"),
        ("DROP TABLE t", "squawk-ban-drop-table"),
        ("DROP TYPE t", "squawk-ban-drop-type"),
        ("DROP MATERIALIZED VIEW v", "squawk-ban-drop-view"),
        ("ALTER VIEW v SET SCHEMA x", "squawk-ban-set-schema"),
        ("ALTER VIEW v RENAME COLUMN a TO b", "squawk-renaming-column"),
        ("ALTER INDEX i RENAME TO j", "squawk-renaming-object"),
        ("ALTER TABLE t RENAME TO u", "squawk-renaming-table"),
    ] {
        assert!(codes(vec![migrate("m", text, None)]).contains(&code), "{text}");
    }
}

#[test]
fn squawks_ignore_comments_have_no_effect() {
    let text = "-- squawk-ignore require-concurrent-index-creation\nCREATE INDEX /* squawk-ignore-file */ i ON t (a)";
    assert_eq!(codes(vec![migrate("m", text, None)]), ["squawk-require-concurrent-index-creation"]);
}

#[test]
fn warnings_can_be_waived_and_errors_cannot() {
    let index = || migrate("m", "CREATE INDEX i ON t (a)", None);
    assert_eq!(codes(vec![waives(index(), "squawk-require-concurrent-index-creation")]), NONE);
    assert_eq!(codes(vec![waives(index(), "require-concurrent-index-creation")]), NONE);
    assert_eq!(
        codes(vec![waives(index(), "renaming-table")]),
        ["squawk-require-concurrent-index-creation", "unused-waiver"]
    );
    let drop = waives(migrate("m", "DROP TABLE t", None), "destructive-without-requires");
    assert_eq!(codes(vec![drop]), ["destructive-without-requires", "squawk-ban-drop-table", "unused-waiver"]);
}

#[test]
fn waivers_cover_warnings_of_the_page_too() {
    let step = waives(record("r", "SELECT 1"), "odd-page");
    let mut diagnostics = vec![
        warning("odd-page", span(5, 6), "odd", "mend it"),
        warning("odd-page", span(20_000, 20_001), "odd elsewhere", "mend it"),
    ];
    lint(&runbook(vec![step]), &mut diagnostics);
    assert_eq!(diagnostics.iter().map(|f| f.message.as_str()).collect::<Vec<_>>(), ["odd elsewhere"]);
}

#[test]
fn watches_and_examined_counts_are_read_as_well() {
    let mut watched = check("c", "SELECT 0", Expectation::Zero);
    if let Action::Check(check) = &mut watched.action {
        check.over = Some(crate::step::Over::Sql(sql("SELECT nextval('s')")));
    }
    assert_eq!(codes(vec![watched]), ["check-has-effects"]);
    let watch = crate::step::Watch {
        question: Question::Sql(sql("DELETE FROM t")),
        expect: Vec::new(),
        over: None,
        every: Duration::from_secs(1),
        from: None,
        until: None,
        trips_after: 1,
        unknown_after: Duration::from_secs(60),
        on_trip: crate::step::OnTrip::Halt,
        harmless: None,
    };
    assert_eq!(codes(vec![step("w", Action::Watch(watch))]), ["check-has-effects"]);
}

#[test]
fn findings_point_into_the_page_and_into_files() {
    let page = "# Book\n\n```toml\n# @runbook book\n[stores.main]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\nhome = true\n```\n\n\
        ## Change\n\n```sql\n-- @migrate one\n-- @waive require-concurrent-index-creation the table is small\n\
        CREATE INDEX i ON t (a); -- é\nDROP TABLE :\"old\";\n-- @undo\nDROP INDEX i\n```\n\n\
        ```sql\n-- @migrate two\n-- @file two.sql\n```\n";
    let path = |text: &str| SourcePath(text.to_owned());
    let file = "SELECT app.repair();\n-- @undo\nDO $$ BEGIN END $$;\n";
    let sources = crate::Sources {
        page: path("book.md"),
        page_bytes: page.as_bytes().to_vec(),
        files: [(path("two.sql"), crate::FileContent::Bytes(file.as_bytes().to_vec()))].into(),
    };
    let parsed = crate::parse(&sources);
    let mut shown: Vec<_> = parsed
        .diagnostics
        .iter()
        .filter_map(|finding| {
            let span = finding.span.as_ref()?;
            let text = if span.path == sources.page { page } else { file };
            let ours = ["destructive-without-requires", "opaque-without-protect"].contains(&finding.code);
            (ours || finding.code.starts_with("squawk-")).then(|| (finding.code, &text[span.range.clone()]))
        })
        .collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            ("destructive-without-requires", "DROP TABLE :\"old\""),
            ("opaque-without-protect", "DO $$ BEGIN END $$"),
            ("opaque-without-protect", "SELECT app.repair()"),
            ("squawk-ban-drop-table", "DROP TABLE :\"old\""),
            ("squawk-require-concurrent-index-deletion", "DROP INDEX i"),
        ]
    );
    assert!(
        !parsed.diagnostics.iter().any(|finding| finding.code == "unused-waiver"),
        "{:#?}",
        parsed.diagnostics
    );
}
