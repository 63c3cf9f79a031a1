//! The throwaway store with keys under names, the service on it, and the database that keeps the run's journal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Cluster, ClusterOptions, Database, Program, Redis};

use super::options::Options;
use crate::Error;
use crate::fleet::Fleet;
use crate::wire::{By, Request, Wire};

/// How long one command of the program may take.
const BOUND: Duration = Duration::from_secs(300);
/// The password of every user.
const PASSWORD: &str = "a long enough password";
/// Users of one request.
const AT_ONCE: usize = 100;

/// A user of before.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) shape: String,
    /// Records that are the user's and live.
    pub(crate) live_trips: u64,
}

/// Everything that stands before the first command. Dropping it ends the servers and removes their files.
#[derive(Debug)]
pub(crate) struct Stage {
    program: PathBuf,
    url: String,
    folder: PathBuf,
    database: Database,
    _redis: Option<Redis>,
    // Last, so that the server outlives what speaks to it.
    cluster: Cluster,
}

impl Stage {
    /// Starts what is needed.
    pub(crate) async fn set(program: &Path, options: &Options) -> Result<Self, Error> {
        let cluster = Cluster::start(ClusterOptions::default()).await?;
        let database = cluster.try_database("runs", "template1").await?;
        let folder = cluster.socket_directory().join("demo");
        std::fs::create_dir_all(folder.join("state")).map_err(Error::file("make", &folder))?;
        let redis = if options.redis { Some(Redis::start().await?) } else { None };
        let url = match &redis {
            Some(redis) => redis.url(),
            None => format!("sqlite:{}", folder.join("trips.db").display()),
        };
        Ok(Self { program: program.to_owned(), url, folder, database, _redis: redis, cluster })
    }

    /// Fills the store with users of every shape.
    pub(crate) async fn people(&self, options: &Options) -> Result<Vec<Person>, Error> {
        let (users, seed) = (options.users.to_string(), options.seed.to_string());
        let words = ["seed", "--users", &users, "--seed", &seed, "--password", PASSWORD, "--json"];
        let said = self.program(&words).await?;
        let text =
            |line: &Value, name: &str| at(line, &format!("/{name}")).as_str().unwrap_or_default().to_owned();
        let people = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(people
            .map(|line| Person {
                id: text(&line, "id"),
                name: text(&line, "userName"),
                shape: text(&line, "shape"),
                live_trips: at(&line, "/expected/liveTrips").as_u64().unwrap_or(0),
            })
            .collect())
    }

    /// Starts two instances of the service.
    pub(crate) async fn serve(&self) -> Result<Fleet, Error> {
        let url = self.url.clone();
        Fleet::start(&self.program, 2, move |_, _| vec![("TRIPS_STORE", url.clone())]).await
    }

    /// Makes a user an administrator, as an operator does.
    pub(crate) async fn grant(&self, id: &str, actor: &str) -> Result<(), Error> {
        let words = ["grant-admin", "--env", "local", "--userId", id, "--apply", "--actor", actor, "--yes"];
        self.program(&words).await.map(|_| ())
    }

    /// Runs a command of the program to its end, and gives what it wrote.
    pub(crate) async fn program(&self, words: &[&str]) -> Result<String, Error> {
        let program = Program::new(&self.program).args(words).env("TRIPS_STORE", self.url.clone());
        let outcome = program.run(BOUND).await?;
        if outcome.code() == Some(0) {
            return Ok(outcome.stdout);
        }
        let (words, said) = (words.join(" "), outcome.stderr.trim());
        Err(Error::Task(format!("`trips {words}` ended with {}: {said}", outcome.status)))
    }

    /// Where snapshots go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stands, for a person.
    pub(crate) fn describe(&self) -> String {
        match self.url.split(':').next() {
            Some("redis") => "a Redis that writes through to the disk".to_owned(),
            _ => "the embedded store, one SQLite file for all processes".to_owned(),
        }
    }

