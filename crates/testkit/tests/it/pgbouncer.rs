//! The pooler.

use testkit::{Cluster, Pgbouncer, PgbouncerOptions};

#[tokio::test]
async fn the_console_shows_the_pool_of_a_database_that_was_used() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("pooled").await;
    let pooler = Pgbouncer::start(cluster, PgbouncerOptions::default()).await.unwrap();
    let client = pooler.client(&database).await.unwrap();
    client.batch_execute("CREATE TABLE through (n int)").await.unwrap();
    assert!(database.value::<bool>("SELECT to_regclass('through') IS NOT NULL").await);
    let pools = pooler.show("POOLS").await.unwrap();
    let ours = pools.iter().find(|pool| pool.contains(&("database".into(), database.name().into()))).unwrap();
    assert!(ours.contains(&("pool_mode".to_owned(), "transaction".to_owned())), "{ours:?}");
}

#[tokio::test]
async fn transactions_of_many_clients_share_one_server_connection() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("one_backend").await;
    let options = PgbouncerOptions { pool_size: 1, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(cluster, options).await.unwrap();
    let mut backends = Vec::new();
    for _ in 0..2 {
        let client = pooler.client(&database).await.unwrap();
        let answer = client.simple_query("SELECT pg_backend_pid()").await.unwrap();
        backends.push(format!("{answer:?}"));
    }
    assert_eq!(backends[0], backends[1]);
}

#[tokio::test]
async fn any_role_of_the_server_may_come_through_under_its_own_name() {
    let cluster = Cluster::shared().await;
    cluster.role("late_comer").await.unwrap();
    let database = cluster.database("roles").await;
    let pooler = Pgbouncer::start(cluster, PgbouncerOptions::default()).await.unwrap();
    let url = pooler.url_for("late_comer", &database);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "late_comer");
}

#[tokio::test]
async fn a_pooler_with_passwords_compares_them() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("pooled_secret", "right").await.unwrap();
    let database = cluster.database("passwords").await;
    let options = PgbouncerOptions { passwords: true, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(cluster, options).await.unwrap();
    let connect = async |password: &str| {
        let url = pooler.url_for(&format!("pooled_secret:{password}"), &database);
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SELECT 1").await
    };
    connect("right").await.unwrap();
    assert!(connect("wrong").await.is_err());
    pooler.client(&database).await.unwrap().batch_execute("SELECT 1").await.unwrap();
}
