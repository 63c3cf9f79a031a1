//! The long forms of the tests: the same properties at sizes and durations that every change cannot wait for, the
//! demonstration, and the benchmarks.

use std::path::Path;
use std::process::Command;

use crate::prerequisites;
use crate::steps::{Steps, cargo, has_subcommand};

/// Tests that have a long form carry this in their name.
const MARK: &str = "soak_";

/// Tests read this variable to know that they may take long.
const VARIABLE: &str = "TIDEGATE_SOAK";

/// The systems that are shown.
const SYSTEMS: [&str; 4] = ["accounts", "vfs", "ledger", "trips"];

/// The claims that are measured, one binary each. They stand last: a figure wants a machine that does nothing else.
const BENCHMARKS: [&str; 10] = [
    "check_2000",
    "migrate_200",
    "compare_2m",
    "backfill_2m",
    "barrier",
    "vfs_sync",
    "vfs_blobs",
    "vfs_client",
    "ledger_debits",
    "trips_apply",
];

/// Runs the long forms whose names contain `filter`, and prints what they print: the figures. Without a filter the
/// demonstrations and the benchmarks run, too.
pub(crate) fn run(root: &Path, filter: Option<&str>) -> bool {
    let mut steps = Steps::default();
    steps.command("prerequisites", prerequisites::command(root));
    long_forms(root, filter, &mut steps);
    if filter.is_none() {
        for system in SYSTEMS {
            let words = ["run", "--quiet", "--package", "xtask", "--", "demo", system];
            steps.command(&format!("demonstration {system}"), cargo(root, &words));
        }
        for name in BENCHMARKS {
            steps.command(&format!("benchmark {name}"), benchmark(root, name));
        }
    }
    steps.finish()
}

/// A benchmark, from its own workspace.
fn benchmark(root: &Path, name: &str) -> Command {
    cargo(root, &["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--bin", name])
}

fn long_forms(root: &Path, filter: Option<&str>, steps: &mut Steps) {
    let mut command = if has_subcommand(root, "nextest") {
        let chosen = filter.map_or(String::new(), |filter| format!(" & test({filter})"));
        let expression = format!("test({MARK}){chosen}");
        let mut command = cargo(root, &["nextest", "run", "--workspace", "--profile", "soak", "--release"]);
        command.args(["--no-tests", "fail", "--filterset", &expression]);
        command
    } else {
        let name = filter.unwrap_or(MARK);
        let mut command = cargo(root, &["test", "--workspace", "--release", "--no-fail-fast"]);
        command.args([name, "--", "--nocapture", "--test-threads", "1"]);
        command
    };
    command.env(VARIABLE, "1");
    steps.command("long forms", command);
}
