//! A client that was away for long: much of its own to bring, more of others' to read, through a real server.

use std::time::{Duration, Instant};

use serde_json::Value;
use vfs_client::{Device, Home};
use vfs_core::OpType;
use vfs_core::client::LocalOperation;

use crate::ground::Ground;

/// How long catching up may take here.
const LONG: Duration = Duration::from_secs(900);
/// Memory that the program may take for itself, whatever the history, in KiB.
const MEMORY_KIB: u64 = 32 << 10;
/// And for each link of the state that it holds, in bytes.
const LINK_BYTES: u64 = 1_024;

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn catches_up(local: usize, remote: usize) {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["sync"]).await;
    // What others did meanwhile, on items of the same user.
    ground
        .database
        .execute(&format!(
            "INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
             SELECT kind || n, 'folder', 'ada', now() FROM generate_series(0, 99) n, unnest(ARRAY['theirs-', 'mine-']) kind;
             WITH head AS (UPDATE vfs_feed_head SET seq = seq + {remote} RETURNING epoch, seq - {remote} AS before, at)
             INSERT INTO vfs_crdt_ops (id, item_id, op_type, parent_id, child_id, actor_id, source_table, source_id,
                                       occurred_at, seq)
             SELECT vfs_position_id(epoch, before + n), 'theirs-' || n % 100, 'link_add', 'folder-' || n / 100,
                    'theirs-' || n % 100, 'ada', 'vfs_crdt_client_push', 'ada:other:' || n || ':' || n, at, before + n
             FROM head, generate_series(1, {remote}) n"
        ))
        .await;
    // What was done here meanwhile.
    let operations: Vec<LocalOperation> = (0..local)
        .map(|n| {
            let link = LocalOperation::link(
                OpType::LinkAdd,
                &format!("kept-{}", n / 100),
                &format!("mine-{}", n % 100),
            );
            link.named(&format!("queued-{n}"))
        })
        .collect();
    let began = Instant::now();
    let mut device = Device::open(Home::new(&desk.directory), Box::new(|_| {})).unwrap();
    device.queue(&operations, &[], &[]).unwrap();
    drop(device);
    let queued = began.elapsed();
    // As a watch, so that it can be looked at when it has caught up.
    let began = Instant::now();
    let watching = desk.program(&["sync", "--watch", "--json"]).start().unwrap();
    watching.until_stdout("}", LONG).await.unwrap();
    let (took, peak) = (began.elapsed(), peak_kib(watching.pid()));
    let synced: Value = serde_json::from_str(watching.stdout().lines().next().unwrap()).unwrap();
    let mut watching = watching;
    watching.kill().unwrap();
    println!(
        "{local} of its own queued in {queued:?}; these brought and {remote} read in {took:?}, {peak} KiB at most: {synced}"
    );
    let state = desk.state().await;
    assert_eq!(state["pendingOperations"], serde_json::json!([]));
    let links = state["replaySnapshot"]["links"].as_array().unwrap();
    let of = |child: &str| {
        links.iter().filter(|link| link["childId"].as_str().is_some_and(|id| id.starts_with(child))).count()
    };
    assert_eq!((of("mine-"), of("theirs-")), (local, remote));
    let most = MEMORY_KIB + (local + remote) as u64 * LINK_BYTES / 1_024;
    assert!(peak < most, "{peak} KiB, where {most} were enough for a page, a batch and the state");
}

#[tokio::test]
async fn a_client_that_was_away_catches_up_in_bounded_memory() {
    catches_up(500, 5_000).await;
}

#[tokio::test]
async fn soak_ten_thousand_operations_of_its_own_and_a_hundred_thousand_of_others_are_caught_up_with() {
    if std::env::var_os("TIDEGATE_SOAK").is_some() {
        catches_up(10_000, 100_000).await;
    } else {
        catches_up(100, 1_000).await;
    }
}
