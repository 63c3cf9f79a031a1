//! Signing up, in and out.

use serde_json::json;

use crate::ground::{Ground, Service};

#[tokio::test]
async fn who_signs_up_is_signed_in_and_owns_an_account() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.nobody();
    let answer = ada
        .post(
            "/v1/auth/sign-up",
            json!({ "email": " Ada@Example.org ", "password": "correct horse", "name": "Ada" }),
        )
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["user"]["email"], "ada@example.org");
    assert_eq!(answer.body["accountId"], answer.body["workspaceId"]);
    let set = answer.header("set-cookie").unwrap().to_owned();
    assert!(set.contains("; HttpOnly; SameSite=Lax") && !set.contains("Secure"), "{set}");
    let ada = crate::ground::Asker { cookie: answer.cookie(), ..ada };
    let session = ada.get("/v1/account/session").await;
    assert_eq!(session.status, 200);
    assert_eq!(session.text("/workspace/name"), "ada's workspace");
    assert_eq!(session.text("/workspace/role"), "owner");
    assert_eq!(session.body["workspace"]["capabilities"].as_array().unwrap().len(), 6);
    assert_eq!(session.body["user"]["name"], "Ada");
    // The database keeps neither the password nor the token.
    assert!(ground.text("SELECT password_hash FROM auth_credentials").await.starts_with("$argon2id$"));
    let token = ada.cookie.split_once('=').unwrap().1;
    assert_eq!(
        ground.text(&format!("SELECT count(*) FROM auth_sessions WHERE token_hash = '\\x{token}'")).await,
        "0"
    );
}

#[tokio::test]
async fn a_session_ends_when_it_is_signed_out_or_has_run_out() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let again = service.sign_in("ada@example.org").await;
    assert_ne!(ada.cookie, again.cookie);
    let out = ada.post("/v1/auth/sign-out", json!({})).await;
    assert_eq!((out.status, out.cookie().as_str()), (200, "accounts_session="));
    assert_eq!(ada.get("/v1/account/session").await.refusal(), (401, "Unauthorized."));
    assert_eq!(again.get("/v1/account/session").await.status, 200);
    ground.database.execute("UPDATE auth_sessions SET expires_at = now()").await;
    assert_eq!(again.get("/v1/account/session").await.refusal(), (401, "Unauthorized."));
    service.sign_in("ada@example.org").await;
    assert_eq!(ground.text("SELECT count(*) FROM auth_sessions").await, "1");
}

#[tokio::test]
async fn wrong_and_unknown_are_answered_alike() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    service.sign_up("ada@example.org").await;
    let nobody = service.nobody();
    for (email, password) in [("ada@example.org", "correct horsf"), ("bob@example.org", "correct horse")] {
        let answer = nobody.post("/v1/auth/sign-in", json!({ "email": email, "password": password })).await;
        assert_eq!(answer.refusal(), (401, "Invalid email or password."));
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn an_address_belongs_to_whom_it_came_with_first() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    service.sign_up("ada@example.org").await;
    ground.database.execute("INSERT INTO auth_users (id, email) VALUES ('old', 'old@example.org')").await;
    for email in ["ada@example.org", "ADA@example.org", "old@example.org"] {
        let body = json!({ "email": email, "password": "another horse" });
        let answer = service.nobody().post("/v1/auth/sign-up", body).await;
        assert_eq!(answer.refusal(), (409, "This email address is already in use."), "{email}");
    }
    assert_eq!(ground.text("SELECT count(*) FROM platform_workspaces").await, "1");
}

#[tokio::test]
async fn what_is_no_address_or_no_password_is_refused() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    for email in
        ["", "ada", "@example.org", "ada@", "ada@example", "a b@example.org", "a@b@example.org", "ada@.org"]
    {
        let body = json!({ "email": email, "password": "correct horse" });
        let answer = service.nobody().post("/v1/auth/sign-up", body).await;
        assert_eq!(answer.refusal(), (400, "email must be an email address."), "{email}");
    }
    for (password, text) in [
        (json!("short"), "password must have at least 8 characters."),
        (json!("x".repeat(257)), "password is too long."),
        (json!(12_345_678), "password is required."),
        (json!(null), "password is required."),
    ] {
        let body = json!({ "email": "ada@example.org", "password": password });
        assert_eq!(service.nobody().post("/v1/auth/sign-up", body).await.refusal(), (400, text));
    }
    assert_eq!(ground.text("SELECT count(*) FROM auth_credentials").await, "0");
}
