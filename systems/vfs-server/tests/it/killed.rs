//! The server is killed at random points while clients push and store blobs: what was acknowledged is there, once, in
//! order, and as it was sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use testkit::{Port, Program, Running, eventually};

use crate::ground::{Asker, BOUND, Ground, SECRET, link};

/// Kills; the long form has more.
const ROUNDS: usize = 30;
const SOAK_ROUNDS: usize = 500;
const CLIENTS: u64 = 4;
/// Clients that store blobs.
const STORING: u64 = 2;
const OPERATIONS: u64 = 20;

async fn start(ground: &Ground, name: &str, port: u16, blobs: &Path) -> Running {
    let program = Program::new(env!("CARGO_BIN_EXE_vfs-server"))
        .arg("serve")
        .env("DATABASE_URL", ground.database.url())
        .env("JWT_SECRET", SECRET)
        .env("INSTANCE_NAME", name)
        .env("PORT", port.to_string())
        .env("VFS_BLOB_STORE_PROVIDER", "file")
        .env("VFS_BLOB_FILE_ROOT", blobs)
        .start()
        .unwrap();
    program.until_stdout("listening on http://", BOUND).await.unwrap();
    program
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

/// What a blob holds.
fn content(blob: &str) -> String {
    format!("the bytes of {blob}")
}

/// Stores one blob after the other until told to end. Returns those that were acknowledged.
async fn store(ada: Asker, client: String, end: Arc<AtomicBool>) -> Vec<String> {
    let mut stored = Vec::new();
    while !end.load(Ordering::SeqCst) {
        let blob = format!("blob-{client}-{}", stored.len());
        let body = json!({
            "stagingId": format!("stage-{blob}"), "blobId": blob, "expiresAt": "2100-01-01T00:00:00.000Z",
            "dataBase64": STANDARD.encode(content(&blob)),
        })
        .to_string()
        .into_bytes();
        loop {
            match ada.try_ask("POST", "/v1/vfs/blobs/stage", Some(body.clone())).await {
                Ok(answer) if (200..300).contains(&answer.status) => break,
                Ok(answer) => assert!(answer.status >= 500, "{}: {}", answer.status, answer.body),
                Err(_) => tokio::task::yield_now().await,
            }
        }
        stored.push(blob);
    }
    stored
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
    let blobs = std::env::temp_dir().join(format!("vfs-killed-{}", ground.database.name()));
    // Reserved: a port that the system chose for one listener it may choose for a client's end while that is dead.
    let reserved = [Port::reserve().unwrap(), Port::reserve().unwrap()];
    let ports = reserved.each_ref().map(Port::number);
    let mut servers =
        vec![start(&ground, "one", ports[0], &blobs).await, start(&ground, "two", ports[1], &blobs).await];
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
    let storing: Vec<_> =
        (0..STORING).map(|n| tokio::spawn(store(ada.clone(), format!("s{n}"), end.clone()))).collect();
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
        let mut server = servers.swap_remove(at);
        server.kill().unwrap();
        // A process that is killed while the disk is at work for it keeps its port until that is done.
        drop(server.wait(BOUND).await.unwrap());
        let name = ["one", "two"][at];
        servers.push(start(&ground, name, ports[at], &blobs).await);
        if at == 0 {
            servers.swap(0, 1);
        }
    }
    end.store(true, Ordering::SeqCst);
    let mut sent = BTreeMap::new();
    for (n, task) in pushing.into_iter().enumerate() {
        sent.insert(format!("c{n}"), task.await.unwrap());
    }
    let mut stored = Vec::new();
    for task in storing {
        stored.extend(task.await.unwrap());
    }
    assert!(stored.len() >= rounds / 2, "{} blobs", stored.len());
    for blob in &stored {
        let read = ada.get(&format!("/v1/vfs/blobs/{blob}")).await;
        assert_eq!((read.status, read.body), (200, json!(content(blob))), "{blob}");
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
    std::fs::remove_dir_all(blobs).unwrap();
}
