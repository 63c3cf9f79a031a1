//! What has gone wrong elsewhere, and must not here.

use accounts::auth::{AuthSecret, Token, start_session};
use serde_json::{Value as Json, json};
use testkit::eventually;
use tokio::task::JoinSet;

use crate::ground::{Asker, BOUND, Ground, Service};
use crate::parity::{assert_parity, content, copy_all};

/// Somebody whom only the authentication knows yet.
async fn signed_in(ground: &Ground, service: &Service, user: &str, email: &str) -> Asker {
    let sql = format!(
        "INSERT INTO auth_credentials (user_id, email, password_hash) VALUES ('{user}', '{email}', 'x') ON CONFLICT DO NOTHING"
    );
    ground.database.execute(&sql).await;
    let token = Token::fresh().unwrap();
    let secret = AuthSecret::of("a secret of the tests");
    start_session(&ground.session().await, &secret, &token, user).await.unwrap();
    Asker { cookie: format!("accounts_session={}", token.text()), ..service.nobody() }
}

/// A workspace of the first schema alone, with an owner and a plain member.
const OLD_WORKSPACE: &str = "
    INSERT INTO auth_users (id, email) VALUES ('owner', 'owner@example.org'), ('member', 'member@example.org');
    INSERT INTO platform_workspaces (id, name) VALUES ('w', 'Real name');
    INSERT INTO platform_workspace_members (id, workspace_id, user_id, role) VALUES ('mo', 'w', 'owner', 'owner'), ('mm', 'w', 'member', 'member');
    INSERT INTO platform_permissions (id, member_id, capability) VALUES ('p1', 'mm', 'pixpax.creator.view'), ('p2', 'mo', 'platform.account.manage')";

#[tokio::test]
async fn a_member_of_an_account_that_is_not_copied_yet_gains_nothing_by_signing_in() {
    for row in ["mirrored", "read_v2"] {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        ground.database.execute(OLD_WORKSPACE).await;
        let member = signed_in(&ground, &service, "member", "member@example.org").await;
        let session = member.get("/v1/account/session").await;
        assert_eq!(session.status, 200, "{row}: {}", session.body);
        assert_eq!(member.get("/v1/account/users").await.refusal(), (403, "Forbidden."), "{row}");
        let rename = member.patch("/v1/account/workspace", json!({ "name": "Mine" })).await;
        assert_eq!(rename.refusal(), (403, "Forbidden."), "{row}");
        if row == "mirrored" {
            assert_eq!(session.text("/workspace/role"), "member");
            assert_eq!(session.body["workspace"]["capabilities"], json!(["pixpax.creator.view"]));
        } else {
            assert_eq!(session.body["workspace"], Json::Null);
        }
        // What was copied on the way is a copy: the name is real, and nobody owns what they did not own.
        let made = "SELECT count(*) FROM accounts WHERE name <> 'Real name'";
        assert_eq!(ground.text(made).await, "0", "{row}");
        assert_eq!(
            ground
                .text("SELECT count(*) FROM account_members WHERE role = 'owner' AND user_id = 'member'")
                .await,
            "0"
        );
        assert_eq!(ground.text("SELECT count(*) FROM account_permissions").await, "0", "{row}");
        // The owner's write brings along what it needs, as it is.
        if row == "mirrored" {
            let owner = signed_in(&ground, &service, "owner", "owner@example.org").await;
            owner.add_identity("P", "p", "k").await;
            let copied = "SELECT name || (SELECT count(*) FROM identities) FROM accounts";
            assert_eq!(ground.text(copied).await, "Real name1");
        }
    }
}

#[tokio::test]
async fn grants_and_revocations_by_hand_mean_the_same_in_both_schemas() {
    let ground = Ground::at_row("v1").await;
    let session = ground.session().await;
    accounts::seed::seed(&session, 60).await.unwrap();
    copy_all(&ground).await;
    assert_parity(&ground, "after the copy").await;
    ground.move_to("mirrored").await;
    let service = Service::start(&ground).await;
    for (number, missing) in [(13, Some("pixpax.creator.publish")), (1, None)] {
        let user: String =
            ground.text(&format!("SELECT id FROM auth_users WHERE email = 'user{number}@example.org'")).await;
        let asker = signed_in(&ground, &service, &user, &format!("user{number}@example.org")).await;
        let own = ground.text(&format!("SELECT 'ws_' || md5('ws{number}')")).await;
        let asker = asker.with("x-account-id", &own);
        let v1 = asker.with("x-account-schema", "v1").get("/v1/account/session").await;
        let v2 = asker.with("x-account-schema", "v2").get("/v1/account/session").await;
        assert_eq!((v1.header("x-account-schema"), v2.header("x-account-schema")), (Some("v1"), Some("v2")));
        assert_eq!(v1.body, v2.body);
        let capabilities = v1.body["workspace"]["capabilities"].as_array().unwrap();
        assert_eq!(capabilities.len(), if missing.is_some() { 5 } else { 6 });
        assert!(missing.is_none_or(|missing| !capabilities.contains(&json!(missing))));
    }
    let by_hand = "SELECT count(*) FROM account_permissions p JOIN account_members m ON m.id = p.member_id
                   WHERE m.role <> 'owner' AND p.capability = 'platform.account.manage'";
    assert_ne!(ground.text(by_hand).await, "0");
}

