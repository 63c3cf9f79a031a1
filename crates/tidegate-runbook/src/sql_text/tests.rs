//! Statements, values and syntax findings, text by text.

use super::*;
use crate::value::ValueRef;

fn read(text: &str) -> (SqlBody, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let body = parse_statements(text, &SourcePath("page.md".to_owned()), 100, &mut diagnostics);
    (body, diagnostics)
}

/// The statements of a text that has no finding.
#[track_caller]
fn clean(text: &str) -> SqlBody {
    let (body, diagnostics) = read(text);
    assert_eq!(diagnostics, [], "{text}");
    body
}

fn texts(text: &str) -> Vec<&str> {
    read(text).0.statements.iter().map(|s| &text[s.span.range.start - 100..s.span.range.end - 100]).collect()
}

/// The statement's pieces in one line: values in angle brackets.
#[track_caller]
fn pieces(text: &str) -> String {
    let show = |piece: &SqlPiece| match piece {
        SqlPiece::Text(text) => text.clone(),
        SqlPiece::Bind(value) => format!("<{value}>"),
        SqlPiece::Literal(value) => format!("<'{value}'>"),
        SqlPiece::Identifier(value) => format!("<\"{value}\">"),
        SqlPiece::Relation(name) => format!("<{{{name}}}>"),
    };
    clean(text)
        .statements
        .iter()
        .map(|s| s.pieces.iter().map(show).collect::<String>())
        .collect::<Vec<_>>()
        .join(" | ")
}

#[track_caller]
fn codes(text: &str) -> Vec<&'static str> {
    read(text).1.iter().map(|d| d.code).collect()
}

