//! The trip log's keys, moved from names to ids by the rules of that system, against a bare loop that lists, reads and
//! writes the same records on the same store, in batches of the same size, the next one read while one is written; on the
//! embedded store and on a Redis. Then how long a user's sign-in takes while the user's own keys are moved.
//!
//! `trips_apply [PAIRS [KEYS [STORE]]]`; 5 or more pairs, 10,000 keys; 0 pairs: only signing in. `trips_apply flat [TIMES
//! [STORE]]`: what a key costs among 1,000, 100,000 and 1,000,000. STORE is `embedded` or `redis`, and otherwise both.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use testkit::Redis;
use tidegate_rekey::{Bounds, Claims, Rekey, Subject};
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, Write};
use trips::migration::{Actor, Migration, rules};
use trips::user::NewUser;
use trips::{App, keyspace, shapes, user};

/// Records of a batch, of both.
const BATCH: usize = 500;
/// Keys, unless said otherwise.
const KEYS: usize = 10_000;
/// Keys among which one is to cost the same, and how often the fewest are moved for each time that the others are.
const FLAT: [usize; 3] = [1_000, 100_000, 1_000_000];
const FEWEST: usize = 5;
/// Sign-ins with nothing moved before each move, and as many behind it.
const SIGN_INS: usize = 500;
/// Moves during which the user signs in.
const TURNS: usize = 1;
/// Keys of the user who signs in meanwhile.
const KEYS_MEANWHILE: usize = 20_000;
const ID: &str = "0d9df646-f89b-4ea8-ae70-f5d3bf3de322";
const NAME: &str = "James";
const PASSWORD: &str = "a long enough password";

type Failed = Box<dyn Error + Send + Sync>;

/// A system with one account.
#[derive(Debug)]
struct OnlyJames;

#[async_trait]
impl Claims for OnlyJames {
    async fn claimants(&self, _spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(vec![ID.to_owned()])
    }

    async fn longer_names(&self, _spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(Vec::new())
    }
}

fn put(namespace: tidegate_store::kv::Namespace, key: String, value: Bytes) -> Result<Write, Failed> {
    let change = Change::Put { value, metadata: None, expires_at: None };
    Ok(Write { namespace, key: Key::new(key)?, change, condition: Condition::Absent })
}

/// Trips under the name, from this number on.
async fn fill(store: &Kv, from: usize, count: usize) -> Result<(), Failed> {
    for start in (from..from + count).step_by(BATCH) {
        let mut writes = Vec::with_capacity(BATCH);
        for number in start..(start + BATCH).min(from + count) {
            let record = format!("t{number:07}");
            let body = shapes::trip(&record, NAME, "2026-02-03T17:00:00Z").to_string();
            writes.push(put(keyspace::logs(), format!("trip:{NAME}:{record}"), body.into())?);
        }
        store.write_each(&writes).await?;
    }
    Ok(())
}

/// A batch of the bare loop: what is to be written, where the next one starts, and whether there is one.
async fn read(store: &Kv, after: Option<Key>) -> Result<(Vec<Write>, Option<Key>, bool), Failed> {
    let (logs, prefix) = (keyspace::logs(), format!("trip:{NAME}:"));
    let page = store.list(&logs, &prefix, after.as_ref(), BATCH).await?;
    let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
    let mut writes = Vec::with_capacity(keys.len());
    for (key, entry) in keys.iter().zip(store.get_many(&logs, &keys).await?) {
        let entry = entry.ok_or("a record is gone")?;
        let record = key.as_str().strip_prefix(&prefix).ok_or("another key")?;
        writes.push(put(logs.clone(), format!("trip:{ID}:{record}"), entry.value)?);
    }
    Ok((writes, keys.into_iter().last(), page.complete))
}

