//! Hearing of what others commit.

use std::time::Duration;

use testkit::Cluster;
use tidegate_store::postgres::{Address, FailureKind, Listener};
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn notifications_are_heard_once_they_are_committed_and_the_end_is_told() {
    let database = Cluster::shared().await.database("listening").await;
    let address = Address::resolve(Some(&database.url()), &|_| None).unwrap();
    let mut listener = Listener::connect(&address, "listens", "Odd \"channel").await.unwrap();
    let mut client = database.client().await;
    let work = client.transaction().await.unwrap();
    work.batch_execute("SELECT pg_notify('Odd \"channel', 'a'), pg_notify('Odd \"channel', 'b')")
        .await
        .unwrap();
    assert!(timeout(Duration::from_millis(200), listener.heard()).await.is_err(), "nothing is committed yet");
    work.commit().await.unwrap();
    timeout(BOUND, listener.heard()).await.unwrap().unwrap();

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listens'";
    client.batch_execute(end).await.unwrap();
    let failure = timeout(BOUND, async {
        loop {
            if let Err(failure) = listener.heard().await {
                return failure;
            }
        }
    });
    assert_eq!(failure.await.unwrap().kind(), FailureKind::ConnectionLost);
}
