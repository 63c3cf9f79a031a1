//! A bounded pool of sessions.

use std::time::Duration;

use testkit::{Cluster, Proxy, eventually};
use tidegate_store::postgres::{
    Failure, FailureKind, Pool, PoolError, PoolOptions, Session, TxOptions, run_tx,
};

use crate::door::{BOUND, address, value};

fn options(size: usize, wait: Duration) -> PoolOptions {
    PoolOptions { size, wait, application_name: "pooled".to_owned() }
}

#[tokio::test]
async fn sessions_are_kept_and_never_more_than_the_size() {
    let database = Cluster::shared().await.database("pool").await;
    let pool = Pool::new(address(&database.url()), options(2, Duration::from_millis(50))).unwrap();
    let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let pid = one.backend_pid().await.unwrap();
    let none = pool.get().await.unwrap_err();
    assert!(matches!(none, PoolError::Exhausted { size: 2, .. }), "{none}");
    assert!(none.to_string().ends_with("raise its size, or end what keeps them"), "{none}");
    drop(one);
    let again = pool.get().await.unwrap();
    assert_eq!(again.backend_pid().await.unwrap(), pid);
    drop((again, two));
    let status = pool.status();
    assert_eq!((status.size, status.open, status.idle), (2, 2, 2));
}

#[tokio::test]
async fn whoever_waits_gets_the_session_that_comes_back() {
    let database = Cluster::shared().await.database("pool_waits").await;
    let pool = Pool::new(address(&database.url()), options(1, BOUND)).unwrap();
    let held = pool.get().await.unwrap();
    let comes_back = async {
        eventually("somebody waits", BOUND, || async { (pool.status().waiting == 1).then_some(()) })
            .await
            .unwrap();
        drop(held);
    };
    let (waited, ()) = tokio::join!(pool.get(), comes_back);
    assert_eq!(value(&waited.unwrap(), "SHOW application_name").await.as_deref(), Some("pooled"));
}

#[tokio::test]
async fn a_session_whose_connection_ended_is_replaced() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("pool_broken").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let pool = Pool::new(address(&database.url_at(proxy.port(), "postgres")), options(1, BOUND)).unwrap();
    let first = pool.get().await.unwrap().backend_pid().await.unwrap();
    proxy.drop_all().await.unwrap();
    let replaced =
        eventually("another session", BOUND, || async { pool.get().await.ok()?.backend_pid().await.ok() })
            .await
            .unwrap();
    assert_ne!(first, replaced);
    proxy.outage().await.unwrap();
    let refused = eventually("no session", BOUND, || async { pool.get().await.err() }).await.unwrap();
    assert!(
        matches!(&refused, PoolError::Store(failure) if failure.happened_while_connecting()),
        "{refused}"
    );
}

#[tokio::test]
async fn a_transaction_that_was_dropped_is_over_before_the_next_user_asks() {
    let database = Cluster::shared().await.database("pool_dropped").await;
    database.execute("CREATE TABLE t (a int)").await;
    let pool = Pool::new(address(&database.url()), options(1, BOUND)).unwrap();
    let inserted = tokio::sync::Notify::new();
    let dropped = async {
        let session = pool.get().await.unwrap();
        run_tx(&session, "dropped", &TxOptions::default(), async |session: &Session| {
            session.run("INSERT INTO t VALUES (1)").await?;
            inserted.notify_one();
            std::future::pending::<Result<(), Failure>>().await
        })
        .await
    };
    tokio::select! {
        outcome = dropped => panic!("it cannot end: {outcome:?}"),
        () = inserted.notified() => {}
    }
    let next = pool.get().await.unwrap();
    assert_eq!(value(&next, "SELECT pg_current_xact_id_if_assigned()").await, None);
    assert_eq!(value(&next, "SELECT count(*) FROM t").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_closed_pool_gives_nothing_and_one_without_a_server_says_so() {
    let database = Cluster::shared().await.database("pool_closed").await;
    let pool = Pool::new(address(&database.url()), options(1, BOUND)).unwrap();
    pool.get().await.unwrap();
    pool.close();
    assert!(matches!(pool.get().await, Err(PoolError::Closed)));
    let nobody = Pool::new(address("postgresql://a@127.0.0.1:1/b"), options(1, BOUND)).unwrap();
    let failure = nobody.get().await.unwrap_err();
    assert!(matches!(failure, PoolError::Store(failure) if failure.kind() == FailureKind::CannotConnect));
}

#[tokio::test]
async fn a_session_that_nobody_uses_for_long_is_ended_and_one_in_use_is_not() {
    let database = Cluster::shared().await.database("pool").await;
    let pool = Pool::new(address(&database.url()), options(3, Duration::from_secs(5))).unwrap();
    let (used, idle) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(idle);
    assert_eq!(pool.end_idle(Duration::from_secs(3_600)), 0);
    assert_eq!(pool.status().open, 2);
    assert_eq!(pool.end_idle(Duration::ZERO), 1);
    assert_eq!((pool.status().open, pool.status().idle), (1, 0));
    used.run("SELECT 1").await.unwrap();
    drop(used);
    pool.get().await.unwrap().run("SELECT 1").await.unwrap();
}
