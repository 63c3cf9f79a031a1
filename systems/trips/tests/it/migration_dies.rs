//! The program dies, as a process, at any operation of its store during an apply; the next one ends what it began, and
//! the store is that of a run that nothing interrupted.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Redis;
use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Kv, UnixSecond};
use trips::App;
use trips::reading::Reader;
use trips::record::{self, Kind};
use trips::shapes::{self, SHAPES, Seeded};
use uuid::Uuid;

use crate::masked::{Masked, differences, masked};
use crate::migration_ground::NOON;

/// The signal of a process that aborts.
const ABORTED: i32 = 6;
/// While a dead run has its lease.
const MEANWHILE: UnixSecond = UnixSecond(NOON.0 + 30);
/// Once that is over.
const LATER: UnixSecond = UnixSecond(NOON.0 + 61);
/// Users of one call.
const COHORT: usize = 20;

/// A directory of stores.
struct Shelf(PathBuf);

impl Drop for Shelf {
    fn drop(&mut self) {
        // What is left in the directory of temporary files disturbs nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Shelf {
    fn new() -> Shelf {
        // In memory where that can be: a process dies here, not the machine.
        let memory = PathBuf::from("/dev/shm");
        let room = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let directory = room.join(format!("trips-dies-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        Shelf(directory)
    }

    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.0.join(name).display())
    }

    fn trace(&self) -> PathBuf {
        self.0.join("trace")
    }

    /// A store that nobody has open, copied.
    fn copy(&self, from: &str, to: &str) {
        for tail in ["-wal", "-shm"] {
            assert!(!self.0.join(format!("{from}{tail}")).exists(), "{from} is open");
            // A process that died leaves them.
            let _ = std::fs::remove_file(self.0.join(format!("{to}{tail}")));
        }
        std::fs::copy(self.0.join(from), self.0.join(to)).unwrap();
    }

    async fn seeded(&self, name: &str, users: usize) -> Vec<Seeded> {
        let store = open(&self.url(name), NOON).await;
        shapes::seed(&store, "x", users, 3).await.unwrap()
    }
}

async fn open(url: &str, now: UnixSecond) -> Kv {
    let clock = Arc::new(SetClock::new(now));
    match url.strip_prefix("sqlite:") {
        Some(path) => Arc::new(SqliteKv::open_with_clock(Path::new(path), clock).unwrap()),
        None => Arc::new(RedisKv::open_with_clock(url, clock).await.unwrap()),
    }
}

/// `trips migrate --apply` of these users, as a process of its own.
fn program(url: &str, ids: &[String], now: UnixSecond, environment: &[(&str, &str)]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_trips"));
    program.env_clear().env("TRIPS_STORE", url).env("TIDEGATE_CRASH_NOW", now.0.to_string());
    program.envs(environment.iter().copied()).env("RUST_LOG", "error");
    program.args(["migrate", "--apply", "--yes", "--actor", "the night watch"]);
    program.args(ids.iter().map(|id| format!("--user={id}")));
    program.stdin(Stdio::null());
    program
}

fn migrate(url: &str, ids: &[String], now: UnixSecond, environment: &[(&str, &str)]) -> std::process::Output {
    program(url, ids, now, environment).output().unwrap()
}

fn runs(url: &str, ids: &[String], now: UnixSecond, trace: Option<&Path>) {
    let file = trace.map(|file| file.display().to_string());
    let environment: Vec<_> = file.iter().map(|file| ("TIDEGATE_CRASH_TRACE", file.as_str())).collect();
    let done = migrate(url, ids, now, &environment);
    // 1: there are users with a conflict, or with a record that is not theirs.
    assert!(
        matches!(done.status.code(), Some(0 | 1)) && done.stdout.starts_with(b"{"),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn dies(url: &str, ids: &[String], point: &str) {
    let done = migrate(url, ids, NOON, &[("TIDEGATE_CRASH", point)]);
    assert_eq!(done.status.signal(), Some(ABORTED), "{point}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The operations of a run, in order; the trace is taken away.
fn points(trace: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(trace).unwrap();
    std::fs::remove_file(trace).unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn contents(url: &str, with_journal: bool) -> Masked {
    masked(&open(url, LATER).await, with_journal).await
}

fn must_be_equal(wanted: &Masked, found: &Masked, what: &str) {
    assert!(wanted == found, "{what}\n{}", differences(wanted, found).join("\n"));
}

#[tokio::test]
async fn a_process_that_dies_at_any_operation_of_a_user_of_any_shape_is_followed_by_one_that_ends_the_same() {
    let shelf = Shelf::new();
    let seeded = shelf.seeded("start.db", SHAPES.len()).await;
    let mut deaths = 0;
    for user in &seeded {
        let ids = [user.id.clone()];
        shelf.copy("start.db", "whole.db");
        runs(&shelf.url("whole.db"), &ids, NOON, Some(&shelf.trace()));
        let wanted = contents(&shelf.url("whole.db"), true).await;
        let points = points(&shelf.trace());
        assert!(points.iter().any(|point| point.starts_with("store:write_all:")), "{points:?}");
        for point in points {
            let what = format!("{:?} {}", user.shape, point);
            shelf.copy("start.db", "round.db");
            dies(&shelf.url("round.db"), &ids, &point);
            runs(&shelf.url("round.db"), &ids, LATER, None);
            must_be_equal(&wanted, &contents(&shelf.url("round.db"), true).await, &what);
            deaths += 1;
        }
    }
    assert!(deaths > 1_000, "{deaths}");
}

#[tokio::test]
async fn on_redis_a_process_that_dies_at_a_sample_of_operations_is_followed_by_one_that_ends_the_same() {
    let shelf = Shelf::new();
    let redis = Redis::start().await.unwrap();
    let url = redis.url();
    let fresh = async || {
        assert!(redis.ask("FLUSHALL").await.unwrap().starts_with("+OK"));
        shapes::seed(&open(&url, NOON).await, "x", SHAPES.len(), 3).await.unwrap()
    };
    let ids: Vec<String> = fresh().await.into_iter().map(|user| user.id).collect();
    runs(&url, &ids, NOON, Some(&shelf.trace()));
    let wanted = contents(&url, true).await;
    let points = points(&shelf.trace());
    let every = points.len() / 20;
    assert!(every > 5, "{} operations", points.len());
    for point in points.iter().step_by(every) {
        fresh().await;
        dies(&url, &ids, point);
        runs(&url, &ids, LATER, None);
        must_be_equal(&wanted, &contents(&url, true).await, point);
    }
}

/// What users do while a run is dead: each one thing, by turns.
async fn traffic(url: &str, seeded: &[Seeded]) {
    let app = App::new(open(url, MEANWHILE).await, &|_| None);
    let given = |body: serde_json::Value| body.as_object().cloned().unwrap();
    for (at, user) in seeded.iter().enumerate() {
        let core = trips::user::by_id(&app, &user.id).await.unwrap().unwrap();
        let reader = Reader::new(&app, &user.id, &core.value()).await.unwrap();
        let done = match at % 4 {
            0 => {
                record::update(&app, &reader, Kind::Trip, "t0", &given(json!({"notes": "on the way"}))).await
            }
            1 => record::delete(&app, &reader, Kind::Trip, "t0").await,
            2 => {
                record::create(&app, &reader, Kind::Expense, &given(json!({"id": "new", "amount": 3}))).await
            }
            _ => record::purge(&app, &reader, Kind::Mileage, "x1").await.map(|()| json!(null)),
        };
        match done {
            Ok(_) => {}
            // Some have no such record.
            Err(trips::AppError::Absent { .. }) => {}
            Err(error) => panic!("{}: {error}", user.user_name),
        }
    }
}

/// A number from 0 to 1 that follows from a seed.
fn fraction(seed: u64, at: usize) -> f64 {
    let mut z = seed.wrapping_add(u64::try_from(at).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap();
    f64::from(bits) / f64::from(u32::MAX)
}

fn part(of: usize, fraction: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of a small number"
    )]
    let part = (f64::from(u32::try_from(of).unwrap()) * fraction) as usize;
    part.min(of - 1)
}

/// How a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// In place of an operation of its store.
    AtAnOperation,
    /// Killed, at any moment of its life.
    AtAMoment,
}

/// Kills a run after this part of the time that a whole one took; false: it had ended by then.
async fn is_killed(url: &str, ids: &[String], whole: Duration, part: f64) -> bool {
    let mut program = tokio::process::Command::from(program(url, ids, NOON, &[]));
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    match tokio::time::timeout(whole.mul_f64(part), child.wait()).await {
        Ok(ended) => {
            assert!(matches!(ended.unwrap().code(), Some(0 | 1)));
            false
        }
        Err(_) => {
            child.kill().await.unwrap();
            true
        }
    }
}

/// Dies at random places of an apply over many users, cohort after cohort; `with_traffic`: the users go on meanwhile.
async fn dies_at_random(users: usize, places: usize, death: Death, with_traffic: bool) {
    let seed = match std::env::var("TRIPS_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => u64::from_le_bytes(*Uuid::new_v4().as_bytes().first_chunk().unwrap()),
    };
    let shelf = Shelf::new();
    let seeded = shelf.seeded("now.db", users).await;
    let cohorts: Vec<&[Seeded]> = seeded.chunks(COHORT).collect();
    let wanted_of = |place: usize| part(cohorts.len(), fraction(seed, 2 * place));
    let mut deaths = 0;
    for (number, cohort) in cohorts.iter().enumerate() {
        let ids: Vec<String> = cohort.iter().map(|user| user.id.clone()).collect();
        let places: Vec<usize> = (0..places).filter(|place| wanted_of(*place) == number).collect();
        // The store before this cohort, and behind it.
        shelf.copy("now.db", "next.db");
        let began = Instant::now();
        runs(&shelf.url("next.db"), &ids, NOON, Some(&shelf.trace()));
        let whole = began.elapsed();
        let points = points(&shelf.trace());
        if !places.is_empty() {
            shelf.copy("next.db", "whole.db");
            if with_traffic {
                traffic(&shelf.url("whole.db"), cohort).await;
                runs(&shelf.url("whole.db"), &ids, LATER, None);
            }
            let wanted = contents(&shelf.url("whole.db"), !with_traffic).await;
            for place in places {
                let at = fraction(seed, 2 * place + 1);
                let point = &points[part(points.len(), at)];
                let what = format!("TRIPS_SEED={seed}: cohort {number}, {death:?}, {point}");
                shelf.copy("now.db", "round.db");
                match death {
                    Death::AtAnOperation => dies(&shelf.url("round.db"), &ids, point),
                    Death::AtAMoment => {
                        let (mut whole, url) = (whole, shelf.url("round.db"));
                        while !is_killed(&url, &ids, whole, at).await {
                            // It was faster than the one that was timed.
                            shelf.copy("now.db", "round.db");
                            whole /= 2;
                        }
                    }
                }
                if with_traffic {
                    traffic(&shelf.url("round.db"), cohort).await;
                }
                runs(&shelf.url("round.db"), &ids, LATER, None);
                must_be_equal(&wanted, &contents(&shelf.url("round.db"), !with_traffic).await, &what);
                deaths += 1;
            }
        }
        shelf.copy("next.db", "now.db");
    }
    assert_eq!(deaths, places);
    println!("{death:?}: {deaths} deaths, {users} users, with traffic: {with_traffic}");
}

#[tokio::test]
async fn a_process_that_dies_at_fifty_random_places_of_a_thousand_users_is_followed_by_one_that_ends_the_same()
 {
    dies_at_random(1_000, 50, Death::AtAnOperation, false).await;
}

#[tokio::test]
async fn what_users_do_while_a_run_is_dead_comes_to_the_same_as_behind_one_that_ended() {
    dies_at_random(100, 50, Death::AtAnOperation, true).await;
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_is_followed_by_one_that_ends_the_same() {
    dies_at_random(40, 20, Death::AtAMoment, true).await;
}

/// The long form, or a short one that shows that it runs; `TIDEGATE_SOAK_RUNS` says how often it dies.
async fn soak(death: Death, with_traffic: bool) {
    let often = std::env::var("TIDEGATE_SOAK_RUNS").ok().map(|text| text.parse().unwrap());
    match std::env::var_os("TIDEGATE_SOAK") {
        Some(_) => dies_at_random(1_000, often.unwrap_or(2_000), death, with_traffic).await,
        None => dies_at_random(20, 3, death, with_traffic).await,
    }
}

#[tokio::test]
async fn soak_a_process_that_dies_at_two_thousand_random_places_is_followed_by_one_that_ends_the_same() {
    soak(Death::AtAnOperation, false).await;
}

#[tokio::test]
async fn soak_what_users_do_while_a_run_that_died_two_thousand_times_is_dead_comes_to_the_same() {
    soak(Death::AtAnOperation, true).await;
}

#[tokio::test]
async fn soak_a_process_that_is_killed_at_two_thousand_moments_is_followed_by_one_that_ends_the_same() {
    soak(Death::AtAMoment, true).await;
}
