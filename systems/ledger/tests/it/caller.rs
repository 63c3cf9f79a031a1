//! Who asks in a history: over HTTP, as often as it takes until an answer comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::Ledger;
use ledger::keys::SigningKey;
use ledger::notice::signature;
use serde_json::{Value, json};
use testkit::{Cluster, Program, Running};
use uuid::Uuid;

use crate::ground::SYSTEM;
use crate::model::{DOLLARS, Model, Op, Until};
use crate::town::{Answered, SECRET, Town, ask};

/// How long one operation may stay without an answer, whatever dies.
const ANSWER_BOUND: Duration = Duration::from_secs(120);
/// How long the service may take to start.
const START_BOUND: Duration = Duration::from_secs(60);
/// Fields that no reference can know, or that only explain.
const UNTOLD: [&str; 5] = ["id", "eventId", "expiresAt", "known", "what"];

/// The service as a process of its own, which may die.
pub(crate) struct Service {
    program: Program,
    running: tokio::sync::Mutex<Option<Running>>,
}

/// What a history counts.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Operations that were answered.
    pub(crate) answered: AtomicU64,
    /// Requests that were not.
    pub(crate) unanswered: AtomicU64,
    /// Words of what was answered.
    words: Mutex<BTreeSet<String>>,
}

impl Counted {
    pub(crate) fn words(&self) -> BTreeSet<String> {
        self.words.lock().unwrap().clone()
    }
}

/// Everything that all callers share.
pub(crate) struct World {
    base: String,
    _port: testkit::Port,
    database: String,
    cluster: &'static Cluster,
    pub(crate) ledger: Ledger,
    signer: Mutex<Arc<(String, SigningKey)>>,
    pub(crate) service: Service,
    pub(crate) counted: Counted,
}

impl World {
    /// The service of a town as a process that reaches the database by this address.
    pub(crate) async fn over(town: &Town, application: &str) -> Arc<World> {
        let port = testkit::Port::reserve().unwrap();
        let program = Program::new(env!("CARGO_BIN_EXE_ledger"))
            .arg("serve")
            .env("DATABASE_URL", application)
            .env("DATABASE_SYSTEM_URL", town.ground.database.url_for(SYSTEM))
            .env("NOWPAYMENTS_IPN_SECRET", SECRET)
            .env("PORT", port.number().to_string());
        let world = World {
            base: format!("http://127.0.0.1:{}", port.number()),
            _port: port,
            database: town.ground.database.name().to_owned(),
            cluster: town.ground.cluster,
            ledger: town.ledger.clone(),
            signer: Mutex::new(Arc::new(("k1".to_owned(), SigningKey::parse(&town.key.text()).unwrap()))),
            service: Service { program, running: tokio::sync::Mutex::new(None) },
            counted: Counted::default(),
        };
        world.service.start().await;
        Arc::new(world)
    }

    /// Another key signs from now on, and the one before is revoked.
    pub(crate) async fn change_key(&self, number: u64) {
        let (kid, key) = (format!("k{number} of a history"), SigningKey::generate().unwrap());
        let (x, y) = key.coordinates();
        self.by_hand(&format!(
            "INSERT INTO s2s_jwks_public_keys (kid, kty, crv, x, y, issuer)
             VALUES ('{kid}', 'EC', 'P-256', '{x}', '{y}', 'freeside') ON CONFLICT DO NOTHING"
        ))
        .await;
        let old = std::mem::replace(&mut *self.signer.lock().unwrap(), Arc::new((kid, key)));
        self.by_hand(&format!(
            "UPDATE s2s_jwks_public_keys SET revoked_at = now() WHERE kid = '{}' AND revoked_at IS NULL",
            old.0
        ))
        .await;
    }

