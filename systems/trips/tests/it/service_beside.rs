//! What is kept beside records: whose it is while names are read, and where it is written.

use serde_json::{Value, json};
use trips::keyspace;

use crate::migration_ground::{Ground, OLD};
use crate::migration_service::{Asker, Service};

/// Settings, what the sync keeps, an order, a deleted record and a passkey under a name; all of them say it.
async fn furnish(ground: &Ground, name: &str) {
    let hns = keyspace::hughesnet();
    ground.put(&keyspace::user_settings(), &format!("settings:{name}"), &json!({ "of": name })).await;
    for what in ["settings", "db", "session"] {
        ground.put(&hns, &format!("hns:{what}:{name}"), &json!({ "of": name })).await;
    }
    ground.raw(&hns, &format!("hns:cred:{name}"), b"secret", None, None).await;
    let order = json!({ "ownerId": name, "order": { "id": format!("O-{name}") } });
    ground.put(&keyspace::hughesnet_orders(), &format!("hns:order:O-{name}"), &order).await;
    let gone = json!({ "id": format!("gone-{name}"), "userId": name, "deleted": true, "updatedAt": OLD });
    ground.put(&keyspace::logs(), &format!("trip:{name}:gone-{name}"), &gone).await;
    let passkeys = json!([{ "credentialID": format!("c-{name}") }]);
    ground.put(&keyspace::users(), &format!("authenticators:{name}"), &passkeys).await;
}

/// All that a user is told of it.
async fn told(service: &Service, asker: &Asker) -> Value {
    let get = async |path: &str| {
        let answer = service.get(path, &asker.cookie).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.body
    };
    let kept = get("/api/hughesnet").await;
    let trash = get("/api/trash").await;
    let trash: Vec<&Value> = trash["records"].as_array().unwrap().iter().map(|body| &body["id"]).collect();
    json!({
        "settings": get("/api/settings").await,
        "sync": [kept["settings"], kept["db"], kept["hasSession"], kept["hasSecret"], kept["orders"]],
        "trash": trash,
        "passkeys": get("/api/auth/authenticators").await["authenticators"],
    })
}

fn of(name: &str) -> Value {
    json!({
        "settings": { "of": name },
        "sync": [{ "of": name }, { "of": name }, true, true, [{ "id": format!("O-{name}") }]],
        "trash": [format!("gone-{name}")],
        "passkeys": [{ "credential": format!("c-{name}"), "linked": false }],
    })
}

fn nothing() -> Value {
    json!({ "settings": {}, "sync": [null, null, false, false, []], "trash": [], "passkeys": [] })
}

#[tokio::test]
async fn nobody_reads_what_stands_beside_records_under_a_name_that_another_may_claim() {
    let service = Service::new(Ground::new().await).await;
    let ground = &service.ground;
    let (one, two) = (service.sign_up("one", "James").await, service.sign_up("two", "James").await);
    let (short, long) = (service.sign_up("aaa", "aaa").await, service.sign_up("bbb", "aaa:b").await);
    for name in ["James", "aaa", "aaa:b"] {
        furnish(ground, name).await;
    }
    for asker in [&one, &two] {
        assert_eq!(told(&service, asker).await, nothing(), "the name is two people's");
    }
    assert_eq!(told(&service, &short).await, of("aaa"));
    assert_eq!(told(&service, &long).await, of("aaa:b"));
    ground.put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &json!({ "on": false })).await;
    assert_eq!(told(&service, &short).await, nothing(), "names are not read any more");
}

#[tokio::test]
async fn what_is_kept_beside_records_is_written_under_the_id_and_nowhere_else() {
    let names = ["James", "james", "JAMES"];
    let is_of_name =
        |key: &&String| key.split(':').any(|part| names.contains(&part)) && !key.starts_with("idx:username:");
    for has_legacy in [false, true] {
        let service = Service::new(Ground::new().await).await;
        let ground = &service.ground;
        let james = service.sign_up("james", "James").await;
        if has_legacy {
            furnish(ground, "James").await;
        }
        let before = ground.all().await;
        let given = json!({ "theme": "light", "userId": "James", "name": "James" });
        for path in ["/api/settings", "/api/hughesnet"] {
            let answer = service.put(path, &james.cookie, &given).await;
            assert_eq!((answer.status, &answer.body["theme"]), (200, &json!("light")), "{}", answer.text);
        }
        let body = json!({ "date": "2026-02-01", "orders": [{ "id": "O-new" }] }).to_string();
        let answer = service.bare_post("/api/hughesnet/sync", &james.cookie, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let after = ground.all().await;
        for ((namespace, key), standing) in &after {
            let place = (namespace.clone(), key.clone());
            let is_new = before.get(&place) != Some(standing);
            assert!(!(is_new && is_of_name(&key)), "legacy: {has_legacy}: {namespace} {key}");
        }
        assert!(before.keys().all(|place| after.contains_key(place)), "nothing under the name goes by it");
        for (namespace, key) in [
            (keyspace::user_settings(), format!("settings:{}", james.id)),
            (keyspace::hughesnet(), format!("hns:settings:{}", james.id)),
        ] {
            assert_eq!(ground.json(&namespace, &key).await["theme"], json!("light"), "{key}");
        }
        let order = ground.json(&keyspace::hughesnet_orders(), "hns:order:O-new").await;
        assert_eq!(order["ownerId"], json!(james.id));
        for path in ["/api/settings", "/api/hughesnet"] {
            let told = service.get(path, &james.cookie).await;
            assert!(told.text.contains("\"light\""), "{path}: {}", told.text);
        }
    }
}