#[test]
fn statements_end_at_top_level_semicolons() {
    assert_eq!(texts("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
    assert_eq!(texts("-- c\n SELECT 1 -- ; no\n;;\n"), ["SELECT 1"]);
    assert_eq!(
        texts("SELECT ';', \";\", $$;$$, $x$ ; $$ $x$, E'\\';' /* ; */; SELECT 2"),
        ["SELECT ';', \";\", $$;$$, $x$ ; $$ $x$, E'\\';'", "SELECT 2"]
    );
    assert_eq!(texts(""), [""; 0]);
    assert_eq!(texts(" ; -- nothing\n"), [""; 0]);
    assert_eq!(texts("SELECT 1;\r\nSELECT 2\r\n"), ["SELECT 1", "SELECT 2"]);
}

#[test]
fn bodies_of_routines_and_rules_are_one_statement() {
    let function = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END";
    assert_eq!(texts(&format!("{function}; SELECT 3")), [function, "SELECT 3"]);
    clean(function);
    let rule = "CREATE RULE r AS ON DELETE TO t DO INSTEAD (DELETE FROM b; DELETE FROM c)";
    assert_eq!(texts(&format!("{rule};SELECT 1")), [rule, "SELECT 1"]);
    clean(rule);
    assert_eq!(texts("BEGIN; SELECT 1; END;"), ["BEGIN", "SELECT 1", "END"]);
}

#[test]
fn values_are_found_where_psql_finds_them() {
    assert_eq!(pieces("SELECT :a, :a.b + 1"), "SELECT <a>, <a.b> + 1");
    assert_eq!(pieces("SELECT :'a' || :'a.b'"), "SELECT <'a'> || <'a.b'>");
    assert_eq!(pieces("SELECT * FROM :\"a\".t"), "SELECT * FROM <\"a\">.t");
    assert_eq!(pieces("SELECT count(*) FROM :{before} b"), "SELECT count(*) FROM <{before}> b");
    assert_eq!(pieces("SELECT :a::text, x::int, :0008.n"), "SELECT <a>::text, x::int, <0008.n>");
    assert_eq!(pieces("SELECT 1 WHERE id=:id AND (:b)"), "SELECT 1 WHERE id=<id> AND (<b>)");
    assert_eq!(pieces("SELECT f(a => :a)"), "SELECT f(a => <a>)");
    assert_eq!(pieces("SELECT 1 LIMIT :n OFFSET :m;SELECT :n"), "SELECT 1 LIMIT <n> OFFSET <m> | SELECT <n>");
}

#[test]
fn casts_slices_and_quoted_colons_are_no_values() {
    assert_eq!(pieces("SELECT a[1:2], a[i:n], a[:2]"), "SELECT a[1:2], a[i:n], a[:2]");
    assert_eq!(pieces("SELECT a[:i], a[1: :n]"), "SELECT a[<i>], a[1: <n>]");
    assert_eq!(pieces("SELECT a[(1):n]"), "SELECT a[(1):n]");
    assert_eq!(
        pieces("SELECT ':a', \":a\", $$:a$$ -- :a\n, /* :a */ 1"),
        "SELECT ':a', \":a\", $$:a$$ -- :a\n, /* :a */ 1"
    );
    assert_eq!(pieces("SELECT '12:30'::time, x::\"char\""), "SELECT '12:30'::time, x::\"char\"");
    assert_eq!(pieces("SELECT f(a := 1)"), "SELECT f(a := 1)");
}

#[test]
fn values_reach_into_names_and_settings() {
    assert_eq!(pieces("SET LOCAL app.community_id = :'c'"), "SET LOCAL app.community_id = <'c'>");
    assert_eq!(pieces("DROP TABLE :\"t\""), "DROP TABLE <\"t\">");
    assert_eq!(clean("DROP TABLE :\"t\"").statements[0].effect.destroys[0].name, ":t");
    let binds = clean("SELECT :a").statements.remove(0);
    let a = ValueRef { root: crate::Name::parse("a").unwrap(), field: None };
    assert_eq!(binds.pieces, [SqlPiece::Text("SELECT ".to_owned()), SqlPiece::Bind(a)]);
}

#[test]
fn a_bound_value_in_a_utility_statement_is_left_to_its_own_rule() {
    assert!(!clean("SET lock_timeout = :t").statements[0].effect.bindable);
    assert!(!clean("CREATE ROLE r PASSWORD :p").statements[0].effect.bindable);
    assert!(!clean("DROP TABLE :t").statements[0].effect.bindable);
    assert_eq!(codes("SELECT * FROM :t"), ["sql-syntax"]);
}

#[test]
fn names_that_no_value_can_have_are_named() {
    let (_, diagnostics) = read("SELECT :Total");
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].code, "value-name");
    assert_eq!(diagnostics[0].span.as_ref().map(|s| s.range.clone()), Some(107..113));
    assert_eq!(codes("SELECT :'a.B', :\"_a\", :{a.lost}"), ["value-name", "value-name", "value-name"]);
    let (_, diagnostics) = read("SELECT * FROM :{a.lost}");
    assert!(diagnostics[0].help.contains("`missing`, `extra` and `differing`"), "{}", diagnostics[0].help);
}

#[test]
fn one_syntax_error_a_statement_with_its_place() {
    let text = "SELECT 1;\nSELEC 2 FROM x;\nSELECT (3;";
    let (body, diagnostics) = read(text);
    assert_eq!(body.statements.len(), 3);
    let places: Vec<_> = diagnostics
        .iter()
        .map(|d| {
            (
                d.code,
                &text[d.span.as_ref().unwrap().range.start - 100..d.span.as_ref().unwrap().range.end - 100],
            )
        })
        .collect();
    assert_eq!(places, [("sql-syntax", "SELEC"), ("sql-syntax", ";")]);
    assert!(diagnostics[0].message.contains("expected command"), "{}", diagnostics[0].message);
}