/// The records under the id, with nothing looked at and nothing noted. `ahead`: a batch is read while one is written.
async fn bare(store: &Kv, ahead: bool) -> Result<usize, Failed> {
    let (mut writes, mut after, mut complete) = read(store, None).await?;
    let mut copied = 0;
    while !complete {
        let (written, next) = match ahead {
            true => tokio::join!(store.write_each(&writes), read(store, after)),
            false => (store.write_each(&writes).await, read(store, after).await),
        };
        copied += written?.len();
        (writes, after, complete) = next?;
    }
    Ok(copied + store.write_each(&writes).await?.len())
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Apply,
    Bare,
    BareAhead,
}

async fn ours(store: &Kv, keys: usize) -> Result<(), Failed> {
    let rekey = Rekey::new(Arc::clone(store), rules::plan()?, Arc::new(OnlyJames))?;
    let james = Subject::new(ID, vec![NAME.to_owned(), NAME.to_lowercase(), NAME.to_uppercase()])?;
    let bounds = Bounds { batch: BATCH, iterations: tidegate_rekey::ITERATIONS_MAX, held_to: None };
    let report = rekey.apply(&james, bounds, "bench").await?;
    match report.done && report.migrated == u64::try_from(keys)? {
        true => Ok(()),
        false => Err(format!("it did not copy all: {report:?}").into()),
    }
}

/// A store of its own for each measurement.
enum Ground {
    Embedded(PathBuf),
    Redis(Redis),
}

