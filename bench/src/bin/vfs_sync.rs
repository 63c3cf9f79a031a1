//! What the file-sync server adds to the database below it: pushes, pulls, and how soon another client hears of a write.
//!
//! Push: A pushes operations over HTTP, 100 in a request, from 4 connections; B inserts rows of the same width with the
//! same keys and indexes, 100 in a transaction, from 4 connections. Pull: A reads the whole feed over HTTP in pages of
//! 500; B reads the same rows with the bare keyset SELECT. Both sides wait for the disk on every commit. The pull is
//! taken at two lengths of the log, the push in front of both: 20,000 operations, and as many as stand behind the
//! number of pairs on the command line, or a million. What each costs at the second length is told in times of what it
//! costs at the first.
//!
//! The same again beside `pouchdb-server`: documents of the same fields in bulk requests of 100 from 4 connections, and
//! its feed of changes with documents in pages of 500. It writes to LevelDB and does not wait for the disk.
//!
//! Then the live feed: from a push's answer on one connection to the event on another.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bench::{Failure, Pairs, Spread, describe, pouchdb, root};
use testkit::{Cluster, ClusterOptions, Database, Port, Program, Running, eventually};
use tidegate_store::postgres::{Address, Session, Type};
use tokio::runtime::Runtime;
use ureq::Agent;

/// Operations of one request, and rows of one transaction.
const BATCH: u64 = 100;
/// Connections that push or insert.
const CONNECTIONS: u64 = 4;
/// Requests of each connection in one run.
const REQUESTS: u64 = 50;
/// Items of a page.
const PAGE: u64 = 500;
/// Operations that are pulled in one run.
const PULLED: u64 = 20_000;
/// Operations in the log: few, and many unless the command line says how many.
const FEW: u64 = 20_000;
const MANY: u64 = 1_000_000;
/// Fewest pairs that make a figure.
const FEWEST: usize = 5;
/// Writes whose way to another client is timed.
const HEARD: usize = 200;
/// How long the server may take to start.
const BOUND: Duration = Duration::from_secs(30);
/// The user of everything.
const USER: &str = "bench";

/// The table that B inserts into and reads from: the feed's columns and indexes, without anybody's rules.
const BARE: &str = "CREATE TABLE bare (LIKE vfs_crdt_ops INCLUDING ALL)";
/// The least that writes the same rows.
const BARE_INSERT: &str = include_str!("vfs_sync/insert.sql");
/// The least that reads a page.
const BARE_PAGE: &str = include_str!("vfs_sync/page.sql");

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The database, the server in front of it, and whoever asks.
struct Bench {
    runtime: Runtime,
    database: Database,
    base: String,
    token: String,
    agent: Agent,
    /// Operations pushed so far, by each connection.
    written: u64,
    /// Runs of B so far.
    bare: u64,
    _server: Running,
    _cluster: Cluster,
}

fn measure() -> Result<(), Failure> {
    let (count, many) = wanted()?;
    let mut bench = Bench::start()?;
    println!("machine: {}", describe());
    let mut costs = Vec::new();
    for log in [FEW, many] {
        bench.fill(log)?;
        let pushed = {
            let cell = std::cell::RefCell::new(&mut bench);
            Pairs::take(count, || cell.borrow_mut().push(), || cell.borrow_mut().insert())?
        };
        tell(&format!("push before {log} operations"), &pushed)?;
        let pulled = Pairs::take(count, || bench.pull(), || bench.select())?;
        tell(&format!("pull of {PULLED} out of {log} operations"), &pulled)?;
        costs.push((pushed, pulled));
    }
    if let [(push_few, pull_few), (push_many, pull_many)] = costs.as_slice() {
        tell_flatness("a push", push_few, push_many, many);
        tell_flatness("a pull", pull_few, pull_many, many);
    }
    let (peer, version) = Peer::start(&bench)?;
    let cell = std::cell::RefCell::new(&mut bench);
    let pairs = Pairs::take(count, || cell.borrow_mut().push(), || peer.push())?;
    tell_peer(&format!("push beside pouchdb-server {version}"), &pairs)?;
    let pairs = Pairs::take(count, || cell.borrow().pull(), || peer.pull())?;
    tell_peer(&format!("pull of {PULLED} beside pouchdb-server {version}"), &pairs)?;
    drop(peer);
    let heard = bench.hear()?;
    let mut sorted = heard.clone();
    sorted.sort();
    let at = |part: usize| sorted.get(sorted.len() * part / 100).copied().unwrap_or_default();
    println!(
        "from a write's answer to another client over the live feed: p50 {:?}, p99 {:?}, {} writes",
        at(50),
        at(99),
        sorted.len()
    );
    if let Some(spread) = Spread::of(&heard.iter().map(Duration::as_secs_f64).collect::<Vec<_>>()) {
        println!("  median and range {spread} s");
    }
    println!("machine after: {}", describe());
    Ok(())
}

