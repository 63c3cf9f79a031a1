//! Durable debits of the ledger, against `pgbench` with a function that updates a balance where it suffices and inserts
//! a row: spread over a thousand lots, and all on one; then batches on the one lot.

use std::error::Error;
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

/// What `pgbench` asks for: as little as a debit can be.
const RAW: &str = include_str!("ledger_debits/raw.sql");

fn tenant(number: u64) -> Uuid {
    Uuid::from_u128(0xbbbb_0000_0000_4000_8000_0000_0000_0000 + u128::from(number))
}

/// Transactions a second of `pgbench`.
fn pgbench(cluster: &Cluster, database: &Database, lots: &str) -> Result<f64, Failed> {
    let script = std::env::temp_dir().join(format!("ledger-debits-{}.sql", std::process::id()));
    fs::write(&script, format!("\\set lot {lots}\nSELECT raw_debit(:lot, 1);\n"))?;
    let output = Command::new(cluster.programs().program("pgbench"))
        .args(["-n", "-M", "prepared", "-c", &CALLERS.to_string(), "-j", "2", "-T", &TIME.as_secs().to_string(), "-f"])
        .arg(&script)
        .arg(database.url())
        .output()?;
    fs::remove_file(&script)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|line| line.split_whitespace().next()).and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| format!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Debits a second of the ledger, where `batch` are asked for at a time.
async fn debits(ledger: &Ledger, tenants: u64, batch: usize, round: usize) -> Result<f64, Failed> {
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (ledger, done) = (ledger.clone(), done.clone());
        callers.push(tokio::spawn(async move {
            let mut number: u64 = 0;
            while began.elapsed() < TIME {
                number += 1;
                let which = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(caller as u64) >> 33;
                let community = tenant(which % tenants);
                let key = format!("{round}-{tenants}-{batch}-{caller}-{number}");
                let taken = if batch == 1 {
                    ledger.debit(community, &key, 1).await.map(|outcome| usize::from(outcome.done().is_some()))
                } else {
                    let keys: Vec<String> = (0..batch).map(|at| format!("{key}-{at}")).collect();
                    let debits: Vec<(&str, i64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
                    let outcomes = ledger.debit_many(community, &debits).await;
                    outcomes.map(|all| all.into_iter().filter(|one| one.reason().is_none()).count())
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

fn median(mut rates: Vec<f64>) -> (f64, f64, f64) {
    rates.sort_by(f64::total_cmp);
    let at = |index: usize| rates.get(index).copied().unwrap_or_default();
    (at(rates.len() / 2), at(0), at(rates.len().saturating_sub(1)))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() -> Result<(), Failed> {
    let pairs: usize = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let cluster = Cluster::start(ClusterOptions::default().fsync()).await?;
        let database = cluster.try_database("debits", "template1").await?;
        database.execute(ledger::BASE_ROLES).await;
        database.execute(ledger::BASE_APPLICATION).await;
        for (_, sql) in ledger::MIGRATIONS {
            database.execute(&format!("BEGIN;\n{sql}\nCOMMIT;")).await;
        }
        database.execute(RAW).await;
        let url = database.url_for("arrakis_app");
        let config = Config::read(&|name: &str| match name {
            "DATABASE_URL" => Some(url.clone()),
            "DATABASE_POOL_MAX" => Some(CALLERS.to_string()),
            _ => None,
        })?;
        let ledger = Ledger::open(&config)?;
        for number in 0..LOTS {
            ledger.mint(tenant(number), "credit", "grant", CREDIT, None).await?;
        }
        let entries = "SELECT count(*) FROM lot_entries";
        for (what, tenants, batch, lots) in [
            ("spread over 1,000 lots", LOTS, 1, "random(1, 1000)"),
            ("on one lot", 1, 1, "1"),
            ("on one lot, 100 a batch", 1, BATCH, "1"),
        ] {
            let (mut ours, mut raw) = (Vec::new(), Vec::new());
            // Not counted.
            debits(&ledger, tenants, batch, 99).await?;
            for round in 0..pairs {
                ours.push(debits(&ledger, tenants, batch, round).await?);
                raw.push(pgbench(&cluster, &database, lots)?);
            }
            let ratios = median(ours.iter().zip(&raw).map(|(ours, raw)| ours / raw).collect());
            let (a, b) = (median(ours), median(raw));
            println!(
                "{what}: {:.0} a second ({:.0} to {:.0}); pgbench {:.0} ({:.0} to {:.0}); ratio {:.2} ({:.2} to {:.2}); {} entries",
                a.0, a.1, a.2, b.0, b.1, b.2, ratios.0, ratios.1, ratios.2,
                database.value::<i64>(entries).await
            );
        }
        Ok::<(), Failed>(())
    })
}
