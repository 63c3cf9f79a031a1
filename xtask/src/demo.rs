//! The demonstration: built together with the programs that it shows, then run.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::steps::{cargo, succeeds};

/// The packages whose programs are shown, and the one that shows them. Cargo builds them in one go: one after the
/// other, each set would have dependencies of its own.
const PACKAGES: [&str; 6] = ["demo", "tidegate", "accounts", "vfs-server", "ledger", "trips"];

/// Builds, and shows what the words say. Answers as the demonstration answers.
pub(crate) fn run(root: &Path, words: &[&str]) -> ExitCode {
    if !succeeds(&mut build(root)) {
        return ExitCode::FAILURE;
    }
    let Some(target) =
        std::env::current_exe().ok().and_then(|xtask| Some(xtask.parent()?.parent()?.to_owned()))
    else {
        eprintln!("could not tell where this program was built");
        return ExitCode::FAILURE;
    };
    let mut show = Command::new(target.join("release/demo"));
    show.args(words);
    match show.status() {
        Ok(status) => {
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("could not start the demonstration: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The build. Cargo says what it does: the first time takes minutes.
fn build(root: &Path) -> Command {
    let mut command = cargo(root, &["build", "--release"]);
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    command
}
