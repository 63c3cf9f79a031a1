//! Items: what clients know of them, what is attached to them, and who may look.

use serde_json::{Value as Json, json};

use crate::ground::{Asker, Town};

async fn lookup(asker: &Asker, ids: &[&str]) -> Vec<Json> {
    let answer = asker.post("/v1/vfs/items/lookup", json!({ "ids": ids })).await.good();
    answer["items"].as_array().unwrap().clone()
}

async fn share(owner: &Asker, item: &str, target: &str, permission: &str) {
    let body = json!({ "shareType": "user", "targetId": target, "permissionLevel": permission });
    owner.post(&format!("/v1/vfs/items/{item}/shares"), body).await.good();
}

async fn town() -> (Town, Asker, Asker, Asker) {
    let town = Town::new().await;
    let (ada, bob, eve) = (town.user("ada").await, town.user("bob").await, town.user("eve").await);
    town.ground.database.execute("INSERT INTO organizations (id, name) VALUES ('us', 'Us')").await;
    let join = "INSERT INTO user_organizations (user_id, organization_id) SELECT id, 'us' FROM users";
    town.ground.database.execute(join).await;
    (town, ada, bob, eve)
}

#[tokio::test]
async fn what_clients_know_of_an_item_is_kept_as_it_came_and_seen_by_whoever_sees_the_item() {
    let (_town, ada, bob, eve) = town().await;
    let metadata = "{\"name\":\"Ü \\u0001\"}";
    let body = json!({
        "id": "f", "objectType": "file", "encryptedSessionKey": "k", "metadata": metadata,
    });
    assert_eq!(ada.post("/v1/vfs/register", body).await.status, 201);
    ada.register("plain").await;
    let found = lookup(&ada, &["plain", "f", "none", "f"]).await;
    let read = |item: &Json, name: &str| item[name].clone();
    let ids: Vec<Json> = found.iter().map(|item| read(item, "id")).collect();
    assert_eq!(ids, ["f", "plain"]);
    assert_eq!(read(&found[0], "metadata"), metadata);
    assert_eq!(read(&found[1], "metadata"), Json::Null);
    assert_eq!(
        (read(&found[0], "objectType"), read(&found[0], "ownerId"), read(&found[0], "accessLevel")),
        (json!("file"), json!("ada"), json!("admin"))
    );
    assert_eq!(lookup(&bob, &["f"]).await, Vec::<Json>::new());
    share(&ada, "f", "bob", "view").await;
    share(&ada, "f", "eve", "edit").await;
    assert_eq!(lookup(&bob, &["f"]).await[0]["accessLevel"], "read");
    // Who may write it may say what it is called, and others hear of it.
    let path = "/v1/vfs/items/f/metadata";
    let mut at = bob.get("/v1/vfs/sync?limit=500").await.good();
    let before = at["items"].as_array().unwrap().len();
    assert_eq!(
        bob.ask("PUT", path, Some(b"{\"metadata\":\"mine\"}".to_vec())).await.refusal(),
        (403, "Forbidden")
    );
    let kept = eve.ask("PUT", path, Some(b"{\"metadata\":\"eve's\"}".to_vec())).await.good();
    assert_eq!(kept, json!({ "itemId": "f", "metadata": "eve's" }));
    at = bob.get("/v1/vfs/sync?limit=500").await.good();
    assert_eq!(at["items"].as_array().unwrap().len(), before + 1);
    // The same once more tells nobody anything.
    eve.ask("PUT", path, Some(b"{\"metadata\":\"eve's\"}".to_vec())).await.good();
    at = bob.get("/v1/vfs/sync?limit=500").await.good();
    assert_eq!(at["items"].as_array().unwrap().len(), before + 1);
    assert_eq!(lookup(&bob, &["f"]).await[0]["metadata"], "eve's");
    ada.ask("PUT", path, Some(b"{\"metadata\":null}".to_vec())).await.good();
    assert_eq!(lookup(&bob, &["f"]).await[0]["metadata"], Json::Null);
}

#[tokio::test]
async fn what_cannot_be_looked_up_or_kept_is_refused() {
    let (_town, ada, _, _) = town().await;
    ada.register("f").await;
    let many: Vec<String> = (0..501).map(|number| number.to_string()).collect();
    for ids in [json!(null), json!([]), json!("f"), json!([1]), json!([""]), json!(["a\0"]), json!(many)] {
        let answer = ada.post("/v1/vfs/items/lookup", json!({ "ids": ids })).await;
        assert_eq!(answer.refusal(), (400, "ids must be an array of 1 to 500 ids"), "{ids}");
    }
    let text = "metadata must be a string of at most 16384 bytes, or null";
    for metadata in [json!(1), json!({}), json!("x".repeat(16_385)), json!("a\0b")] {
        let body = json!({ "metadata": metadata }).to_string().into_bytes();
        let answer = ada.ask("PUT", "/v1/vfs/items/f/metadata", Some(body)).await;
        assert_eq!(answer.refusal(), (400, text));
        let body =
            json!({ "id": "g", "objectType": "file", "encryptedSessionKey": "k", "metadata": metadata });
        assert_eq!(ada.post("/v1/vfs/register", body).await.refusal(), (400, text));
    }
    let nothing = ada.ask("PUT", "/v1/vfs/items/f/metadata", Some(b"{}".to_vec())).await;
    assert_eq!(nothing.refusal(), (400, text));
    let none = ada.ask("PUT", "/v1/vfs/items/none/metadata", Some(b"{\"metadata\":null}".to_vec())).await;
    assert_eq!(none.refusal(), (404, "Item not found"));
    let nobody = ada.with("authorization", "Bearer x");
    assert_eq!(nobody.post("/v1/vfs/items/lookup", json!({ "ids": ["f"] })).await.status, 401);
}

#[tokio::test]
async fn broken_guardrails_are_counted_by_user_and_signature_and_what_is_none_is_refused() {
    let (town, ada, bob, _) = town().await;
    let told = json!({ "clientId": "desk", "signature": "pull:pullCursorRegression", "violations": 2 });
    for asker in [&ada, &ada, &bob] {
        assert_eq!(
            asker.post("/v1/vfs/crdt/guardrails", told.clone()).await.good(),
            json!({ "noted": true })
        );
    }
    let kept =
        "SELECT string_agg(user_id || ' ' || violations, ', ' ORDER BY user_id) FROM vfs_client_guardrails";
    assert_eq!(town.ground.text(kept).await, "ada 4, bob 2");
    let refused = (400, "clientId, a known signature, and violations of 1 to 1000000 are required");
    for (field, value) in [
        ("clientId", json!("a:b")),
        ("clientId", Json::Null),
        ("signature", json!("pull:reconcileCursorRegression")),
        ("signature", json!("pull")),
        ("violations", json!(0)),
        ("violations", json!(1_000_001)),
        ("violations", json!("1")),
    ] {
        let mut told = told.clone();
        told[field] = value;
        assert_eq!(ada.post("/v1/vfs/crdt/guardrails", told).await.refusal(), refused);
    }
}
