//! Nothing is left behind, however a test process ends.

use std::path::Path;
use std::time::Duration;

use testkit::{Cluster, ClusterOptions, Program, Running, eventually};

const BOUND: Duration = Duration::from_secs(60);

/// The test that plays the dying part.
const NAME: &str = "leftovers::the_dying_part";

/// Set in the environment of the process that plays the dying test.
const PART: &str = "TESTKIT_PLAYS";

/// Runs this test program again with one test only, as the process that dies.
fn play(part: &str) -> Running {
    Program::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(PART, part)
        .start()
        .unwrap()
}

/// What [`play`] runs in a child. Without a part, it shows that the name in [`play`] is that of this test: a child
/// that runs nothing would leave nothing either.
#[tokio::test]
async fn the_dying_part() {
    let Ok(part) = std::env::var(PART) else {
        let list = Program::new(std::env::current_exe().unwrap()).args(["--list", "--exact", NAME]);
        let listed = list.run(BOUND).await.unwrap().stdout;
        assert!(listed.contains(&format!("{NAME}: test\n")), "{listed}");
        return;
    };
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let sleeper = Program::new("sleep").arg("1000").start().unwrap();
    println!("pids {} {}", cluster.pid().unwrap(), sleeper.pid());
    println!("data {}", cluster.data().display());
    match part.as_str() {
        "panic" => panic!("as it was told to"),
        "abort" => std::process::abort(),
        _ => std::future::pending().await,
    }
}

async fn leaves_nothing(mut child: Running, end: impl FnOnce(&mut Running)) {
    child.until_stdout("data /", BOUND).await.unwrap();
    let said = child.stdout();
    let pids: Vec<u32> = words(&said, "pids ").iter().map(|pid| pid.parse().unwrap()).collect();
    let data = words(&said, "data ").remove(0);
    assert_eq!(pids.len(), 2);
    end(&mut child);
    child.wait(BOUND).await.unwrap();
    eventually("the servers and their directory are gone", BOUND, || async {
        let running = pids.iter().any(|pid| runs(*pid));
        (!running && !Path::new(&data).exists()).then_some(())
    })
    .await
    .unwrap();
}

/// Whether a process exists and has not ended (an ended one that nobody waited for is a zombie).
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn words(said: &str, start: &str) -> Vec<String> {
    let line = said.lines().find_map(|line| line.split_once(start)).unwrap().1;
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_panicking_test_leaves_nothing() {
    leaves_nothing(play("panic"), |_| ()).await;
}

#[tokio::test]
async fn an_aborting_test_leaves_nothing() {
    leaves_nothing(play("abort"), |_| ()).await;
}

#[tokio::test]
async fn a_killed_test_leaves_nothing() {
    leaves_nothing(play("wait"), |child| child.kill().unwrap()).await;
}

#[tokio::test]
async fn a_dropped_cluster_leaves_nothing() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let (pid, data) = (cluster.pid().unwrap(), cluster.data());
    assert!(runs(pid) && data.exists());
    drop(cluster);
    assert!(!runs(pid) && !data.exists());
}
