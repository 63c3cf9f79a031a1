//! A prepared data directory, made once per machine and PostgreSQL version, copied for each cluster.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::prerequisites::PostgresPrograms;
use crate::{Error, scratch};

/// Changes when the recipe below changes, so that an older image is not taken.
const RECIPE: &str = "r1";

/// Who may connect how. Members of `scram_only` need their password; everybody else on this machine is trusted.
pub(crate) const HBA: &str = "\
local   all          all                        trust
host    all          +scram_only  127.0.0.1/32  scram-sha-256
host    all          all          127.0.0.1/32  trust
host    replication  all          127.0.0.1/32  trust
";

/// The name of the superuser of every cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// The prepared data directory for this installation; made by the first process that asks, others wait for it.
pub(crate) fn prepared(programs: &PostgresPrograms, account: &Account) -> Result<PathBuf, Error> {
    let shared = scratch::shared()?;
    let version: String =
        programs.version().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let image = shared.join(format!("image-{RECIPE}-{version}"));
    if image.is_dir() {
        return Ok(image);
    }
    let lock_path = shared.join("image.lock");
    let lock = File::create(&lock_path).map_err(Error::file("make", &lock_path))?;
    lock.lock().map_err(Error::file("lock", &lock_path))?;
    if image.is_dir() {
        return Ok(image);
    }
    let unfinished = scratch::directory("i")?;
    let data = unfinished.join("data");
    let mut initdb = account.command(programs.program("initdb"));
    initdb.args(["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"]);
    initdb.args(["--no-sync", "--wal-segsize", "4", "--pgdata"]).arg(&data);
    run(initdb, "initdb")?;
    let hba = data.join("pg_hba.conf");
    std::fs::write(&hba, HBA).map_err(Error::file("write", &hba))?;
    prepare_roles(programs, account, &data)?;
    std::fs::rename(&data, &image).map_err(Error::file("rename", &data))?;
    Ok(image)
}

/// Makes the roles that `pg_hba.conf` names, without a server.
fn prepare_roles(programs: &PostgresPrograms, account: &Account, data: &Path) -> Result<(), Error> {
    let mut single = account.command("/bin/sh");
    single.args(["-c", "echo 'CREATE ROLE scram_only NOLOGIN' | \"$0\" --single -F -D \"$1\" postgres"]);
    single.arg(programs.program("postgres")).arg(data);
    run(single, "postgres --single")
}

/// Copies the prepared directory; blocks are shared where the file system can.
pub(crate) fn copy(image: &Path, to: &Path, account: &Account) -> Result<(), Error> {
    let mut cp = account.command("cp");
    cp.args(["-a", "--reflink=auto"]).arg(image).arg(to);
    run(cp, "cp")
}

/// Runs a command to its end and keeps what it said for the error.
pub(crate) fn run(mut command: std::process::Command, program: &str) -> Result<(), Error> {
    let output = command.output().map_err(Error::process("run", program))?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Failed { program: program.to_owned(), status: output.status.to_string(), output: said })
}