#[tokio::test]
async fn an_audit_event_has_one_id_in_both_schemas() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let person = ada.add_identity("P", "p", "k").await;
    let book = ada.add_book(&person, "").await;
    ada.delete(&format!("/v1/account/books/{book}")).await;
    ada.delete(&format!("/v1/account/identities/{person}")).await;
    let kinds =
        |table: &str| format!("SELECT string_agg(event_type, ',' ORDER BY created_at, id) FROM {table}");
    let expected = "workspace.created,book.removed,managed-user.identity.removed";
    assert_eq!(ground.text(&kinds("platform_audit_events")).await, expected);
    assert_eq!(
        ground.text("SELECT count(*) FROM audit_events JOIN platform_audit_events USING (id)").await,
        "3"
    );
    assert_parity(&ground, "after three events").await;
}

#[tokio::test]
async fn eight_first_visits_at_once_make_one_account_in_both_schemas() {
    for row in ["v1", "dual", "write_v2", "steady"] {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        for number in 0..3 {
            let user = format!("user-{number}");
            let asker = signed_in(&ground, &service, &user, &format!("{user}@example.org")).await;
            let mut visits = JoinSet::new();
            for visit in 0..8 {
                let asker = asker.clone();
                visits.spawn(async move {
                    let path = if visit % 2 == 0 { "/v1/account/session" } else { "/v1/account/users" };
                    let answer = asker.get(path).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                });
            }
            visits.join_all().await;
        }
        let table = if row == "steady" { "accounts" } else { "platform_workspaces" };
        assert_eq!(ground.text(&format!("SELECT count(*) FROM {table}")).await, "3", "{row}");
        if !matches!(row, "v1" | "steady") {
            assert_parity(&ground, row).await;
        }
    }
}

#[tokio::test]
async fn a_second_profile_on_the_same_key_is_refused_by_both_schemas() {
    for row in ["v1", "mirrored", "write_v2", "steady"] {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        let ada = service.sign_up("ada@example.org").await;
        let mut racers = JoinSet::new();
        for profile in 0..6 {
            let ada = ada.clone();
            racers.spawn(async move {
                let body = json!({ "displayName": "P", "profileId": format!("p{profile}"), "identityPublicKey": "k" });
                ada.post("/v1/account/users", body).await.status
            });
        }
        let mut statuses = racers.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409], "{row}");
        let other = ada.add_identity("Q", "q", "other").await;
        let change = json!({ "profileId": "q", "identityPublicKey": " k" });
        let answer = ada.patch(&format!("/v1/account/users/{other}"), change).await;
        assert_eq!(
            answer.refusal(),
            (409, "This identity key already belongs to another identity of the account."),
            "{row}"
        );
        if !matches!(row, "v1" | "steady") {
            assert_parity(&ground, row).await;
        }
    }
}

#[tokio::test]
async fn a_new_id_with_a_known_address_is_served_without_the_address() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    ground.database.execute("INSERT INTO auth_users (id, email) VALUES ('old-id', 'ada@example.org')").await;
    let ada = signed_in(&ground, &service, "new-id", "ada@example.org").await;
    for _ in 0..2 {
        let session = ada.get("/v1/account/session").await;
        assert_eq!((session.status, session.text("/workspace/role").as_str()), (200, "owner"));
    }
    assert_eq!(ground.text("SELECT email FROM auth_users WHERE id = 'new-id'").await, "NULL");
    assert_eq!(ground.text("SELECT email FROM auth_users WHERE id = 'old-id'").await, "ada@example.org");
}