impl Ground {
    async fn store(&self, name: &str) -> Result<Kv, Failed> {
        Ok(match self {
            Self::Embedded(directory) => Arc::new(SqliteKv::open(&directory.join(format!("{name}.db")))?),
            Self::Redis(redis) => {
                redis.ask("FLUSHALL").await?;
                Arc::new(RedisKv::open(&redis.url()).await?)
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded store, synchronous = FULL",
            Self::Redis(_) => "Redis, as testkit starts it",
        }
    }

    /// How many times as fast as the bare loop a move is to be.
    fn goal(&self) -> f64 {
        match self {
            Self::Embedded(_) => 0.5,
            Self::Redis(_) => 0.6,
        }
    }

    fn forget(&self, name: &str) {
        if let Self::Embedded(directory) = self {
            for tail in ["", "-wal", "-shm"] {
                // What is not there need not go.
                let _ = std::fs::remove_file(directory.join(format!("{name}.db{tail}")));
            }
        }
    }
}

async fn timed(ground: &Ground, keys: usize, what: What) -> Result<f64, Failed> {
    let store = ground.store("one").await?;
    fill(&store, 0, keys).await?;
    let began = Instant::now();
    if what == What::Apply {
        ours(&store, keys).await?;
    } else if bare(&store, what == What::BareAhead).await? != keys {
        return Err("the bare loop did not copy all".into());
    }
    let took = began.elapsed().as_secs_f64();
    drop(store);
    ground.forget("one");
    Ok(took)
}

/// Median and range.
fn told(mut figures: Vec<f64>, digits: usize) -> (f64, String) {
    figures.sort_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    let (median, least, most) = (at(figures.len() / 2), at(0), at(figures.len().saturating_sub(1)));
    (median, format!("{median:.digits$} ({least:.digits$} to {most:.digits$})"))
}

async fn throughput(ground: &Ground, pairs: usize, keys: usize) -> Result<(), Failed> {
    let goal = ground.goal();
    let (mut ours, mut bares, mut aheads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ratios, mut ratios_ahead) = (Vec::new(), Vec::new());
    for pair in 0..=pairs {
        let a = timed(ground, keys, What::Apply).await?;
        let b = timed(ground, keys, What::Bare).await?;
        let c = timed(ground, keys, What::BareAhead).await?;
        // The first is a warm-up.
        if pair > 0 {
            ours.push(a);
            bares.push(b);
            aheads.push(c);
            ratios.push(b / a);
            ratios_ahead.push(c / a);
        }
    }
    let rate = f64::from(u32::try_from(keys)?) / told(ours.clone(), 3).0;
    let ratio = told(ratios, 2);
    println!(
        "{}: {keys} keys, {pairs} pairs: A (apply) {} s, {rate:.0} keys a second; B (bare) {} s, B/A {}, at least {goal}: {}; \
         C (bare, reading ahead) {} s, C/A {}",
        ground.name(),
        told(ours, 3).1,
        told(bares, 3).1,
        ratio.1,
        if ratio.0 >= goal { "held" } else { "NOT held" },
        told(aheads, 3).1,
        told(ratios_ahead, 2).1,
    );
    Ok(())
}

/// Microseconds that a key costs, moved and in the bare loop, among few and among many.
async fn flatness(ground: &Ground, times: usize) -> Result<(), Failed> {
    let mut fewest = None;
    for keys in FLAT {
        let (mut moved, mut bares) = (Vec::new(), Vec::new());
        let count = f64::from(u32::try_from(keys)?);
        let rounds = if keys == FLAT[0] { times * FEWEST } else { times };
        if keys == FLAT[0] {
            // A warm-up.
            timed(ground, keys, What::Apply).await?;
        }
        for _round in 0..rounds {
            moved.push(timed(ground, keys, What::Apply).await? / count * 1e6);
            bares.push(timed(ground, keys, What::Bare).await? / count * 1e6);
        }
        let (moved, bares) = (told(moved, 2), told(bares, 2));
        let (first_moved, first_bare) = *fewest.get_or_insert((moved.0, bares.0));
        println!(
            "{}: among {keys} keys one costs A (apply) {} us, {:.0} a second, {:.2} times that of the fewest; B (bare) {} us, \
             {:.2} times; {rounds} times each",
            ground.name(),
            moved.1,
            1e6 / moved.0,
            moved.0 / first_moved,
            bares.1,
            bares.0 / first_bare,
        );
    }
    Ok(())
}

/// A service with the user, and a sign-in of the user over HTTP.
struct Service {
    migration: Migration,
    agent: ureq::Agent,
    url: String,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<bool>,
}

impl Service {
    async fn new(store: Kv) -> Result<Self, Failed> {
        let app = App::new(store, &|_| None);
        let migration = Migration::new(&app)?;
        let (user_name, email) = ("james".to_owned(), "james@example.org".to_owned());
        let (name, password) = (NAME.to_owned(), PASSWORD.to_owned());
        user::sign_up(&app, NewUser { user_name, email, name, password }).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api/auth/signin", listener.local_addr()?);
        let (end, ends) = tokio::sync::oneshot::channel();
        let serving = trips::serve::serve(app, listener, async move {
            // Dropped or sent: it ends.
            let _ = ends.await;
        });
        let served = tokio::spawn(async move { serving.await.is_ok_and(|in_time| in_time) });
        Ok(Self { migration, agent: ureq::Agent::new_with_defaults(), url, end: Some(end), served })
    }

    async fn sign_in(&self) -> Result<f64, Failed> {
        let (agent, url) = (self.agent.clone(), self.url.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let body = serde_json::json!({ "username": "james", "password": PASSWORD }).to_string();
            let began = Instant::now();
            let mut answer = agent.post(&url).header("Content-Type", "application/json").send(body)?;
            answer.body_mut().read_to_string()?;
            Ok::<_, ureq::Error>(began.elapsed().as_secs_f64())
        });
        Ok(asked.await??)
    }

    async fn stop(&mut self) -> Result<(), Failed> {
        drop(self.end.take());
        self.agent = ureq::Agent::new_with_defaults();
        if (&mut self.served).await? { Ok(()) } else { Err("the service did not end".into()) }
    }

    /// The user's keys, moved as an administrator's request moves them.
    async fn apply(&self) -> Result<(), Failed> {
        let actor = Actor { name: "bench".to_owned(), user_id: "bench".to_owned(), ip: None };
        let report = self.migration.cohort(&["james".to_owned()], true, &actor).await;
        if report.success { Ok(()) } else { Err(format!("{:?}", report.results).into()) }
    }
}

/// Sign-ins of a user over HTTP, one after the other, by turns while nothing else happens and while the user's keys are moved by
/// the same process.
async fn signing_in(ground: &Ground) -> Result<(), Failed> {
    let (mut quiet, mut meanwhile) = (Vec::new(), Vec::new());
    let mut moved = Vec::new();
    for _turn in 0..TURNS {
        let store = ground.store("two").await?;
        let service = Service::new(Arc::clone(&store)).await?;
        fill(&store, 0, KEYS_MEANWHILE).await?;
        for _warm_up in 0..SIGN_INS / 10 {
            service.sign_in().await?;
        }
        for _before in 0..SIGN_INS {
            quiet.push(service.sign_in().await?);
        }
        let service = Arc::new(service);
        let began = Instant::now();
        let apply = tokio::spawn({
            let service = Arc::clone(&service);
            async move { service.apply().await }
        });
        while !apply.is_finished() {
            meanwhile.push(service.sign_in().await?);
        }
        apply.await??;
        moved.push(began.elapsed().as_secs_f64());
        for _after in 0..SIGN_INS {
            quiet.push(service.sign_in().await?);
        }
        Arc::into_inner(service).ok_or("somebody has the service")?.stop().await?;
        drop(store);
        ground.forget("two");
    }
    let at = |figures: &mut Vec<f64>, percent: usize| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() * percent / 100).copied().unwrap_or(f64::NAN) * 1_000.0
    };
    let (a, b) = (at(&mut meanwhile, 99), at(&mut quiet, 99));
    println!(
        "{}: sign-in of the user whose {KEYS_MEANWHILE} keys are moved in {} s: A p50 {:.1} ms, p99 {a:.1} ms, {} times; B (nothing moved) p50 {:.1} ms, p99 {b:.1} ms; A/B of p99 {:.2}; at most 1.05: {}",
        ground.name(),
        told(moved, 1).1,
        at(&mut meanwhile, 50),
        meanwhile.len(),
        at(&mut quiet, 50),
        a / b,
        if a / b <= 1.05 { "held" } else { "NOT held" },
    );
    Ok(())
}

