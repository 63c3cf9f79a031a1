//! Programs that do the same work, installed by name and version where they are not there yet.

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The version of the peer that compares.
const RELADIFF: &str = "0.6.0";

/// The program `reladiff` of the Python package of that name, and its version.
///
/// # Errors
/// When it cannot be installed.
pub fn reladiff() -> Result<(PathBuf, &'static str), Failure> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/reladiff");
    let program = tools.join("bin/reladiff");
    if !program.is_file() {
        eprintln!("installing reladiff {RELADIFF} below bench/target");
        run(Command::new("python3").args(["-m", "venv"]).arg(&tools))?;
        let wanted = format!("reladiff[postgresql]=={RELADIFF}");
        run(Command::new(tools.join("bin/pip")).args(["install", "--quiet", &wanted]))?;
    }
    Ok((program, RELADIFF))
}

/// The version of the peer that syncs documents.
const POUCHDB: &str = "4.2.0";

/// The program of the npm package `pouchdb-server`, and its version.
///
/// # Errors
/// When it cannot be installed.
pub fn pouchdb() -> Result<(PathBuf, &'static str), Failure> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/pouchdb");
    let program = tools.join("node_modules/.bin/pouchdb-server");
    if !program.is_file() {
        eprintln!("installing pouchdb-server {POUCHDB} below bench/target; this takes a few minutes");
        let wanted = format!("pouchdb-server@{POUCHDB}");
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&tools)
            .arg(&wanted))?;
    }
    Ok((program, POUCHDB))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(Failure::of("start the installation"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{command:?} failed; what it said is above")))
    }
}
