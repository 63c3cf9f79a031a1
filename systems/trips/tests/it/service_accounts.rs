//! Accounts, sessions, forms and limits over HTTP.

use serde_json::{Value, json};
use trips::keyspace;

use crate::migration_ground::Ground;
use crate::migration_service::{PASSWORD, Service};

fn cookie_of(answer: &crate::migration_service::Answered, name: &str) -> String {
    let begins = format!("{name}=");
    answer
        .headers
        .iter()
        .filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie"))
        .find_map(|(_, value)| value.split(';').next()?.strip_prefix(&begins).map(str::to_owned))
        .unwrap_or_else(|| panic!("no cookie {name} in {:?}", answer.headers))
}

#[tokio::test]
async fn an_account_is_made_signed_in_to_and_named_by_its_stored_name() {
    let service = Service::new(Ground::new().await).await;
    let body =
        json!({ "username": "james", "email": "j@example.org", "name": "James", "password": PASSWORD });
    let answer = service.bare_post("/api/auth/signup", "", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(!answer.text.contains("argon2"), "{}", answer.text);
    for taken in [
        json!({ "username": "JAMES", "email": "other@example.org", "password": PASSWORD }),
        json!({ "username": "other", "email": "J@Example.org", "password": PASSWORD }),
        json!({ "username": "ab", "email": "x@example.org", "password": PASSWORD }),
        json!({ "username": "a:b:c", "email": "x@example.org", "password": PASSWORD }),
        json!({ "username": "11111111-1111-4111-8111-111111111111", "email": "x@example.org", "password": PASSWORD }),
        json!({ "username": "fine", "email": "x@example.org", "password": "short" }),
        json!({ "username": "fine", "email": "x@example.org", "name": "a:b", "password": PASSWORD }),
    ] {
        let answer = service.bare_post("/api/auth/signup", "", &taken.to_string()).await;
        assert_eq!(answer.status, 422, "{taken}: {}", answer.text);
    }
    assert_eq!(service.ground.keys(&keyspace::users(), "user:").await.len(), 1, "nothing half made");

    let wrong = json!({ "username": "james", "password": "not the password" }).to_string();
    assert_eq!(service.bare_post("/api/auth/signin", "", &wrong).await.status, 401);
    let nobody = json!({ "username": "nobody", "password": PASSWORD }).to_string();
    assert_eq!(service.bare_post("/api/auth/signin", "", &nobody).await.status, 401);
    let right = json!({ "username": "James", "password": PASSWORD }).to_string();
    let answer = service.bare_post("/api/auth/signin", "", &right).await;
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("James")));
    let cookie = format!("session_id={}", cookie_of(&answer, "session_id"));
    assert_eq!(service.get("/api/auth/account", &cookie).await.body["username"], json!("james"));
    assert_eq!(service.bare_post("/api/auth/signout", &cookie, "{}").await.status, 200);
    assert_eq!(service.get("/api/auth/account", &cookie).await.status, 401);
}

#[tokio::test]
async fn a_new_password_keeps_the_role_and_ends_other_sessions() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up_with_password("ana", "Ana").await;
    service.make_admin(&asker.id).await;
    let other = service.session_of(asker.id.clone()).await;
    let body = json!({ "old": PASSWORD, "new": "another long password" }).to_string();
    assert_eq!(service.bare_post("/api/auth/password", &asker.cookie, &body).await.status, 200);
    assert_eq!(service.get("/api/auth/account", &asker.cookie).await.status, 200);
    assert_eq!(service.get("/api/auth/account", &other.cookie).await.status, 401);
    let core = service.ground.json(&keyspace::users(), &format!("user:{}", asker.id)).await;
    assert_eq!((&core["role"], &core["createdAt"]), (&json!("admin"), &json!("2025-06-01T00:00:00Z")));
    assert_eq!(
        service.bare_post("/api/auth/password", &asker.cookie, &body).await.status,
        422,
        "the old one is wrong now"
    );
}

