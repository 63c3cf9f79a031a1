//! Each fault does what it says, seen from both sides.

use std::time::Duration;

use testkit::{Cluster, Database, Fault, Proxy, eventually};
use tokio_postgres::{Client, NoTls};

const BOUND: Duration = Duration::from_secs(30);

async fn table() -> (Database, Proxy) {
    let cluster = Cluster::shared().await;
    let database = cluster.database("proxied").await;
    database.execute("CREATE TABLE entry (n int)").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    (database, proxy)
}

async fn through(proxy: &Proxy, database: &Database) -> Result<Client, tokio_postgres::Error> {
    let url = database.url_at(proxy.port(), "postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn entries(database: &Database) -> i64 {
    database.value("SELECT count(*) FROM entry").await
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    assert_eq!(client.execute("INSERT INTO entry SELECT generate_series(1, 1000)", &[]).await.unwrap(), 1000);
    assert_eq!(client.query("SELECT n FROM entry", &[]).await.unwrap().len(), 1000);
    assert_eq!((proxy.fired(), proxy.connections()), (0, 1));
}

#[tokio::test]
async fn a_statement_dropped_before_is_never_executed() {
    let (database, proxy) = table().await;
    for prepared in [false, true] {
        let client = through(&proxy, &database).await.unwrap();
        proxy.inject(Fault::drop_before("insert into ENTRY"));
        let sql = "INSERT INTO entry VALUES (1)";
        let refused = if prepared {
            client.execute(sql, &[]).await.map(|_| ())
        } else {
            client.batch_execute(sql).await
        };
        assert!(refused.unwrap_err().code().is_none(), "the server answered");
    }
    assert_eq!((entries(&database).await, proxy.fired()), (0, 2));
}

#[tokio::test]
async fn a_statement_whose_answer_is_dropped_has_been_executed() {
    let (database, proxy) = table().await;
    for prepared in [false, true] {
        let client = through(&proxy, &database).await.unwrap();
        proxy.inject(Fault::drop_answer_of("INSERT INTO entry"));
        let sql = "INSERT INTO entry VALUES (1)";
        let lost = if prepared {
            client.execute(sql, &[]).await.map(|_| ())
        } else {
            client.batch_execute(sql).await
        };
        assert!(lost.unwrap_err().code().is_none(), "the answer came through");
    }
    assert_eq!((entries(&database).await, proxy.fired()), (2, 2));
}

#[tokio::test]
async fn a_commit_may_be_lost_before_or_after_it_happened() {
    let (database, proxy) = table().await;
    for (fault, expected) in [(Fault::drop_before("COMMIT"), 0), (Fault::drop_answer_of("COMMIT"), 1)] {
        let mut client = through(&proxy, &database).await.unwrap();
        let work = client.transaction().await.unwrap();
        work.execute("INSERT INTO entry VALUES (1)", &[]).await.unwrap();
        proxy.inject(fault);
        assert!(work.commit().await.is_err());
        assert_eq!(entries(&database).await, expected);
    }
}

#[tokio::test]
async fn a_fault_may_wait_for_a_later_occurrence() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.inject_after(2, Fault::drop_before("INSERT"));
    let mut done = 0;
    while client.execute("INSERT INTO entry VALUES (1)", &[]).await.is_ok() {
        done += 1;
    }
    assert_eq!((done, entries(&database).await), (2, 2));
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_released() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.inject(Fault::hold_answer_of("INSERT"));
    let insert = tokio::spawn(async move { client.execute("INSERT INTO entry VALUES (1)", &[]).await });
    proxy.until_fired(1, BOUND).await.unwrap();
    eventually("the insert is committed", BOUND, || async { (entries(&database).await == 1).then_some(()) })
        .await
        .unwrap();
    assert!(!insert.is_finished());
    proxy.release();
    assert_eq!(insert.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_delayed_statement_is_executed_after_its_delay() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    let by = Duration::from_millis(80);
    proxy.inject(Fault::DelayBefore { text: "INSERT".to_owned(), by });
    let started = std::time::Instant::now();
    client.batch_execute("INSERT INTO entry VALUES (1)").await.unwrap();
    assert!(started.elapsed() >= by);
    assert_eq!(entries(&database).await, 1);
}

#[tokio::test]
async fn a_cut_answer_ends_in_the_middle() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.inject(Fault::CutAfter { bytes: 200 });
    let cut = client.simple_query("SELECT generate_series(1, 1000)").await.unwrap_err();
    assert!(cut.code().is_none());
    assert_eq!(proxy.fired(), 1);
    through(&proxy, &database).await.unwrap();
}

#[tokio::test]
async fn an_outage_ends_and_refuses_connections_until_it_is_over() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.outage().await.unwrap();
    assert_eq!(proxy.connections(), 0);
    assert!(client.batch_execute("SELECT 1").await.is_err());
    assert!(through(&proxy, &database).await.is_err());
    proxy.resume().await.unwrap();
    through(&proxy, &database).await.unwrap().batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn refusing_lets_open_connections_go_on() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.refuse().await.unwrap();
    assert!(through(&proxy, &database).await.is_err());
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_frozen_network_is_silent_and_then_goes_on() {
    let (database, proxy) = table().await;
    let client = through(&proxy, &database).await.unwrap();
    proxy.freeze();
    let insert = tokio::spawn(async move { client.execute("INSERT INTO entry VALUES (1)", &[]).await });
    // A statement on another way is a round trip that the frozen one has had time for.
    assert_eq!(entries(&database).await, 0);
    assert!(!insert.is_finished());
    proxy.thaw();
    assert_eq!(insert.await.unwrap().unwrap(), 1);
}
