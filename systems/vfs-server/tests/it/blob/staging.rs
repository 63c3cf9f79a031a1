//! `POST /v1/vfs/blobs/stage`, against its table.

use serde_json::json;
use testkit::S3Operation;

use super::world::{LATER, World};

const PATH: &str = "/v1/vfs/blobs/stage";

#[tokio::test]
async fn a_stage_with_bytes_stores_registers_and_answers() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let body = json!({
        "stagingId": "s1", "blobId": "b1", "expiresAt": "2100-01-01T02:00:00+02:00",
        "dataBase64": "aGVs\nbG8", "contentType": "text/plain",
    });
    let reply = ann.post(PATH, &body).await;
    assert_eq!(reply.status.as_u16(), 201, "{reply:?}");
    let answer = reply.json();
    let staged_at = answer["stagedAt"].as_str().unwrap();
    assert_eq!((staged_at.len(), &staged_at[23..]), (24, "Z"));
    assert_eq!(
        answer,
        json!({ "stagingId": "s1", "blobId": "b1", "status": "staged", "stagedAt": staged_at, "expiresAt": LATER })
    );
    assert_eq!(world.s3.object("p/b1").unwrap(), b"hello");
    let row = "SELECT object_type || ' ' || owner_id FROM vfs_registry WHERE id = ";
    assert_eq!(world.value(&format!("{row}'b1'")).await.unwrap(), "blob ann");
    assert_eq!(world.value(&format!("{row}'s1'")).await.unwrap(), "blobStage ann");
    let link = "SELECT child_id || ' ' || wrapped_session_key || ' ' || (visible_children ->> 'expiresAt')
                FROM vfs_links WHERE id = 's1' AND parent_id = 's1'";
    assert_eq!(world.value(link).await.unwrap(), format!("b1 blob-stage:staged {LATER}"));
    // A stage is nobody's tree, and what was reserved is not any more.
    assert_eq!(world.count("vfs_crdt_ops").await, 0);
    assert_eq!(world.count("vfs_blob_marks").await, 0);
}

#[tokio::test]
async fn a_stage_without_bytes_needs_its_blob() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", None).await.refusal(), (404, "Blob object not found".into()));
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    assert_eq!(ann.stage("s2", "b1", None).await.status.as_u16(), 201);
    assert_eq!(ann.stage("s3", "file-1", None).await.refusal().0, 409);
}

#[tokio::test]
async fn refusals_have_their_texts_and_touch_no_storage() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.forget_requests();
    let required = "blobId and expiresAt are required";
    let data = "aGk=";
    for (body, status, text) in [
        (json!(null), 400, required),
        (json!([]), 400, required),
        (json!({ "blobId": "b", "expiresAt": "" }), 400, required),
        (json!({ "blobId": "b", "expiresAt": LATER, "dataBase64": 1 }), 400, required),
        (json!({ "blobId": "b", "expiresAt": LATER, "dataBase64": data, "contentType": "" }), 400, required),
        (
            json!({ "blobId": "b", "expiresAt": "2001-01-01", "dataBase64": data }),
            400,
            "expiresAt must be in the future",
        ),
        (
            json!({ "blobId": "b", "expiresAt": LATER, "dataBase64": "_-8=" }),
            400,
            "dataBase64 must be valid base64",
        ),
        (
            json!({ "blobId": "../b", "expiresAt": LATER, "dataBase64": data }),
            400,
            "blobId must not contain \"/\", \"\\\" or control characters",
        ),
        (
            json!({ "blobId": "..", "expiresAt": LATER, "dataBase64": data }),
            400,
            "blobId must not be \".\" or \"..\"",
        ),
        (
            json!({ "blobId": "b\0", "expiresAt": LATER, "dataBase64": data }),
            400,
            "blobId must not contain \"/\", \"\\\" or control characters",
        ),
        (
            json!({ "blobId": "x".repeat(10_000), "expiresAt": LATER, "dataBase64": data }),
            400,
            "blobId must have at most 512 bytes",
        ),
        (
            json!({ "blobId": "b", "expiresAt": LATER, "stagingId": "a/b" }),
            400,
            "stagingId must not contain \"/\", \"\\\" or control characters",
        ),
        (
            json!({ "blobId": "file-1", "expiresAt": LATER, "dataBase64": data }),
            409,
            "Blob object id conflicts with existing VFS object",
        ),
    ] {
        assert_eq!(ann.post(PATH, &body).await.refusal(), (status, text.to_owned()), "{body}");
    }
    // Of another's blob, with bytes and without: the object is not overwritten.
    for data in [None, Some("bm8=")] {
        assert_eq!(bob.stage("s9", "b1", data).await.refusal(), (403, "Forbidden".into()));
    }
    assert_eq!(
        bob.stage("s1", "b9", Some("bm8=")).await.refusal(),
        (409, "Blob staging already exists".into())
    );
    let nobody = ann.without_token();
    assert_eq!(nobody.stage("s1", "b1", None).await.refusal(), (401, "Unauthorized".into()));
    assert_eq!(world.s3.requests(), Vec::new());
    assert_eq!(world.s3.object("p/b1").unwrap(), b"hi");
}

