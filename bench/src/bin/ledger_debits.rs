//! Durable debits of the ledger, against `pgbench` that updates a balance where it suffices and inserts a row: as a script
//! of statements, as one function, and as one into a journal like the ledger's; spread over a thousand lots, and all on
//! one.
//! Then batches against single debits on the one lot; then a tenant with a long history against one with a short one.
//!
//! `ledger_debits [PAIRS] [ENTRIES]`: pairs of each (5), and entries of the long history (1,000,000; the claim is about
//! 10,000,000).

use std::error::Error;
use std::fmt;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger::{Config, Ledger};
use testkit::{Cluster, ClusterOptions, Database};
use tokio::runtime::Runtime;
use uuid::Uuid;

type Failed = Box<dyn Error>;

/// Callers at once.
const CALLERS: usize = 8;
/// How long one measurement takes.
const TIME: Duration = Duration::from_secs(4);
/// Lots, each of a tenant of its own.
const LOTS: u64 = 1_000;
/// Debits of one batch.
const BATCH: usize = 100;
/// What a lot begins with; more than is ever taken.
const CREDIT: i64 = 1_000_000_000_000_000;
/// Entries of the short history.
const SHORT: u64 = 1_000;
/// Entries of the long history, unless the second argument says otherwise.
const LONG: u64 = 1_000_000;
/// Entries that are filled in at a time.
const CHUNK: u64 = 200_000;
/// The tenants whose histories are filled in.
const SHORT_TENANT: u64 = LOTS + 1;
const LONG_TENANT: u64 = LOTS + 2;

/// Measurements so far, so that each has keys of its own.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// What `pgbench` asks for: as little as a debit can be.
const RAW: &str = include_str!("ledger_debits/raw.sql");
/// A history.
const FILL: &str = include_str!("ledger_debits/fill.sql");

/// How debits are asked for.
#[derive(Clone, Copy)]
enum Way {
    /// As the service does: those of a tenant that wait for each other go together.
    Service,
    /// One statement and one commit for each.
    Alone,
    /// So many in one request.
    Batch,
}

/// Which tenants are debited: so many of them, from this one on.
#[derive(Clone, Copy)]
struct Tenants {
    first: u64,
    many: u64,
}

const SPREAD: Tenants = Tenants { first: 0, many: LOTS };
const ONE: Tenants = Tenants { first: 0, many: 1 };

fn tenant(number: u64) -> Uuid {
    Uuid::from_u128(0xbbbb_0000_0000_4000_8000_0000_0000_0000 + u128::from(number))
}

/// What `pgbench` does for a debit, and what that is called.
const PEERS: [(&str, &str); 3] = [
    ("a script of four statements", include_str!("ledger_debits/statements.sql")),
    ("one function", "SELECT raw_debit(:lot, 1);"),
    ("one function, a journal like the ledger's", "SELECT raw_entry(:lot, 1);"),
];

/// Transactions a second of `pgbench`.
fn pgbench(cluster: &Cluster, database: &Database, statements: &str, lots: &str) -> Result<f64, Failed> {
    let script = std::env::temp_dir().join(format!("ledger-debits-{}.sql", std::process::id()));
    fs::write(&script, format!("\\set lot {lots}\n{statements}\n"))?;
    let output = Command::new(cluster.programs().program("pgbench"))
        .args([
            "-n",
            "-M",
            "prepared",
            "-c",
            &CALLERS.to_string(),
            "-j",
            "2",
            "-T",
            &TIME.as_secs().to_string(),
            "-f",
        ])
        .arg(&script)
        .arg(database.url())
        .output()?;
    fs::remove_file(&script)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|line| line.split_whitespace().next()).and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| format!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Debits a second of the ledger.
