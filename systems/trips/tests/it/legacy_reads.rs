//! Reads of what stands under a name alone: they are counted, and hold the cleanup back.

use serde_json::json;
use trips::keyspace;

use crate::migration_ground::{Ground, NEW, OLD};
use crate::migration_service::Service;

const COVERAGE: &str = "/api/admin/migration/coverage";

#[tokio::test]
async fn whatever_is_answered_from_a_name_is_counted_and_coverage_and_cleanup_tell_it() {
    let service = Service::new(Ground::new().await).await;
    let ground = &service.ground;
    let admin = service.sign_up("ana", "Ana").await;
    service.make_admin(&admin.id).await;
    let james = service.sign_up("james", "James").await;
    let hns = keyspace::hughesnet();
    ground.trip(&james.id, "own", OLD).await;
    for path in ["/api/trips/own", "/api/trips", "/api/trash", "/api/settings", "/api/hughesnet"] {
        assert_eq!(service.get(path, &james.cookie).await.status, 200, "{path}");
    }
    assert_eq!(ground.legacy_reads(), 0, "nothing stands under the name yet");

    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    let gone =
        json!({ "id": "gone", "userId": "James", "deleted": true, "deletedAt": OLD, "updatedAt": OLD });
    ground.put(&keyspace::expenses(), "expense:James:gone", &gone).await;
    ground.put(&keyspace::user_settings(), "settings:James", &json!({ "theme": "dark" })).await;
    ground.put(&hns, "hns:settings:James", &json!({ "pay": 1 })).await;
    ground.put(&hns, "hns:db:James", &json!({ "O1": "2026-01-01" })).await;
    ground.raw(&hns, "hns:cred:James", b"secret", None, None).await;
    // The copy under the id is what is answered.
    ground.trip(&james.id, "both", NEW).await;
    ground.trip("James", "both", OLD).await;
    assert_eq!(service.get("/api/trips/both", &james.cookie).await.body["updatedAt"], json!(NEW));
    for (path, told, least) in [
        ("/api/trips/t1", "\"t1\"", 1),
        ("/api/trips", "\"t2\"", 2),
        ("/api/trash", "\"gone\"", 1),
        ("/api/settings", "dark", 1),
        ("/api/hughesnet", "\"hasSecret\":true", 3),
    ] {
        let before = ground.legacy_reads();
        let answer = service.get(path, &james.cookie).await;
        assert!(answer.status == 200 && answer.text.contains(told), "{path}: {}", answer.text);
        let counted = ground.legacy_reads() - before;
        assert!(counted >= least, "{path}: {counted} reads were counted");
    }

    let counted = ground.legacy_reads();
    let answer = service.get(COVERAGE, &admin.cookie).await;
    assert_eq!(answer.body["legacyReads"], json!(counted), "{}", answer.text);
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    let since = format!("migration:{}:doneSince", james.id);
    ground.put(&keyspace::migrations(), &since, &json!(0)).await;
    let body = json!({ "users": ["james"], "apply": true }).to_string();
    let answer = service.bare_post("/api/admin/migration/cleanup", &admin.cookie, &body).await;
    let told = answer.body["results"]["james"]["error"].as_str().unwrap_or_default();
    assert!(told.contains(&format!("read {counted} times")), "{}", answer.text);
    assert_eq!(ground.keys(&keyspace::logs(), "trip:James:").await.len(), 3, "they are all there");
    assert_eq!(service.get(COVERAGE, &admin.cookie).await.body["legacyReads"], json!(counted));
}
