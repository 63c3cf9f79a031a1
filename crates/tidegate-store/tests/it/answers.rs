//! What statements answer, and what the server says beside it.

use testkit::{Cluster, eventually};
use tidegate_store::postgres::{Failure, FailureKind, TextValue, Type};

use crate::door::{BOUND, address, session, value};

#[tokio::test]
async fn every_type_comes_back_as_the_servers_text() {
    let database = Cluster::shared().await.database("text").await;
    let session = session(&database.url()).await;
    session.run("SET TimeZone = 'UTC'; CREATE TYPE mood AS ENUM ('sad', 'glad')").await.unwrap();
    let answers = session
        .run(
            r"SELECT 1.10::numeric, 'NaN'::float8, '-0'::float8, '\xdead'::bytea, NULL::int, ''::text, true,
                     '{1,NULL,3}'::int[], ROW(1, 'a b', NULL), '[1,5)'::int4range, 'glad'::mood,
                     TIMESTAMPTZ '2026-01-02 03:04:05.6+00', '{ a b: 1 }'::text, POINT(1,2)",
        )
        .await
        .unwrap();
    let expected = [
        Some("1.10"),
        Some("NaN"),
        Some("-0"),
        Some(r"\xdead"),
        None,
        Some(""),
        Some("t"),
        Some("{1,NULL,3}"),
        Some(r#"(1,"a b",)"#),
        Some("[1,5)"),
        Some("glad"),
        Some("2026-01-02 03:04:05.6+00"),
        Some("{ a b: 1 }"),
        Some("(1,2)"),
    ];
    let found: Vec<Option<&str>> = answers[0].rows[0].iter().map(Option::as_deref).collect();
    assert_eq!(found, expected);
    assert_eq!(answers[0].affected, 1);
}

#[tokio::test]
async fn each_statement_of_a_text_has_its_own_answer() {
    let database = Cluster::shared().await.database("several").await;
    let session = session(&database.url()).await;
    let answers = session
        .run(
            "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 5); UPDATE t SET a = a WHERE a > 3; \
             SELECT a AS n, a * 2 FROM t WHERE a < 3 ORDER BY a; SELECT 1 WHERE false",
        )
        .await
        .unwrap();
    let affected: Vec<u64> = answers.iter().map(|answer| answer.affected).collect();
    assert_eq!(affected, [0, 5, 2, 2, 0]);
    assert_eq!(answers[3].columns, ["n", "?column?"]);
    assert_eq!(answers[3].rows.len(), 2);
    assert_eq!(answers[4].columns, ["?column?"]);
    assert!(answers[0].columns.is_empty() && answers[4].rows.is_empty());
    assert_eq!(answers[4].single(), None);
}

#[tokio::test]
async fn several_statements_without_begin_are_one_transaction() {
    let database = Cluster::shared().await.database("implicit").await;
    let session = session(&database.url()).await;
    session.run("CREATE TABLE t (a int)").await.unwrap();
    let failure = session.run("INSERT INTO t VALUES (1); SELECT 1 / 0").await.unwrap_err();
    assert_eq!(failure.sqlstate(), Some("22012"));
    assert_eq!(value(&session, "SELECT count(*) FROM t").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_failure_carries_what_the_server_said() {
    let database = Cluster::shared().await.database("failure").await;
    let session = session(&database.url()).await;
    session.run("CREATE TABLE parent (a int CONSTRAINT parent_key PRIMARY KEY)").await.unwrap();

    let failure = session.run("SELECT 'äö', nonsense FROM parent").await.unwrap_err();
    assert_eq!(failure.sqlstate(), Some("42703"));
    assert_eq!(failure.position(), Some(14), "counted in characters, not bytes");
    assert_eq!(failure.kind(), FailureKind::Other);
    assert!(!failure.is_unknown_verdict());
    assert_eq!(failure.to_string(), "column \"nonsense\" does not exist (SQLSTATE 42703)");

    let failure = session.run("INSERT INTO parent VALUES (1), (1)").await.unwrap_err();
    assert_eq!(failure.sqlstate(), Some("23505"));
    assert_eq!(failure.constraint(), Some("parent_key"));
    assert_eq!(failure.table(), Some("parent"));
    assert_eq!(failure.detail(), Some("Key (a)=(1) already exists."));

    let failure = session
        .run("DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'try yes', ERRCODE = '40001'; END $$")
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Serialization);
    assert_eq!((failure.message(), failure.hint()), ("no", Some("try yes")));
    assert!(failure.context().unwrap().contains("line 1 at RAISE"));
    assert!(failure.is_unknown_verdict());
}

#[tokio::test]
async fn a_connection_that_a_function_lost_is_unknown_and_does_not_end_ours() {
    let database = Cluster::shared().await.database("theirs").await;
    let session = session(&database.url()).await;
    let raise = "DO $$ BEGIN RAISE EXCEPTION 'remote' USING ERRCODE = '08001'; END $$";
    let failure = session.run(raise).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::ConnectionLost);
    assert!(failure.is_unknown_verdict() && !failure.ends_the_connection());
    assert_eq!(value(&session, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn failures_are_told_apart_by_kind() {
    let cluster = Cluster::shared().await;
    cluster.role("plain").await.unwrap();
    let database = cluster.database("kinds").await;
    let owner = session(&database.url()).await;
    owner.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    let plain = session(&database.url_for("plain")).await;
    let kind = async |sql: &str| plain.run(sql).await.unwrap_err().kind();
    assert_eq!(kind("SELECT * FROM t").await, FailureKind::PermissionDenied);
    assert_eq!(kind("SET statement_timeout = 20; SELECT pg_sleep(60)").await, FailureKind::Cancelled);
    assert_eq!(
        kind("BEGIN READ ONLY; CREATE TEMP TABLE x (a int); CREATE TABLE public.x ()").await,
        FailureKind::ReadOnlyServer
    );
    plain.run("ROLLBACK").await.unwrap();
    owner.run("GRANT ALL ON t TO plain").await.unwrap();
    owner.run("BEGIN; LOCK TABLE t").await.unwrap();
    assert_eq!(kind("LOCK TABLE t NOWAIT").await, FailureKind::Other, "outside of a transaction");
    assert_eq!(kind("BEGIN; LOCK TABLE t IN SHARE MODE NOWAIT").await, FailureKind::LockTimeout);
}

#[tokio::test]
async fn bound_values_are_inferred_from_text_or_typed() {
    let database = Cluster::shared().await.database("bound").await;
    let session = session(&database.url()).await;
    session
        .run("CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (m mood, n numeric(9,2))")
        .await
        .unwrap();
    let changed = session
        .execute(
            "INSERT INTO t VALUES ($1, $2), ($3, $4)",
            &[
                (&TextValue(Some("glad")), Type::UNKNOWN),
                (&TextValue(Some("1.5")), Type::UNKNOWN),
                (&TextValue(None), Type::UNKNOWN),
                (&TextValue(Some("2")), Type::NUMERIC),
            ],
        )
        .await
        .unwrap();
    assert_eq!(changed, 2);
    let rows = session
        .query("SELECT m::text, n::text FROM t WHERE n < $1 ORDER BY n", &[(&2_i32, Type::INT4)])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>(0), "glad");
    assert_eq!(rows[0].get::<_, &str>(1), "1.50");
    let refused = session.query("SELECT $1::int4", &[(&"text", Type::INT4)]).await.unwrap_err();
    assert!(refused.message().contains("int4"), "{refused}");
    assert!(session.query("SELECT 1", &[]).await.is_ok(), "the session goes on after a refused value");
}

#[tokio::test]
async fn describing_prints_types_with_their_modifiers_and_runs_nothing() {
    let database = Cluster::shared().await.database("describe").await;
    let session = session(&database.url()).await;
    session.run("CREATE TYPE mood AS ENUM ('sad'); CREATE SEQUENCE s").await.unwrap();
    let columns = session
        .describe(
            "SELECT 1::numeric(20,6) AS amount, 'x'::varchar(10) AS name, now() AS at, 'sad'::mood AS mood, \
             ARRAY[1] AS list, nextval('s') AS next",
        )
        .await
        .unwrap();
    let columns: Vec<(&str, &str)> = columns.iter().map(|(name, kind)| (&**name, &**kind)).collect();
    assert_eq!(
        columns,
        [
            ("amount", "numeric(20,6)"),
            ("name", "character varying(10)"),
            ("at", "timestamp with time zone"),
            ("mood", "mood"),
            ("list", "integer[]"),
            ("next", "bigint"),
        ]
    );
    assert_eq!(value(&session, "SELECT is_called FROM s").await.as_deref(), Some("f"));
    assert_eq!(session.describe("CREATE TABLE x ()").await.unwrap(), []);
    assert_eq!(session.describe("SELECT nonsense").await.unwrap_err().sqlstate(), Some("42703"));
}

#[tokio::test]
async fn notices_are_kept_in_order_until_drained() {
    let database = Cluster::shared().await.database("notices").await;
    let session = session(&database.url()).await;
    session
        .run(
            "DO $$ BEGIN RAISE NOTICE 'first' USING DETAIL = 'd', HINT = 'h'; \
             RAISE WARNING 'second' USING ERRCODE = '01XYZ'; END $$",
        )
        .await
        .unwrap();
    let notices = session.notices();
    assert_eq!(notices.len(), 2);
    assert_eq!((&*notices[0].severity, &*notices[0].message), ("NOTICE", "first"));
    assert_eq!((notices[0].detail.as_deref(), notices[0].hint.as_deref()), (Some("d"), Some("h")));
    assert_eq!((&*notices[1].severity, &*notices[1].sqlstate), ("WARNING", "01XYZ"));
    assert_eq!(session.notices(), []);

    session.run("DO $$ BEGIN FOR n IN 1..1500 LOOP RAISE NOTICE '%', n; END LOOP; END $$").await.unwrap();
    let notices = session.notices();
    assert_eq!(notices.len(), tidegate_store::postgres::NOTICES_MAX);
    assert_eq!(notices.last().unwrap().message, "1500");
}

#[tokio::test]
async fn data_is_copied_in_and_a_refused_copy_says_why() {
    let database = Cluster::shared().await.database("copy").await;
    let session = session(&database.url()).await;
    session.run("CREATE TABLE t (a int, b text)").await.unwrap();
    let chunks = (0..2_000).map(|n| format!("{n}\tvalue {n}\n").into_bytes());
    assert_eq!(session.copy_in("COPY t FROM STDIN", chunks).await.unwrap(), 2_000);
    assert_eq!(value(&session, "SELECT sum(a) FROM t").await.as_deref(), Some("1999000"));

    let chunks =
        (0..2_000).map(|n| if n == 700 { b"x\ty\n".to_vec() } else { format!("{n}\tv\n").into_bytes() });
    let failure = session.copy_in("COPY t FROM STDIN", chunks).await.unwrap_err();
    assert_eq!(failure.sqlstate(), Some("22P02"), "{failure}");
    assert_eq!(value(&session, "SELECT count(*) FROM t").await.as_deref(), Some("2000"));
}

#[tokio::test]
async fn a_copy_that_is_refused_before_it_begins_ends_the_session_with_its_reason() {
    let database = Cluster::shared().await.database("nocopy").await;
    for (sql, sqlstate, ends) in [
        ("COPY missing FROM STDIN", Some("42P01"), true),
        ("COPY (SELECT 1) TO STDOUT", None, true),
        ("COPY nonsense", Some("42601"), false),
    ] {
        let session = session(&database.url()).await;
        let failure = session.copy_in(sql, [b"1\n".to_vec()]).await.unwrap_err();
        assert_eq!(failure.sqlstate(), sqlstate, "{sql}: {failure}");
        match session.run("SELECT 1").await {
            Ok(answers) => assert!(!ends && answers[0].single() == Some(Some("1")), "{sql}: {answers:?}"),
            Err(failure) => assert!(ends && failure.is_unknown_verdict(), "{sql}: {failure}"),
        }
    }
}

#[tokio::test]
async fn data_that_comes_piece_by_piece_is_copied_or_aborted_whole() {
    let database = Cluster::shared().await.database("copypieces").await;
    let session = session(&database.url()).await;
    session.run("CREATE TABLE t (a int)").await.unwrap();
    let mut numbers = 0..2_000;
    let copied: Result<u64, Failure> = session
        .copy_in_from("COPY t FROM STDIN", async || Ok(numbers.next().map(|n| format!("{n}\n").into_bytes())))
        .await;
    assert_eq!(copied.unwrap(), 2_000);

    let mut pieces = vec![b"1\n".to_vec(), b"no number\n".to_vec(), b"2\n".to_vec()].into_iter();
    let refused: Result<u64, Failure> =
        session.copy_in_from("COPY t FROM STDIN", async || Ok(pieces.next())).await;
    assert_eq!(refused.unwrap_err().sqlstate(), Some("22P02"));

    // What the source fails with aborts the copy, and the session goes on.
    let source = session.run("SELECT 1/0").await.unwrap_err();
    let mut pieces = vec![Ok(Some(b"3\n".to_vec())), Err(source)].into_iter();
    let aborted: Result<u64, Failure> =
        session.copy_in_from("COPY t FROM STDIN", async || pieces.next().unwrap()).await;
    assert_eq!(aborted.unwrap_err().sqlstate(), Some("22012"));
    assert_eq!(value(&session, "SELECT count(*) FROM t").await.as_deref(), Some("2000"));
}

#[tokio::test]
async fn a_copy_as_a_plain_statement_is_refused_by_name() {
    let database = Cluster::shared().await.database("plaincopy").await;
    let first = session(&database.url()).await;
    let failure = first.run("COPY (SELECT 1) TO STDOUT").await.unwrap_err();
    assert!(failure.message().contains("COPY"), "{failure}");
    assert_eq!(
        value(&first, "SELECT 2").await.as_deref(),
        Some("2"),
        "the rest of the answer was passed over"
    );
    first.run("CREATE TABLE t (a int)").await.unwrap();
    let failure = first.run("COPY t FROM STDIN").await.unwrap_err();
    assert!(failure.message().contains("COPY"), "{failure}");
}

#[tokio::test]
async fn cancelling_stops_the_statement_and_leaves_the_session_usable() {
    let database = Cluster::shared().await.database("cancel").await;
    let session = session(&database.url()).await;
    let watcher = crate::door::session(&database.url()).await;
    let pid = session.backend_pid().await.unwrap();
    let cancel = session.cancel_handle();
    let running = async { session.run("SELECT pg_sleep(600)").await };
    let cancelling = async {
        eventually("the statement runs", BOUND, || async {
            let sql = format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}");
            (value(&watcher, &sql).await.as_deref() == Some("PgSleep")).then_some(())
        })
        .await
        .unwrap();
        cancel.cancel().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(running, cancelling);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::Cancelled, Some("57014")));
    assert!(failure.is_unknown_verdict());
    assert_eq!(value(&session, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_session_that_the_server_ended_repeats_its_last_word() {
    let database = Cluster::shared().await.database("ended").await;
    let session = session(&database.url()).await;
    let other = crate::door::session(&database.url()).await;
    let pid = session.backend_pid().await.unwrap();
    other.run(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    eventually("the session notices", BOUND, || async { session.is_closed().then_some(()) }).await.unwrap();
    let failure = session.run("SELECT 1").await.unwrap_err();
    assert_eq!((failure.kind(), failure.sqlstate()), (FailureKind::ServerShuttingDown, Some("57P01")));
    assert!(failure.is_unknown_verdict() && failure.ends_the_connection());
    assert!(!failure.happened_while_connecting());
}

#[tokio::test]
async fn closing_ends_the_backend() {
    let database = Cluster::shared().await.database("close").await;
    let other = session(&database.url()).await;
    let session =
        tidegate_store::postgres::Session::connect(&address(&database.url()), "closing").await.unwrap();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closing'";
    assert_eq!(value(&other, count).await.as_deref(), Some("1"));
    session.close().await;
    eventually("the backend is gone", BOUND, || async {
        (value(&other, count).await.as_deref() == Some("0")).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_and_passed_over() {
    let database = Cluster::shared().await.database("large").await;
    let session = session(&database.url()).await;
    let sql = "SELECT repeat('x', 1 << 20) FROM generate_series(1, 70)";
    let failure = session.run(sql).await.unwrap_err();
    assert!(failure.message().contains("larger than"), "{failure}");
    let failure = session.query(sql, &[]).await.unwrap_err();
    assert!(failure.message().contains("larger than"), "{failure}");
    assert_eq!(value(&session, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_session_can_be_used_from_any_thread() {
    let database = Cluster::shared().await.database("threads").await;
    let session = session(&database.url()).await;
    let asked = tokio::spawn(async move {
        session.query("SELECT 1", &[]).await?;
        session.copy_in("COPY nonsense", Vec::new()).await.unwrap_err();
        session.describe("SELECT 1").await?;
        session.run("SELECT 1").await
    });
    assert_eq!(asked.await.unwrap().unwrap()[0].affected, 1);
}

#[tokio::test]
async fn a_statement_that_is_asked_again_is_parsed_once_and_follows_the_schema() {
    let database = Cluster::shared().await.database("prepared").await;
    let session = session(&database.url()).await;
    session.run("CREATE TABLE a (n int)").await.unwrap();
    let insert = "INSERT INTO a (n) VALUES ($1)";
    let look = "SELECT count(*), max(n) FROM a";
    for n in 1..=7_i32 {
        assert_eq!(session.execute_prepared(insert, &[(&n, Type::INT4)]).await.unwrap(), 1);
        let rows = session.query_prepared(look, &[]).await.unwrap();
        assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, i32>(1)), (i64::from(n), n));
    }
    let kept = "SELECT count(*) FROM pg_prepared_statements WHERE statement IN ($1, $2)";
    let rows = session.query(kept, &[(&insert, Type::TEXT), (&look, Type::TEXT)]).await.unwrap();
    assert_eq!(rows[0].get::<_, i64>(0), 2);
    session.run("BEGIN; DROP TABLE a; CREATE TABLE a (m int, n int)").await.unwrap();
    assert_eq!(session.execute_prepared(insert, &[(&8, Type::INT4)]).await.unwrap(), 1);
    let rows = session.query_prepared(look, &[]).await.unwrap();
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, i32>(1)), (1, 8));
    session.run("ROLLBACK").await.unwrap();
    let rows = session.query_prepared(look, &[]).await.unwrap();
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, i32>(1)), (7, 7));
    session.run("DEALLOCATE ALL").await.unwrap();
    assert_eq!(session.query_prepared(look, &[]).await.unwrap().len(), 1, "it is prepared anew");
}