    /// The environment of whoever runs the page.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("TIDEGATE_RUNBOOK", "systems/trips/runbooks/storage-keys.md".to_owned()),
            ("DATABASE_URL", self.database.url()),
            ("TRIPS_STORE", self.url.clone()),
            ("XDG_STATE_HOME", self.folder.join("state").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The port of the database that keeps the journal.
    pub(crate) fn journal_port(&self) -> u16 {
        self.cluster.port()
    }
}

/// What stands at a place of an answer; null: nothing.
pub(crate) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The cookie of a user who has signed in.
pub(crate) async fn sign_in(address: SocketAddr, name: &str) -> Result<String, Error> {
    let body = json!({ "username": name, "password": PASSWORD }).to_string();
    let request = Request { method: "POST", path: "/api/auth/signin", by: By::Nobody, body: &body };
    let answer = Wire::to(address).ask(request).await.ok();
    let cookie = answer.filter(|answer| answer.status == 200).and_then(|answer| answer.cookie);
    cookie.ok_or_else(|| Error::Task(format!("{name} could not sign in")))
}

/// An administrator, by a token.
#[derive(Clone, Debug)]
pub(crate) struct Administrator {
    address: SocketAddr,
    pub(crate) token: String,
}

impl Administrator {
    /// Signs in and asks for a token.
    pub(crate) async fn new(address: SocketAddr, name: &str) -> Result<Self, Error> {
        let cookie = sign_in(address, name).await?;
        let body = json!({ "name": "the page", "scopes": ["admin"] }).to_string();
        let request = Request { method: "POST", path: "/api/tokens", by: By::Cookie(&cookie), body: &body };
        let answer = Wire::to(address).ask(request).await.ok();
        let body: Option<Value> = answer.and_then(|answer| serde_json::from_slice(&answer.body).ok());
        let token = body.and_then(|body| Some(at(&body, "/token").as_str()?.to_owned()));
        let token = token.ok_or_else(|| Error::Task("there is no token for the administrator".to_owned()))?;
        Ok(Self { address, token })
    }

    /// Asks; anything but 200 is an error.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request { method, path, by: By::Bearer(&self.token), body: &body };
        let answer = Wire::to(self.address).ask(request).await;
        let answer = answer.map_err(|_| Error::Task(format!("{path} was not answered")))?;
        if answer.status != 200 {
            let said = String::from_utf8_lossy(&answer.body);
            return Err(Error::Task(format!("{path} was answered with {}: {said}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| Error::Task(format!("{path}: {error}")))
    }

    /// What is said of these users: all results, and the sum of one total.
    pub(crate) async fn about(
        &self,
        path: &str,
        people: &[Person],
        apply: bool,
        total: &str,
    ) -> Result<(serde_json::Map<String, Value>, u64), Error> {
        let (mut results, mut sum) = (serde_json::Map::new(), 0);
        for people in people.chunks(AT_ONCE) {
            let users: Vec<&str> = people.iter().map(|person| person.id.as_str()).collect();
            let told = self.ask("POST", path, &json!({ "users": users, "apply": apply })).await?;
            sum += at(&told, &format!("/totals/{total}")).as_u64().unwrap_or(0);
            results.extend(at(&told, "/results").as_object().cloned().unwrap_or_default());
        }
        Ok((results, sum))
    }
}

/// A user with a session.
#[derive(Debug)]
pub(crate) struct Own {
    wire: Wire,
    cookie: String,
}

impl Own {
    /// Signs in.
    pub(crate) async fn new(address: SocketAddr, name: &str) -> Result<Self, Error> {
        Ok(Self { wire: Wire::to(address), cookie: sign_in(address, name).await? })
    }

    /// The ids of the user's live trips, in their order.
    pub(crate) async fn trips(&mut self) -> Result<Vec<String>, Error> {
        let body = self.ask("GET", "/api/trips?limit=500", "").await?;
        let records = at(&body, "/records").as_array().cloned().unwrap_or_default();
        Ok(records.iter().filter_map(|body| at(body, "/id").as_str().map(str::to_owned)).collect())
    }

    /// Removes a trip for good.
    pub(crate) async fn remove(&mut self, trip: &str) -> Result<(), Error> {
        self.ask("DELETE", &format!("/api/trips/{trip}?permanent=true"), "{}").await.map(|_| ())
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Value, Error> {
        let request = Request { method, path, by: By::Cookie(&self.cookie), body };
        let answer = self.wire.ask(request).await;
        let answer = answer.map_err(|_| Error::Task(format!("{path} was not answered")))?;
        if answer.status != 200 {
            return Err(Error::Task(format!("{method} {path} was answered with {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| Error::Task(format!("{path}: {error}")))
    }
}
