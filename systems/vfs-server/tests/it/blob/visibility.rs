//! Attaching behind a checkpoint of the caller's client.

use serde_json::{Value as Json, json};
use vfs_core::{Cursor, Timestamp};

use super::world::{Asker, World};

const BEHIND: &str = "Client reconcile state is behind required visibility";
const FAILED: &str = "Failed to attach staged blob";

fn cursor(millisecond: i64, change: &str) -> String {
    Cursor::new(Timestamp::from_millisecond(millisecond).unwrap(), change).unwrap().encode()
}

async fn staged(world: &World) -> Asker {
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    ann
}

/// Stores what a client has reconciled, as the reconcile route or something older wrote it.
async fn reconciled(world: &World, change: &str, write_ids: &str) {
    world
        .database
        .execute(&format!(
            "DELETE FROM vfs_sync_client_state;
             INSERT INTO vfs_sync_client_state
               (user_id, client_id, last_reconciled_at, last_reconciled_change_id, last_reconciled_write_ids, updated_at)
             VALUES ('ann', 'crdt:desktop', to_timestamp(1000), '{change}', '{write_ids}', now())"
        ))
        .await;
}

fn wanted(cursor: &str, write_ids: Json) -> Json {
    json!({
        "itemId": "file-1", "clientId": "desktop", "requiredCursor": cursor,
        "requiredLastReconciledWriteIds": write_ids,
    })
}

#[tokio::test]
async fn a_tuple_is_whole_or_it_is_refused() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let good = cursor(1_000_000, "c2");
    for (extra, text) in [
        (json!({ "requiredCursor": good }), "clientId is required when reconcile guardrails are provided"),
        (
            json!({ "requiredLastReconciledWriteIds": {} }),
            "clientId is required when reconcile guardrails are provided",
        ),
        (json!({ "clientId": "a:b", "requiredCursor": good }), "clientId must not contain \":\""),
        (
            json!({ "clientId": "desktop" }),
            "requiredCursor is required when reconcile guardrails are provided",
        ),
        (json!({ "clientId": "desktop", "requiredCursor": "x" }), "Invalid requiredCursor"),
        (
            json!({ "clientId": "desktop", "requiredCursor": good, "requiredLastReconciledWriteIds": [1] }),
            "lastReconciledWriteIds must be an object map of replicaId -> writeId",
        ),
        (
            json!({ "clientId": "desktop", "requiredCursor": good, "requiredLastReconciledWriteIds": { "a": 0 } }),
            "lastReconciledWriteIds contains invalid writeId (must be a positive integer)",
        ),
    ] {
        let mut body = json!({ "itemId": "file-1" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(ann.attach("s1", &body).await.refusal(), (400, text.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_client_that_never_reconciled_is_behind() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let body = wanted(&cursor(1, "c1"), json!({}));
    assert_eq!(ann.attach("s1", &body).await.refusal(), (409, BEHIND.into()));
}

#[tokio::test]
async fn an_equal_time_compares_the_change_and_equal_is_far_enough() {
    let world = World::start().await;
    let ann = staged(&world).await;
    reconciled(&world, "c2", "{}").await;
    for (at, change) in [(1_000_000, "c3"), (1_000_001, "c1")] {
        let body = wanted(&cursor(at, change), json!({}));
        assert_eq!(ann.attach("s1", &body).await.refusal(), (409, BEHIND.into()), "{at} {change}");
    }
    assert_eq!(ann.get("/v1/vfs/blobs/stage/s1").await.json()["status"], json!("staged"));
    let equal = wanted(&cursor(1_000_000, "c2"), json!({}));
    assert_eq!(ann.attach("s1", &equal).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_lower_change_of_the_same_time_is_far_enough() {
    let world = World::start().await;
    let ann = staged(&world).await;
    reconciled(&world, "c2", "{\"phone\": 3}").await;
    let body = wanted(&cursor(1_000_000, "c1"), json!({ "phone": 3 }));
    assert_eq!(ann.attach("s1", &body).await.status.as_u16(), 200);
}

#[tokio::test]
async fn each_required_replica_must_be_there_and_far_enough_and_the_same_request_succeeds_then() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let body = wanted(&cursor(1_000_000, "c1"), json!({ "desktop": 2, "phone": 3 }));
    for known in ["{}", "{\"desktop\": 2}", "{\"desktop\": 2, \"phone\": 2}", "{\"phone\": 9}"] {
        reconciled(&world, "c2", known).await;
        assert_eq!(ann.attach("s1", &body).await.refusal(), (409, BEHIND.into()), "{known}");
    }
    reconciled(&world, "c2", "{\"desktop\": 5, \"phone\": 3, \"tablet\": 1}").await;
    let first = ann.attach("s1", &body).await;
    assert_eq!(first.status.as_u16(), 200);
    // A repeat is told the same, also where the client's state is gone meanwhile.
    world.database.execute("DELETE FROM vfs_sync_client_state").await;
    assert_eq!(ann.attach("s1", &body).await.json(), first.json());
}

#[tokio::test]
async fn a_stored_map_of_another_shape_is_broken_data() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let body = wanted(&cursor(1_000, "c1"), json!({}));
    for broken in
        ["[1, 2]", "\"desktop=1\"", "{\"desktop\": \"1\"}", "{\"desktop\": 0}", "{\"desktop\": 1.5}", "null"]
    {
        reconciled(&world, "c2", broken).await;
        assert_eq!(ann.attach("s1", &body).await.refusal(), (500, FAILED.into()), "{broken}");
    }
    reconciled(&world, " ", "{}").await;
    assert_eq!(ann.attach("s1", &body).await.refusal(), (500, FAILED.into()));
    assert_eq!(ann.get("/v1/vfs/blobs/stage/s1").await.json()["status"], json!("staged"));
}
