//! A database to stand on, a service on it, and somebody who asks.

use std::sync::Arc;
use std::time::Duration;

use accounts::app::App;
use accounts::config::Config;
use accounts::flags::{ACCOUNTS_SET, ALIAS_SET, environments};
use accounts::serve::serve;
use serde_json::{Value as Json, json};
use serving::{ServeError, listen};
use testkit::{Cluster, Database, Outcome, Program, eventually};
use tidegate_flags::{Current, FlagSet, FlagsError, Move, Row, declare, install, move_to};
use tidegate_store::http::{Client, Request};
use tidegate_store::postgres::{Address, Session, TxOptions, TxOutcome, run_tx};
use tidegate_switch::Side;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A database with some of the migrations.
pub(crate) struct Ground {
    pub(crate) cluster: &'static Cluster,
    pub(crate) database: Database,
}

impl Ground {
    /// Nothing at all.
    pub(crate) async fn empty() -> Self {
        let cluster = Cluster::shared().await;
        Self { cluster, database: cluster.database("accounts").await }
    }

    /// Migrated up to and including `version`.
    pub(crate) async fn at(version: &str) -> Self {
        let ground = Self::empty().await;
        for migration in accounts::MIGRATIONS.iter().filter(|migration| &migration.name[..4] <= version) {
            ground.apply(migration.sql).await;
        }
        ground
    }

    /// Migrated to the last version.
    pub(crate) async fn migrated() -> Self {
        Self::at("9999").await
    }

    /// Migrated, with the flags in the database at a row.
    pub(crate) async fn at_row(row: &str) -> Self {
        let ground = Self::migrated().await;
        ground.declare(row).await;
        ground
    }

    /// One file in one transaction.
    pub(crate) async fn apply(&self, sql: &str) {
        let mut client = self.database.client().await;
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(sql).await.unwrap_or_else(|e| panic!("{e:?}"));
        transaction.commit().await.unwrap();
    }

    pub(crate) fn address(&self) -> Address {
        Address::resolve(Some(&self.database.url()), &|_| None).unwrap()
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&self.address(), "test").await.unwrap()
    }

    /// Puts both sets into the database, the accounts at a row.
    pub(crate) async fn declare(&self, row: &str) {
        let session = self.session().await;
        let (accounts, alias) = (accounts_set(row), alias_set());
        transact(&session, async |session| {
            install(session).await?;
            declare(session, &accounts).await?;
            declare(session, &alias).await
        })
        .await
        .unwrap();
    }

    /// Moves a set, as an engine would.
    pub(crate) async fn move_set(&self, set: &FlagSet, to: &str) -> Result<Current, FlagsError> {
        let session = self.session().await;
        transact(&session, async |session| move_to(session, set, to, "test").await).await
    }

    /// Moves the accounts to a row.
    pub(crate) async fn move_to(&self, to: &str) -> Current {
        self.move_set(&accounts_set("v1"), to).await.unwrap_or_else(|e| panic!("{to}: {e}"))
    }

    /// Runs a file as a person would by hand.
    pub(crate) async fn psql(&self, arguments: &[&str], file: &str) -> Outcome {
        Program::new(self.cluster.programs().program("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"])
            .args(arguments)
            .arg("-f")
            .arg(accounts::directory().join("migrations").join(file))
            .arg(self.database.url())
            .run(BOUND)
            .await
            .unwrap()
    }

    /// The one text that a query answers; NULL is `NULL`.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let text: Option<String> = self.database.value(&format!("SELECT ({sql})::text")).await;
        text.unwrap_or_else(|| "NULL".to_owned())
    }
}

/// A transaction of the flags.
async fn transact<T>(
    session: &Session,
    body: impl AsyncFnMut(&Session) -> Result<T, FlagsError>,
) -> Result<T, FlagsError> {
    match run_tx(session, "test", &TxOptions::default(), body).await {
        TxOutcome::Committed(value) => Ok(value),
        TxOutcome::RolledBack(error) => Err(error),
        TxOutcome::Unknown(failure) => panic!("{failure}"),
    }
}

/// The rows: reads, writes, dual, and the side that is locked first.
pub(crate) const ROWS: [(&str, [bool; 3], Side); 7] = [
    ("v1", [false, false, false], Side::Old),
    ("mirrored", [false, false, true], Side::Old),
    ("read_v2", [true, false, false], Side::Old),
    ("dual", [true, false, true], Side::Old),
    ("write_v2", [true, true, true], Side::Old),
    ("steady", [true, true, false], Side::Old),
    ("catching_up", [true, true, true], Side::New),
];

const MOVES: [(&str, &str); 13] = [
    ("v1", "mirrored"),
    ("mirrored", "v1"),
    ("mirrored", "read_v2"),
    ("read_v2", "mirrored"),
    ("mirrored", "dual"),
    ("dual", "mirrored"),
    ("read_v2", "dual"),
    ("dual", "read_v2"),
    ("dual", "write_v2"),
    ("write_v2", "dual"),
    ("write_v2", "steady"),
    ("steady", "catching_up"),
    ("catching_up", "write_v2"),
];

pub(crate) fn accounts_set(initial: &str) -> FlagSet {
    FlagSet {
        name: ACCOUNTS_SET.to_owned(),
        columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
        rows: ROWS
            .iter()
            .map(|(name, values, lock_first)| Row {
                name: (*name).to_owned(),
                values: values.to_vec(),
                lock_first: *lock_first,
            })
            .collect(),
        moves: MOVES
            .iter()
            .map(|(from, to)| Move { from: (*from).to_owned(), to: (*to).to_owned() })
            .collect(),
        initial: initial.to_owned(),
    }
}

