//! An account may be named by its new name, and for a while by its old one.

use serde_json::{Value as Json, json};
use testkit::eventually;

use crate::ground::{Asker, BOUND, Ground, Service, alias_set};

/// Ada owns her own account and may manage Bob's.
async fn two_accounts(ground: &Ground, service: &Service) -> (Asker, String, String) {
    let (ada, bob) = (service.sign_up("ada@example.org").await, service.sign_up("bob@example.org").await);
    let (hers, his) = (ada.account().await, bob.account().await);
    let join = format!(
        "INSERT INTO platform_workspace_members (id, workspace_id, user_id, role)
         SELECT 'joined', '{his}', id, 'member' FROM auth_users WHERE email = 'ada@example.org';
         INSERT INTO platform_permissions (id, member_id, capability)
         VALUES ('g1', 'joined', 'platform.account.manage'), ('g2', 'joined', 'platform.workspace.manage')"
    );
    ground.database.execute(&join).await;
    (ada, hers, his)
}

#[tokio::test]
async fn header_comes_before_query_before_body_and_the_new_name_before_the_old() {
    let ground = Ground::migrated().await;
    let service = Service::start(&ground).await;
    let (ada, hers, his) = two_accounts(&ground, &service).await;
    let nobody = "ws_unknown";
    // Which account a request is about: header, query, body, each by its new and its old name.
    for (header, query, body, expected) in [
        ([None, None], [None, None], [None, None], &hers),
        ([Some(&*his), None], [None, None], [None, None], &his),
        ([None, None], [Some(&*his), None], [None, None], &his),
        ([None, None], [None, None], [Some(&*his), None], &his),
        ([None, Some(&*his)], [None, None], [None, None], &his),
        ([None, None], [None, Some(&*his)], [None, None], &his),
        ([None, None], [None, None], [None, Some(&*his)], &his),
        ([Some(&*his), None], [Some(nobody), None], [Some(nobody), None], &his),
        ([None, None], [Some(&*his), None], [Some(nobody), None], &his),
        ([None, Some(nobody)], [None, None], [Some(&*his), None], &his),
        ([None, Some(&*his)], [None, Some(nobody)], [None, Some(nobody)], &his),
        ([Some(&*hers), Some(&*his)], [None, None], [None, None], &hers),
    ] {
        let mut asker = ada.clone();
        for (name, value) in ["x-account-id", "x-workspace-id"].iter().zip(header) {
            if let Some(value) = value {
                asker = asker.with(name, value);
            }
        }
        let mut path = "/v1/account/workspace?".to_owned();
        let mut said = json!({ "name": "Named" });
        for (at, name) in ["accountId", "workspaceId"].iter().enumerate() {
            if let Some(value) = query[at] {
                path.push_str(&format!("{name}={value}&"));
            }
            if let Some(value) = body[at] {
                said[*name] = json!(value);
            }
        }
        let answer = asker.patch(&path, said).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(
            (&answer.body["accountId"], &answer.body["workspaceId"]),
            (&json!(expected), &json!(expected))
        );
    }
}