/// The number of pairs, and of operations in the longer log.
fn wanted() -> Result<(usize, u64), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = match words.as_slice() {
        [] => Some((FEWEST, MANY)),
        [pairs] => pairs.parse().ok().map(|pairs| (pairs, MANY)),
        [pairs, operations] => pairs.parse().ok().zip(operations.parse().ok()),
        _ => None,
    };
    wanted.filter(|(pairs, operations)| *pairs >= FEWEST && *operations >= FEW).ok_or_else(|| {
        let usage = format!("usage: [PAIRS [OPERATIONS]], {FEWEST} pairs or more, {FEW} operations or more");
        Failure::new(usage)
    })
}

/// What the server and the database take behind many operations, in times of what they take behind few.
fn tell_flatness(what: &str, few: &Pairs, many: &Pairs, operations: u64) {
    let times =
        |few: Option<Spread>, many: Option<Spread>| many.zip(few).map(|(many, few)| many.median / few.median);
    if let (Some(ours), Some(bare)) = (times(few.a(), many.a()), times(few.b(), many.b())) {
        println!(
            "{what} behind {operations} operations takes {ours:.2} times what it takes behind {FEW}; bare SQL: {bare:.2} times"
        );
    }
}

fn tell(what: &str, pairs: &Pairs) -> Result<(), Failure> {
    let (Some(a), Some(b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else {
        return Err(Failure::new("no pair was taken"));
    };
    println!(
        "{what}: A (server) {a} s, B (bare SQL) {b} s, A/B {ratio}, {} pairs; throughput is {:.2} of the bare one's",
        pairs.count(),
        1.0 / ratio.median
    );
    Ok(())
}

fn tell_peer(what: &str, pairs: &Pairs) -> Result<(), Failure> {
    let (Some(a), Some(b), Some(ratio)) = (pairs.a(), pairs.b(), pairs.ratio()) else {
        return Err(Failure::new("no pair was taken"));
    };
    println!(
        "{what}: A (server) {a} s, B (peer) {b} s, A/B {ratio}, {} pairs; {:.1} times as fast",
        pairs.count(),
        1.0 / ratio.median
    );
    Ok(())
}

/// The peer, with a database of its own.
struct Peer {
    agent: Agent,
    base: String,
    pushed: AtomicU64,
    _running: Running,
}

impl Peer {
    fn start(bench: &Bench) -> Result<(Self, &'static str), Failure> {
        let (program, version) = pouchdb()?;
        let port = Port::reserve()?;
        let folder = bench._cluster.socket_directory().join("pouchdb");
        std::fs::create_dir_all(&folder).map_err(Failure::of("make a folder"))?;
        let running = Program::new(program)
            .args(["--port", &port.number().to_string(), "--no-stdout-logs", "--dir"])
            .arg(&folder)
            .directory(&folder)
            .start()?;
        let base = format!("http://127.0.0.1:{}", port.number());
        let agent = Agent::new_with_defaults();
        let there = || async { agent.get(&base).call().ok().map(|_| ()) };
        bench.runtime.block_on(eventually("the peer answers", BOUND, there))?;
        let base = format!("{base}/feed");
        agent.put(&base).send_empty().map_err(Failure::of("make the peer's database"))?;
        Ok((Self { agent, base, pushed: AtomicU64::new(0), _running: running }, version))
    }

    fn push(&self) -> Result<Duration, Failure> {
        let from = self.pushed.fetch_add(REQUESTS * BATCH, Ordering::Relaxed);
        let bodies: Vec<Vec<String>> = (0..CONNECTIONS)
            .map(|replica| (0..REQUESTS).map(|n| documents(replica, from + n * BATCH)).collect())
            .collect();
        let url = format!("{}/_bulk_docs", self.base);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let push = |bodies: &Vec<String>| {
                for body in bodies {
                    let answer = post(&self.agent, &url, "none", body)?;
                    if answer.matches("\"ok\":true").count() as u64 != BATCH {
                        return Err(Failure::new(format!("the peer did not take everything: {answer}")));
                    }
                }
                Ok(())
            };
            let threads: Vec<_> = bodies.iter().map(|bodies| scope.spawn(move || push(bodies))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| Failure::new("a connection panicked"))?)
        })?;
        Ok(began.elapsed())
    }

    fn pull(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let (mut since, mut seen) = ("0".to_owned(), 0_u64);
        while seen < PULLED {
            let url = format!("{}/_changes?limit={PAGE}&include_docs=true&since={since}", self.base);
            let page = get(&self.agent, &url, "none")?;
            seen += page.matches("\"occurredAt\"").count() as u64;
            let last = page.rsplit("\"last_seq\":").next().and_then(|rest| rest.split('}').next());
            since = last.ok_or_else(|| Failure::new("the peer's feed ended too early"))?.trim().to_owned();
        }
        Ok(began.elapsed())
    }
}

