//! Attaching and abandoning, against their tables.

use serde_json::json;

use super::world::{Asker, World};

async fn staged(world: &World) -> Asker {
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    ann
}

#[tokio::test]
async fn a_stage_is_attached_once_and_its_repeat_says_the_same() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let body = json!({ "itemId": "file-1", "relationKind": "photo" });
    let first = ann.attach("s1", &body).await;
    assert_eq!(first.status.as_u16(), 200, "{first:?}");
    let answer = first.json();
    let (ref_id, at) = (answer["refId"].as_str().unwrap(), answer["attachedAt"].as_str().unwrap());
    assert_eq!(
        answer,
        json!({
            "attached": true, "stagingId": "s1", "blobId": "b1", "itemId": "file-1", "relationKind": "photo",
            "refId": ref_id, "attachedAt": at,
        })
    );
    let link = format!(
        "SELECT parent_id || ' ' || child_id || ' ' || wrapped_session_key || ' ' || (visible_children ->> 'attachedBy')
         FROM vfs_links WHERE id = '{ref_id}'"
    );
    assert_eq!(world.value(&link).await.unwrap(), "file-1 b1 blob-link:photo ann");
    let stage = ann.get("/v1/vfs/blobs/stage/s1").await.json();
    assert_eq!(
        (&stage["status"], &stage["attachedItemId"], &stage["attachedAt"]),
        (&json!("attached"), &json!("file-1"), &json!(at))
    );
    let again = ann.attach("s1", &body).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, answer));
    let over = (409, "Blob staging is no longer attachable".to_owned());
    assert_eq!(
        ann.attach("s1", &json!({ "itemId": "file-2", "relationKind": "photo" })).await.refusal(),
        over
    );
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.refusal(), over);
    assert_eq!(ann.abandon("s1").await.refusal(), (409, "Blob staging is no longer abandonable".into()));
    assert_eq!(world.count("vfs_crdt_ops WHERE op_type = 'link_add'").await, 1);
}

#[tokio::test]
async fn refusals_of_attaching_come_in_their_order_and_leave_the_stage_staged() {
    let world = World::start().await;
    let (ann, bob) = (staged(&world).await, world.user("bob").await);
    for (id, body, status, text) in [
        ("%20", json!({ "itemId": "file-1" }), 400, "stagingId is required"),
        ("s1", json!({}), 400, "itemId is required"),
        ("s1", json!({ "itemId": "file-1", "relationKind": "film" }), 400, "itemId is required"),
        (
            "%2e%2e%2fx",
            json!({ "itemId": "file-1" }),
            400,
            "stagingId must not contain \"/\", \"\\\" or control characters",
        ),
        ("s9", json!({ "itemId": "file-1" }), 404, "Blob staging not found"),
        ("file-1", json!({ "itemId": "file-1" }), 404, "Blob staging not found"),
        ("s1", json!({ "itemId": "file-9" }), 404, "Item not found"),
        ("s1", json!({ "itemId": "s1" }), 404, "Item not found"),
        ("s1", json!({ "itemId": "file-bob" }), 403, "Forbidden"),
    ] {
        assert_eq!(ann.attach(id, &body).await.refusal(), (status, text.to_owned()), "{id} {body}");
    }
    assert_eq!(bob.attach("s1", &json!({ "itemId": "file-bob" })).await.refusal(), (403, "Forbidden".into()));
    assert_eq!(bob.abandon("s1").await.refusal(), (403, "Forbidden".into()));
    assert_eq!(bob.get("/v1/vfs/blobs/stage/s1").await.refusal(), (403, "Forbidden".into()));
    let nobody = ann.without_token();
    assert_eq!(nobody.attach("s1", &json!({ "itemId": "file-1" })).await.refusal().0, 401);
    assert_eq!(ann.get("/v1/vfs/blobs/stage/s1").await.json()["status"], json!("staged"));
    assert_eq!(ann.attach("s1", &json!({ "itemId": "file-1" })).await.status.as_u16(), 200);
}

#[tokio::test]
async fn write_access_is_enough_and_read_access_is_not() {
    let world = World::start().await;
    let ann = staged(&world).await;
    for (level, principal, id, expires, status) in [
        ("read", "user", "ann", "NULL", 403),
        ("write", "user", "ann", "now() - interval '1 hour'", 403),
        ("write", "user", "eve", "NULL", 403),
        ("admin", "organization", "acme", "NULL", 200),
    ] {
        world
            .database
            .execute(&format!(
                "DELETE FROM vfs_acl_entries;
                 INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at, expires_at)
                 VALUES ('share:1', 'file-bob', '{principal}', '{id}', '{level}', now(), now(), {expires})"
            ))
            .await;
        let reply = ann.attach("s1", &json!({ "itemId": "file-bob" })).await;
        assert_eq!(reply.status.as_u16(), status, "{level} {principal} {expires}: {reply:?}");
    }
}

