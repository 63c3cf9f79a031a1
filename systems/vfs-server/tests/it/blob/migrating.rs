//! Blobs that stand in the legacy tables only, before migration 24: they are nobody else's to take or to delete.

use serde_json::json;

use super::world::World;

const WAIT: (u16, &str) = (503, "Blob staging is being migrated");

/// A legacy blob of ann's with its object, and a stage of it.
async fn legacy() -> World {
    let world = World::with(23, &[]).await;
    world.s3.plant("p/secret", b"of ann").unwrap();
    world
        .database
        .execute(
            "INSERT INTO vfs_blob_objects VALUES ('secret', 's', 6, 'p/secret', 'ann', now());
             INSERT INTO vfs_blob_staging VALUES ('waiting', 'secret', 'ann', 'staged', now(), NULL, now() + interval '1 day', NULL)",
        )
        .await;
    world
}

#[tokio::test]
async fn a_legacy_blob_is_taken_over_by_nobody() {
    let world = legacy().await;
    let bob = world.user("bob").await;
    for (id, kind) in [("secret", "file"), ("waiting", "file")] {
        let body = json!({ "id": id, "objectType": kind, "encryptedSessionKey": "k" });
        let reply = bob.post("/v1/vfs/register", &body).await;
        assert_eq!(reply.refusal(), (WAIT.0, WAIT.1.to_owned()), "{id} as {kind}");
        assert_eq!(reply.header("retry-after"), "5");
    }
    // As a blob it would be the object that lies there.
    let body = json!({ "id": "secret", "objectType": "blob", "encryptedSessionKey": "k" });
    assert_eq!(bob.post("/v1/vfs/register", &body).await.status.as_u16(), 409);
    for reply in [
        bob.put("/v1/vfs/blobs/secret/content", "text/plain", "of bob").await,
        bob.stage("mine", "secret", Some("aGk=")).await,
        bob.stage("mine", "secret", None).await,
        bob.stage("waiting", "other", Some("aGk=")).await,
        bob.get("/v1/vfs/blobs/secret").await,
        bob.delete("/v1/vfs/blobs/secret").await,
    ] {
        assert_eq!(reply.refusal(), (WAIT.0, WAIT.1.to_owned()));
    }
    assert_eq!(world.s3.object("p/secret").unwrap(), b"of ann");
    assert_eq!(world.count("vfs_registry WHERE id IN ('secret', 'waiting', 'mine')").await, 0);
    assert_eq!(world.count("vfs_blob_marks WHERE blob_id = 'secret'").await, 0);
}

#[tokio::test]
async fn what_stands_in_both_is_used_as_ever() {
    let world = legacy().await;
    world
        .database
        .execute(
            "SELECT set_config('vfs.flattening', 'on', true);
             INSERT INTO vfs_registry (id, object_type, owner_id, created_at) VALUES ('secret', 'blob', 'ann', now())",
        )
        .await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let body = json!({ "id": "secret", "objectType": "blob", "encryptedSessionKey": "k" });
    assert_eq!(bob.post("/v1/vfs/register", &body).await.status.as_u16(), 409);
    assert_eq!(bob.put("/v1/vfs/blobs/secret/content", "text/plain", "of bob").await.status.as_u16(), 403);
    assert_eq!(
        ann.put("/v1/vfs/blobs/secret/content", "text/plain", "of ann, too").await.status.as_u16(),
        200
    );
    assert_eq!(ann.stage("mine", "secret", Some("aGk=")).await.status.as_u16(), 201);
}

#[tokio::test]
async fn nothing_is_deleted_before_attachments_stand_in_the_links() {
    let world = legacy().await;
    world
        .database
        .execute(
            "SELECT set_config('vfs.flattening', 'on', true);
             INSERT INTO vfs_registry (id, object_type, owner_id, created_at) VALUES ('secret', 'blob', 'ann', now());
             INSERT INTO vfs_blob_refs VALUES ('ref', 'secret', 'file-1', 'file', 'ann', now())",
        )
        .await;
    let ann = world.user("ann").await;
    assert_eq!(ann.delete("/v1/vfs/blobs/secret").await.refusal(), (WAIT.0, WAIT.1.to_owned()));
    assert_eq!(world.s3.object("p/secret").unwrap(), b"of ann");
    world.database.execute(&format!("BEGIN; {}; COMMIT", super::world::migration(24))).await;
    let refused = ann.delete("/v1/vfs/blobs/secret").await;
    assert_eq!(refused.refusal(), (409, "Blob is attached and cannot be deleted".to_owned()));
    assert_eq!(ann.get("/v1/vfs/blobs/secret").await.body, "of ann");
}