#[tokio::test]
async fn an_identical_repeat_is_the_first_answer_and_a_differing_one_is_refused() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let first = ann.stage("s1", "b1", Some("aGk=")).await;
    for data in [Some("aGk="), Some("aGk"), None] {
        let again = ann.stage("s1", "b1", data).await;
        assert_eq!((again.status.as_u16(), again.json()), (201, first.json()));
    }
    assert_eq!(world.s3.count(S3Operation::Put), 1);
    let already = (409, "Blob staging already exists".to_owned());
    assert_eq!(ann.stage("s1", "b1", Some("bm8=")).await.refusal(), already);
    assert_eq!(ann.stage("s1", "b2", Some("aGk=")).await.refusal(), already);
    let other_time = json!({ "stagingId": "s1", "blobId": "b1", "expiresAt": "2101-01-01T00:00:00Z" });
    assert_eq!(ann.post(PATH, &other_time).await.refusal(), already);
    // Also where more has happened since: who has lost the first answer goes on from it.
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.status.as_u16(), 200);
    let late = ann.stage("s1", "b1", Some("aGk=")).await;
    assert_eq!((late.status.as_u16(), late.json()), (201, first.json()));
    assert_eq!(world.s3.object("p/b1").unwrap(), b"hi");
}

#[tokio::test]
async fn before_stages_are_flattened_what_is_not_there_may_be_there() {
    let world = World::with(23, &[]).await;
    let ann = world.user("ann").await;
    let migrating = (503, "Blob staging is being migrated".to_owned());
    let reply = ann.attach("legacy", &json!({ "itemId": "file-1" })).await;
    assert_eq!((reply.refusal(), reply.header("retry-after")), (migrating.clone(), "5"));
    assert_eq!(ann.abandon("legacy").await.refusal(), migrating);
    assert_eq!(ann.get("/v1/vfs/blobs/stage/legacy").await.refusal(), migrating);
    assert_eq!(ann.read("legacy").await.refusal(), migrating);
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_frozen_server_stores_nothing() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    world
        .session()
        .await
        .run("UPDATE vfs_freeze SET epoch = epoch + 1, frozen_until = now() + interval '1 hour'")
        .await
        .unwrap();
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.refusal(), (503, "Writes are frozen".into()));
    assert_eq!(ann.upload("b1", "text/plain", "hi").await.refusal(), (503, "Writes are frozen".into()));
    assert_eq!(world.s3.requests(), Vec::new());
}

#[tokio::test]
async fn without_a_bucket_the_routes_that_need_it_answer_500_and_the_others_go_on() {
    let world = World::with(27, &[("VFS_BLOB_S3_BUCKET", "")]).await;
    let ann = world.user("ann").await;
    assert_eq!(
        ann.stage("s1", "b1", Some("aGk=")).await.refusal(),
        (500, "Failed to persist blob data".into())
    );
    world
        .database
        .execute("INSERT INTO vfs_registry (id, object_type, owner_id, created_at) VALUES ('b2', 'blob', 'ann', now())")
        .await;
    assert_eq!(ann.stage("s2", "b2", None).await.status.as_u16(), 201);
    assert_eq!(ann.read("b2").await.refusal(), (500, "Failed to read blob data".into()));
    assert_eq!(ann.remove("b2").await.refusal(), (500, "Failed to delete blob data".into()));
    assert_eq!(ann.remove("file-1").await.refusal().0, 409);
    assert_eq!(world.count("vfs_blob_marks WHERE mark = 'deleting'").await, 0);
    assert_eq!(ann.abandon("s2").await.status.as_u16(), 200);
}
