//! Requests that nobody honest sends: no panic, no internal message, and the server goes on.

use serde_json::{Value as Json, json};
use vfs_core::Cursor;

use crate::ground::{Asker, Ground, Town, link};

/// Words that stand in internal messages and in no answer.
const INTERNAL: [&str; 8] =
    ["SQLSTATE", "postgres", "panick", "vfs_crdt_ops", "relation", "src/", "serde", "column"];

const POSTS: [&str; 8] = [
    "/v1/vfs/register",
    "/v1/vfs/keys",
    "/v1/vfs/crdt/push",
    "/v1/vfs/crdt/reconcile",
    "/v1/vfs/sync/reconcile",
    "/v1/vfs/vfs-sync/reconcile",
    "/v1/vfs/items/x/shares",
    "/v1/vfs/items/x/org-shares",
];

fn honest(what: &str, status: u16, body: &Json) {
    let text = body.to_string();
    assert!(!INTERNAL.iter().any(|word| text.contains(word)), "{what}: {text}");
    assert!((400..500).contains(&status), "{what}: {status} {text}");
    assert!(body["error"].is_string(), "{what}: {text}");
}

async fn still_serves(ada: &Asker) {
    assert_eq!(ada.get("/v1/vfs/crdt/sync").await.status, 200);
}

#[tokio::test]
async fn bodies_that_are_no_json_too_large_or_too_deep_are_refused_by_their_texts() {
    let town = Ground::new().await.town_with(&[("API_JSON_BODY_LIMIT", "8kb")]).await;
    let ada = town.user("ada").await;
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    for path in POSTS {
        for (body, status, text) in [
            (b"{".to_vec(), 400, "Request body is not valid JSON"),
            (b"\xff\xfe".to_vec(), 400, "Request body is not valid JSON"),
            (b"{\"a\":1e999}".to_vec(), 400, "Request body is not valid JSON"),
            (deep.clone().into_bytes(), 400, "Request body is nested too deeply"),
            (vec![b' '; (8 << 10) + 1], 413, "Request body is too large"),
        ] {
            assert_eq!(ada.ask("POST", path, Some(body)).await.refusal(), (status, text), "{path}");
        }
    }
    still_serves(&ada).await;
}

#[tokio::test]
async fn values_of_every_other_kind_are_the_callers_fault() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("x").await;
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(""),
        json!(" \u{feff}"),
        json!("\0"),
        json!("a\0b"),
        json!("x".repeat(10_240)),
        json!("../../etc/passwd"),
        json!("\u{202e}\u{fffd}💥"),
        json!([]),
        json!([["a"]]),
        json!({}),
        json!({ "toString": "x" }),
    ];
    let fields = [
        "id",
        "objectType",
        "encryptedSessionKey",
        "publicKey",
        "clientId",
        "operations",
        "cursor",
        "lastReconciledWriteIds",
        "shareType",
        "targetId",
        "permissionLevel",
        "expiresAt",
        "sourceOrgId",
        "targetOrgId",
    ];
    for path in POSTS {
        for value in &values {
            let answer = ada.post(path, value.clone()).await;
            honest(&format!("{path} {value}"), answer.status, &answer.body);
            let all: serde_json::Map<String, Json> =
                fields.iter().map(|field| ((*field).to_owned(), value.clone())).collect();
            let answer = ada.post(path, Json::Object(all)).await;
            // A public key may be any text.
            if answer.status != 201 && answer.status != 409 {
                honest(&format!("{path} {value}"), answer.status, &answer.body);
            }
        }
    }
    still_serves(&ada).await;
}

#[tokio::test]
async fn operations_of_every_other_kind_are_invalid_and_never_an_error() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let good = link("a", 1, "file", "p");
    let mut operations = Vec::new();
    for field in ["opId", "opType", "itemId", "replicaId", "writeId", "occurredAt", "parentId", "childId"] {
        for value in [
            json!(null),
            json!("\0"),
            json!([]),
            json!({}),
            json!(-1),
            json!(0),
            json!(9_007_199_254_740_992_u64),
            json!("x".repeat(10_240)),
        ] {
            // The child may be left out.
            if field == "childId" && value.is_null() {
                continue;
            }
            let mut operation = good.clone();
            operation[field] = value;
            operations.push(operation);
        }
    }
    let statuses = ada.push("a", &operations).await;
    assert_eq!(statuses, vec!["invalidOp"; operations.len()]);
    // Long ids that can be kept are kept.
    let long = "é".repeat(512);
    ada.register(&long).await;
    let mut operation = link(&"r".repeat(128), 1, &long, &"p".repeat(1_024));
    operation["opId"] = json!("o".repeat(1_024));
    assert_eq!(ada.push(&"r".repeat(128), &[operation]).await, ["applied"]);
    let (items, _) = ada.pull_all(None, 500).await;
    assert_eq!(items.len(), 1);
}

#[tokio::test]
async fn forged_cursors_are_refused_or_read_on_from() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    ada.push("a", &[link("a", 1, "file", "p"), link("a", 2, "file", "p")]).await;
    let cursor = |time: &str, id: &str| Cursor::new(time.parse().unwrap(), id).unwrap().encode();
    let past = "2001-01-01T00:00:00Z";
    for (cursor, text, code) in [
        (
            cursor("2999-01-01T00:00:00Z", "x"),
            "The cursor is ahead of the feed; re-materialization required",
            "cursor_ahead",
        ),
        (
            cursor(past, "0001-9999999999999999"),
            "The cursor is ahead of the feed; re-materialization required",
            "cursor_ahead",
        ),
        (
            cursor(past, "9999-0000000000000001"),
            "The feed epoch has changed and this cursor is not part of it; re-materialization required",
            "feed_epoch_changed",
        ),
        (
            cursor(past, "0001-0000000000000001"),
            "The feed was set back and this cursor is not part of it; re-materialization required",
            "feed_set_back",
        ),
    ] {
        for answer in [
            ada.get(&format!("/v1/vfs/crdt/sync?cursor={cursor}")).await,
            ada.get(&format!("/v1/vfs/sync?cursor={cursor}")).await,
            ada.post("/v1/vfs/crdt/reconcile", json!({ "clientId": "a", "cursor": cursor })).await,
        ] {
            assert_eq!(answer.refusal(), (409, text));
            assert_eq!(answer.body["code"], json!(code));
        }
    }
    for id in ["x", "0000-0000000000000000", "💥", "'; DROP TABLE users; --"] {
        assert_eq!(ada.pull_all(Some(&cursor(past, id)), 1).await.0.len(), 2, "{id}");
    }
    for text in ["%00", "..", "eyJ", "%ff", "e30", "bnVsbA", &"A".repeat(5_000)] {
        let answer = ada.get(&format!("/v1/vfs/crdt/sync?cursor={text}")).await;
        assert_eq!(answer.refusal(), (400, "Invalid cursor"), "{text}");
    }
}

#[tokio::test]
async fn paths_and_methods_of_every_kind_are_answered() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    for path in [
        "/v1/vfs/shares/%00",
        "/v1/vfs/shares/%ff",
        "/v1/vfs/shares/..%2f..%2fetc",
        &format!("/v1/vfs/shares/{}", "x".repeat(8_000)),
        "/v1/vfs/shares/%20",
        "/v1//vfs",
        "/",
    ] {
        for method in ["GET", "PATCH", "DELETE", "PUT"] {
            let body = (method != "GET").then(|| b"{\"permissionLevel\":\"view\"}".to_vec());
            let answer = ada.ask(method, path, body).await;
            honest(&format!("{method} {path}"), answer.status, &answer.body);
        }
    }
    still_serves(&ada).await;
}
