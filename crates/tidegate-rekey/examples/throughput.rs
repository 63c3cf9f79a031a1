//! How fast keys are moved in the embedded store: 10,000 small records, beside a bare loop that reads and writes as many.
//!
//! `cargo run --release --package tidegate-rekey --example throughput`. One line of JSON: keys a second of both, and
//! their ratio. Both copy the same records, list them first, and use batches of the same size.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_rekey::{Bounds, Claims, Kind, Plain, Plan, Rekey, Rule, Subject};
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Key, Kv, KvError, Namespace, Write};

const RECORDS: usize = 10_000;
const BATCH: usize = 500;
const ROUNDS: usize = 5;

type Failure = Box<dyn std::error::Error>;

/// A system with one account.
#[derive(Debug)]
struct OnlyJames;

#[async_trait]
impl Claims for OnlyJames {
    async fn claimants(&self, _spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(vec!["u-1".to_owned()])
    }

    async fn longer_names(&self, _spelling: &str) -> Result<Vec<String>, KvError> {
        Ok(Vec::new())
    }
}

async fn filled(path: &Path, logs: &Namespace) -> Result<Kv, Failure> {
    let store: Kv = Arc::new(SqliteKv::open(path)?);
    for start in (0..RECORDS).step_by(BATCH) {
        let mut writes = Vec::with_capacity(BATCH);
        for number in start..start + BATCH {
            let body = format!(
                r#"{{"id":"{number:06}","userId":"James","date":"2026-02-03","miles":12.5,"note":"to the site and back","createdAt":"2026-02-03T08:00:00Z","updatedAt":"2026-02-03T17:00:00Z"}}"#
            );
            writes.push(Write {
                namespace: logs.clone(),
                key: Key::new(format!("trip:James:{number:06}"))?,
                change: Change::Put { value: Bytes::from(body), metadata: None, expires_at: None },
                condition: Condition::Absent,
            });
        }
        store.write_each(&writes).await?;
    }
    Ok(store)
}

/// The records read and written under other keys, without any judgement.
async fn bare(store: &Kv, logs: &Namespace) -> Result<usize, Failure> {
    let (mut after, mut copied): (Option<Key>, usize) = (None, 0);
    loop {
        let page = store.list(logs, "trip:James:", after.as_ref(), BATCH).await?;
        let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
        let mut writes = Vec::with_capacity(keys.len());
        for (key, entry) in keys.iter().zip(store.get_many(logs, &keys).await?) {
            let entry = entry.ok_or("a record is gone")?;
            writes.push(Write {
                namespace: logs.clone(),
                key: Key::new(key.as_str().replace("trip:James:", "trip:u-1:"))?,
                change: Change::Put {
                    value: entry.value,
                    metadata: entry.metadata,
                    expires_at: entry.expires_at,
                },
                condition: Condition::Absent,
            });
        }
        copied += store.write_each(&writes).await?.len();
        after = keys.into_iter().last();
        if page.complete {
            return Ok(copied);
        }
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
async fn main() -> Result<(), Failure> {
    let directory = std::env::temp_dir().join(format!("rekey-throughput-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&directory)?;
    let logs = Namespace::new("LOGS")?;
    let rule = Rule {
        name: "trips".to_owned(),
        namespace: logs.clone(),
        kind: Kind::Prefixed { prefix: "trip:".to_owned() },
        owner_pointers: texts(&["/userId"]),
        proof_pointers: texts(&["/userId"]),
        key_pointers: Vec::new(),
        metadata_key_pointers: Vec::new(),
        clock_pointers: texts(&["/updatedAt", "/createdAt"]),
        opaque: false,
    };
    let plan = Arc::new(Plan::new(vec![rule], Namespace::new("JOURNAL")?, Arc::new(Plain))?);
    let james = Subject::new("u-1", texts(&["James", "james"]))?;
    // By turns, so that what else the machine does meets both.
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let store = filled(&directory.join(format!("ours-{round}.db")), &logs).await?;
        let rekey = Rekey::new(store, Arc::clone(&plan), Arc::new(OnlyJames))?;
        let begun = Instant::now();
        let bounds = Bounds { batch: BATCH, iterations: RECORDS, held_to: None };
        let report = rekey.apply(&james, bounds, "throughput").await?;
        ours.push(begun.elapsed().as_secs_f64());
        if !report.done || report.migrated != u64::try_from(RECORDS)? {
            return Err(format!("it did not copy all: {report:?}").into());
        }
        let store = filled(&directory.join(format!("bare-{round}.db")), &logs).await?;
        let begun = Instant::now();
        if bare(&store, &logs).await? != RECORDS {
            return Err("the bare loop did not copy all".into());
        }
        bares.push(begun.elapsed().as_secs_f64());
    }
    std::fs::remove_dir_all(&directory)?;
    let rate = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
        f64::from(u32::try_from(RECORDS).unwrap_or(u32::MAX)) / median
    };
    let (ours, bare) = (rate(ours), rate(bares));
    println!(
        "{}",
        serde_json::json!({"records": RECORDS, "batch": BATCH, "keysPerSecond": ours.round(), "bareKeysPerSecond": bare.round(), "ratio": (ours / bare * 100.0).round() / 100.0})
    );
    Ok(())
}
