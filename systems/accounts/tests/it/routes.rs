//! Every route, at its best and at its usual worst, in both schemas.

use serde_json::{Value as Json, json};

use crate::ground::{Answered, Ground, Service};

/// A request about an account names it twice.
fn about(answer: &Answered, account: &str) -> Json {
    assert!(answer.status < 300, "{}", answer.body);
    assert_eq!(answer.body["ok"], true);
    assert_eq!(answer.body["accountId"], account, "{}", answer.body);
    assert_eq!(answer.body["workspaceId"], account, "{}", answer.body);
    answer.body.clone()
}

#[tokio::test]
async fn every_route_works_on_the_first_schema() {
    every_route("v1").await;
}

#[tokio::test]
async fn every_route_works_while_the_first_schema_is_copied_to_the_second() {
    every_route("dual").await;
}

#[tokio::test]
async fn every_route_works_on_the_second_schema() {
    every_route("steady").await;
}

async fn every_route(row: &str) {
    let ground = Ground::at_row(row).await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let account = ada.account().await;

    let workspace = about(&ada.get("/v1/account/workspace").await, &account);
    assert_eq!(workspace["workspace"]["name"], "ada's workspace");
    let renamed = about(&ada.patch("/v1/account/workspace", json!({ "name": " Ours " })).await, &account);
    assert_eq!(renamed["workspace"]["name"], "Ours");
    let blank = ada.patch("/v1/account/workspace", json!({ "name": " " })).await;
    assert_eq!(blank.refusal(), (400, "Workspace name is required."));

    let body =
        json!({ "displayName": "Bob", "profileId": "p", "identityPublicKey": "k", "avatarPublicId": "a" });
    let made = ada.post("/v1/account/users", body).await;
    assert_eq!(made.status, 201);
    let made = about(&made, &account);
    let (id, user) = (made["id"].as_str().unwrap(), &made["user"]);
    assert_eq!((user["displayName"].as_str(), user["avatarPublicId"].as_str()), (Some("Bob"), Some("a")));
    assert!(user["userKey"].as_str().unwrap().starts_with("concord:p:"), "{user}");
    let users = about(&ada.get("/v1/account/users").await, &account);
    let identities = about(&ada.get("/v1/account/identities").await, &account);
    assert_eq!(users["users"], identities["identities"]);
    assert_eq!(users["users"], json!([user]));

    let change = json!({ "displayName": "Bert", "avatarPublicId": "__clear__" });
    about(&ada.patch(&format!("/v1/account/users/{id}"), change).await, &account);
    let half = ada.patch(&format!("/v1/account/identities/{id}"), json!({ "profileId": "p" })).await;
    assert_eq!(half.refusal(), (400, "profileId and identityPublicKey must be provided together."));
    let users = about(&ada.get("/v1/account/users").await, &account);
    assert_eq!(users["users"][0]["displayName"], "Bert");
    assert_eq!(users["users"][0]["avatarPublicId"], Json::Null);

    let body = json!({ "managedUserId": id, "name": "Book", "collectionId": " travel " });
    let made = ada.post("/v1/account/pixbooks", body).await;
    assert_eq!(made.status, 201);
    let book = about(&made, &account)["id"].as_str().unwrap().to_owned();
    let again = ada
        .post("/v1/account/books", json!({ "managedUserId": id, "name": "B", "collectionId": "travel" }))
        .await;
    assert_eq!(
        again.refusal(),
        (400, "A pixbook already exists for this identity in the requested collection.")
    );
    let books = about(&ada.get("/v1/account/books").await, &account);
    assert_eq!(books["books"], about(&ada.get("/v1/account/pixbooks").await, &account)["pixbooks"]);
    assert_eq!(books["books"][0]["collectionId"], "travel");
    assert_eq!(books["books"][0]["currentVersion"], "0");
    about(&ada.patch(&format!("/v1/account/books/{book}"), json!({ "name": "Log" })).await, &account);
    assert_eq!(ada.get("/v1/account/books").await.text("/books/0/name"), "Log");
    let removed = about(&ada.delete(&format!("/v1/account/books/{book}")).await, &account);
    assert_eq!((&removed["managedUserId"], &removed["collectionId"]), (&json!(id), &json!("travel")));
    let gone = ada.delete(&format!("/v1/account/books/{book}")).await;
    assert_eq!(gone.refusal(), (404, "Book not found."));
    let gone = ada.patch(&format!("/v1/account/pixbooks/{book}"), json!({ "name": "x" })).await;
    assert_eq!(gone.refusal(), (404, "Pixbook not found."));

    let book = ada.add_book(id, "").await;
    let removed = about(&ada.delete(&format!("/v1/account/users/{id}/identity")).await, &account);
    assert_eq!(removed["removedBookIds"], json!([book]));
    let gone = ada.delete(&format!("/v1/account/identities/{id}")).await;
    assert_eq!(gone.refusal(), (404, "Identity not found."));
    let gone = ada.patch(&format!("/v1/account/users/{id}"), json!({ "displayName": "x" })).await;
    assert_eq!(gone.refusal(), (404, "Managed user not found."));

    let one = ada.add_identity("One", "p1", "k1").await;
    ada.add_identity("Two", "p2", "k2").await;
    ada.add_book(&one, "").await;
    let reset = about(&ada.delete("/v1/account/identities").await, &account);
    assert_eq!((&reset["removedManagedUsers"], &reset["removedBooks"]), (&json!(2), &json!(1)));
    assert_eq!(ada.get("/v1/account/users").await.body["users"], json!([]));
}

