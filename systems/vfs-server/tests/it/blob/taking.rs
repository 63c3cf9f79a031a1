//! Nobody takes the bytes of somebody else by taking the id.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{S3Fault, S3Operation, eventually};

use super::world::World;

fn blob(id: &str) -> Json {
    json!({ "id": id, "objectType": "blob", "encryptedSessionKey": "k" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_whose_object_is_being_written_is_not_registered_by_another() {
    let world = World::start().await;
    let (ann, eve) = (world.user("ann").await, world.user("eve").await);
    world.s3.fault(S3Operation::Put, S3Fault::HoldReply);
    let writing = tokio::spawn({
        let ann = ann.clone();
        async move { ann.upload("secret", "text/plain", "bytes of ann").await }
    });
    eventually("the object is being written", Duration::from_secs(30), || async {
        (world.s3.count(S3Operation::Put) > 0).then_some(())
    })
    .await
    .unwrap();
    let conflict = (409, "Blob object id conflicts with existing VFS object".to_owned());
    assert_eq!(eve.post("/v1/vfs/register", &blob("secret")).await.refusal(), conflict);
    world.s3.heal();
    assert_eq!(writing.await.unwrap().status.as_u16(), 200);
    assert_eq!(&ann.read("secret").await.body[..], b"bytes of ann");
    let again = eve.post("/v1/vfs/register", &blob("secret")).await;
    assert_eq!(again.refusal(), (409, "Item already registered in VFS".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_no_row_leads_to_is_not_had_by_registering_its_id() {
    let world = World::start().await;
    let eve = world.user("eve").await;
    world.s3.plant("p/orphan", b"of somebody").unwrap();
    let conflict = (409, "Blob object id conflicts with existing VFS object".to_owned());
    assert_eq!(eve.post("/v1/vfs/register", &blob("orphan")).await.refusal(), conflict);
    assert_eq!(world.count("vfs_registry WHERE id = 'orphan'").await, 0);
    assert_eq!(world.count("vfs_blob_marks").await, 0);
    // An id without an object is anybody's, and its content is put later.
    assert_eq!(eve.post("/v1/vfs/register", &blob("free")).await.status.as_u16(), 201);
    assert_eq!(eve.upload("free", "text/plain", "of eve").await.status.as_u16(), 200);
    assert_eq!(&eve.read("free").await.body[..], b"of eve");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_lost_its_row_while_it_was_written_goes_again() {
    let world = World::start().await;
    let (ann, eve) = (world.user("ann").await, world.user("eve").await);
    world.s3.fault(S3Operation::Put, S3Fault::HoldReply);
    let writing = tokio::spawn({
        let ann = ann.clone();
        async move { ann.upload("taken", "text/plain", "bytes of ann").await }
    });
    eventually("the object is being written", Duration::from_secs(30), || async {
        (world.s3.count(S3Operation::Put) > 0).then_some(())
    })
    .await
    .unwrap();
    let file = json!({ "id": "taken", "objectType": "file", "encryptedSessionKey": "k" });
    assert_eq!(eve.post("/v1/vfs/register", &file).await.status.as_u16(), 201);
    world.s3.heal();
    assert_eq!(writing.await.unwrap().status.as_u16(), 409);
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
    assert_eq!(world.count("vfs_blob_marks").await, 0);
    assert_eq!(world.count("vfs_registry WHERE id = 'taken' AND object_type = 'file'").await, 1);
}