/// Documents with the fields of operations.
fn documents(replica: u64, from: u64) -> String {
    let document = |n: u64| {
        let id = format!("device-{replica}-{}", from + n);
        format!(
            r#"{{"_id":"{id}","opId":"{id}","opType":"link_add","itemId":"item","parentId":"folder","childId":"item","replicaId":"device-{replica}","writeId":{},"occurredAt":"2026-01-01T00:00:00.000Z"}}"#,
            from + n
        )
    };
    format!(r#"{{"docs":[{}]}}"#, (1..=BATCH).map(document).collect::<Vec<_>>().join(","))
}

/// Builds the server for release and gives its path.
fn server() -> Result<PathBuf, Failure> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--package", "vfs-server", "--target-dir"]);
    command.arg(root().join("target")).current_dir(root());
    let status = command.status().map_err(Failure::of("start cargo"))?;
    let path = root().join("target/release/vfs-server");
    if status.success() && path.is_file() {
        return Ok(path);
    }
    Err(Failure::new("vfs-server could not be built; what cargo said is above"))
}

impl Bench {
    fn start() -> Result<Self, Failure> {
        let program = server()?;
        let runtime = Runtime::new().map_err(Failure::of("start the runtime"))?;
        let cluster = runtime.block_on(Cluster::start(ClusterOptions::default().fsync()))?;
        let database = runtime.block_on(cluster.try_database("vfs", "template1"))?;
        let port = Port::reserve()?;
        let program = Program::new(program)
            .env("DATABASE_URL", database.url())
            .env("DATABASE_POOL_MAX", "16")
            .env("JWT_SECRET", "a secret of the benchmark, as long as it must be")
            .env("VFS_BLOB_STORE_PROVIDER", "file")
            .env("VFS_BLOB_FILE_ROOT", cluster.socket_directory().join("blobs").display().to_string())
            .env("PORT", port.number().to_string())
            .env("RUST_LOG", "error");
        let run = |words: &[&str]| {
            let outcome = runtime.block_on(program.clone().args(words).run(BOUND))?;
            match outcome.code() {
                Some(0) => Ok(outcome.stdout.trim().to_owned()),
                _ => Err(Failure::new(format!("vfs-server {}: {}", words.join(" "), outcome.stderr))),
            }
        };
        run(&["migrate"])?;
        runtime.block_on(async {
            let session = connect(&database).await?;
            for sql in ["INSERT INTO users (id) VALUES ('bench')", BARE] {
                session.run(sql).await.map_err(Failure::of("prepare"))?;
            }
            Ok::<_, Failure>(())
        })?;
        let token = run(&["token", "--user", USER])?;
        let server = program.clone().arg("serve").start()?;
        runtime.block_on(server.until_stdout("listening on", BOUND))?;
        let base = format!("http://127.0.0.1:{}/v1/vfs", port.number());
        let agent = Agent::new_with_defaults();
        let bench = Self {
            runtime,
            database,
            base,
            token,
            agent,
            written: 0,
            bare: 0,
            _server: server,
            _cluster: cluster,
        };
        for item in ["folder", "item"] {
            let body = format!(r#"{{"id":"{item}","objectType":"file","encryptedSessionKey":"key"}}"#);
            bench.post("register", &body)?;
        }
        println!("server: {}, fsync on, synchronous_commit on", bench._cluster.programs().version());
        Ok(bench)
    }

    fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        post(&self.agent, &format!("{}/{path}", self.base), &self.token, body)
    }

