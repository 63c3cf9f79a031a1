//! The service on a port of this process, and people who are signed in.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_store::http::{Client, Request};
use tokio::sync::oneshot;
use trips::{keyspace, session, user};

use crate::migration_ground::Ground;

/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(30);
/// The password of whoever has one.
pub(crate) const PASSWORD: &str = "a long enough password";

/// A running service.
pub(crate) struct Service {
    pub(crate) ground: Ground,
    pub(crate) base: String,
    _end: oneshot::Sender<()>,
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) id: String,
    pub(crate) cookie: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Service {
    pub(crate) async fn new(ground: Ground) -> Service {
        let listener = serving::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (end, told) = oneshot::channel();
        tokio::spawn(trips::serve::serve(ground.app.clone(), listener, async move {
            let _ended = told.await;
        }));
        Service { ground, base, _end: end }
    }

    /// A user with a session, without a password: hashing one takes long.
    pub(crate) async fn sign_up(&self, user_name: &str, name: &str) -> Asker {
        let id = self.ground.user(user_name, name).await;
        self.session_of(id).await
    }

    /// A user with a password.
    pub(crate) async fn sign_up_with_password(&self, user_name: &str, name: &str) -> Asker {
        let hash = user::hashed(PASSWORD.to_owned()).await.unwrap();
        let id = self.ground.user_with(user_name, name, json!({ "password": hash })).await;
        self.session_of(id).await
    }

    pub(crate) async fn session_of(&self, id: String) -> Asker {
        let account = user::by_id(&self.ground.app, &id).await.unwrap().unwrap();
        let session_id = session::begin(&self.ground.app, &account).await.unwrap();
        Asker { id, cookie: format!("session_id={session_id}") }
    }

    pub(crate) async fn make_admin(&self, id: &str) {
        self.change(&keyspace::users(), &format!("user:{id}"), "role", json!("admin")).await;
    }

    /// Writes into a session that its owner is an administrator.
    pub(crate) async fn forge_role(&self, asker: &Asker) {
        let session = asker.cookie.strip_prefix("session_id=").unwrap();
        self.change(&keyspace::sessions(), session, "role", json!("admin")).await;
    }

    async fn change(&self, namespace: &tidegate_store::kv::Namespace, key: &str, field: &str, value: Value) {
        let mut body = self.ground.json(namespace, key).await;
        assert!(body.is_object(), "{key}");
        body[field] = value;
        self.ground.put(namespace, key, &body).await;
    }

    /// A token, as its owner asks for it.
    pub(crate) async fn token(&self, owner: &Asker, name: &str, scopes: &[&str]) -> String {
        let body = json!({ "name": name, "scopes": scopes }).to_string();
        let answer = self.bare_post("/api/tokens", &owner.cookie, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    /// What the printed requests send: JSON, and the session's cookie.
    pub(crate) async fn bare_post(&self, path: &str, cookie: &str, body: &str) -> Answered {
        self.post(path, &[("content-type", "application/json"), ("cookie", cookie)], body).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        self.ask("POST", path, headers, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, cookie: &str, body: &Value) -> Answered {
        let headers = [("content-type", "application/json"), ("cookie", cookie)];
        self.ask("PUT", path, &headers, Some(&body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str, cookie: &str) -> Answered {
        self.ask("DELETE", path, &[("content-type", "application/json"), ("cookie", cookie)], None).await
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answered {
        self.ask("GET", path, &[("cookie", cookie)], None).await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answered {
        let headers = headers.iter().filter(|(_, value)| !value.is_empty());
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.base),
            headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.map(|body| body.as_bytes().to_vec()),
            timeout: BOUND,
        };
        let answer = Client::new().request(request).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered { status: answer.status, body, text, headers: answer.headers }
    }
}