async fn debits(ledger: &Ledger, tenants: Tenants, way: Way) -> Result<f64, Failed> {
    let (done, run) = (Arc::new(AtomicU64::new(0)), RUNS.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (ledger, done) = (ledger.clone(), done.clone());
        callers.push(tokio::spawn(async move {
            let mut number: u64 = 0;
            while began.elapsed() < TIME {
                number += 1;
                let which = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(caller as u64) >> 33;
                let community = tenant(tenants.first + which % tenants.many);
                let key = format!("{run}-{caller}-{number}");
                let taken = match way {
                    Way::Service => {
                        ledger.debit(community, &key, 1).await.map(|one| usize::from(one.reason().is_none()))
                    }
                    Way::Alone => ledger
                        .debit_alone(community, &key, 1)
                        .await
                        .map(|one| usize::from(one.reason().is_none())),
                    Way::Batch => {
                        let keys: Vec<String> = (0..BATCH).map(|at| format!("{key}-{at}")).collect();
                        let debits: Vec<(&str, i64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
                        let outcomes = ledger.debit_many(community, &debits).await;
                        outcomes.map(|all| all.into_iter().filter(|one| one.reason().is_none()).count())
                    }
                };
                done.fetch_add(taken.map_err(|error| error.to_string())? as u64, Ordering::Relaxed);
            }
            Ok::<(), String>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// Some figures of one kind.
struct Rates(Vec<f64>);

impl Rates {
    /// The middle one, the least and the most.
    fn told(&self) -> (f64, f64, f64) {
        let mut rates = self.0.clone();
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or_default();
        (at(rates.len() / 2), at(0), at(rates.len().saturating_sub(1)))
    }

    /// Each of these to the other's of its pair.
    fn to(&self, other: &Rates) -> String {
        let ratios = Rates(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect());
        let (middle, least, most) = ratios.told();
        format!("{middle:.2} ({least:.2} to {most:.2})")
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (middle, least, most) = self.told();
        write!(f, "{middle:.0} a second ({least:.0} to {most:.0})")
    }
}

/// A lot for a tenant, and a history of so many debits of it.
async fn fill(ledger: &Ledger, database: &Database, number: u64, entries: u64) -> Result<(), Failed> {
    let community = tenant(number);
    ledger.mint(community, "credit", "grant", CREDIT, None).await?;
    let mut from = 1;
    while from <= entries {
        let to = entries.min(from + CHUNK - 1);
        let sql = FILL
            .replace("$1", &format!("'{community}'"))
            .replace("$2", &from.to_string())
            .replace("$3", &to.to_string());
        database.execute(&format!("BEGIN;\n{sql}\nCOMMIT;")).await;
        from = to + 1;
    }
    Ok(())
}

/// The server with the ledger and its peers on it.
async fn made() -> Result<(Cluster, Database, Ledger), Failed> {
    let cluster = Cluster::start(ClusterOptions::default().fsync()).await?;
    let database = cluster.try_database("debits", "template1").await?;
    database.execute(ledger::BASE_ROLES).await;
    database.execute(ledger::BASE_APPLICATION).await;
    for (_, sql) in ledger::MIGRATIONS {
        database.execute(&format!("BEGIN;\n{sql}\nCOMMIT;")).await;
    }
    database.execute(RAW).await;
    let (url, system) = (database.url_for("arrakis_app"), database.url_for("arrakis_admin"));
    let config = Config::read(&|name: &str| match name {
        "DATABASE_URL" => Some(url.clone()),
        "DATABASE_SYSTEM_URL" => Some(system.clone()),
        "DATABASE_POOL_MAX" => Some(CALLERS.to_string()),
        _ => None,
    })?;
    let ledger = Ledger::open(&config)?;
    for number in 0..LOTS {
        ledger.mint(tenant(number), "credit", "grant", CREDIT, None).await?;
    }
    Ok((cluster, database, ledger))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() -> Result<(), Failed> {
    let pairs: usize = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let long: u64 = std::env::args().nth(2).map_or(Ok(LONG), |text| text.parse())?;
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let (cluster, database, ledger) = made().await?;
        let (mut alone, mut together) = (Rates(Vec::new()), Rates(Vec::new()));
        for (what, tenants, lots) in
            [("spread over 1,000 lots", SPREAD, "random(1, 1000)"), ("on one lot", ONE, "1")]
        {
            let mut ours = Rates(Vec::new());
            let mut peers = PEERS.map(|_| Rates(Vec::new()));
            // Not counted.
            debits(&ledger, tenants, Way::Service).await?;
            for _ in 0..pairs {
                database.execute("CHECKPOINT").await;
                ours.0.push(debits(&ledger, tenants, Way::Service).await?);
                for (rates, (_, statements)) in peers.iter_mut().zip(PEERS) {
                    rates.0.push(pgbench(&cluster, &database, statements, lots)?);
                }
            }
            println!("{what}: {ours}");
            for (rates, (peer, _)) in peers.iter().zip(PEERS) {
                println!("  pgbench, {peer}: {rates}; ratio {}", ours.to(rates));
            }
            together = ours;
        }
        let mut batches = Rates(Vec::new());
        for _ in 0..pairs {
            database.execute("CHECKPOINT").await;
            alone.0.push(debits(&ledger, ONE, Way::Alone).await?);
            batches.0.push(debits(&ledger, ONE, Way::Batch).await?);
        }
        println!("on one lot, {BATCH} a batch: {batches}");
        println!("  one statement and one commit each: {alone}; ratio {}", batches.to(&alone));
        println!("  as the service does it: {together}; ratio {}", batches.to(&together));

        fill(&ledger, &database, SHORT_TENANT, SHORT).await?;
        fill(&ledger, &database, LONG_TENANT, long).await?;
        database.execute("ANALYZE").await;
        for (what, way) in [("alone", Way::Alone), ("in batches", Way::Batch)] {
            let (mut after_many, mut after_few) = (Rates(Vec::new()), Rates(Vec::new()));
            for _ in 0..pairs {
                database.execute("CHECKPOINT").await;
                after_many.0.push(debits(&ledger, Tenants { first: LONG_TENANT, many: 1 }, way).await?);
                after_few.0.push(debits(&ledger, Tenants { first: SHORT_TENANT, many: 1 }, way).await?);
            }
            println!("{what}, behind {long} entries: {after_many}");
            println!("  behind {SHORT}: {after_few}; ratio {}", after_many.to(&after_few));
        }
        let wrong: Vec<_> =
            ledger.verify().await?.into_iter().filter(|one| !one.violations.is_empty()).collect();
        if wrong.is_empty() { Ok::<(), Failed>(()) } else { Err(format!("does not hold: {wrong:?}").into()) }
    })
}