    fn token(&self) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims =
            json!({ "iss": "freeside", "aud": "ledger", "iat": now, "exp": now + 600, "community": "*" });
        let signer = self.signer.lock().unwrap().clone();
        signer.1.sign(&signer.0, &claims).unwrap()
    }

    /// Statements of somebody with all rights, until they are done.
    pub(crate) async fn by_hand(&self, sql: &str) {
        let began = Instant::now();
        loop {
            let done = match self.cluster.connect(&self.database).await {
                Ok(client) => client.batch_execute(sql).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match done {
                Ok(()) => return,
                Err(error) => assert!(began.elapsed() < ANSWER_BOUND, "{sql}: {error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// The one text that a query of somebody with all rights answers.
    pub(crate) async fn look(&self, sql: &str) -> String {
        let client = self.cluster.connect(&self.database).await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn request(
        &self,
        method: &str,
        url: String,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> Option<Answered> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let answer = ask(method, url, headers, body.map(String::into_bytes)).await?;
        // The service says of these itself that nobody knows what became of them, or that nothing did; and a key that
        // was revoked under a request is none.
        let reason = answer.body["reason"].as_str().unwrap_or_default();
        let is_none = matches!(reason, "UNKNOWN_OUTCOME" | "BUSY" | "UNAUTHORIZED");
        assert!(
            is_none || answer.status < 500 || reason == "CIRCUIT_OPEN",
            "{}: {}",
            answer.status,
            answer.text
        );
        (!is_none).then_some(answer)
    }

    async fn post(&self, community: Uuid, path: &str, body: Value) -> Option<Answered> {
        let bearer = ("authorization", format!("Bearer {}", self.token()));
        let url = format!("{}/v1/communities/{community}/{path}", self.base);
        self.request("POST", url, &[bearer], Some(body.to_string())).await
    }

    pub(crate) async fn get(&self, community: Uuid, path: &str) -> Value {
        let url = format!("{}/v1/communities/{community}/{path}", self.base);
        let began = Instant::now();
        loop {
            let bearer = ("authorization", format!("Bearer {}", self.token()));
            if let Some(answer) = self.request("GET", url.clone(), &[bearer], None).await {
                return answer.good();
            }
            assert!(began.elapsed() < ANSWER_BOUND, "{url}");
            tokio::task::yield_now().await;
        }
    }

    async fn notice(&self, id: &str, status: &str, price: &str) -> Option<Answered> {
        let body = json!({ "payment_id": id, "payment_status": status, "price_amount": price }).to_string();
        let signed = ("x-nowpayments-sig", signature(SECRET, &body));
        self.request("POST", format!("{}/webhooks/nowpayments", self.base), &[signed], Some(body)).await
    }

    /// One request; `None`: no answer came.
    async fn once(&self, community: Uuid, op: &Op) -> Option<Value> {
        let debit = |key: &String, amount: &i64| json!({ "key": key, "amountMicro": amount });
        let answer = match op {
            Op::Mint { key, amount, until } => {
                let expires_at = match until {
                    Until::Past => json!("2020-01-01T00:00:00Z"),
                    Until::Year(year) => json!(format!("{year}-01-01T00:00:00Z")),
                    Until::Ever | Until::Paid => Value::Null,
                };
                let body =
                    json!({ "key": key, "source": "grant", "amountMicro": amount, "expiresAt": expires_at });
                self.post(community, "lots", body).await?
            }
            Op::Debit { key, amount } => self.post(community, "debits", debit(key, amount)).await?,
            Op::DebitMany { debits } => {
                let debits: Vec<Value> = debits.iter().map(|(key, amount)| debit(key, amount)).collect();
                self.post(community, "debits/batch", json!({ "debits": debits })).await?
            }
            Op::CreditBack { key, debit, amount } => {
                let body = json!({ "key": key, "debitKey": debit, "amountMicro": amount });
                self.post(community, "credit-backs", body).await?
            }
            Op::Reserve { id, amount } => {
                let body = json!({ "reservationId": id, "amountMicro": amount, "seconds": 86_400 });
                self.post(community, "reservations", body).await?
            }
            Op::Finalize { id, reservation, cost, mode, fence } => {
                let body = json!({
                    "finalizationId": id, "costMicro": cost, "mode": mode, "fence": fence, "nftId": "n", "poolId": "p",
                    "tokensInput": 1, "tokensOutput": 2,
                });
                self.post(community, &format!("reservations/{reservation}/finalize"), body).await?
            }
            Op::Release { reservation } => {
                self.post(community, &format!("reservations/{reservation}/release"), json!({})).await?
            }
            Op::Conserve { counted, limit } => {
                self.post(community, "conservation", json!({ "countedMicro": counted, "limitMicro": limit }))
                    .await?
            }
            Op::AskPayment { id } => {
                self.post(community, "payments", json!({ "paymentId": id, "amountUsd": DOLLARS })).await?
            }
            Op::Notice { id, status, is_price } => {
                self.notice(id, status, if *is_price { DOLLARS } else { "2999" }).await?
            }
            // By the program's commands, which take the same way.
            Op::Sweep => return self.ledger.sweep(community, 1_000).await.ok(),
            Op::ResetBreaker => {
                return self.ledger.reset_breaker(community, "olga").await.ok().map(Value::from);
            }
            Op::LotPasses { .. } | Op::ReservationPasses { .. } => unreachable!("time passes by hand"),
        };
        Some(answer.body)
    }

    /// Asks until an answer comes: with the same key, so that it is done once. Returns whether it was asked for more than
    /// once.
    pub(crate) async fn until_answered(&self, community: Uuid, op: &Op) -> (Value, bool) {
        let began = Instant::now();
        let mut is_again = false;
        loop {
            if let Some(body) = self.once(community, op).await {
                self.counted.answered.fetch_add(1, Ordering::SeqCst);
                self.note(&body);
                return (body, is_again);
            }
            is_again = true;
            self.counted.unanswered.fetch_add(1, Ordering::SeqCst);
            assert!(began.elapsed() < ANSWER_BOUND, "nobody answers: {op:?}");
            tokio::task::yield_now().await;
        }
    }

    fn note(&self, body: &Value) {
        let mut words = self.counted.words.lock().unwrap();
        let answers = body["answers"].as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
        for answer in answers {
            let word = [&answer["reason"], &answer["verdict"], &answer["status"]]
                .into_iter()
                .find_map(Value::as_str);
            words.extend(word.map(str::to_owned));
        }
    }
}

impl Service {
    /// Starts it, again where it ended because the database is on its way back.
    async fn start(&self) {
        let began = Instant::now();
        loop {
            let mut running = self.program.start().unwrap();
            let is_up = running.until_stdout("listening on", START_BOUND).await.is_ok();
            if is_up && running.is_running() {
                *self.running.lock().await = Some(running);
                return;
            }
            assert!(began.elapsed() < START_BOUND, "the service does not start: {}", running.stderr());
        }
    }

    /// Kills it, whatever it is doing, and starts it anew.
    pub(crate) async fn kill9(&self) {
        if let Some(mut running) = self.running.lock().await.take() {
            running.kill().unwrap();
            running.wait(START_BOUND).await.unwrap();
        }
        self.start().await;
    }
}

/// One tenant: its reference, and the server's ids of its lots by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) model: Model,
    ids: BTreeMap<String, usize>,
}

impl Account {
    /// An answer with lots by their numbers, and without what no reference knows.
    pub(crate) fn plain(&self, mut answer: Value) -> Value {
        self.blind(&mut answer);
        answer
    }

    fn blind(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !UNTOLD.contains(&name.as_str()));
                fields.values_mut().for_each(|value| self.blind(value));
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.blind(value)),
            Value::String(text) => {
                if let Some(lot) = self.ids.get(text) {
                    *text = format!("lot {lot}");
                }
            }
            _ => {}
        }
    }

    /// The server's id of a lot.
    pub(crate) fn id(&self, lot: usize) -> &str {
        self.ids.iter().find(|(_, number)| **number == lot).map(|(id, _)| id.as_str()).unwrap()
    }

    /// Does one operation here and there, and compares.
    pub(crate) async fn perform(&mut self, world: &World, community: Uuid, op: &Op) {
        match op {
            Op::LotPasses { lot } => {
                let id = self.id(*lot);
                world
                    .by_hand(&format!(
                        "SET session_replication_role = replica;
                         UPDATE credit_lots SET expires_at = '2001-01-01' WHERE id = '{id}';
                         UPDATE lot_totals SET spend_by = '2001-01-01' WHERE lot_id = '{id}' AND spend_by <> '-infinity'"
                    ))
                    .await;
                self.model.apply(op);
                return;
            }
            Op::ReservationPasses { id } => {
                world
                    .by_hand(&format!(
                        "SET session_replication_role = replica;
                         UPDATE reservations SET expires_at = '2001-01-01'
                         WHERE community_id = '{community}' AND reservation_id = '{id}'"
                    ))
                    .await;
                self.model.apply(op);
                return;
            }
            _ => {}
        }
        let next = self.model.next_lot();
        let before = self.model.spendable();
        let expected = self.model.apply(op);
        let (answer, is_again) = world.until_answered(community, op).await;
        if self.model.next_lot() > next {
            self.learn(world, next, op, &answer).await;
        }
        let answer = self.plain(answer);
        let is_expected = answer == expected || is_again && answer == Model::again(op);
        assert!(is_expected, "{op:?} with {before} spendable: {answer} instead of {expected}");
    }

    /// Learns the id of a lot that was just made.
    async fn learn(&mut self, world: &World, lot: usize, op: &Op, answer: &Value) {
        let id = match op {
            Op::Notice { id, .. } => {
                let began = Instant::now();
                loop {
                    let pool = world.ledger.system().unwrap();
                    let sql = "SELECT id::text FROM public.credit_lots WHERE payment_id = $1";
                    let found = match pool.get().await {
                        Ok(session) => session
                            .query(sql, &[(id, tidegate_store::postgres::Type::TEXT)])
                            .await
                            .ok()
                            .and_then(|rows| rows.first().and_then(|row| row.try_get::<_, String>(0).ok())),
                        Err(_) => None,
                    };
                    if let Some(found) = found {
                        break found;
                    }
                    assert!(began.elapsed() < ANSWER_BOUND, "the lot of payment {id} is not there");
                }
            }
            _ => answer["lotId"].as_str().unwrap_or_else(|| panic!("{op:?}: {answer}")).to_owned(),
        };
        self.ids.insert(id, lot);
    }
}
