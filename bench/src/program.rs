//! The program that is timed, built in the repository's own workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// The repository's root: the directory above this package.
#[must_use]
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo, as it started us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds `tidegate` for release and gives its path.
///
/// # Errors
/// When it cannot be built.
pub fn tidegate() -> Result<PathBuf, Failure> {
    let mut command = cargo();
    command.args(["build", "--release", "--package", "tidegate", "--target-dir"]);
    command.arg(root().join("target")).current_dir(root());
    let status = command.status().map_err(Failure::of("start cargo"))?;
    if !status.success() {
        return Err(Failure::new("tidegate could not be built; what cargo said is above"));
    }
    let path = root().join("target/release/tidegate");
    if path.is_file() {
        Ok(path)
    } else {
        Err(Failure::new(format!("{} is missing after its build", path.display())))
    }
}

/// Runs a command to its end, which must be a success, and gives the time from its start to its end.
///
/// # Errors
/// When it cannot be started or fails; with what it wrote to stderr.
pub fn timed(command: &mut Command) -> Result<Duration, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output().map_err(Failure::of("start a program"))?;
    let took = started.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{command:?} ended with {}:\n{}", output.status, said.trim())))
}
