//! The client against a simulated world: one seed, one list of [`op::Op`], virtual time.
//!
//! Each seed has two phases. In the first everything goes wrong that can, and what is looked at is safety: every lie is
//! named as it must be, an honest server never trips a guardrail, a failed attempt changes nothing, nothing is applied
//! twice, no cursor and no number goes back, and what left the queue is in the feed. Then the world heals, and within a
//! bound every queue must be empty and every device must be where the feed is.
//!
//! `TIDEGATE_SIM_SEED=<seed>` runs one seed alone and prints what happens in it.

mod device;
mod judge;
mod lie;
mod mutations;
mod network;
mod op;
mod random;
mod repro;
mod rest;
mod server;
mod world;

use std::collections::BTreeMap;

use lie::Lie;
use op::Op;
use random::Random;
use world::{Planted, World};

/// Seeds of the short form.
const SEEDS: u64 = 2_000;
/// Seeds after which a long run says how far it is.
const TOLD_EACH: u64 = 100_000;

/// Seeds that may fail before a run of many ends.
const FAILURES_MAX: usize = 20;
/// How a seed is run again.
const REPLAY: &str =
    "replay: TIDEGATE_SIM_SEED=<seed> cargo nextest run -p vfs-core -E 'test(one_seed)' --no-capture";

/// What one run came to.
pub(crate) struct Report {
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) trace: u64,
    pub(crate) exchanges: u64,
}

/// Runs the world of a seed.
pub(crate) fn run(seed: u64, planted: Option<Planted>) -> Result<Report, String> {
    let mut random = Random::new(seed);
    let ops = Op::list(&mut random);
    run_ops(&ops, random, planted, false)
}

pub(crate) fn run_ops(
    ops: &[Op],
    random: Random,
    planted: Option<Planted>,
    is_told: bool,
) -> Result<Report, String> {
    let mut world = World::new(random, planted, is_told);
    for op in ops {
        world.perform(*op)?;
    }
    world.heal()?;
    Ok(world.report())
}

fn failed(seed: u64, why: &str) -> ! {
    panic!("seed {seed}: {why}\n{REPLAY}");
}

/// Every class of fault that a run must have had, by the name of its counter.
fn classes() -> Vec<String> {
    let named = [
        "request lost",
        "reply lost",
        "request doubled",
        "reply doubled",
        "reply after the timeout",
        "request after the timeout",
        "late reply ignored",
        "crash before the state was kept",
        "crash after the state was kept",
        "disk full",
        "server died before the commit",
        "server died after the commit",
        "old export taken up",
        "corrupted export refused",
        "clock of a device jumped",
        "clock of the server jumped",
        "shared",
        "revoked",
        "compacted",
        "server restored",
        "stopped at a restored server",
        "started over when told",
        "state taken anew",
        "stale write recovered",
        "already applied",
        "rejected",
        "undone",
        "retried",
        "guardrail flush:staleWriteRecoveryExhausted",
        "guardrail hydrate:hydrateGuardrailViolation",
        "guardrail pull:lastWriteIdRegression",
        "guardrail pull:pullCursorRegression",
        "guardrail pull:pullDuplicateOpReplay",
        "guardrail pull:pullPageInvariantViolation",
        "guardrail reconcile:lastWriteIdRegression",
        "guardrail reconcile:reconcileCursorRegression",
    ];
    named.map(str::to_owned).into_iter().chain(Lie::ALL.iter().map(|lie| lie.name())).collect()
}

/// Runs seeds, of which every hundredth twice, and demands that every class of fault was there.
fn run_all(seeds: std::ops::Range<u64>) {
    let started = std::time::Instant::now();
    let mut failures = Vec::new();
    let mut counters: BTreeMap<String, u64> = BTreeMap::new();
    let (mut exchanges, first, count) = (0, seeds.start, seeds.end - seeds.start);
    for seed in seeds {
        let report = match run(seed, None) {
            Ok(report) => report,
            Err(why) => {
                failures.push(format!("seed {seed}: {why}"));
                if failures.len() == FAILURES_MAX {
                    break;
                }
                continue;
            }
        };
        if seed % 100 == 0 {
            let again = run(seed, None).unwrap_or_else(|why| failed(seed, &why));
            assert_eq!(again.trace, report.trace, "seed {seed} is not the same run twice");
        }
        if (seed + 1 - first) % TOLD_EACH == 0 {
            println!("{} seeds in {:.1} s", seed + 1 - first, started.elapsed().as_secs_f64());
        }
        exchanges += report.exchanges;
        for (name, times) in report.counters {
            *counters.entry(name).or_default() += times;
        }
    }
    assert!(failures.is_empty(), "{}\n{REPLAY}", failures.join("\n"));
    let took = started.elapsed().as_secs_f64();
    println!("{count} seeds, {exchanges} exchanges in {took:.1} s: {:.0} seeds/s", count as f64 / took);
    for (name, times) in &counters {
        println!("{times:>9}  {name}");
    }
    for name in classes() {
        assert!(counters.get(&name).is_some_and(|times| *times > 0), "nothing of this kind happened: {name}");
    }
}

#[test]
fn thousands_of_worlds_are_safe_and_heal() {
    run_all(0..SEEDS);
}

#[test]
fn one_seed_is_one_run() {
    let said = std::env::var("TIDEGATE_SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in said.map_or(0..20, |seed: u64| seed..seed + 1) {
        let mut random = Random::new(seed);
        let ops = Op::list(&mut random);
        let is_told = said.is_some();
        if is_told {
            println!("{ops:#?}");
        }
        let once = run_ops(&ops, random.clone(), None, is_told).unwrap_or_else(|why| failed(seed, &why));
        let twice = run_ops(&ops, random, None, false).unwrap_or_else(|why| failed(seed, &why));
        assert_eq!(once.trace, twice.trace);
    }
}

/// `TIDEGATE_SOAK` may say how many seeds; 1 is a million.
#[test]
fn soak_a_million_worlds_are_safe_and_heal() {
    let said = std::env::var("TIDEGATE_SOAK").ok().and_then(|seeds| seeds.parse::<u64>().ok());
    let seeds = match said {
        None => SEEDS,
        Some(0 | 1) => 1_000_000,
        Some(seeds) => seeds,
    };
    run_all(1_000_000..1_000_000 + seeds.max(SEEDS));
}
