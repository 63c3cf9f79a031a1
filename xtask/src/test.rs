//! Every check, in the order in which a failure costs least.

use std::path::Path;

use crate::steps::{Steps, cargo, has_subcommand};
use crate::{prerequisites, tidy};

/// Runs every check and answers whether all passed. A failure does not keep the later ones from running.
pub(crate) fn run(root: &Path) -> bool {
    let mut steps = Steps::default();
    steps.command("prerequisites", prerequisites::command(root));
    steps.command("format", cargo(root, &["fmt", "--all", "--check"]));
    steps.run("tidy", "cargo xtask tidy", || tidy::run(root));
    let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    steps.command("lints", cargo(root, &lints));
    if has_subcommand(root, "nextest") {
        steps.command("tests", cargo(root, &["nextest", "run", "--workspace", "--no-fail-fast"]));
        let mut redis = cargo(root, &["nextest", "run", "--package", "trips", "--no-fail-fast"]);
        redis.env("TRIPS_TEST_STORE", "redis");
        steps.command("tests of the trip log on Redis", redis);
    } else {
        eprintln!("cargo-nextest is not installed: the tests of a package share one process and one server");
        let plain = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];
        steps.command("tests", cargo(root, &plain));
    }
    steps.command("documentation tests", cargo(root, &["test", "--workspace", "--doc", "--no-fail-fast"]));
    let mut documentation = cargo(root, &["doc", "--workspace", "--no-deps", "--quiet"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    steps.command("documentation", documentation);
    steps.finish()
}