#[tokio::test]
async fn the_deleted_stay_deleted_and_a_status_is_one_of_two() {
    for row in ["v1", "steady"] {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        let ada = service.sign_up("ada@example.org").await;
        let person = ada.add_identity("P", "p", "k").await;
        let book = ada.add_book(&person, "").await;
        for path in [format!("users/{person}"), format!("identities/{person}"), format!("books/{book}")] {
            let answer = ada.patch(&format!("/v1/account/{path}"), json!({ "status": "bananas" })).await;
            assert_eq!(answer.refusal(), (400, "status must be active or deleted."));
        }
        // A person who goes by a change of status takes the books along, as by any other route.
        let answer = ada.patch(&format!("/v1/account/users/{person}"), json!({ "status": "deleted" })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(ada.get("/v1/account/books").await.body["books"], json!([]));
        for (path, text) in [
            (format!("books/{book}"), "Book not found."),
            (format!("pixbooks/{book}"), "Pixbook not found."),
            (format!("users/{person}"), "Managed user not found."),
        ] {
            let answer = ada.patch(&format!("/v1/account/{path}"), json!({ "status": "active" })).await;
            assert_eq!(answer.refusal(), (404, text), "{row}");
        }
        let person = ada.add_identity("P", "p", "k").await;
        let book = ada.add_book(&person, "").await;
        let answer = ada.patch(&format!("/v1/account/books/{book}"), json!({ "status": "deleted" })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(ada.get("/v1/account/books").await.body["books"], json!([]));
    }
}

#[tokio::test]
async fn a_copy_that_the_other_schema_refuses_undoes_the_request() {
    for (row, table) in
        [("mirrored", "identities"), ("dual", "identities"), ("write_v2", "platform_managed_users")]
    {
        let ground = Ground::at_row(row).await;
        let service = Service::start(&ground).await;
        let ada = service.sign_up("ada@example.org").await;
        ground.database.execute(&format!("ALTER TABLE {table} ADD CHECK (display_name <> 'refused')")).await;
        let before = (content(&ground, true).await, content(&ground, false).await);
        let body = json!({ "displayName": "refused", "profileId": "p", "identityPublicKey": "k" });
        let answer = ada.post("/v1/account/users", body).await;
        assert_eq!(answer.code(), (503, "ACCOUNT_MIRROR_FAILED"), "{row}");
        assert_eq!((content(&ground, true).await, content(&ground, false).await), before, "{row}");
        let metrics = ada.get("/metrics").await;
        let line = "tidegate_switch_mirror_errors_total{set=\"accounts\"} 1";
        assert!(metrics.body.as_str().unwrap().contains(line), "{}", metrics.body);
        // A table that is gone is no different.
        ground.database.execute(&format!("ALTER TABLE {table} RENAME TO elsewhere")).await;
        let body = json!({ "displayName": "P", "profileId": "p", "identityPublicKey": "k" });
        assert_eq!(ada.post("/v1/account/users", body.clone()).await.code(), (503, "ACCOUNT_MIRROR_FAILED"));
        ground.database.execute(&format!("ALTER TABLE elsewhere RENAME TO {table}")).await;
        assert_eq!(ada.post("/v1/account/users", body).await.status, 201);
        assert_parity(&ground, row).await;
    }
}

#[tokio::test]
async fn a_request_reads_one_schema_from_its_beginning_to_its_end() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    ground
        .database
        .execute("UPDATE platform_workspaces SET name = 'V1NAME'; UPDATE accounts SET name = 'V2NAME'")
        .await;
    // The request is past its first statements and waits for the last one.
    let lock = ground.database.client().await;
    lock.batch_execute("BEGIN; LOCK TABLE platform_permissions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let held = tokio::spawn({
        let ada = ada.clone();
        async move { ada.get("/v1/account/workspace").await }
    });
    let waits =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'platform_permissions'::regclass";
    eventually("the request waits", BOUND, || async { (ground.text(waits).await == "1").then_some(()) })
        .await
        .unwrap();
    let moved = ground.move_to("read_v2").await;
    service.follows(&moved).await;
    let accounts = service.app.backend().unwrap().accounts();
    assert!(accounts.metrics().drained_epoch < moved.epoch, "an open request keeps the old epoch");
    assert_eq!(ada.get("/v1/account/workspace").await.text("/workspace/name"), "V2NAME");
    lock.batch_execute("COMMIT").await.unwrap();
    assert_eq!(held.await.unwrap().text("/workspace/name"), "V1NAME");
    let drained = || async { (accounts.metrics().drained_epoch == moved.epoch).then_some(()) };
    eventually("the old epoch has drained", BOUND, drained).await.unwrap();
}
