//! Statement by statement: what its tree says it does.

use squawk_syntax::SourceFile;

use super::*;

/// The effect in one line: command, then what is not usual about it.
fn summary(text: &str) -> String {
    let parse = SourceFile::parse(text);
    assert!(parse.errors().is_empty(), "{text}: {:?}", parse.errors());
    let effect = effect_of(&parse.syntax_node().children().next().unwrap());
    let list = |objects: &[ObjectName]| {
        objects.iter().map(|o| format!("{} {o}", o.kind)).collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![effect.command.clone()];
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            parts.push(format!("{label} {value}"));
        }
    };
    add("destroys", list(&effect.destroys));
    add("creates", list(&effect.creates));
    add("reads", effect.reads.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    add("outside", effect.outside_transaction.unwrap_or_default().to_owned());
    add("session", effect.session_state.unwrap_or_default().to_owned());
    add("beyond", effect.beyond_rollback.join(", "));
    for (flag, set) in [
        ("opaque", effect.opaque),
        ("control", effect.transaction_control),
        ("reads only", effect.reads_only),
        ("bindable", effect.bindable),
    ] {
        if set {
            parts.push(flag.to_owned());
        }
    }
    parts.join("; ")
}

/// Statement, and its effect in one line.
const EFFECTS: &[(&str, &str)] = &[
    ("DROP TABLE IF EXISTS a.b, \"C\" CASCADE", "DROP TABLE; destroys table a.b, table C"),
    ("DROP TABLE \"a\"\"b\"", "DROP TABLE; destroys table a\"b"),
    ("DROP TABLE Db.S.T", "DROP TABLE; destroys table s.t"),
    ("DROP VIEW v", "DROP VIEW; destroys view v"),
    ("DROP MATERIALIZED VIEW a.b", "DROP MATERIALIZED VIEW; destroys materialized view a.b"),
    ("DROP SCHEMA IF EXISTS app CASCADE", "DROP SCHEMA; destroys schema app"),
    (
        "DROP FUNCTION IF EXISTS app.f(UUID, TEXT), g CASCADE",
        "DROP FUNCTION; destroys function app.f, function g",
    ),
    ("DROP PROCEDURE p(int)", "DROP PROCEDURE; destroys function p"),
    ("DROP ROUTINE r", "DROP ROUTINE; destroys function r"),
    ("DROP AGGREGATE a(int), b(*)", "DROP AGGREGATE; destroys function a, function b"),
    ("DROP TYPE a.t", "DROP TYPE; destroys type a.t"),
    ("DROP DOMAIN d", "DROP DOMAIN; destroys type d"),
    ("DROP SEQUENCE s", "DROP SEQUENCE; destroys sequence s"),
    ("DROP EXTENSION pgcrypto", "DROP EXTENSION; destroys extension pgcrypto"),
    ("DROP INDEX i", "DROP INDEX; destroys index i"),
    ("DROP INDEX CONCURRENTLY i", "DROP INDEX; destroys index i; outside DROP INDEX CONCURRENTLY"),
    ("DROP TRIGGER t ON s.tab", "DROP TRIGGER; destroys trigger s.tab.t"),
    ("DROP POLICY p ON s.tab", "DROP POLICY; destroys policy s.tab.p"),
    ("DROP RULE r ON tab", "DROP RULE; destroys rule tab.r"),
    ("DROP OWNED BY x", "DROP OWNED; destroys everything owned by x"),
    ("DROP CAST (int AS text)", "DROP CAST; destroys cast (int AS text)"),
    ("DROP OPERATOR + (int, int)", "DROP OPERATOR; destroys operator + (int, int)"),
    ("DROP DATABASE d", "DROP DATABASE; destroys database d; outside DROP DATABASE"),
    ("DROP FOREIGN TABLE f", "DROP FOREIGN TABLE; destroys table f"),
    ("DROP STATISTICS s", "DROP STATISTICS; destroys statistics s"),
    ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION; destroys subscription s; outside DROP SUBSCRIPTION"),
    ("TRUNCATE ONLY a.b, c CASCADE", "TRUNCATE; destroys rows a.b, rows c"),
    (
        "ALTER TABLE IF EXISTS s.t DROP COLUMN IF EXISTS \"C\" CASCADE, DROP CONSTRAINT k, ADD COLUMN y int",
        "ALTER TABLE; destroys column s.t.C, constraint s.t.k",
    ),
    ("ALTER TABLE t DROP c", "ALTER TABLE; destroys column t.c"),
    ("ALTER TABLE t RENAME TO u", "ALTER TABLE; destroys table t"),
    ("ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE; destroys column t.a"),
    ("ALTER TABLE t RENAME a TO b", "ALTER TABLE; destroys column t.a"),
    ("ALTER TABLE t RENAME CONSTRAINT a TO b", "ALTER TABLE"),
    ("ALTER TABLE s.t SET SCHEMA x", "ALTER TABLE; destroys table s.t"),
    ("ALTER TABLE t DETACH PARTITION p", "ALTER TABLE; destroys partition t.p"),
    (
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        "ALTER TABLE; destroys partition t.p; outside DETACH PARTITION CONCURRENTLY",
    ),
    ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE"),
    ("ALTER VIEW v RENAME TO w", "ALTER VIEW; destroys view v"),
    ("ALTER VIEW v SET SCHEMA x", "ALTER VIEW; destroys view v"),
    ("ALTER MATERIALIZED VIEW m RENAME COLUMN a TO b", "ALTER MATERIALIZED VIEW; destroys column m.a"),
    ("ALTER SCHEMA s RENAME TO w", "ALTER SCHEMA; destroys schema s"),
    ("ALTER SEQUENCE s SET SCHEMA x", "ALTER SEQUENCE; destroys sequence s"),
    ("ALTER FUNCTION f(int) RENAME TO g", "ALTER FUNCTION; destroys function f"),
    ("ALTER TYPE t ADD VALUE 'x'", "ALTER TYPE"),
    ("ALTER TYPE t DROP ATTRIBUTE a", "ALTER TYPE; destroys attribute t.a"),
    ("ALTER TYPE t RENAME ATTRIBUTE a TO b", "ALTER TYPE; destroys attribute t.a"),
    ("ALTER TYPE t RENAME VALUE 'x' TO 'y'", "ALTER TYPE; destroys type t"),
    ("ALTER INDEX i RENAME TO j", "ALTER INDEX"),
    ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM; outside ALTER SYSTEM"),
    ("ALTER DATABASE d SET TABLESPACE t", "ALTER DATABASE; outside ALTER DATABASE SET TABLESPACE"),
    (
        "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
        "ALTER SUBSCRIPTION; outside ALTER SUBSCRIPTION REFRESH PUBLICATION",
    ),
    ("DELETE FROM a.b", "DELETE; destroys rows a.b; bindable"),
    ("DELETE FROM a.b WHERE id = 1", "DELETE; bindable"),
    ("DELETE FROM a USING b WHERE a.id = b.id", "DELETE; reads b; bindable"),
    ("DELETE FROM a WHERE CURRENT OF c", "DELETE; bindable"),
    ("UPDATE ONLY a.b SET x = 1 FROM c", "UPDATE; destroys rows a.b; reads c; bindable"),
    ("UPDATE a SET x = 1 WHERE true", "UPDATE; destroys rows a; bindable"),
    ("UPDATE a SET x = 1 WHERE id = 1", "UPDATE; bindable"),
    (
        "WITH d AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM d",
        "INSERT; destroys rows a; bindable",
    ),
    (
        "WITH d AS (SELECT * FROM a) SELECT * FROM d JOIN s.d USING (id)",
        "SELECT; reads a, s.d; reads only; bindable",
    ),
    ("INSERT INTO t VALUES (nextval('s')) RETURNING id", "INSERT; beyond nextval; bindable"),
    ("INSERT INTO t SELECT app.f(x) FROM u ON CONFLICT DO NOTHING", "INSERT; reads u; bindable"),
    ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "MERGE; reads s; bindable"),
    ("SELECT 1", "SELECT; reads only; bindable"),
    (
        "SELECT * FROM a, ONLY b.c LEFT JOIN LATERAL (SELECT 1 FROM d) x ON true",
        "SELECT; reads a, b.c, d; reads only; bindable",
    ),
    ("SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u)", "SELECT; reads t, u; reads only; bindable"),
    ("SELECT * FROM t FOR UPDATE SKIP LOCKED", "SELECT; reads t; bindable"),
    ("SELECT a INTO x FROM t", "SELECT INTO; creates table x; reads t; bindable"),
    (
        "SELECT a INTO TEMP x FROM t",
        "SELECT INTO; creates table x; reads t; session SELECT INTO TEMPORARY; bindable",
    ),
    ("(SELECT 1) UNION SELECT 2 FROM t", "SELECT; reads t; reads only; bindable"),
    ("TABLE a.b", "TABLE; reads a.b; reads only; bindable"),
    ("VALUES (1), (2)", "VALUES; reads only; bindable"),
    ("SHOW server_version", "SHOW; reads only"),
    ("SELECT app.update_lot_status(1, 'x')", "SELECT; opaque; reads only; bindable"),
    ("SELECT f(1) FROM t", "SELECT; reads t; opaque; reads only; bindable"),
    ("SELECT pg_catalog.now(), lower('A'), coalesce(1, 2)", "SELECT; reads only; bindable"),
    ("SELECT \"NextVal\"('s')", "SELECT; opaque; reads only; bindable"),
    ("SELECT pg_catalog.nextval('s'), app.nextval('s')", "SELECT; beyond nextval; opaque; bindable"),
    ("SELECT * FROM dblink('x', 'y') AS t (a int)", "SELECT; beyond dblink; opaque; bindable"),
    ("SELECT pg_advisory_xact_lock(1)", "SELECT; reads only; bindable"),
    (
        "SELECT pg_try_advisory_lock(1)",
        "SELECT; session pg_try_advisory_lock; beyond pg_try_advisory_lock; bindable",
    ),
    ("SELECT set_config('a', 'b', false)", "SELECT; session set_config(…, false); reads only; bindable"),
    ("SELECT set_config('a', 'b', true)", "SELECT; reads only; bindable"),
    ("SELECT set_config('a', 'b', is_local => true)", "SELECT; reads only; bindable"),
    ("EXPLAIN DELETE FROM a", "EXPLAIN; reads only; bindable"),
    ("EXPLAIN ANALYZE DELETE FROM a", "EXPLAIN; destroys rows a; bindable"),
    ("EXPLAIN (ANALYZE, COSTS off) SELECT * FROM a", "EXPLAIN; reads a; reads only; bindable"),
    ("EXPLAIN (COSTS off) SELECT nextval('s')", "EXPLAIN; reads only; bindable"),
    ("CREATE TABLE s.t (id bigint PRIMARY KEY)", "CREATE TABLE; creates table s.t"),
    ("CREATE TEMP TABLE t (a int)", "CREATE TABLE; creates table t; session CREATE TEMPORARY"),
    ("CREATE TABLE t AS SELECT f(1) FROM u", "CREATE TABLE AS; creates table t; reads u; bindable"),
    ("CREATE TABLE t AS SELECT 1 WITH NO DATA", "CREATE TABLE AS; creates table t; bindable"),
    (
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM u",
        "CREATE MATERIALIZED VIEW; creates materialized view m; reads u",
    ),
    ("CREATE OR REPLACE VIEW a.v AS SELECT nextval('s') FROM u", "CREATE VIEW; creates view a.v"),
    ("CREATE SCHEMA IF NOT EXISTS app", "CREATE SCHEMA; creates schema app"),
    ("CREATE SCHEMA app CREATE TABLE t (a int)", "CREATE SCHEMA; creates schema app, table t"),
    (
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a)",
        "CREATE INDEX; creates index i; outside CREATE INDEX CONCURRENTLY",
    ),
    ("CREATE INDEX ON t (lower(a))", "CREATE INDEX"),
    (
        "CREATE FUNCTION a.f() RETURNS int LANGUAGE sql AS $$ DELETE FROM t; SELECT nextval('s') $$",
        "CREATE FUNCTION; creates function a.f",
    ),
    (
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN DROP TABLE t; END $$",
        "CREATE PROCEDURE; creates function p",
    ),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT nextval('s'); END",
        "CREATE FUNCTION; creates function f",
    ),
    (
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD (DELETE FROM b; DELETE FROM c)",
        "CREATE RULE; creates rule t.r",
    ),
    (
        "CREATE TRIGGER r BEFORE UPDATE ON s.t FOR EACH STATEMENT EXECUTE FUNCTION f()",
        "CREATE TRIGGER; creates trigger s.t.r",
    ),
    (
        "CREATE POLICY p ON s.t FOR SELECT USING (community_id = app.current_community_id())",
        "CREATE POLICY; creates policy s.t.p",
    ),
    ("CREATE TYPE mood AS ENUM ('a')", "CREATE TYPE; creates type mood"),
    ("CREATE EXTENSION pgcrypto", "CREATE EXTENSION; creates extension pgcrypto"),
    ("CREATE DATABASE d", "CREATE DATABASE; outside CREATE DATABASE"),
    ("CREATE TABLESPACE t LOCATION '/x'", "CREATE TABLESPACE; outside CREATE TABLESPACE"),
    (
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "CREATE SUBSCRIPTION; outside CREATE SUBSCRIPTION",
    ),
    ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = false)", "CREATE SUBSCRIPTION"),
    ("REINDEX TABLE CONCURRENTLY x", "REINDEX; outside REINDEX CONCURRENTLY"),
    ("REINDEX (CONCURRENTLY) TABLE x", "REINDEX; outside REINDEX CONCURRENTLY"),
    ("REINDEX TABLE x", "REINDEX"),
    ("REINDEX DATABASE d", "REINDEX; outside REINDEX DATABASE"),
    ("VACUUM (FULL) t", "VACUUM; outside VACUUM"),
    ("ANALYZE t", "ANALYZE"),
    ("CLUSTER", "CLUSTER; outside CLUSTER of all tables"),
    ("CLUSTER t USING i", "CLUSTER"),
    ("REFRESH MATERIALIZED VIEW m", "REFRESH"),
    ("BEGIN", "BEGIN; control"),
    ("START TRANSACTION READ ONLY", "BEGIN; control"),
    ("COMMIT AND CHAIN", "COMMIT; control"),
    ("END", "COMMIT; control"),
    ("ROLLBACK", "ROLLBACK; control"),
    ("ABORT", "ROLLBACK; control"),
    ("SAVEPOINT a", "SAVEPOINT; control"),
    ("ROLLBACK TO SAVEPOINT a", "ROLLBACK TO SAVEPOINT; control"),
    ("RELEASE SAVEPOINT a", "RELEASE; control"),
    ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION; control"),
    ("COMMIT PREPARED 'x'", "COMMIT PREPARED; outside COMMIT PREPARED; control"),
    ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED; outside ROLLBACK PREPARED; control"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION; control"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET TRANSACTION; session SET SESSION CHARACTERISTICS; control",
    ),
    ("SET LOCAL transaction_read_only = off", "SET; control"),
    ("SET search_path = app", "SET; session SET"),
    ("SET LOCAL search_path = app", "SET"),
    ("SET SESSION x.y = '1'", "SET; session SET"),
    ("SET TIME ZONE 'UTC'", "SET; session SET"),
    ("SET ROLE r", "SET ROLE; session SET ROLE"),
    ("SET LOCAL ROLE r", "SET ROLE"),
    ("SET SESSION AUTHORIZATION r", "SET SESSION AUTHORIZATION; session SET SESSION AUTHORIZATION"),
    ("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS"),
    ("RESET ALL", "RESET; session RESET"),
    ("RESET ROLE", "RESET ROLE; session RESET ROLE"),
    ("DISCARD ALL", "DISCARD; outside DISCARD ALL; session DISCARD"),
    ("DISCARD PLANS", "DISCARD; session DISCARD"),
    ("PREPARE p AS DELETE FROM t", "PREPARE; session PREPARE"),
    ("EXECUTE p(1)", "EXECUTE; opaque"),
    ("DEALLOCATE p", "DEALLOCATE; session DEALLOCATE"),
    ("LISTEN c", "LISTEN; session LISTEN"),
    ("UNLISTEN c", "UNLISTEN; session UNLISTEN"),
    ("NOTIFY c", "NOTIFY"),
    ("LOAD 'x'", "LOAD; session LOAD"),
    ("DECLARE c CURSOR FOR SELECT * FROM t", "DECLARE; reads t; bindable"),
    (
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t",
        "DECLARE; reads t; session DECLARE … WITH HOLD; bindable",
    ),
    ("FETCH 1 FROM c", "FETCH"),
    ("LOCK TABLE a IN SHARE MODE", "LOCK"),
    ("COPY t TO STDOUT", "COPY; beyond COPY TO"),
    ("COPY (SELECT * FROM t) TO PROGRAM 'x'", "COPY; reads t; beyond COPY TO"),
    ("COPY t FROM '/x'", "COPY"),
    ("DO $$ BEGIN DELETE FROM t; END $$", "DO; opaque"),
    ("CALL app.p(1)", "CALL; opaque; bindable"),
    ("CHECKPOINT", "CHECKPOINT"),
    ("GRANT SELECT ON x TO y", "GRANT"),
    ("REVOKE ALL ON x FROM y", "REVOKE"),
    ("COMMENT ON TABLE x IS 'a'", "COMMENT"),
    ("ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO x", "ALTER DEFAULT PRIVILEGES"),
    (
        "ALTER SUBSCRIPTION s SET PUBLICATION p",
        "ALTER SUBSCRIPTION; outside ALTER SUBSCRIPTION SET PUBLICATION",
    ),
    ("ALTER SUBSCRIPTION s DISABLE", "ALTER SUBSCRIPTION"),
    ("CREATE TEMP TABLE t (a int) ON COMMIT DROP", "CREATE TABLE; creates table t"),
    ("CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1", "CREATE TABLE AS; creates table t; bindable"),
    ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", "INSERT; bindable"),
];