    /// Operations that were there before, written as the server writes them.
    fn fill(&mut self, until: u64) -> Result<(), Failure> {
        let sql = include_str!("vfs_sync/fill.sql");
        let database = &self.database;
        self.runtime.block_on(async {
            let session = connect(database).await?;
            let rows = session.query("SELECT count(*) FROM vfs_crdt_ops", &[]).await;
            let rows = rows.map_err(Failure::of("count"))?;
            let there: i64 = rows
                .first()
                .ok_or_else(|| Failure::new("no count"))?
                .try_get(0)
                .map_err(Failure::of("count"))?;
            let missing = i64::try_from(until).unwrap_or(0).saturating_sub(there);
            let mut left = i32::try_from(missing.max(0)).unwrap_or(0);
            while left > 0 {
                let now = left.min(50_000);
                session.execute(sql, &[(&now, Type::INT4)]).await.map_err(Failure::of("fill the log"))?;
                left -= now;
            }
            // As the server would have left it: the newest write of the replica that all of these are of.
            for sql in [include_str!("vfs_sync/head.sql"), "VACUUM ANALYZE vfs_crdt_ops", "CHECKPOINT"] {
                session.run(sql).await.map_err(Failure::of("prepare"))?;
            }
            Ok(())
        })
    }

    fn push(&mut self) -> Result<Duration, Failure> {
        let from = self.written;
        self.written += REQUESTS * BATCH;
        let (agent, token) = (&self.agent, &self.token);
        let url = format!("{}/crdt/push", self.base);
        // Made before, so that the client's own work does not count as the server's.
        let bodies: Vec<Vec<String>> = (0..CONNECTIONS)
            .map(|replica| (0..REQUESTS).map(|n| body(replica, from + n * BATCH)).collect())
            .collect();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let push = |bodies: &Vec<String>| {
                for body in bodies {
                    let answer = post(agent, &url, token, body)?;
                    if answer.matches("\"applied\"").count() as u64 != BATCH {
                        return Err(Failure::new(format!("not everything was applied: {answer}")));
                    }
                }
                Ok(())
            };
            let threads: Vec<_> = bodies.iter().map(|bodies| scope.spawn(move || push(bodies))).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| Failure::new("a connection panicked"))?)
        })?;
        Ok(began.elapsed())
    }

    fn insert(&mut self) -> Result<Duration, Failure> {
        let run = self.bare;
        self.bare += 1;
        let database = &self.database;
        self.runtime.block_on(async {
            let mut sessions = Vec::new();
            for _ in 0..CONNECTIONS {
                sessions.push(connect(database).await?);
            }
            let began = Instant::now();
            let mut tasks = Vec::new();
            for (connection, session) in sessions.into_iter().enumerate() {
                tasks.push(tokio::spawn(async move {
                    let replica = format!("device-{connection}");
                    let own = (run * CONNECTIONS + connection as u64) * REQUESTS * BATCH;
                    for request in 0..REQUESTS {
                        let first = i64::try_from(own + request * BATCH).unwrap_or(i64::MAX);
                        let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
                            [(&first, Type::INT8), (&replica, Type::TEXT)];
                        session.execute(BARE_INSERT, &parameters).await.map_err(Failure::of("insert"))?;
                    }
                    Ok::<_, Failure>(())
                }));
            }
            for task in tasks {
                task.await.map_err(Failure::of("insert"))??;
            }
            Ok(began.elapsed())
        })
    }

    fn pull(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let (mut cursor, mut seen) = (String::new(), 0_u64);
        while seen < PULLED {
            let after = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
            let url = format!("{}/crdt/sync?limit={PAGE}{after}", self.base);
            let page = get(&self.agent, &url, &self.token)?;
            seen += page.matches("\"occurredAt\"").count() as u64;
            let next = page.split("\"nextCursor\":\"").nth(1).and_then(|rest| rest.split('"').next());
            cursor = next.ok_or_else(|| Failure::new("the feed ended too early"))?.to_owned();
        }
        Ok(began.elapsed())
    }

    fn select(&self) -> Result<Duration, Failure> {
        self.runtime.block_on(async {
            let session = connect(&self.database).await?;
            let began = Instant::now();
            let (mut at, mut id, mut seen) = (jiff::Timestamp::UNIX_EPOCH, String::new(), 0_u64);
            while seen < PULLED {
                let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
                    [(&at, Type::TIMESTAMPTZ), (&id, Type::TEXT)];
                let rows = session.query(BARE_PAGE, &parameters).await.map_err(Failure::of("read a page"))?;
                let page = usize::try_from(PAGE).unwrap_or(0);
                let last = rows.get(page - 1).ok_or_else(|| Failure::new("the log ended too early"))?;
                at = last.try_get(11).map_err(Failure::of("read a time"))?;
                id = last.try_get(0).map_err(Failure::of("read an id"))?;
                seen += PAGE;
            }
            Ok(began.elapsed())
        })
    }

    /// How long after its answer another client has heard of each write.
    fn hear(&mut self) -> Result<Vec<Duration>, Failure> {
        let url = format!("{}/events", self.base);
        let answer = self
            .agent
            .get(&url)
            .header("authorization", format!("Bearer {}", self.token))
            .call()
            .map_err(Failure::of("listen to the feed"))?;
        let (heard, told) = channel();
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.starts_with("data:") && heard.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        let mut spans = Vec::new();
        for turn in 0..HEARD {
            while told.recv_timeout(Duration::from_millis(20)).is_ok() {}
            let body = one(self.written + 1 + turn as u64);
            let url = format!("{}/crdt/push", self.base);
            post(&self.agent, &url, &self.token, &body)?;
            let answered = Instant::now();
            let at =
                told.recv_timeout(BOUND).map_err(|_| Failure::new("a write was not told to the feed"))?;

            spans.push(at.saturating_duration_since(answered));
        }
        Ok(spans)
    }
}

