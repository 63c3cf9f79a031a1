//! What administrators ask over HTTP, and who may.

use serde_json::{Value, json};
use trips::keyspace;

use crate::migration_ground::{Ground, OLD};
use crate::migration_service::{Asker, PASSWORD, Service};

const MIGRATION: &str = "/api/admin/migration";
const STATUS: &str = "/api/admin/migration/status";

/// A service with an administrator who is signed in, and `exists`, who has legacy keys.
async fn service() -> (Service, Asker, String) {
    let ground = Ground::new().await;
    let service = Service::new(ground).await;
    let admin = service.sign_up("ana", "Ana").await;
    service.make_admin(&admin.id).await;
    let exists = service.sign_up("exists", "Mr Exists").await;
    service.ground.trip("Mr Exists", "t1", OLD).await;
    service.ground.put(&keyspace::trash(), "trash:1", &json!({ "id": "x", "userId": "Mr Exists" })).await;
    let id = exists.id;
    (service, admin, id)
}

#[tokio::test]
async fn the_printed_requests_work_as_they_are() {
    let (service, admin, id) = service().await;
    // JSON and the session's cookie, and nothing else.
    let body = json!({ "users": ["exists", "11111111-1111-4111-8111-111111111111"] });
    let answer = service.bare_post(STATUS, &admin.cookie, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = &answer.body["results"];
    assert_eq!(
        (&results["exists"]["trip_legacy"], &results["exists"]["trash_legacy"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(results["11111111-1111-4111-8111-111111111111"], json!({ "error": "User not found" }));
    let body = json!({ "users": ["exists"], "apply": false });
    let answer = service.bare_post(MIGRATION, &admin.cookie, &body.to_string()).await;
    assert_eq!((answer.status, &answer.body["success"]), (200, &json!(true)), "{}", answer.text);
    let told = &answer.body["results"]["exists"];
    assert_eq!((&told["subject"], &told["migrated"], &told["dryRun"]), (&json!(id), &json!(0), &json!(true)));
    assert!(told.get("doRepair").is_none(), "{told:#}");
    let body = json!({ "users": ["exists"], "apply": true });
    let answer = service.bare_post(MIGRATION, &admin.cookie, &body.to_string()).await;
    let told = &answer.body["results"]["exists"];
    assert_eq!((&told["migrated"], &told["done"]), (&json!(2), &json!(true)), "{told:#}");
    assert_eq!(told["migrationState"]["done"], json!(true));
    assert_eq!(told["doRepair"]["repaired"], json!(true));
    let answer = service.bare_post(MIGRATION, &admin.cookie, &body.to_string()).await;
    assert_eq!(
        answer.body["results"]["exists"]["doMigrationState"]["done"],
        json!(true),
        "read before the repair"
    );
}

#[tokio::test]
async fn only_an_administrators_stored_account_opens_the_door() {
    let (service, admin, _id) = service().await;
    let user = service.sign_up("eve", "Eve").await;
    let good = json!({ "users": ["exists"] }).to_string();
    for path in [MIGRATION, STATUS, "/api/admin/migration/index", "/api/admin/migration/cleanup"] {
        let answer = service.bare_post(path, "", &good).await;
        assert_eq!((answer.status, &answer.body["error"]), (403, &json!("Forbidden")), "{path}");
        // A bad body is none of their business either.
        for body in [good.as_str(), "{", "{}", "{\"users\":[]}"] {
            let answer = service.bare_post(path, &user.cookie, body).await;
            assert_eq!((answer.status, &answer.body["error"]), (403, &json!("Forbidden")), "{path} {body}");
        }
        assert_eq!(service.bare_post(path, &admin.cookie, &good).await.status, 200, "{path}");
    }
    // A session that says so itself does not.
    service.forge_role(&user).await;
    assert_eq!(service.bare_post(MIGRATION, &user.cookie, &good).await.status, 403);
    // Nor does an account at a key of another form.
    let core = json!({ "id": user.id, "role": "admin" });
    service.ground.put(&keyspace::users(), &user.id, &core).await;
    assert_eq!(service.bare_post(MIGRATION, &user.cookie, &good).await.status, 403);
    for path in
        ["/api/admin/migration/coverage", "/api/admin/migration/quarantine?user=exists", "/api/admin/audit"]
    {
        assert_eq!(service.get(path, "").await.status, 403, "{path}");
        assert_eq!(service.get(path, &user.cookie).await.status, 403, "{path}");
        assert_eq!(service.get(path, &admin.cookie).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_form_without_its_token_is_told_so_before_anything_else() {
    let (service, admin, _id) = service().await;
    for cookie in ["", admin.cookie.as_str()] {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
        let answer = service.post(MIGRATION, &headers, "users=exists").await;
        assert_eq!((answer.status, &answer.body["error"]), (403, &json!("CSRF validation failed")));
    }
    let headers = [
        ("content-type", "application/json"),
        ("cookie", admin.cookie.as_str()),
        ("origin", "https://evil.example"),
    ];
    let answer = service.post(MIGRATION, &headers, "{\"users\":[\"exists\"]}").await;
    assert_eq!((answer.status, &answer.body["error"]), (403, &json!("CSRF validation failed")));
}

#[tokio::test]
async fn bodies_are_judged_and_apply_is_a_truth_value_or_nothing() {
    let (service, admin, id) = service().await;
    for body in ["{}", "[]", "{\"users\":[]}", "{\"users\":\"exists\"}", "{\"users\":null}"] {
        for path in [MIGRATION, STATUS] {
            let answer = service.bare_post(path, &admin.cookie, body).await;
            assert_eq!(
                (answer.status, &answer.body["error"]),
                (400, &json!("No users specified")),
                "{path} {body}"
            );
        }
    }
    assert_eq!(service.bare_post(MIGRATION, &admin.cookie, "{\"users\":").await.status, 400);
    for apply in ["\"false\"", "\"true\"", "1", "0", "null", "{}"] {
        let body = format!("{{\"users\":[\"exists\"],\"apply\":{apply}}}");
        assert_eq!(service.bare_post(MIGRATION, &admin.cookie, &body).await.status, 400, "{apply}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("u{n}")).collect();
    let answer = service.bare_post(MIGRATION, &admin.cookie, &json!({ "users": many }).to_string()).await;
    assert_eq!(answer.status, 400);
    assert!(
        service.ground.keys(&keyspace::logs(), &format!("trip:{id}:")).await.is_empty(),
        "nothing was copied"
    );
    let body = json!({ "users": ["nobody", "exists"] }).to_string();
    let answer = service.bare_post(MIGRATION, &admin.cookie, &body).await;
    assert_eq!((answer.status, &answer.body["success"]), (200, &json!(false)));
    assert_eq!(answer.body["results"]["nobody"], json!({ "error": "User not found" }));
    assert_eq!(answer.body["results"]["exists"]["wouldMigrate"], json!(2));
}

#[tokio::test]
async fn the_trail_names_the_person_who_asked() {
    let (service, admin, id) = service().await;
    let body = json!({ "users": ["exists"], "apply": true }).to_string();
    service.bare_post(MIGRATION, &admin.cookie, &body).await;
    let answer = service.get(&format!("/api/admin/audit?subject={id}"), &admin.cookie).await;
    let entries = answer.body["entries"].as_array().unwrap().clone();
    let told: Vec<(&Value, &Value)> =
        entries.iter().map(|entry| (&entry["action"], &entry["actor"])).collect();
    let (storage, index, actor) = (json!("storage_migration"), json!("do_migration"), json!(admin.id));
    assert_eq!(told, [(&storage, &actor), (&index, &actor), (&storage, &actor)], "{entries:#?}");
    assert!(!answer.text.contains("Exists"), "ids and counts only: {}", answer.text);
    let nobody = service.sign_up("eve", "Eve").await;
    for query in ["month=no", "limit=many", "after=%00"] {
        let path = format!("/api/admin/audit?{query}");
        assert_eq!(service.get(&path, &nobody.cookie).await.status, 403, "{query}");
        assert_eq!(service.get(&path, &admin.cookie).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn stopping_and_deciding_work_over_http() {
    let (service, admin, id) = service().await;
    let post =
        async |path: &str, body: Value| service.bare_post(path, &admin.cookie, &body.to_string()).await;
    let stop = "/api/admin/migration/stop";
    assert_eq!(post(stop, json!({ "stop": "yes", "reason": "x" })).await.status, 400);
    assert_eq!(post(stop, json!({ "stop": true })).await.status, 400);
    assert_eq!(post(stop, json!({ "stop": true, "reason": "look" })).await.status, 200);
    let apply = json!({ "users": ["exists"], "apply": true });
    let answer = post(MIGRATION, apply.clone()).await;
    assert_eq!(answer.body["success"], json!(false), "{}", answer.text);
    assert_eq!(post(stop, json!({ "stop": false, "reason": "looked" })).await.status, 200);
    service
        .ground
        .put(&keyspace::logs(), "trip:Mr Exists:q", &trips::shapes::trip("q", "another", OLD))
        .await;
    assert_eq!(post(MIGRATION, apply.clone()).await.body["results"]["exists"]["done"], json!(false));
    let listed = service.get("/api/admin/migration/quarantine?user=exists", &admin.cookie).await;
    assert_eq!(listed.body["quarantined"].as_array().unwrap().len(), 1, "{}", listed.text);
    let decide = json!({
        "user": id, "namespace": keyspace::logs().as_str(), "key": "trip:Mr Exists:q", "resolution": "leave",
        "reason": "not theirs",
    });
    let answer = post("/api/admin/migration/quarantine/resolve", decide).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(post(MIGRATION, apply).await.body["results"]["exists"]["done"], json!(true));
    let answer = post("/api/admin/migration/dual-read", json!({ "on": false })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = post("/api/admin/migration/cleanup", json!({ "users": ["exists"], "apply": true })).await;
    assert_eq!((answer.status, &answer.body["success"]), (200, &json!(false)), "{}", answer.text);
}

#[tokio::test]
async fn a_token_with_its_scope_stands_for_its_owner_while_that_is_an_administrator() {
    let (service, admin, _id) = service().await;
    let user = service.sign_up("eve", "Eve").await;
    let good = json!({ "users": ["exists"] }).to_string();
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        service.post(MIGRATION, &headers, &good).await
    };
    let (whole, narrow) = (
        service.token(&admin, "night job", &["admin"]).await,
        service.token(&admin, "other", &["trips"]).await,
    );
    assert_eq!(ask(&whole).await.status, 200);
    assert_eq!(ask(&narrow).await.status, 403);
    assert_eq!(ask("made-up").await.status, 403);
    let of_user = service.token(&user, "mine", &["admin"]).await;
    assert_eq!(ask(&of_user).await.status, 403);
    let page = service.get("/api/admin/audit", &admin.cookie).await;
    assert!(page.text.contains("night job"), "the token's name stands in the trail: {}", page.text);
    service.ground.put(&keyspace::users(), &format!("user:{}", admin.id), &json!({ "id": admin.id })).await;
    assert_eq!(ask(&whole).await.status, 403);
}

#[tokio::test]
async fn the_role_outlives_a_new_password_and_a_new_name() {
    let service = Service::new(Ground::new().await).await;
    let admin = service.sign_up_with_password("ana", "Ana").await;
    service.make_admin(&admin.id).await;
    let body = json!({ "old": PASSWORD, "new": "another long password" }).to_string();
    let answer = service.bare_post("/api/auth/password", &admin.cookie, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = service.bare_post("/api/auth/name", &admin.cookie, "{\"name\":\"Anna\"}").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = json!({ "users": ["ana"] }).to_string();
    assert_eq!(service.bare_post(STATUS, &admin.cookie, &body).await.status, 200);
}

#[tokio::test]
async fn where_accounts_cannot_be_read_it_is_the_service_that_is_unavailable() {
    let (service, admin, _id) = service().await;
    service.ground.refuse_reads_of(&format!("user:{}", admin.id));
    let answer = service.bare_post(MIGRATION, &admin.cookie, "{").await;
    assert_eq!((answer.status, &answer.body["error"]), (503, &json!("Users KV not available")));
}

#[tokio::test]
async fn saving_after_the_migration_writes_no_key_under_the_name() {
    let (service, admin, id) = service().await;
    let body = json!({ "users": ["exists"], "apply": true }).to_string();
    service.bare_post(MIGRATION, &admin.cookie, &body).await;
    let exists = service.session_of(id.clone()).await;
    let legacy = service.ground.entry(&keyspace::logs(), "trip:Mr Exists:t1").await;
    let answer = service.put("/api/trips/t1", &exists.cookie, &json!({ "notes": "changed" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(service.ground.entry(&keyspace::logs(), "trip:Mr Exists:t1").await, legacy);
    let stored = service.ground.json(&keyspace::logs(), &format!("trip:{id}:t1")).await;
    assert_eq!((&stored["userId"], &stored["notes"]), (&json!(id), &json!("changed")));
}
