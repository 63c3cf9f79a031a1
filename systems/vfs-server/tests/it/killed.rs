//! The server is killed at random points while clients push: what was acknowledged is there, once, and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use testkit::{Program, Running, eventually};

use crate::ground::{Asker, BOUND, Ground, SECRET, link};

/// Kills; the long form has more.
const ROUNDS: usize = 30;
const SOAK_ROUNDS: usize = 500;
const CLIENTS: u64 = 4;
const OPERATIONS: u64 = 20;

async fn start(ground: &Ground, name: &str, port: u16) -> Running {
    let program = Program::new(env!("CARGO_BIN_EXE_vfs-server"))
        .arg("serve")
        .env("DATABASE_URL", ground.database.url())
        .env("JWT_SECRET", SECRET)
        .env("INSTANCE_NAME", name)
        .env("PORT", port.to_string())
        .env("VFS_BLOB_STORE_PROVIDER", "s3")
        .start()
        .unwrap();
    program.until_stdout("listening on http://", BOUND).await.unwrap();
    program
}

fn port_of(running: &Running) -> u16 {
    running.stdout().trim().rsplit(':').next().unwrap().parse().unwrap()
}

/// Pushes until told to end; an answer that does not come is asked for again, with the same operations. Returns how
/// many were acknowledged.
async fn push(ada: Asker, client: String, end: Arc<AtomicBool>, acknowledged: Arc<AtomicUsize>) -> u64 {
    let mut next = 1;
    while !end.load(Ordering::SeqCst) {
        let operations: Vec<Json> = (next..next + OPERATIONS)
            .map(|write| link(&client, write, "file", &format!("{write}")))
            .collect();
        let body = json!({ "clientId": client, "operations": operations }).to_string().into_bytes();
        let answer = loop {
            match ada.try_ask("POST", "/v1/vfs/crdt/push", Some(body.clone())).await {
                Ok(answer) if answer.status == 200 => break answer.body,
                Ok(answer) => assert!(answer.status >= 500, "{}", answer.body),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        for result in answer["results"].as_array().unwrap() {
            assert!(matches!(result["status"].as_str(), Some("applied" | "alreadyApplied")), "{result}");
        }
        next += OPERATIONS;
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    next - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_outlives_the_server() {
    nothing_is_lost(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_what_was_acknowledged_outlives_hundreds_of_kills() {
    nothing_is_lost(SOAK_ROUNDS).await;
}

async fn nothing_is_lost(rounds: usize) {
    let ground = Ground::at(23).await;
    let mut servers = [start(&ground, "one", 0).await, start(&ground, "two", 0).await];
    let ports: Vec<u16> = servers.iter().map(port_of).collect();
    let ada = Asker {
        bases: ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect(),
        user: "ada".to_owned(),
        headers: vec![("authorization".to_owned(), format!("Bearer {}", ground.token("ada").await))],
    };
    ada.register("file").await;
    let end = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let pushing: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(push(ada.clone(), format!("c{n}"), end.clone(), acknowledged.clone())))
        .collect();
    let mut draw: u64 = 1_220;
    for _ in 0..rounds {
        // Some way into what goes on, by the number of answers and a few turns of the wheel.
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % (1 << 32);
        let more = acknowledged.load(Ordering::SeqCst) + 2 + usize::try_from(draw % 5).unwrap();
        let enough = || async { (acknowledged.load(Ordering::SeqCst) >= more).then_some(()) };
        eventually("clients push", BOUND * 2, enough).await.unwrap();
        for _ in 0..draw % 4_000 {
            tokio::task::yield_now().await;
        }
        let at = usize::try_from(draw >> 16).unwrap() % servers.len();
        servers[at].kill().unwrap();
        let name = ["one", "two"][at];
        servers[at] = start(&ground, name, ports[at]).await;
    }
    end.store(true, Ordering::SeqCst);
    let mut sent = BTreeMap::new();
    for (n, task) in pushing.into_iter().enumerate() {
        sent.insert(format!("c{n}"), task.await.unwrap());
    }
    let client = ground.database.client().await;
    let rows = client
        .query(
            "SELECT replica_id, write_id, client_op_id FROM vfs_crdt_ops WHERE actor_id = 'ada' ORDER BY seq",
            &[],
        )
        .await
        .unwrap();
    let mut kept: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in &rows {
        let (replica, write, id): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(id, format!("{replica}-{write}"));
        kept.entry(replica).or_default().push(write);
    }
    for (replica, last) in sent {
        let all: Vec<i64> = (1..=i64::try_from(last).unwrap()).collect();
        assert_eq!(kept.remove(&replica).unwrap_or_default(), all, "{replica}: each once, in its order");
    }
    let heads = "SELECT count(*) FROM vfs_crdt_replica_heads h WHERE max_write_id <> (
        SELECT max(write_id) FROM vfs_crdt_ops o WHERE (o.actor_id, o.replica_id) = (h.actor_id, h.replica_id))";
    assert_eq!(ground.text(heads).await, "0");
    let (items, _) = ada.pull_all(None, 500).await;
    assert_eq!(items.len(), rows.len());
}
