//! Clusters and databases.

use std::time::Instant;

use testkit::{Cluster, ClusterOptions};

#[tokio::test]
async fn two_databases_are_apart() {
    let cluster = Cluster::shared().await;
    let one = cluster.database("apart").await;
    let two = cluster.database("apart").await;
    assert_ne!(one.name(), two.name());
    one.execute("CREATE TABLE only_here (a int)").await;
    let seen = "SELECT to_regclass('only_here') IS NOT NULL";
    assert!(one.value::<bool>(seen).await);
    assert!(!two.value::<bool>(seen).await);
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("dropped").await;
    let name = database.name().to_owned();
    let session = database.client().await;
    session.execute("SELECT 1", &[]).await.unwrap();
    drop(database);
    cluster
        .until(&format!("SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')"))
        .await
        .unwrap();
    assert!(session.execute("SELECT 1", &[]).await.is_err());
}

#[tokio::test]
async fn a_database_begins_as_a_copy_of_its_template() {
    let cluster = Cluster::shared().await;
    let sql = "CREATE TABLE seeded AS SELECT generate_series(1, 3) AS n";
    let template = cluster.template("seeded_three", sql).await.unwrap();
    assert_eq!(cluster.template("seeded_three", sql).await.unwrap(), template);
    let database = cluster.database_from("copy", &template).await;
    assert_eq!(database.value::<i64>("SELECT count(*) FROM seeded").await, 3);
}

#[tokio::test]
async fn a_template_that_fails_is_not_left_half_made() {
    let cluster = Cluster::shared().await;
    assert!(cluster.template("broken", "CREATE TABLE a (b int); SELECT 1 / 0").await.is_err());
    let template = cluster.template("broken", "CREATE TABLE a (b int)").await.unwrap();
    let database = cluster.database_from("mended", &template).await;
    assert_eq!(database.value::<i64>("SELECT count(*) FROM a").await, 0);
}

#[tokio::test]
async fn a_role_is_made_once_however_many_ask() {
    let cluster = Cluster::shared().await;
    let (one, two, three) = tokio::join!(cluster.role("asked"), cluster.role("asked"), cluster.role("asked"));
    one.and(two).and(three).unwrap();
    let database = cluster.database("roles").await;
    let client = database.client_as("asked").await;
    let user: String = client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    assert_eq!(user, "asked");
}

#[tokio::test]
async fn a_password_is_asked_for_and_compared() {
    let cluster = Cluster::shared().await;
    cluster.role_with_password("guarded", "it's a secret").await.unwrap();
    let database = cluster.database("password").await;
    assert!(database.try_client("guarded").await.is_err(), "connected without a password");
    let url = database.url_for("guarded:it%27s%20a%20secret");
    assert!(tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_ok());
}

#[tokio::test]
async fn what_was_committed_survives_every_way_to_stop() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let database = cluster.database("stops").await;
    database.execute("CREATE TABLE kept (n int)").await;
    for n in 0..3 {
        database.execute(&format!("INSERT INTO kept VALUES ({n})")).await;
        match n {
            0 => cluster.restart().await.unwrap(),
            1 => cluster.stop_immediate().await.unwrap(),
            _ => cluster.kill9().await.unwrap(),
        }
        if n > 0 {
            assert!(cluster.connect("postgres").await.is_err(), "a stopped server answered");
            cluster.launch().await.unwrap();
        }
    }
    assert_eq!(database.value::<i64>("SELECT count(*) FROM kept").await, 3);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let options = ClusterOptions::default().set("no_such_setting", "1");
    let error = Cluster::start(options).await.unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn the_log_holds_statements_when_asked_to() {
    let cluster = Cluster::start(ClusterOptions::default().log_statements()).await.unwrap();
    cluster.execute("SELECT 'needle in the log'").await.unwrap();
    assert!(cluster.log().unwrap().contains("needle in the log"));
}

#[tokio::test]
async fn a_read_only_cluster_refuses_writes_until_it_is_released() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let database = cluster.database("read_only").await;
    cluster.read_only(true).await.unwrap();
    let refused = database.client().await.batch_execute("CREATE TABLE t ()").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
    cluster.read_only(false).await.unwrap();
    database.client().await.batch_execute("CREATE TABLE t ()").await.unwrap();
}

#[tokio::test]
async fn a_cluster_starts_in_about_a_second_from_the_prepared_directory() {
    drop(Cluster::start(ClusterOptions::default()).await.unwrap());
    let started = Instant::now();
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let took = started.elapsed();
    cluster.execute("SELECT 1").await.unwrap();
    // The bound is loose because machines are shared; it fails when the directory is prepared each time under load.
    assert!(took.as_secs() < 10, "{took:?}");
}
