//! Three clients, two servers, a network between them that loses and repeats, and deaths of all of them: in the end all
//! trees and all files are the same, and nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use testkit::{Port, Program, Running};

use crate::faulty::Network;
use crate::ground::{BOUND, Ground, SECRET, Vfs};
use crate::stored::Draw;

/// Runs of the suite.
const RUNS: u64 = 20;
/// Runs of the long form, unless `TIDEGATE_SOAK_RUNS` says otherwise.
const SOAK_RUNS: u64 = 500;
/// What is done in one run, all clients together.
const STEPS: u64 = 45;
/// Syncs after the faults have stopped, at most, until everything is everywhere.
const HEALING: usize = 4;

/// Another package's program, which the suite builds beside the client's.
pub(crate) fn beside(program: &str) -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_vfs")).with_file_name(program);
    assert!(beside.exists(), "{} is not built: `cargo build --workspace` builds it", beside.display());
    beside
}

async fn start(ground: &Ground, name: &str, port: u16) -> Running {
    let s3 = &ground.s3;
    let program = Program::new(beside("vfs-server"))
        .arg("serve")
        .env("DATABASE_URL", ground.database.url())
        .env("JWT_SECRET", SECRET)
        .env("INSTANCE_NAME", name)
        .env("PORT", port.to_string())
        .env("VFS_BLOB_S3_ENDPOINT", s3.url())
        .env("VFS_BLOB_S3_BUCKET", s3.bucket())
        .env("VFS_BLOB_S3_ACCESS_KEY_ID", testkit::S3Endpoint::ACCESS_KEY)
        .env("VFS_BLOB_S3_SECRET_ACCESS_KEY", s3.secret_key())
        .env("VFS_BLOB_BACKOFF_MS", "1")
        .start()
        .unwrap();
    program.until_stdout("listening on http://", BOUND).await.unwrap();
    program
}

/// Kills a server, waits for its end, and starts it anew on its port.
async fn restart(ground: &Ground, server: &mut Option<Running>, name: &str, port: u16) {
    if let Some(mut running) = server.take() {
        running.kill().unwrap();
        running.wait(BOUND).await.unwrap();
    }
    *server = Some(start(ground, name, port).await);
}

/// What a client did and was told to be done.
#[derive(Debug, Default)]
struct Expected {
    /// The folders and files that were made, by path, with the content that was put last.
    files: BTreeMap<String, String>,
    folders: Vec<String>,
}

/// One command, which may be killed on the way; whether it said that it was done.
async fn does(vfs: &Vfs, draw: &mut Draw, arguments: &[&str]) -> bool {
    let site = ["before-commit", "after-commit"][usize::try_from(draw.below(2)).unwrap()];
    let dies = draw.below(4) == 0;
    let vfs =
        if dies { vfs.with("VFS_CRASH", &format!("{site}:{}", 1 + draw.below(9))) } else { vfs.clone() };
    let outcome = vfs.run(arguments).await;
    assert!(dies || outcome.code().is_some(), "{arguments:?} died by itself: {}", outcome.stderr);
    outcome.code() == Some(0)
}

async fn holds(run: u64) {
    let ground = Ground::new().await;
    let mut draw = Draw(run.wrapping_mul(7_919).wrapping_add(1));
    let ports = [Port::reserve().unwrap(), Port::reserve().unwrap()];
    let mut servers = [None, None];
    for (at, server) in servers.iter_mut().enumerate() {
        restart(&ground, server, &format!("real-{at}"), ports[at].number()).await;
    }
    let mut networks = Vec::new();
    for port in &ports {
        networks.push(Network::start(port.number(), run).await);
    }
    let bases: Vec<String> = networks.iter().map(Network::base).collect();
    let mut clients = Vec::new();
    for name in ["desk", "lap", "phone"] {
        clients.push(ground.client_at("ada", name, &bases).await);
    }
    let mut expected = Expected::default();
    for step in 0..STEPS {
        let at = usize::try_from(draw.below(3)).unwrap();
        let vfs = &clients[at];
        match draw.below(10) {
            0 | 1 => {
                let path = format!("/d{step}");
                if does(vfs, &mut draw, &["mkdir", &path]).await {
                    expected.folders.push(path);
                }
            }
            2..=4 => {
                let (path, content) = (format!("/f{step}"), format!("content {run} {step}"));
                let file = ground.file(&format!("{run}-{step}"), content.as_bytes());
                if does(vfs, &mut draw, &["put", file.to_str().unwrap(), &path]).await {
                    expected.files.insert(path, content);
                }
            }
            5..=8 => {
                does(vfs, &mut draw, &["sync", "--tries", "2"]).await;
            }
            _ => {
                let which = usize::try_from(draw.below(2)).unwrap();
                let port = ports[which].number();
                restart(&ground, &mut servers[which], &format!("real-{which}"), port).await;
            }
        }
    }
    // The faults stop; then everything comes everywhere.
    for network in &networks {
        network.heal();
    }
    for _ in 0..HEALING {
        for vfs in &clients {
            vfs.good(&["sync"]).await;
        }
    }
    let tree = clients[0].paths().await;
    for vfs in &clients {
        assert_eq!(vfs.paths().await, tree, "run {run}");
        assert_eq!(vfs.good(&["queue"]).await, "nothing waits\n", "run {run}");
        for (path, content) in &expected.files {
            assert!(tree.contains(path), "run {run}: {path} was acknowledged and is lost: {tree:?}");
            assert_eq!(vfs.good(&["get", path]).await, *content, "run {run}");
        }
    }
    for path in &expected.folders {
        assert!(
            tree.contains(&format!("{path}/")),
            "run {run}: {path} was acknowledged and is lost: {tree:?}"
        );
    }
    assert_eq!(
        tree.iter().collect::<std::collections::BTreeSet<_>>().len(),
        tree.len(),
        "run {run}: {tree:?}"
    );
    let faults: u64 = networks.iter().map(Network::faults).sum();
    assert!(faults > 0, "run {run}: the network did nothing");
    let twice =
        "SELECT count(*) - count(DISTINCT client_op_id) FROM vfs_crdt_ops WHERE client_op_id IS NOT NULL";
    assert_eq!(ground.database.value::<i64>(twice).await, 0, "run {run}");
}

#[tokio::test]
async fn all_trees_and_files_are_equal_in_the_end_runs_00_to_06() {
    for run in 0..RUNS / 3 {
        holds(run).await;
    }
}

#[tokio::test]
async fn all_trees_and_files_are_equal_in_the_end_runs_06_to_13() {
    for run in RUNS / 3..RUNS * 2 / 3 {
        holds(run).await;
    }
}

#[tokio::test]
async fn all_trees_and_files_are_equal_in_the_end_runs_13_to_20() {
    for run in RUNS * 2 / 3..RUNS {
        holds(run).await;
    }
}

#[tokio::test]
async fn soak_all_trees_and_files_are_equal_in_hundreds_of_runs() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    let said = std::env::var("TIDEGATE_SOAK_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs = if is_long { said.unwrap_or(SOAK_RUNS) } else { 1 };
    for run in 0..runs {
        holds(1_000 + run).await;
    }
}
