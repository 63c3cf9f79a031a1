//! Making somebody an administrator: the role changes, and nothing else.

use serde_json::{Value, json};
use tidegate_store::kv::{Key, UnixSecond};
use trips::keyspace;
use trips::migration::grant::{Grants, RoleChange};

use crate::migration_ground::{Ground, NOON};

fn grants(ground: &Ground) -> Grants {
    Grants::new(ground.store.clone(), keyspace::users(), keyspace::migrations())
}

#[tokio::test]
async fn a_role_is_granted_and_taken_back_and_all_else_of_the_account_stays() {
    let ground = Ground::new().await;
    let grants = grants(&ground);
    let users = keyspace::users();
    let core = json!({ "zz": 1, "id": "u-1", "password": "$argon2id$secret", "aa": [1.50, null] });
    let end = Some(UnixSecond(NOON.0 + 1_000));
    ground.raw(&users, "user:u-1", core.to_string().as_bytes(), Some("{\"k\":1}"), end).await;
    let before = ground.all().await;
    let granted = RoleChange { before: None, after: Some("admin".to_owned()) };
    assert_eq!(grants.preview("u-1", false).await.unwrap(), granted);
    assert_eq!(ground.all().await, before, "looking writes nothing");
    assert_eq!(grants.apply("u-1", false, "ops@example.org").await.unwrap(), granted);
    let entry = ground.entry(&users, "user:u-1").await.unwrap();
    assert_eq!((entry.metadata.as_deref(), entry.expires_at), (Some("{\"k\":1}"), end));
    let text = String::from_utf8(entry.value.to_vec()).unwrap();
    assert_eq!(text, core.to_string().replace("null]}", "null],\"role\":\"admin\"}"));
    assert!(ground.migration.is_admin("u-1").await.unwrap());
    assert!(ground.keys(&users, "u-1").await.is_empty(), "no second account at the bare id");
    let trail = ground.migration.audit().month("2026-03", None, Some("u-1"), None, 10).await.unwrap().entries;
    let told: Vec<_> = trail.iter().map(|entry| (entry.actor.as_str(), &entry.details["phase"])).collect();
    assert_eq!(told, [("ops@example.org", &json!("started")), ("ops@example.org", &json!("finished"))]);
    assert!(!serde_json::to_string(&trail).unwrap().contains("secret"));
    let before = ground.all().await;
    assert!(grants.apply("u-1", false, "ops@example.org").await.unwrap().is_nothing());
    assert_eq!(ground.all().await, before, "who has the role gets no second write");
    grants.apply("u-1", true, "ops@example.org").await.unwrap();
    assert_eq!(ground.json(&users, "user:u-1").await, core);
}

#[tokio::test]
async fn a_user_who_is_not_there_or_cannot_be_read_is_refused() {
    let ground = Ground::new().await;
    let grants = grants(&ground);
    let users = keyspace::users();
    ground.raw(&users, "user:broken", b"{\"id\":", None, None).await;
    ground.put(&users, "user:list", &json!([1])).await;
    ground.put(&users, "user:other", &json!({ "id": "somebody" })).await;
    ground.put(&users, "bare", &json!({ "id": "bare" })).await;
    let before = ground.all().await;
    for id in ["nobody", "broken", "list", "other", "bare", ""] {
        assert!(grants.apply(id, false, "ops").await.is_err(), "{id}");
    }
    assert_eq!(ground.all().await, before);
}

#[tokio::test]
async fn without_a_trail_no_role_changes() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.refuse_writes_to(&keyspace::migrations());
    assert!(grants(&ground).apply(&id, false, "ops").await.is_err());
    assert_eq!(ground.json(&keyspace::users(), &format!("user:{id}")).await["role"], Value::Null);
}

#[tokio::test]
async fn the_scope_is_proved_by_a_key_that_is_gone_afterwards() {
    let ground = Ground::new().await;
    let before = ground.all().await;
    grants(&ground).prove_scope().await.unwrap();
    assert_eq!(ground.all().await, before);
    let listed = ground.store.list(&keyspace::users(), "tidegate:", None::<&Key>, 10).await.unwrap();
    assert!(listed.entries.is_empty());
    ground.refuse_writes_to(&keyspace::users());
    assert!(grants(&ground).prove_scope().await.is_err());
}