#[test]
fn broken_text_is_a_finding_and_no_panic() {
    for text in [
        "'",
        "\"",
        "$$",
        "/*",
        "SELECT '",
        "SELECT :'a",
        "SELECT :",
        ":",
        "::",
        ":{",
        ":'",
        "SELECT :{a",
        "SELECT \u{1f980}:é",
        "\\d t",
        "SELECT $1x",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;",
        "SELECT )",
        "SELECT ]",
        ")",
        "SELECT 1 2 3",
        "\0",
        "SELECT U&\"a",
        "SELECT 0x",
        "SELECT 1e",
        "FROM FROM",
        "EXPLAIN",
        "WITH a AS (",
        "DROP",
        "ALTER TABLE",
        "\u{feff}SELECT 1 FROM",
    ] {
        assert!(!read(text).1.is_empty(), "{text:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [
        ("(", ")"),
        ("CASE WHEN ", ""),
        ("NOT ", ""),
        ("- ", ""),
        ("a[", "]"),
        ("1 + ", ""),
        ("f(", ")"),
        ("a.", ""),
        ("(SELECT ", ")"),
        ("EXISTS (TABLE ", ")"),
        ("b JOIN ", ""),
        ("1 UNION SELECT ", ""),
        ("x IN (SELECT ", ")"),
        ("1 FROM (SELECT ", ") a"),
        ("ARRAY[1, ", "]"),
        ("1 OR ", ""),
        ("AND ", ""),
        ("= ", ""),
        ("* / < ", ""),
        ("1::", ""),
        ("NOT NOT NOT f(1, 2, ", ")"),
        ("x::int[] = ANY (", ")"),
    ] {
        // The deepest text that is let through does not overflow the stack; past the bound nothing is parsed.
        let nested = |depth| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
        let fits = |depth: &usize| scan(&nested(*depth)).iter().all(|found| found.depth <= DEPTH_MAX);
        let deepest = (1..).map(|step| step * 20).take_while(fits).last().unwrap_or_default();
        assert!(deepest >= 40, "{open} {deepest}");
        assert!(!codes(&nested(deepest)).contains(&"sql-too-deep"), "{open}");
        let text = format!("SELECT {}1{}", open.repeat(20_000), close.repeat(20_000));
        assert_eq!(codes(&text), ["sql-too-deep"], "{open}");
    }
    let many = format!(
        "INSERT INTO t VALUES {}",
        vec!["(1, 'a', now() - interval '1 day', $$x$$)"; 5_000].join(", ")
    );
    clean(&many);
    let wide = format!("SELECT {}", vec!["coalesce(a, b + 1, CASE WHEN c THEN d END)"; 2_000].join(", "));
    clean(&wide);
    let filter = format!("SELECT 1 WHERE {}", vec!["a.b = 'x'"; 200].join(" OR "));
    assert_eq!(codes(&filter), [""; 0]);
}

#[test]
fn what_the_checker_does_not_know_is_not_held_against_the_author() {
    clean("CREATE TRUSTED LANGUAGE plx HANDLER h");
    clean("CREATE OR REPLACE TRUSTED PROCEDURAL LANGUAGE plx HANDLER h");
}

#[test]
fn stand_ins_keep_every_position() {
    let text = "SELECT :a, :'b.c' /* é */ FROM :\"t\" JOIN :{rows} r ON true -- end\n WHERE 'ü' <> ''";
    let body = clean(text);
    let covered = with_stand_ins(&body.statements[0]);
    assert_eq!(covered.len(), text.len());
    assert_eq!(
        covered,
        "SELECT $1, 'vvvv'          FROM \":t\" JOIN \":rows\" r ON true       \n WHERE 'ü' <> ''"
    );
    let spans: Vec<_> = value_spans(&body.statements[0])
        .map(|(_, span)| &text[span.range.start - 100..span.range.end - 100])
        .collect();
    assert_eq!(spans, [":a", ":'b.c'", ":\"t\"", ":{rows}"]);
}

/// Pieces of SQL that mean something to the scanner, the parser or the rules.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "t",
    "a",
    "\"Q\"",
    "*",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ":",
    "::",
    ":a",
    ":a.b",
    ":'a'",
    ":\"a\"",
    ":{a}",
    ":A",
    "'",
    "\"",
    "'s'",
    "$$",
    "$x$",
    "$1",
    "--",
    "/*",
    "*/",
    "\n",
    "1",
    "1.5",
    ".",
    "=",
    "+",
    "-",
    "||",
    "CREATE",
    "FUNCTION",
    "BEGIN",
    "ATOMIC",
    "END",
    "CASE",
    "WHEN",
    "DROP",
    "TABLE",
    "ALTER",
    "COLUMN",
    "DELETE",
    "UPDATE",
    "SET",
    "INSERT",
    "INTO",
    "VALUES",
    "WITH",
    "AS",
    "NOT",
    "EXPLAIN",
    "TRUNCATE",
    "RENAME",
    "TO",
    "JOIN",
    "ON",
    "f(",
    "set_config(",
    "\u{e9}",
    "\u{feff}",
    "\\",
    "E'",
    "U&\"",
    "0x",
    "IN",
];

