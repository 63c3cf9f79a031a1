//! The pooler: its console, and what works through it.

use testkit::{Cluster, Pgbouncer, PgbouncerOptions};
use tidegate_store::pgbouncer::{ConsoleFailure, show};
use tidegate_store::postgres::{Failure, TxOptions, TxOutcome, Type, run_tx};

use crate::door::{address, session, value};

#[tokio::test]
async fn the_console_shows_its_lists() {
    let cluster = Cluster::shared().await;
    let options = PgbouncerOptions { passwords: true, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(cluster, options).await.unwrap();
    let console = address(&pooler.console_url());
    let rows = show(&console, "DATABASES").await.unwrap();
    let column = rows.columns.iter().position(|name| name == "pool_size").unwrap();
    assert!(rows.rows.iter().all(|row| row.len() == rows.columns.len()));
    assert_eq!(rows.rows[0][column].as_deref().map(str::is_empty), Some(false));
    let rows = show(&console, "version").await.unwrap();
    assert!(rows.rows[0][0].as_deref().unwrap().starts_with("PgBouncer"), "{rows:?}");
}

#[tokio::test]
async fn what_is_no_console_or_no_list_is_refused() {
    let cluster = Cluster::shared().await;
    let pooler = Pgbouncer::start(cluster, PgbouncerOptions::default()).await.unwrap();
    let database = cluster.database("noconsole").await;
    for url in [database.url(), pooler.url(&database)] {
        let failure = show(&address(&url), "POOLS").await.unwrap_err();
        assert!(matches!(failure, ConsoleFailure::NotAConsole { .. }), "{failure:?}");
    }
    let console = address(&pooler.console_url());
    for what in ["", "POOLS; SHUTDOWN", "a b c", "POOLS ", "DATABASES--"] {
        let failure = show(&console, what).await.unwrap_err();
        assert!(matches!(failure, ConsoleFailure::BadName { .. }), "{what:?}: {failure:?}");
    }
    let failure = show(&console, "NONSENSE").await.unwrap_err();
    assert!(matches!(failure, ConsoleFailure::Failed { .. }), "{failure:?}");
}

#[tokio::test]
async fn transactions_and_bound_queries_work_through_a_pool_of_one() {
    let cluster = Cluster::shared().await;
    let options = PgbouncerOptions { pool_size: 1, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(cluster, options).await.unwrap();
    let database = cluster.database("pooled").await;
    database.execute("CREATE TABLE t (a int)").await;
    let (one, two) = (session(&pooler.url(&database)).await, session(&pooler.url(&database)).await);
    // Both share the one server connection; a statement's name or a setting left behind would get into the other.
    for (round, session) in [&one, &two, &one, &two].into_iter().enumerate() {
        let options = TxOptions { application_prefix: format!("round {round} "), ..TxOptions::default() };
        let outcome = run_tx(session, "pooled", &options, async |session| {
            let rows =
                session.query("INSERT INTO t VALUES ($1) RETURNING a", &[(&7_i32, Type::INT4)]).await?;
            let name = value(session, "SELECT current_setting('application_name')").await;
            Ok::<_, Failure>((rows.len(), name))
        })
        .await;
        let TxOutcome::Committed((inserted, name)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((inserted, name), (1, Some(format!("round {round} pooled"))));
        assert_eq!(value(session, "SHOW lock_timeout").await.as_deref(), Some("0"));
    }
    assert_eq!(value(&one, "SELECT count(*) FROM t").await.as_deref(), Some("4"));
}
