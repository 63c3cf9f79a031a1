//! Bearer tokens and sessions, over HTTP.

use serde_json::json;
use tidegate_store::http::{Client, Request};
use vfs_server::auth::{Claims, TokenSecret};

use crate::ground::{BOUND, Ground, SECRET, Town};

const PATH: &str = "/v1/vfs/crdt/sync";
const UNAUTHORIZED: (u16, &str) = (401, "Unauthorized");

fn signed(user: &str, session: &str, exp_s: i64) -> String {
    let claims = Claims { user_id: user.to_owned(), session_id: session.to_owned() };
    format!("Bearer {}", TokenSecret::of(SECRET).sign(&claims, exp_s).unwrap())
}

const FAR: i64 = 9_999_999_999;

#[tokio::test]
async fn what_is_not_a_token_of_an_open_session_is_refused() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let nobody = town.nobody();
    town.ground.token("bob").await;
    let id = town.ground.text("SELECT id FROM sessions WHERE user_id = 'ada'").await;
    assert_eq!(nobody.with("authorization", &signed("ada", &id, FAR)).get(PATH).await.status, 200);
    // Another key, another user's session, no session, past, no claims, other schemes; the algorithms that would let
    // anybody in are tried in the unit tests, and once here.
    let other = TokenSecret::of("another secret");
    let forged = other.sign(&Claims { user_id: "ada".into(), session_id: id.clone() }, FAR).unwrap();
    let body = signed("ada", &id, FAR);
    let unsigned = format!("Bearer eyJhbGciOiJub25lIn0.{}.", body.split('.').nth(1).unwrap());
    let good = ada.headers[0].1.trim_start_matches("Bearer ").to_owned();
    for value in [
        format!("Bearer {forged}"),
        unsigned,
        signed("bob", &id, FAR),
        signed("ada", "no-such-session", FAR),
        signed("ada", "nul\0", FAR),
        signed("ada", &id, 1),
        format!("Basic {good}"),
        good.clone(),
        "Bearer".to_owned(),
        "Bearer  ".to_owned(),
        "Bearer a.b.c".to_owned(),
        format!("Bearer {}", "x".repeat(10_000)),
    ] {
        assert_eq!(nobody.with("authorization", &value).get(PATH).await.refusal(), UNAUTHORIZED, "{value}");
    }
    assert_eq!(nobody.get(PATH).await.refusal(), UNAUTHORIZED);
    let lower = nobody.with("authorization", &format!("bearer {good}"));
    assert_eq!(lower.get(PATH).await.status, 200);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_tokens() {
    let town = Town::new().await;
    for end in ["revoked_at = now()", "expires_at = now()"] {
        let ada = town.user("ada").await;
        assert_eq!(ada.get(PATH).await.status, 200);
        town.ground.database.execute(&format!("UPDATE sessions SET {end}")).await;
        assert_eq!(ada.get(PATH).await.refusal(), UNAUTHORIZED);
    }
    let ada = town.user("ada").await;
    town.ground.database.execute("DELETE FROM users WHERE id = 'ada'").await;
    assert_eq!(ada.get(PATH).await.refusal(), UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_secret_or_a_store_of_sessions_nobody_is_let_in() {
    let ground = Ground::new().await;
    let town = ground.town_with(&[("JWT_SECRET", "")]).await;
    let ada = town.user("ada").await;
    assert_eq!(ada.get(PATH).await.refusal(), (500, "Failed to authenticate"));
    assert_eq!(town.nobody().get(PATH).await.refusal(), UNAUTHORIZED);
    let ready = town.nobody().get("/readyz").await;
    assert_eq!(ready.refusal(), (503, "Not ready"));
    assert_eq!(ready.body["reasons"], json!(["JWT_SECRET is not set"]));

    let town = Town::new().await;
    let ada = town.user("ada").await;
    town.ground.database.execute("DROP TABLE sessions").await;
    assert_eq!(ada.get(PATH).await.refusal(), (500, "Failed to authenticate"));
}

#[tokio::test]
async fn the_token_is_looked_at_before_anything_else_of_a_request() {
    let town = Town::new().await;
    let nobody = town.nobody();
    for (method, path) in [
        ("POST", "/v1/vfs/register"),
        ("GET", "/v1/vfs/keys/me"),
        ("POST", "/v1/vfs/keys"),
        ("POST", "/v1/vfs/crdt/push"),
        ("GET", "/v1/vfs/crdt/sync?limit=x"),
        ("GET", "/v1/vfs/crdt/vfs-sync?limit=x"),
        ("POST", "/v1/vfs/crdt/reconcile"),
        ("GET", "/v1/vfs/sync?limit=x"),
        ("GET", "/v1/vfs/vfs-sync?limit=x"),
        ("POST", "/v1/vfs/sync/reconcile"),
        ("POST", "/v1/vfs/vfs-sync/reconcile"),
        ("GET", "/v1/vfs/events?cursor=x"),
        ("GET", "/v1/vfs/items/x/shares"),
        ("POST", "/v1/vfs/items/x/shares"),
        ("POST", "/v1/vfs/items/x/org-shares"),
        ("PATCH", "/v1/vfs/shares/x"),
        ("DELETE", "/v1/vfs/shares/x"),
        ("DELETE", "/v1/vfs/org-shares/x"),
        ("GET", "/v1/vfs/share-targets/search"),
        ("GET", "/v1/vfs/version"),
    ] {
        let body = (method != "GET").then(|| b"no json".to_vec());
        assert_eq!(nobody.ask(method, path, body).await.refusal(), UNAUTHORIZED, "{method} {path}");
    }
    let request = Request {
        method: "GET".into(),
        url: format!("{}/v1/vfs/crdt/sync", town.services[0].base),
        headers: vec![("authorization".into(), "Bearer x".into()), ("x-request-id".into(), "mine-1".into())],
        body: None,
        timeout: BOUND,
    };
    let answer = Client::new().request(request).await.unwrap();
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.header("x-vfs-feed-epoch"), Some("1"));
}