#[test]
fn effects_are_told_from_the_tree() {
    for (text, expected) in EFFECTS {
        assert_eq!(summary(text), *expected, "{text}");
    }
    assert!(EFFECTS.len() > 150);
}

fn names(objects: &[ObjectName]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn effect(text: &str) -> Effect {
    let parse = SourceFile::parse(text);
    assert!(parse.errors().is_empty(), "{text}: {:?}", parse.errors());
    effect_of(&parse.syntax_node().children().next().unwrap())
}

#[test]
fn a_query_reads_whole_what_no_part_of_it_narrows() {
    for (text, whole) in [
        ("SELECT a, b FROM s.t", "s.t"),
        ("SELECT t.a, x.b FROM t LEFT JOIN x USING (a)", "t"),
        ("SELECT t.a, x.b FROM t RIGHT OUTER JOIN x USING (a)", "x"),
        ("SELECT t.a, x.b FROM t FULL JOIN x USING (a)", "t, x"),
        ("SELECT t.a FROM t LEFT JOIN x USING (a) LEFT JOIN y USING (a) ORDER BY 1", "t"),
        ("SELECT a, (SELECT count(*) FROM x WHERE x.a = t.a) FROM t", "t"),
        ("SELECT a, count(*) OVER (PARTITION BY b) FROM t", "t"),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", "t, u"),
        ("(SELECT a FROM t)", "t"),
        ("TABLE s.t", "s.t"),
        ("WITH x AS (SELECT 1) SELECT a FROM t", "t"),
    ] {
        assert_eq!(names(&effect(text).reads_whole), whole, "{text}");
    }
    for text in [
        "SELECT a FROM t WHERE a > 1",
        "SELECT a FROM t WHERE true",
        "SELECT a FROM t LIMIT 5",
        "SELECT a FROM t OFFSET 5",
        "SELECT a FROM t FETCH FIRST ROW ONLY",
        "SELECT a FROM t GROUP BY a",
        "SELECT DISTINCT a FROM t",
        "SELECT DISTINCT ON (a) a, b FROM t",
        "SELECT count(*) FROM t",
        "SELECT 1 AS k, pg_catalog.max(a) + 1 FROM t",
        "SELECT a FROM t, u",
        "SELECT a FROM t JOIN u USING (a)",
        "SELECT a FROM t CROSS JOIN u",
        "SELECT u.a FROM u JOIN t USING (a)",
        "SELECT a FROM ONLY t",
        "SELECT a FROM t TABLESAMPLE system (5)",
        "SELECT a FROM t EXCEPT SELECT a FROM u",
        "SELECT a FROM t INTERSECT SELECT a FROM u",
        "SELECT a FROM t UNION SELECT a FROM u LIMIT 1",
        "(SELECT a FROM t) LIMIT 1",
        "TABLE t LIMIT 1",
        "WITH t AS (SELECT 1 AS a) SELECT a FROM t",
        "WITH t AS (SELECT 1 AS a) SELECT a FROM t UNION ALL SELECT a FROM t",
        "SELECT a FROM (SELECT a FROM t) AS s",
        "SELECT 1",
        "INSERT INTO t SELECT a FROM u",
    ] {
        assert_eq!(names(&effect(text).reads_whole), "", "{text}");
    }
}

#[test]
fn the_relations_whose_rows_change_are_named_the_statements_own_first() {
    for (text, writes) in [
        ("INSERT INTO s.t AS x SELECT 1", "s.t"),
        ("UPDATE ONLY t AS x SET a = 1 FROM u WHERE x.a = u.a", "t"),
        ("DELETE FROM \"T\" USING u WHERE true", "T"),
        ("MERGE INTO s.t USING u ON true WHEN MATCHED THEN DELETE", "s.t"),
        ("MERGE INTO ONLY t x USING u ON true WHEN MATCHED THEN DELETE", "t"),
        ("WITH a AS (DELETE FROM u RETURNING *), b AS (UPDATE t SET a = 1) INSERT INTO t TABLE a", "t, u"),
        ("WITH a AS (DELETE FROM u RETURNING *) SELECT * FROM a", "u"),
        ("SELECT * FROM t FOR UPDATE", ""),
        ("TRUNCATE t", ""),
    ] {
        assert_eq!(names(&effect(text).writes), writes, "{text}");
    }
}

#[test]
fn what_must_be_there_is_named_and_what_the_statement_brings_itself_is_not() {
    for (text, wanted) in [
        (
            "SELECT * FROM a.b JOIN c USING (id) WHERE EXISTS (SELECT FROM d)",
            "relation a.b, relation c, relation d",
        ),
        ("WITH x AS (SELECT 1), y AS (DELETE FROM z RETURNING id) SELECT * FROM x, y", "relation z"),
        (
            "INSERT INTO t SELECT f(id), app.g(id), lower('x') FROM s",
            "relation t, function f, function app.g, relation s",
        ),
        ("CREATE TABLE t (id int REFERENCES other (id), LIKE third)", "relation other, relation third"),
        ("CREATE TABLE part PARTITION OF whole DEFAULT", "relation whole"),
        ("ALTER TABLE a RENAME TO b", "relation a"),
        ("ALTER TABLE IF EXISTS a ADD COLUMN b int", ""),
        ("DROP TABLE a, s.b", "relation a, relation s.b"),
        ("DROP TABLE IF EXISTS a", ""),
        ("CREATE INDEX i ON s.t (lower(name))", "relation s.t"),
        (
            "CREATE TRIGGER r AFTER INSERT ON t REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION app.f()",
            "relation t, function app.f",
        ),
        ("CREATE VIEW v AS SELECT * FROM t", "relation t"),
        ("GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON t TO reader, PUBLIC", "relation t, role reader"),
        ("REVOKE ALL ON t FROM reader", "relation t, role reader"),
        ("LOCK TABLE t IN SHARE MODE", "relation t"),
        ("TRUNCATE t", "relation t"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t; END", ""),
        ("DO $$ BEGIN PERFORM 1 FROM t; END $$", ""),
        ("SELECT COALESCE(a, 1), 1::numeric(10, 2), count(*) FROM t", "relation t"),
        ("TABLE t", "relation t"),
        // What looks like a call and is none, or like a relation and is none.
        (
            "SELECT a FROM t WHERE a = ANY (ARRAY[1]) AND a > ALL (SELECT 1) AND a < SOME (SELECT 1)",
            "relation t",
        ),
        (
            "SELECT a, count(*) FILTER (WHERE b) FROM t GROUP BY ROLLUP (a), CUBE (b), GROUPING SETS ((a), ())",
            "relation t",
        ),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "relation t"),
        (
            "SELECT * FROM t, LATERAL unnest(t.a) AS u, generate_series(1, 2) AS n, ROWS FROM (jsonb_each(t.b)) AS e",
            "relation t",
        ),
        (
            "SELECT (a, b) OVERLAPS (c, d), EXTRACT(day FROM a), XMLELEMENT(NAME x), JSON_VALUE(b, '$.c') FROM t",
            "relation t",
        ),
        (
            "CREATE TABLE t (a int DEFAULT 1 CHECK (length(b) > 0), b text, EXCLUDE USING gist (a WITH &&)) PARTITION BY RANGE (a)",
            "",
        ),
        ("CREATE INDEX ON t USING gin (b gin_trgm_ops) WHERE a IN (1, 2)", "relation t"),
        ("COMMENT ON FUNCTION f(int) IS 'x'", ""),
        (
            "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES s.u (a) NOT VALID",
            "relation t, relation s.u",
        ),
        ("ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (2)", "relation t, relation p"),
        (
            "CREATE POLICY p ON t TO reader USING (a = (SELECT max(a) FROM u))",
            "relation t, role reader, relation u",
        ),
        (
            "INSERT INTO t AS x (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING x.a",
            "relation t",
        ),
        ("UPDATE t SET a = s.a FROM s WHERE t.id = s.id", "relation t, relation s"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r) SELECT * FROM r JOIN t USING (a)",
            "relation t",
        ),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "relation t, relation s"),
    ] {
        let parse = SourceFile::parse(text);
        assert!(parse.errors().is_empty(), "{text}: {:?}", parse.errors());
        let effect = effect_of(&parse.syntax_node().children().next().unwrap());
        let found: Vec<String> = effect.needs.iter().map(|name| format!("{} {name}", name.kind)).collect();
        assert_eq!(found.join(", "), wanted, "{text}");
    }
}
