//! `DELETE /v1/vfs/blobs/{id}`, against its table.

use serde_json::json;
use testkit::{S3Code, S3Fault, S3Operation};

use super::world::World;

const FAILED: &str = "Failed to delete blob data";

#[tokio::test]
async fn a_blob_goes_with_its_object_and_its_stages_and_a_repeat_says_the_same() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    assert_eq!(ann.stage("s2", "b1", None).await.status.as_u16(), 201);
    assert_eq!(ann.abandon("s2").await.status.as_u16(), 200);
    let first = ann.remove("b1").await;
    assert_eq!((first.status.as_u16(), first.json()), (200, json!({ "deleted": true, "blobId": "b1" })));
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
    assert_eq!(world.count("vfs_registry WHERE id IN ('b1', 's1', 's2')").await, 0);
    assert_eq!(world.count("vfs_links").await, 0);
    // The feed tells of it: nothing refers to what is gone.
    assert_eq!(world.count("vfs_sync_changes WHERE item_id = 'b1' AND change_type = 'delete'").await, 1);
    world.s3.forget_requests();
    assert_eq!(ann.remove("b1").await.json(), first.json());
    assert_eq!(world.s3.requests(), Vec::new());
    assert_eq!(bob.remove("b1").await.refusal(), (404, "Blob object not found".into()));
    assert_eq!(ann.read("b1").await.refusal(), (404, "Blob object not found".into()));
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.refusal().0, 404);
    // The id is free again, once nothing can be under way any more that was meant for the old object.
    let again = ann.stage("s1", "b1", Some("bm8=")).await;
    assert_eq!(again.refusal(), (409, "Blob is being deleted".into()));
    world.database.execute("UPDATE vfs_blob_marks SET marked_at = now() - interval '1 hour'").await;
    assert_eq!(ann.stage("s1", "b1", Some("bm8=")).await.status.as_u16(), 201);
    assert_eq!(&ann.read("b1").await.body[..], b"no");
}

#[tokio::test]
async fn refusals_of_deleting_ask_nothing_of_the_store() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.status.as_u16(), 200);
    world.s3.forget_requests();
    assert_eq!(ann.remove("%20").await.refusal(), (400, "blobId is required".into()));
    assert_eq!(ann.remove("a%2Fb").await.refusal().0, 400);
    assert_eq!(ann.remove("b9").await.refusal(), (404, "Blob object not found".into()));
    assert_eq!(
        ann.remove("file-1").await.refusal(),
        (409, "Blob object id conflicts with existing VFS object".into())
    );
    assert_eq!(bob.remove("b1").await.refusal(), (403, "Forbidden".into()));
    assert_eq!(ann.remove("b1").await.refusal(), (409, "Blob is attached and cannot be deleted".into()));
    let nobody = ann.without_token();
    assert_eq!(nobody.remove("b1").await.refusal().0, 401);
    assert_eq!(world.s3.requests(), Vec::new());
    assert_eq!(world.count("vfs_blob_marks").await, 0);
}

#[tokio::test]
async fn a_deletion_that_the_store_refused_keeps_the_row_and_is_ended_by_the_same_request() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.fault_always(S3Operation::Delete, S3Fault::Refuse(S3Code::AccessDenied));
    assert_eq!(ann.remove("b1").await.refusal(), (500, FAILED.into()));
    // It has begun: it is read as long as its object is there, and nothing new begins on it.
    assert_eq!(ann.read("b1").await.status.as_u16(), 200);
    let deleting = (409, "Blob is being deleted".to_owned());
    assert_eq!(ann.stage("s2", "b1", None).await.refusal(), deleting);
    assert_eq!(ann.stage("s2", "b1", Some("bm8=")).await.refusal(), deleting);
    assert_eq!(ann.upload("b1", "text/plain", "no").await.refusal(), deleting);
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.refusal(), deleting);
    world.s3.heal();
    assert_eq!(ann.remove("b1").await.status.as_u16(), 200);
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn metadata_without_an_object_is_500_to_read_and_goes_with_the_second_request() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.take_away("p/b1").unwrap();
    assert_eq!(ann.read("b1").await.refusal(), (500, "Failed to read blob data".into()));
    world.s3.fault(S3Operation::Delete, S3Fault::Refuse(S3Code::NoSuchKey));
    assert_eq!(ann.remove("b1").await.refusal(), (500, FAILED.into()));
    assert_eq!(world.count("vfs_registry WHERE id = 'b1'").await, 1);
    world.s3.fault(S3Operation::Delete, S3Fault::Refuse(S3Code::NoSuchKey));
    assert_eq!(ann.remove("b1").await.status.as_u16(), 200);
    assert_eq!(world.count("vfs_registry WHERE id = 'b1'").await, 0);
}