/// What holds for every text: statements lie in it in order, and their pieces put together are what was written.
#[track_caller]
fn assert_faithful(text: &str) {
    let (body, diagnostics) = read(text);
    let mut end = 100;
    for statement in &body.statements {
        let range = statement.span.range.clone();
        assert!(end <= range.start && range.start < range.end && range.end <= 100 + text.len(), "{text:?}");
        end = range.end;
        let written: String = statement.pieces.iter().map(|piece| written_form(piece).1).collect();
        assert_eq!(written, text[range.start - 100..range.end - 100], "{text:?}");
        assert_eq!(with_stand_ins(statement).len(), written.len(), "{text:?}");
    }
    for diagnostic in diagnostics {
        let range = diagnostic.span.unwrap().range;
        assert!(text.get(range.start - 100..range.end - 100).is_some(), "{text:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_mixture_of_words_is_read_faithfully(
        words in proptest::collection::vec((proptest::sample::select(WORDS), proptest::bool::ANY), 0..40)
    ) {
        let text: String = words.iter().map(|(word, space)| format!("{word}{}", if *space { " " } else { "" })).collect();
        assert_faithful(&text);
    }

    #[test]
    fn any_text_is_read_faithfully(text in "\\PC*") {
        assert_faithful(&text);
    }
}

#[test]
fn what_ends_an_insert_and_skips_rows_is_taken_off() {
    let without = |text: &str| {
        let without = without_do_nothing(&clean(text).statements[0]);
        without.map(|statement| match statement.pieces.as_slice() {
            [.., SqlPiece::Text(last)] => last.clone(),
            pieces => panic!("{pieces:?}"),
        })
    };
    let plain = Some("INSERT INTO t SELECT * FROM chunk ".to_owned());
    for clause in [
        "ON CONFLICT DO NOTHING",
        "on conflict do nothing;",
        "ON CONFLICT (id) DO NOTHING",
        "ON CONFLICT (a, lower(b)) /* known */ DO\nNOTHING -- already",
        "ON CONFLICT ON CONSTRAINT \"t on\" DO NOTHING",
    ] {
        assert_eq!(without(&format!("INSERT INTO t SELECT * FROM chunk {clause}")), plain, "{clause}");
    }
    assert_eq!(
        without("INSERT INTO t SELECT :a FROM chunk ON CONFLICT DO NOTHING").as_deref(),
        Some(" FROM chunk ")
    );
    for kept in [
        "INSERT INTO t SELECT * FROM chunk",
        "INSERT INTO t SELECT * FROM chunk ON CONFLICT DO NOTHING RETURNING id",
        "INSERT INTO t SELECT * FROM chunk ON CONFLICT (id) DO UPDATE SET a = 1",
        "INSERT INTO t SELECT * FROM chunk ON CONFLICT (id) WHERE a > 1 DO NOTHING",
        "INSERT INTO t SELECT 'ON CONFLICT DO NOTHING' FROM chunk",
        "WITH x AS (INSERT INTO t SELECT * FROM chunk ON CONFLICT DO NOTHING RETURNING 1) SELECT * FROM x",
        "MERGE INTO t USING chunk ON t.id = chunk.id WHEN MATCHED THEN DO NOTHING",
        "UPDATE t SET a = 1 FROM chunk",
    ] {
        assert_eq!(without(kept), None, "{kept}");
    }
}