async fn connect(database: &Database) -> Result<Session, Failure> {
    let url = database.url();
    let address = Address::resolve(Some(&url), &|_| None).map_err(Failure::of("read the address"))?;
    Session::connect(&address, "bench").await.map_err(Failure::of("connect"))
}

fn post(agent: &Agent, url: &str, token: &str, body: &str) -> Result<String, Failure> {
    let request = agent.post(url).header("authorization", format!("Bearer {token}"));
    let answer = request.header("content-type", "application/json").send(body);
    let mut answer = answer.map_err(Failure::of(&format!("post to {url}")))?;
    answer.body_mut().read_to_string().map_err(Failure::of("read an answer"))
}

fn get(agent: &Agent, url: &str, token: &str) -> Result<String, Failure> {
    let answer = agent.get(url).header("authorization", format!("Bearer {token}")).call();
    let mut answer = answer.map_err(Failure::of(&format!("get {url}")))?;
    answer.body_mut().read_to_string().map_err(Failure::of("read a page"))
}

fn body(replica: u64, from: u64) -> String {
    let replica = format!("device-{replica}");
    let operations: Vec<String> = (1..=BATCH).map(|n| operation(&replica, from + n)).collect();
    format!(r#"{{"clientId":"{replica}","operations":[{}]}}"#, operations.join(","))
}

fn one(write: u64) -> String {
    format!(r#"{{"clientId":"heard","operations":[{}]}}"#, operation("heard", write))
}

fn operation(replica: &str, write: u64) -> String {
    format!(
        r#"{{"opId":"{replica}-{write}","opType":"link_add","itemId":"item","parentId":"folder","childId":"item","replicaId":"{replica}","writeId":{write},"occurredAt":"2026-01-01T00:00:00.000Z"}}"#
    )
}