/// The stores that were named.
async fn grounds(named: Option<&str>, directory: &Path) -> Result<Vec<Ground>, Failed> {
    let mut grounds = Vec::new();
    if named.is_none_or(|named| named == "embedded") {
        grounds.push(Ground::Embedded(directory.to_owned()));
    }
    if named.is_none_or(|named| named == "redis") {
        grounds.push(Ground::Redis(Redis::start().await?));
    }
    match grounds.is_empty() {
        true => Err(format!("{named:?} is no store; write embedded, redis, or nothing").into()),
        false => Ok(grounds),
    }
}

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1).peekable();
    let is_flat = words.next_if_eq("flat").is_some();
    let times = words.next().map_or(Ok(if is_flat { 1 } else { 5 }), |word| word.parse::<usize>())?;
    let keys = match is_flat {
        true => KEYS,
        false => words.next().map_or(Ok(KEYS), |word| word.parse::<usize>())?,
    };
    let named = words.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let directory = std::env::temp_dir().join(format!("trips-apply-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&directory)?;
    let done = runtime.block_on(async {
        let grounds = grounds(named.as_deref(), &directory).await?;
        for ground in grounds.iter().filter(|_| is_flat) {
            flatness(ground, times).await?;
        }
        for ground in grounds.iter().filter(|_| !is_flat && times > 0) {
            throughput(ground, times, keys).await?;
        }
        for ground in grounds.iter().filter(|_| !is_flat) {
            signing_in(ground).await?;
        }
        Ok(())
    });
    std::fs::remove_dir_all(&directory)?;
    done
}
