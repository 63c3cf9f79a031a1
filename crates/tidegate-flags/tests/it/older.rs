//! The first move, and transactions that are older than the set.

use testkit::Cluster;
use tidegate_flags::{declare, install, older_transactions};

use crate::sets::{SET, accounts, declared, session};

#[tokio::test]
async fn a_transaction_that_is_older_than_the_set_is_named_until_it_ends() {
    let database = Cluster::shared().await.database("older").await;
    let (owner, old) = (session(&database.url()).await, session(&database.url()).await);
    old.run("BEGIN").await.unwrap();
    let pid = old.backend_pid().await.unwrap();
    install(&owner).await.unwrap();
    declare(&owner, &accounts()).await.unwrap();
    declare(&owner, &accounts()).await.unwrap();
    let younger = session(&database.url()).await;
    younger.run("BEGIN").await.unwrap();
    younger.backend_pid().await.unwrap();
    let older = older_transactions(&owner, SET).await.unwrap();
    assert_eq!(older.iter().map(|older| older.pid).collect::<Vec<_>>(), [Some(pid)]);
    assert!(
        older[0].to_string().contains("since before the flag set; let it end, or end it"),
        "{}",
        older[0]
    );
    old.run("COMMIT").await.unwrap();
    assert_eq!(older_transactions(&owner, SET).await.unwrap(), []);
}

#[tokio::test]
async fn until_the_declaration_was_seen_committed_every_open_transaction_counts_as_older() {
    let database = Cluster::shared().await.database("unsettled").await;
    let owner = declared(&database).await;
    let open = session(&database.url()).await;
    open.run("BEGIN").await.unwrap();
    let pid = open.backend_pid().await.unwrap();
    let older = older_transactions(&owner, SET).await.unwrap();
    assert_eq!(older.iter().map(|older| older.pid).collect::<Vec<_>>(), [Some(pid)]);
    // Now it has been seen; what is open was there before all the same.
    declare(&owner, &accounts()).await.unwrap();
    assert_eq!(older_transactions(&owner, SET).await.unwrap().len(), 1);
    open.run("COMMIT; BEGIN").await.unwrap();
    open.backend_pid().await.unwrap();
    assert_eq!(older_transactions(&owner, SET).await.unwrap(), []);
}

#[tokio::test]
async fn a_transaction_whose_start_is_hidden_counts_as_older_and_the_grant_is_named() {
    let cluster = Cluster::shared().await;
    cluster.role("flags_mover").await.unwrap();
    let database = cluster.database("hidden").await;
    let name = database.name();
    database.execute(&format!("GRANT CREATE ON DATABASE \"{name}\" TO flags_mover")).await;
    let owner = session(&database.url_for("flags_mover")).await;
    install(&owner).await.unwrap();
    declare(&owner, &accounts()).await.unwrap();
    declare(&owner, &accounts()).await.unwrap();
    let (idle, open) = (session(&database.url()).await, session(&database.url()).await);
    idle.run("SELECT 1").await.unwrap();
    open.run("BEGIN").await.unwrap();
    let pid = open.backend_pid().await.unwrap();
    let older = older_transactions(&owner, SET).await.unwrap();
    assert_eq!(older.iter().map(|older| older.pid).collect::<Vec<_>>(), [Some(pid)]);
    assert!(older[0].to_string().ends_with("GRANT pg_read_all_stats to it"), "{}", older[0]);
    database.execute("GRANT pg_read_all_stats TO flags_mover").await;
    assert_eq!(older_transactions(&owner, SET).await.unwrap(), []);
}

#[tokio::test]
async fn a_prepared_transaction_counts_as_older() {
    let cluster = Cluster::start(testkit::ClusterOptions::default().set("max_prepared_transactions", "2"))
        .await
        .unwrap();
    let database = cluster.database("prepared").await;
    let other = session(&database.url()).await;
    other.run("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'left behind'").await.unwrap();
    let owner = declared(&database).await;
    let older = older_transactions(&owner, SET).await.unwrap();
    assert_eq!(older.len(), 1);
    assert!(older[0].to_string().starts_with("prepared transaction 'left behind' of"), "{}", older[0]);
    other.run("ROLLBACK PREPARED 'left behind'").await.unwrap();
    assert_eq!(older_transactions(&owner, SET).await.unwrap(), []);
}
