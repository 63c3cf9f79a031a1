//! Programs that do the same work, installed by name and version where they are not there yet.

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::program::cargo;

/// The peer's version.
const SQLX: &str = "0.9.0";

/// The program `sqlx` of the package `sqlx-cli`, with PostgreSQL and without TLS, and its version.
///
/// # Errors
/// When it cannot be installed.
pub fn sqlx() -> Result<(PathBuf, &'static str), Failure> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let program = tools.join("bin/sqlx");
    if !program.is_file() {
        eprintln!("installing sqlx-cli {SQLX} below bench/target; this takes a few minutes");
        let mut install = cargo();
        install.args(["install", "sqlx-cli", "--locked", "--version", SQLX, "--no-default-features"]);
        install.args(["--features", "postgres", "--root"]).arg(&tools);
        let status = install.status().map_err(Failure::of("start cargo"))?;
        if !status.success() {
            return Err(Failure::new("sqlx-cli could not be installed; what cargo said is above"));
        }
    }
    Ok((program, SQLX))
}