#[tokio::test]
async fn a_session_ends_to_the_second() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("ana", "Ana").await;
    service.ground.clock.advance(keyspace::SESSION_SECONDS - 1);
    assert_eq!(service.get("/api/auth/account", &asker.cookie).await.status, 200);
    service.ground.clock.advance(1);
    assert_eq!(service.get("/api/auth/account", &asker.cookie).await.status, 401);
}

#[tokio::test]
async fn forms_need_their_token_and_json_of_this_host_does_not() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("ana", "Ana").await;
    let host = service.base.trim_start_matches("http://").to_owned();
    let form = "application/x-www-form-urlencoded";
    let both = format!("{}; csrf_token=t1", asker.cookie);
    let own = format!("http://{host}");
    let cases: [(&[(&str, &str)], bool); 7] = [
        (&[("content-type", "application/json"), ("cookie", &asker.cookie)], true),
        (
            &[
                ("content-type", "application/json; charset=utf-8"),
                ("cookie", &asker.cookie),
                ("origin", &own),
            ],
            true,
        ),
        (
            &[
                ("content-type", "application/json"),
                ("cookie", &asker.cookie),
                ("origin", "http://evil.example"),
            ],
            false,
        ),
        (
            &[
                ("content-type", "application/json"),
                ("cookie", &asker.cookie),
                ("sec-fetch-site", "cross-site"),
            ],
            false,
        ),
        (&[("content-type", form), ("cookie", &both)], false),
        (&[("content-type", form), ("cookie", &both), ("x-csrf-token", "t2")], false),
        (&[("content-type", form), ("cookie", &both), ("x-csrf-token", "t1")], true),
    ];
    for (headers, passes) in cases {
        let answer = service.post("/api/trips", headers, "{}").await;
        let is_refused = answer.status == 403 && answer.body["error"] == json!("CSRF validation failed");
        assert_eq!(!is_refused, passes, "{headers:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_would_change_objects_are_refused() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("ana", "Ana").await;
    let large = json!({ "notes": "x".repeat(1024 * 1024) }).to_string();
    let answer = service.bare_post("/api/trips", &asker.cookie, &large).await;
    assert_eq!((answer.status, &answer.body["error"]), (413, &json!("Payload too large")));
    for body in ["{\"__proto__\":{}}", "{\"a\":[{\"constructor\":1}]}"] {
        let answer = service.bare_post("/api/trips", &asker.cookie, body).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!("Invalid request body")), "{body}");
    }
    for body in ["", "[]", "{", "1"] {
        assert_eq!(service.bare_post("/api/trips", &asker.cookie, body).await.status, 400, "{body:?}");
    }
    assert!(service.ground.keys(&keyspace::logs(), "trip:").await.is_empty());
}

#[tokio::test]
async fn tokens_are_stored_as_hashes_and_end_when_they_are_revoked() {
    let service = Service::new(Ground::new().await).await;
    let asker = service.sign_up("ana", "Ana").await;
    let token = service.token(&asker, "night job", &["trips"]).await;
    let all = service.ground.all().await;
    let holds = |(_, (value, ..)): (&_, &crate::migration_ground::Standing)| {
        String::from_utf8_lossy(value).contains(&token)
    };
    assert!(!all.iter().any(holds), "only its hash is stored");
    let bearer = format!("Bearer {token}");
    let ask = async || {
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        service.post("/api/trips", &headers, "{\"date\":\"2026-03-01\"}").await.status
    };
    assert_eq!(ask().await, 201);
    let listed = service.get("/api/tokens", &asker.cookie).await;
    let id = listed.body["tokens"][0]["id"].as_str().unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("cookie", asker.cookie.as_str())];
    let gone = service.ask("DELETE", &format!("/api/tokens/{id}"), &headers, None).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(ask().await, 401);
    let none: Value = service.get("/api/tokens", &asker.cookie).await.body;
    assert_eq!(none, json!({ "tokens": [] }));
}