#[tokio::test]
async fn uses_of_the_old_name_are_answered_with_a_warning_and_counted_by_client() {
    let ground = Ground::at_row("v1").await;
    let service = Service::start(&ground).await;
    let (ada, hers, his) = two_accounts(&ground, &service).await;
    let shop = ada.with("x-client-name", "shop");
    for _ in 0..3 {
        let answer = shop.get(&format!("/v1/account/users?workspaceId={his}")).await;
        assert_eq!((answer.status, answer.header("deprecation")), (200, Some("true")));
        assert_eq!(answer.header("x-deprecated-name"), Some("workspaceId; send accountId"));
    }
    ada.with("user-agent", "till/2 (linux)").with("x-workspace-id", &his).get("/v1/account/users").await;
    let plain = shop.get(&format!("/v1/account/users?accountId={his}")).await;
    assert_eq!((plain.status, plain.header("deprecation")), (200, None));
    let metrics = ada.get("/metrics").await.body;
    for line in [
        "accounts_alias_requests_total{client=\"shop\"} 3",
        "accounts_alias_requests_total{client=\"till/2\"} 1",
    ] {
        assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
    }
    let kept = "SELECT string_agg(client || ' ' || uses, ', ' ORDER BY client) FROM account_alias_uses";
    let saved = || async { (ground.text(kept).await == "shop 3, till/2 1").then_some(()) };
    eventually("the uses are kept", BOUND, saved).await.unwrap();

    // Off: the old name says nothing any more, in no place.
    ground.move_set(&alias_set(), "off").await.unwrap();
    let alias = service.app.backend().unwrap().alias();
    let off = || async { (alias.snapshot().is_on("accept_workspace_id") == Some(false)).then_some(()) };
    eventually("the alias is off", BOUND, off).await.unwrap();
    let answer = shop.with("x-workspace-id", &his).get(&format!("/v1/account/users?workspaceId={his}")).await;
    assert_eq!((answer.status, answer.header("deprecation")), (200, None));
    assert_eq!(answer.body["accountId"], json!(hers));
    assert_eq!(answer.body["workspaceId"], json!(hers));
    service.stop().await;
    assert_eq!(ground.text(kept).await, "shop 3, till/2 1");
}

#[tokio::test]
async fn without_tables_the_variable_says_whether_the_old_name_counts() {
    let ground = Ground::at("0004").await;
    for (value, aliased) in [("", true), ("yes", true), ("0", false)] {
        let service = Service::start_with(&ground, &[("ACCOUNT_API_ACCEPT_WORKSPACE_ALIAS", value)]).await;
        let email = format!("{value}x@example.org");
        let ada = service.sign_up(&email).await;
        let answer = ada.get("/v1/account/users?workspaceId=ws_unknown").await;
        if aliased {
            assert_eq!(answer.refusal(), (403, "Forbidden."), "{value:?}");
        } else {
            assert_eq!(answer.status, 200, "{value:?}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn a_foreign_account_and_an_unknown_one_are_answered_alike() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    let (ada, eve) = (service.sign_up("ada@example.org").await, service.sign_up("eve@example.org").await);
    let hers = ada.account().await;
    let person = ada.add_identity("P", "p", "k").await;
    let book = ada.add_book(&person, "").await;
    for account in [hers.as_str(), "ws_unknown", "' OR true --"] {
        let eve = eve.with("x-account-id", account);
        let mut answers = Vec::new();
        for path in [
            "workspace",
            "users",
            "identities",
            "books",
            "pixbooks",
            "pixbook?profileId=p&identityPublicKey=k",
        ] {
            answers.push(eve.get(&format!("/v1/account/{path}")).await);
        }
        answers.push(eve.patch("/v1/account/workspace", json!({ "name": "x" })).await);
        answers.push(
            eve.post(
                "/v1/account/users",
                json!({ "displayName": "x", "profileId": "p", "identityPublicKey": "k" }),
            )
            .await,
        );
        answers.push(eve.patch(&format!("/v1/account/users/{person}"), json!({ "displayName": "x" })).await);
        answers.push(eve.delete(&format!("/v1/account/identities/{person}")).await);
        answers.push(eve.delete("/v1/account/identities").await);
        answers.push(eve.post("/v1/account/books", json!({ "managedUserId": person, "name": "x" })).await);
        answers.push(eve.delete(&format!("/v1/account/books/{book}")).await);
        let save = json!({ "profileId": "p", "identityPublicKey": "k", "payload": 1 });
        answers.push(eve.put("/v1/account/pixbook/snapshot", save).await);
        for answer in answers {
            assert_eq!(
                (answer.status, &answer.body),
                (403, &json!({ "ok": false, "error": "Forbidden." })),
                "{account}"
            );
        }
        let session = eve.get("/v1/account/session").await;
        assert_eq!((session.status, &session.body["workspace"]), (200, &Json::Null));
    }
    // Ids of others in one's own account lead nowhere.
    assert_eq!(eve.delete(&format!("/v1/account/books/{book}")).await.refusal(), (404, "Book not found."));
    assert_eq!(eve.get(&format!("/v1/account/pixbook?bookId={book}")).await.code().0, 404);
    assert_eq!(ada.get("/v1/account/books").await.text("/books/0/id"), book);
}
