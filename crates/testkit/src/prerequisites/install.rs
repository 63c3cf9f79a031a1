//! Installing what is missing with the system's package manager.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Missing, PostgresPrograms, pgbouncer, redis};

/// Everything that tests and demonstrations start.
#[derive(Debug, Clone)]
pub struct Programs {
    /// PostgreSQL, 15 or newer.
    pub postgres: PostgresPrograms,
    /// PgBouncer.
    pub pgbouncer: PathBuf,
    /// The Redis server.
    pub redis: PathBuf,
}

impl Programs {
    /// Finds all of them.
    ///
    /// # Errors
    /// What is missing, all of it.
    pub fn find() -> Result<Self, Vec<Missing>> {
        match (PostgresPrograms::find(), pgbouncer(), redis()) {
            (Ok(postgres), Ok(pgbouncer), Ok(redis)) => Ok(Self { postgres, pgbouncer, redis }),
            (postgres, pooler, redis) => {
                Err([postgres.err(), pooler.err(), redis.err()].into_iter().flatten().collect())
            }
        }
    }
}

/// Programs that are missing and could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("{}\n{reason}\nrun this, then try again:\n    {command}", list(missing))]
pub struct NotInstalled {
    /// What is missing.
    pub missing: Vec<Missing>,
    /// Why it was not installed.
    pub reason: String,
    /// The command that installs all of it.
    pub command: String,
}

/// Finds all programs, installing what is missing when we are root or may use sudo without a password.
///
/// `say` is told before anything is installed.
///
/// # Errors
/// [`NotInstalled`] with the exact command, when we may not install or the package manager fails.
pub fn ensure(mut say: impl FnMut(&str)) -> Result<Programs, NotInstalled> {
    let missing = match Programs::find() {
        Ok(programs) => return Ok(programs),
        Err(missing) => missing,
    };
    let packages: Vec<&str> = missing.iter().map(|missing| missing.package).collect();
    let command = format!("sudo apt-get install -y --no-install-recommends {}", packages.join(" "));
    let refuse =
        |missing, reason: &str| NotInstalled { missing, reason: reason.to_owned(), command: command.clone() };
    if !succeeds(Command::new("apt-get").arg("--version")) {
        let reason = "this system has no apt-get; install them with its own package manager";
        return Err(refuse(missing, reason));
    }
    let Some(authority) = Authority::find() else {
        let reason = "installing needs root, and sudo asks for a password";
        return Err(refuse(missing, reason));
    };
    say(&format!("installing {} with apt-get", packages.join(", ")));
    // The lists of a fresh machine are empty or old: on a failure they are fetched, and it is tried once more.
    if !authority.install(&packages) {
        authority.apt(&["update", "-qq"]);
        if !authority.install(&packages) {
            return Err(refuse(missing, "apt-get could not install them; what it said is above"));
        }
    }
    Programs::find().map_err(|missing| refuse(missing, "apt-get installed versions that are too old"))
}

/// By whose right packages are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    Root,
    Sudo,
}

impl Authority {
    fn find() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self::Root);
        }
        succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    fn install(self, packages: &[&str]) -> bool {
        self.apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
    }

    /// Runs apt-get; what it says goes to standard error.
    fn apt(self, arguments: &[&str]) -> bool {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => Command::new("sudo"),
        };
        if self == Self::Sudo {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        command.status().is_ok_and(|status| status.success())
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn list(missing: &[Missing]) -> String {
    let lines: Vec<String> = missing
        .iter()
        .map(|missing| format!("{} was not found ({})", missing.what, missing.looked))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_reason_and_one_command() {
        let missing = Missing {
            package: "p",
            what: "P",
            looked: "PATH".to_owned(),
            command: "sudo apt-get install -y p",
        };
        let error = NotInstalled {
            missing: vec![missing],
            reason: "no right".to_owned(),
            command: "sudo x".to_owned(),
        };
        let expected = "P was not found (PATH)\nno right\nrun this, then try again:\n    sudo x";
        assert_eq!(error.to_string(), expected);
    }
}