pub(crate) fn alias_set() -> FlagSet {
    let row = |name: &str, value| Row { name: name.to_owned(), values: vec![value], lock_first: Side::Old };
    FlagSet {
        name: ALIAS_SET.to_owned(),
        columns: vec!["accept_workspace_id".to_owned()],
        rows: vec![row("on", true), row("off", false)],
        moves: vec![
            Move { from: "on".to_owned(), to: "off".to_owned() },
            Move { from: "off".to_owned(), to: "on".to_owned() },
        ],
        initial: "on".to_owned(),
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) base: String,
    pub(crate) app: Arc<App>,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<u64, ServeError>>,
}

impl Service {
    /// With everything configured and no flag said in the environment.
    pub(crate) async fn start(ground: &Ground) -> Self {
        Self::start_with(ground, &[]).await
    }

    /// With these variables, too; an empty one takes one of the usual away.
    pub(crate) async fn start_with(ground: &Ground, more: &[(&str, &str)]) -> Self {
        let url = ground.database.url();
        let usual = [
            ("DATABASE_URL", url.as_str()),
            ("AUTH_SECRET", "a secret of the tests"),
            ("AUTH_BASE_URL", "http://localhost:3000"),
            ("AUTH_HASH_COST", "8,1"),
            ("PORT", "0"),
        ];
        let get = |name: &str| {
            let said = more.iter().chain(&usual).find(|(known, _)| *known == name);
            said.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::read(&get).unwrap();
        let listener = listen(config.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Arc::new(App::start(&config, environments(&get)).await.unwrap());
        let (end, told) = oneshot::channel();
        let task = tokio::spawn(serve(app.clone(), listener, async move {
            let _ended = told.await;
        }));
        Self { base, app, end: Some(end), task }
    }

    /// Ends it in good order; returns the requests that were cut off.
    pub(crate) async fn stop(mut self) -> u64 {
        self.end.take().unwrap().send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }

    /// Waits until requests go by the newest epoch.
    pub(crate) async fn follows(&self, current: &Current) {
        let accounts = self.app.backend().unwrap().accounts();
        let seen = || async { (accounts.snapshot().epoch() >= current.epoch).then_some(()) };
        eventually("the service follows the flags", BOUND, seen).await.unwrap();
    }

    /// Somebody who is not signed in.
    pub(crate) fn nobody(&self) -> Asker {
        Asker { base: self.base.clone(), cookie: String::new(), headers: Vec::new() }
    }

    /// Somebody new, who signs up.
    pub(crate) async fn sign_up(&self, email: &str) -> Asker {
        let mut asker = self.nobody();
        let answer =
            asker.post("/v1/auth/sign-up", json!({ "email": email, "password": "correct horse" })).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        asker.cookie = answer.cookie();
        asker
    }

    /// Somebody who has signed up before.
    pub(crate) async fn sign_in(&self, email: &str) -> Asker {
        let mut asker = self.nobody();
        let answer =
            asker.post("/v1/auth/sign-in", json!({ "email": email, "password": "correct horse" })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        asker.cookie = answer.cookie();
        asker
    }
}

/// Somebody who asks a service.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) base: String,
    pub(crate) cookie: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// What the service answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Json,
    headers: Vec<(String, String)>,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The cookie that was set, as a browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    /// A text of the body.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Json::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {}", self.body)).to_owned()
    }

    /// The status and what went wrong.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.body["ok"], false, "{}", self.body);
        (self.status, self.body["error"].as_str().unwrap())
    }

    /// The status and the code of what went wrong.
    pub(crate) fn code(&self) -> (u16, &str) {
        assert_eq!(self.body["ok"], false, "{}", self.body);
        (self.status, self.body["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.body)))
    }
}

impl Asker {
    /// The same person with another header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Asker {
        let mut asker = self.clone();
        asker.headers.push((name.to_owned(), value.to_owned()));
        asker
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Answered {
        self.ask("POST", path, Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn put(&self, path: &str, body: Json) -> Answered {
        self.ask("PUT", path, Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Json) -> Answered {
        self.ask("PATCH", path, Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.ask("DELETE", path, None).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Answered {
        let mut headers = self.headers.clone();
        if !self.cookie.is_empty() {
            headers.push(("cookie".to_owned(), self.cookie.clone()));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.base),
            headers,
            body,
            timeout: BOUND,
        };
        let answer = Client::new().request(request).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let body = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&answer.body).into_owned()));
        Answered { status: answer.status, body, headers: answer.headers }
    }

    /// Somebody to be looked after; returns the id.
    pub(crate) async fn add_identity(&self, name: &str, profile: &str, key: &str) -> String {
        let body = json!({ "displayName": name, "profileId": profile, "identityPublicKey": key });
        let answer = self.post("/v1/account/identities", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("/id")
    }

    /// A book; returns the id.
    pub(crate) async fn add_book(&self, identity: &str, collection: &str) -> String {
        let body = json!({ "managedUserId": identity, "name": "A book", "collectionId": collection });
        let answer = self.post("/v1/account/books", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("/id")
    }

    /// The id of the person's own account.
    pub(crate) async fn account(&self) -> String {
        self.get("/v1/account/session").await.text("/workspace/accountId")
    }
}