#[tokio::test]
async fn what_is_missing_in_a_body_is_named() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let person = ada.add_identity("P", "p", "k").await;
    for (path, body, text) in [
        ("users", json!({ "profileId": "p", "identityPublicKey": "k" }), "displayName is required."),
        ("users", json!({ "displayName": "x" }), "profileId and identityPublicKey are required."),
        (
            "identities",
            json!({ "displayName": "x", "profileId": "p", "identityPublicKey": " \n" }),
            "profileId and identityPublicKey are required.",
        ),
        (
            "users",
            json!({ "displayName": "x", "profileId": "p2", "identityPublicKey": "k2", "id": "../x" }),
            "id may hold letters, digits, _ and - only.",
        ),
        ("books", json!({ "name": "x" }), "managedUserId is required."),
        ("books", json!({ "managedUserId": person }), "name is required."),
        (
            "pixbooks",
            json!({ "managedUserId": "nobody", "name": "x" }),
            "managedUserId is not valid for this workspace.",
        ),
        ("books", json!({ "managedUserId": 7, "name": "x" }), "managedUserId must be a text."),
    ] {
        let answer = ada.post(&format!("/v1/account/{path}"), body).await;
        assert_eq!(answer.refusal(), (400, text));
    }
}

#[tokio::test]
async fn an_id_that_is_taken_elsewhere_is_taken() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let (ada, eve) = (service.sign_up("ada@example.org").await, service.sign_up("eve@example.org").await);
    let body = json!({ "displayName": "A", "profileId": "p", "identityPublicKey": "k", "id": "mine" });
    assert_eq!(ada.post("/v1/account/users", body.clone()).await.text("/id"), "mine");
    assert_eq!(eve.post("/v1/account/users", body).await.refusal(), (409, "This id is already taken."));
    // In one's own account the binding comes first: the same person is brought back and updated.
    let body = json!({ "displayName": "B", "profileId": "p", "identityPublicKey": " k ", "id": "other" });
    assert_eq!(ada.post("/v1/account/users", body).await.text("/user/displayName"), "B");
    assert_eq!(
        ground.text("SELECT string_agg(id || display_name, ',') FROM platform_managed_users").await,
        "mineB"
    );
}
