//! What nobody should send: a clear refusal each, and nothing half done.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ground::{BOUND, Ground, Service};

#[tokio::test]
async fn bodies_that_are_no_json_objects_are_refused() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    for (body, text) in [
        (&b"{"[..], "The request body is not valid JSON."),
        (b"{} {}", "The request body is not valid JSON."),
        (b"\xff\xfe", "The request body is not valid JSON."),
        (b"[1]", "The request body must be a JSON object."),
        (b"null", "The request body must be a JSON object."),
    ] {
        for (method, path) in
            [("POST", "users"), ("PATCH", "workspace"), ("PUT", "pixbook/snapshot"), ("DELETE", "identities")]
        {
            let answer = ada.ask(method, &format!("/v1/account/{path}"), Some(body.to_vec())).await;
            assert_eq!(answer.refusal(), (400, text), "{method} {path}");
        }
    }
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = ada.ask("POST", "/v1/account/users", Some(nested.into_bytes())).await;
    assert_eq!(answer.refusal(), (400, "The request body is not valid JSON."));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let form = ada.with("content-type", kind);
        let answer = form.ask("POST", "/v1/account/users", Some(b"{}".to_vec())).await;
        assert_eq!(answer.refusal(), (415, "The request body must be application/json."));
    }
}

#[tokio::test]
async fn what_is_too_large_or_too_long_is_refused() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let large = json!({ "displayName": "x".repeat(70_000) });
    assert_eq!(ada.post("/v1/account/users", large).await.refusal(), (413, "The request body is too large."));
    let large = json!({ "profileId": "p", "identityPublicKey": "k", "payload": "x".repeat(1_100_000) });
    let answer = ada.put("/v1/account/pixbook/snapshot", large).await;
    assert_eq!(answer.refusal(), (413, "The request body is too large."));
    let fits = json!({ "profileId": "p", "identityPublicKey": "k", "payload": "x".repeat(1_000_000) });
    assert_eq!(ada.put("/v1/account/pixbook/snapshot", fits).await.status, 200);
    let long = json!({ "displayName": "x".repeat(9_000), "profileId": "p", "identityPublicKey": "k" });
    assert_eq!(ada.post("/v1/account/users", long).await.refusal(), (400, "displayName is too long."));
    let nul = json!({ "name": "a\u{0}b" });
    let answer = ada.patch("/v1/account/workspace", nul).await;
    assert_eq!(answer.refusal(), (400, "name holds a character that cannot be kept."));
}

#[tokio::test]
async fn forged_cookies_are_nobody() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let token = ada.cookie.split_once('=').unwrap().1.to_owned();
    let flipped = if token.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{flipped}", &token[..63]);
    for cookie in [
        String::new(),
        "accounts_session=".to_owned(),
        format!("accounts_session={forged}"),
        format!("accounts_session={}", "0".repeat(64)),
        format!("accounts_session={token}0"),
        format!("session={token}"),
        "accounts_session=' OR true --".to_owned(),
    ] {
        let asker = crate::ground::Asker { cookie: cookie.clone(), ..ada.clone() };
        assert_eq!(asker.get("/v1/account/session").await.refusal(), (401, "Unauthorized."), "{cookie}");
        assert_eq!(
            asker.delete("/v1/account/identities").await.refusal(),
            (401, "Unauthorized."),
            "{cookie}"
        );
    }
    // A cookie is worth nothing to a service with another secret.
    let other = Service::start_with(&ground, &[("AUTH_SECRET", "another")]).await;
    let asker = crate::ground::Asker { base: other.base.clone(), ..ada.clone() };
    assert_eq!(asker.get("/v1/account/session").await.refusal(), (401, "Unauthorized."));
    assert_eq!(ada.get("/v1/account/session").await.status, 200);
}

#[tokio::test]
async fn other_sites_may_not_use_a_cookie() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    for origin in ["https://evil.example", "null", "http://localhost:3001"] {
        let answer = ada.with("origin", origin).post("/v1/account/users", json!({})).await;
        assert_eq!(answer.refusal(), (403, "Forbidden."), "{origin}");
    }
    assert_eq!(ada.with("origin", "http://localhost:3000").get("/v1/account/users").await.status, 200);
}

#[tokio::test]
async fn what_is_nowhere_or_not_allowed_is_said_in_json() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    for path in ["/", "/v1", "/v1/account", "/v1/account/users/a/b/c", "/v1/account/../healthz"] {
        assert_eq!(ada.get(path).await.refusal().0, 404, "{path}");
    }
    assert_eq!(
        ada.delete("/v1/account/workspace").await.refusal(),
        (405, "This method is not allowed here.")
    );
    assert_eq!(ada.get("/v1/account/users?accountId=%ff").await.status, 403);
    let answer = ada.with("x-account-schema", "v3").get("/v1/account/users").await;
    assert_eq!(answer.refusal(), (400, "x-account-schema must be v1 or v2."));
    let answer = ada.with("x-account-schema", "v2").get("/v1/account/users").await;
    assert_eq!(answer.code(), (409, "ACCOUNT_SCHEMAS_NOT_MIRRORED"));
    let answer = ada.with("x-account-schema", "v1").delete("/v1/account/identities").await;
    assert_eq!(answer.refusal(), (400, "x-account-schema is for reading only."));
}

#[tokio::test]
async fn a_schema_is_named_only_by_who_manages_the_account() {
    let ground = Ground::at_row("mirrored").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    assert_eq!(ada.with("x-account-schema", "v2").get("/v1/account/session").await.status, 200);
    ground
        .database
        .execute("DELETE FROM platform_permissions WHERE capability = 'platform.account.manage'")
        .await;
    for path in ["session", "users", "pixbook?profileId=p&identityPublicKey=k"] {
        let answer = ada.with("x-account-schema", "v2").get(&format!("/v1/account/{path}")).await;
        let answered =
            if path == "session" { answer.body["workspace"].is_null() } else { answer.status == 403 };
        assert!(answered, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_half_way_leaves_nothing_behind() {
    let ground = Ground::at("0004").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let address = service.base.strip_prefix("http://").unwrap();
    let mut raw = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/account/users HTTP/1.1\r\nhost: x\r\ncookie: {}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{{\"displayName\":",
        ada.cookie
    );
    raw.write_all(head.as_bytes()).await.unwrap();
    raw.shutdown().await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(BOUND, raw.read_to_end(&mut said)).await.unwrap();
    assert!(read.is_err() || !String::from_utf8_lossy(&said).contains("201"), "{said:?}");
    assert_eq!(ground.text("SELECT count(*) FROM platform_managed_users").await, "0");
    assert_eq!(service.stop().await, 0);
}
