//! The program that is shown: built like this one, and found beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Builds `tidegate` with the profile that this program was built with, and gives its path.
pub(crate) fn build() -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments: &[&str] = if cfg!(debug_assertions) {
        &["build", "--package", "tidegate"]
    } else {
        &["build", "--package", "tidegate", "--release"]
    };
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    let status = command.status().map_err(Error::file("start", "cargo"))?;
    if !status.success() {
        let command = format!("cargo {}", arguments.join(" "));
        return Err(Error::Build { command, status: status.to_string() });
    }
    let this = std::env::current_exe().map_err(Error::file("find", "this program"))?;
    let program = this.with_file_name("tidegate");
    std::fs::metadata(&program).map_err(Error::file("find", &program))?;
    Ok(program)
}

/// The repository's root: the directory above this package.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
