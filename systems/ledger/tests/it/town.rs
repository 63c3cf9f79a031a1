//! A database, the service on it, and callers with tokens.

use std::sync::Arc;
use std::time::Duration;

use ledger::keys::{SigningKey, publish};
use ledger::notice::signature;
use ledger::{App, Config, Ledger};
use serde_json::{Value, json};
use testkit::{Pgbouncer, PgbouncerOptions};
use tidegate_store::http::{Client, Request};
use tokio::sync::oneshot;

use crate::ground::{APP, Deployment, Ground, POOLED, SYSTEM};

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// What the provider signs with here.
pub(crate) const SECRET: &str = "an ipn secret";

/// A running service.
pub(crate) struct Town {
    pub(crate) ground: Ground,
    pub(crate) base: String,
    pub(crate) ledger: Ledger,
    pub(crate) key: SigningKey,
    _end: oneshot::Sender<()>,
    _pooler: Option<Pgbouncer>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    headers: Vec<(String, String)>,
}

impl Answered {
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text);
        self.body
    }

    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let reason = self.body["reason"].as_str();
        (self.status, reason.unwrap_or_else(|| panic!("{}: no reason in {}", self.status, self.text)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Somebody who asks for one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    base: String,
    token: String,
}

impl Asker {
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answered {
        self.raw("POST", path, body.to_string().into_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", self.token))];
        ask("GET", format!("{}/{path}", self.base), headers, None).await.unwrap()
    }

    pub(crate) async fn raw(&self, method: &str, path: &str, body: Vec<u8>) -> Answered {
        self.try_raw(method, path, body).await.unwrap()
    }

    /// `None`: no answer came.
    pub(crate) async fn try_raw(&self, method: &str, path: &str, body: Vec<u8>) -> Option<Answered> {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        ask(method, format!("{}/{path}", self.base), headers, Some(body)).await
    }
}

pub(crate) async fn ask(
    method: &str,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
) -> Option<Answered> {
    let request = Request { method: method.to_owned(), url, headers, body, timeout: BOUND };
    let answer = Client::new().request(request).await.ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Some(Answered { status: answer.status, body, text, headers: answer.headers })
}

impl Town {
    pub(crate) async fn new(deployment: Deployment) -> Town {
        let ground = Ground::migrated(deployment).await;
        if !POOLED.try_with(|pooled| *pooled).unwrap_or(false) {
            let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
            return Town::with(ground, &application, &system).await;
        }
        let pooler = Pgbouncer::start(ground.cluster, PgbouncerOptions::default()).await.unwrap();
        let (application, system) =
            (pooler.url_for(APP, &ground.database), pooler.url_for(SYSTEM, &ground.database));
        let mut town = Town::with(ground, &application, &system).await;
        town._pooler = Some(pooler);
        town
    }

    /// A service that reaches its database by these addresses.
    pub(crate) async fn with(ground: Ground, application: &str, system: &str) -> Town {
        let get = |name: &str| {
            let value = match name {
                "DATABASE_URL" => application,
                "DATABASE_SYSTEM_URL" => system,
                "PORT" => "0",
                "NOWPAYMENTS_IPN_SECRET" => SECRET,
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = Config::read(&get).unwrap();
        let listener = serving::listen(config.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::start(config).await.unwrap());
        let ledger = app.ledger().clone();
        let (end, told) = oneshot::channel();
        tokio::spawn(ledger::serve::serve(app, listener, async move {
            let _ended = told.await;
        }));
        let key = SigningKey::generate().unwrap();
        let town = Town { ground, base, ledger, key, _end: end, _pooler: None };
        town.publish("k1", &town.key).await;
        town
    }

    pub(crate) async fn publish(&self, kid: &str, key: &SigningKey) {
        let session = self.ledger.application().get().await.unwrap();
        let (x, y) = key.coordinates();
        assert!(publish(&session, kid, "freeside", (&x, &y), None).await.unwrap());
    }

    /// What a good token says, changed in some places; null takes a claim away.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let mut claims =
            json!({ "iss": "freeside", "aud": "ledger", "iat": now, "exp": now + 600, "community": "*" });
        let fields = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            fields.insert(name.clone(), value.clone());
        }
        fields.retain(|_, value| !value.is_null());
        claims
    }

    pub(crate) fn token(&self, changes: &Value) -> String {
        self.key.sign("k1", &self.claims(changes)).unwrap()
    }

    pub(crate) fn with_token(&self, token: &str, community: &str) -> Asker {
        Asker { base: format!("{}/v1/communities/{community}", self.base), token: token.to_owned() }
    }

    pub(crate) fn of(&self, community: &str) -> Asker {
        self.with_token(&self.token(&json!({})), community)
    }

    pub(crate) async fn plain(&self, path: &str, headers: &[(&str, &str)]) -> Answered {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ask("GET", format!("{}{path}", self.base), headers, None).await.unwrap()
    }

    /// A signed notice about a payment of 29.99 dollars.
    pub(crate) fn notice(&self, payment: &str, status: &str) -> impl Future<Output = Answered> + 'static {
        let body =
            json!({ "payment_id": payment, "payment_status": status, "price_amount": "29.99" }).to_string();
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-nowpayments-sig".to_owned(), signature(SECRET, &body)),
        ];
        let url = format!("{}/webhooks/nowpayments", self.base);
        async move { ask("POST", url, headers, Some(body.into_bytes())).await.unwrap() }
    }

    /// Everything that must hold does.
    pub(crate) async fn holds(&self) {
        let verified = self.ledger.verify().await.unwrap();
        let broken: Vec<_> = verified.iter().filter(|one| !one.violations.is_empty()).collect();
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!(verified.len(), 11);
    }
}