#[tokio::test]
async fn an_expired_stage_is_not_attached_but_may_be_abandoned() {
    let world = World::start().await;
    let ann = staged(&world).await;
    let set = |text: &str| {
        format!(
            "UPDATE vfs_links SET visible_children = visible_children || '{{\"expiresAt\": {text}}}' WHERE id = 's1'"
        )
    };
    let body = json!({ "itemId": "file-1" });
    // As the migrations write it, with microseconds and an offset.
    world.database.execute(&set("\"2001-01-01T00:00:00.123456+00:00\"")).await;
    assert_eq!(ann.attach("s1", &body).await.refusal(), (409, "Blob staging has expired".into()));
    for broken in ["null", "7", "\"soon\""] {
        world.database.execute(&set(broken)).await;
        assert_eq!(
            ann.attach("s1", &body).await.refusal(),
            (500, "Failed to attach staged blob".into()),
            "{broken}"
        );
    }
    world
        .database
        .execute("UPDATE vfs_links SET wrapped_session_key = 'blob-stage:lost' WHERE id = 's1'")
        .await;
    assert_eq!(ann.attach("s1", &body).await.refusal(), (409, "Blob staging is no longer attachable".into()));
    assert_eq!(ann.abandon("s1").await.refusal(), (409, "Blob staging is no longer abandonable".into()));
    world
        .database
        .execute("UPDATE vfs_links SET wrapped_session_key = 'blob-stage:staged' WHERE id = 's1'")
        .await;
    let abandoned = ann.abandon("s1").await;
    assert_eq!(abandoned.json(), json!({ "abandoned": true, "stagingId": "s1", "status": "abandoned" }));
    assert_eq!(ann.abandon("s1").await.json(), abandoned.json());
    assert_eq!(ann.attach("s1", &body).await.refusal(), (409, "Blob staging is no longer attachable".into()));
    assert_eq!(ann.abandon("s9").await.refusal(), (404, "Blob staging not found".into()));
    assert_eq!(ann.abandon("%20").await.refusal(), (400, "stagingId is required".into()));
}

#[tokio::test]
async fn a_stage_without_an_owner_is_broken_data() {
    let world = World::start().await;
    let ann = staged(&world).await;
    world.database.execute("UPDATE vfs_registry SET owner_id = NULL WHERE id = 's1'").await;
    let reply = ann.attach("s1", &json!({ "itemId": "file-1" })).await;
    assert_eq!(reply.refusal(), (500, "Failed to attach staged blob".into()));
}

#[tokio::test]
async fn an_existing_link_decides_by_its_metadata_and_then_by_its_tag() {
    let world = World::start().await;
    let ann = staged(&world).await;
    world
        .database
        .execute(
            "INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
             VALUES ('l1', 'file-1', 'b1', 'a wrapped key', '2026-01-02T03:04:05Z')",
        )
        .await;
    let body = json!({ "itemId": "file-1" });
    assert_eq!(ann.attach("s1", &body).await.refusal(), (500, "Failed to attach staged blob".into()));
    world
        .database
        .execute("UPDATE vfs_links SET wrapped_session_key = 'blob-link:photo' WHERE id = 'l1'")
        .await;
    let other = (409, "Blob is already attached with a different relation kind".to_owned());
    assert_eq!(ann.attach("s1", &body).await.refusal(), other);
    world
        .database
        .execute("UPDATE vfs_links SET visible_children = '{\"relationKind\": \"file\"}' WHERE id = 'l1'")
        .await;
    let adopted = ann.attach("s1", &body).await.json();
    assert_eq!(
        (&adopted["refId"], &adopted["attachedAt"]),
        (&json!("l1"), &json!("2026-01-02T03:04:05.000Z"))
    );
}

#[tokio::test]
async fn a_blob_that_is_something_else_now_is_not_attached() {
    let world = World::start().await;
    let ann = staged(&world).await;
    world.database.execute("UPDATE vfs_registry SET object_type = 'file' WHERE id = 'b1'").await;
    let reply = ann.attach("s1", &json!({ "itemId": "file-1" })).await;
    assert_eq!(reply.refusal(), (409, "Blob object id conflicts with existing VFS object".into()));
}
