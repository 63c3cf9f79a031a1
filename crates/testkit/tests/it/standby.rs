//! Standbys.

use testkit::{Cluster, ClusterOptions};

#[tokio::test]
async fn a_standby_follows_falls_behind_and_takes_over_without_what_it_missed() {
    let primary = Cluster::start(ClusterOptions::default()).await.unwrap();
    let database = primary.database("followed").await;
    database.execute("CREATE TABLE entry AS SELECT 1 AS n").await;
    let standby = primary.standby(ClusterOptions::default()).await.unwrap();
    database.execute("INSERT INTO entry VALUES (2)").await;
    standby.catch_up_with(&primary).await.unwrap();

    let there = standby.connect(database.name()).await.unwrap();
    let count = "SELECT count(*) FROM entry";
    assert_eq!(there.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2);
    let refused = there.batch_execute("INSERT INTO entry VALUES (0)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");

    standby.detach().await.unwrap();
    database.execute("INSERT INTO entry VALUES (3)").await;
    standby.promote().await.unwrap();
    let there = standby.connect(database.name()).await.unwrap();
    assert_eq!(there.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2);
    there.batch_execute("INSERT INTO entry VALUES (4)").await.unwrap();
    assert_eq!(database.value::<i64>(count).await, 3);
}
