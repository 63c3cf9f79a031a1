//! Finding the server programs on this machine, installing them where that is allowed, or naming the command that does.

mod install;

pub use install::{NotInstalled, Programs, ensure};

use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest PostgreSQL that is supported.
pub const OLDEST_POSTGRES: u32 = 15;

/// Where Debian puts one directory a major version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// Where servers may be although they are not on the PATH of an ordinary user.
const SYSTEM_PROGRAMS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A program that is not installed, with the command that installs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} was not found ({looked}); install it: {command}")]
pub struct Missing {
    /// The Debian package that has it.
    pub package: &'static str,
    /// What is missing.
    pub what: &'static str,
    /// Where it was looked for.
    pub looked: String,
    /// The exact command for Debian and its kin.
    pub command: &'static str,
}

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    directory: PathBuf,
    version: String,
    major: u32,
}

impl PostgresPrograms {
    /// Finds the newest installation of PostgreSQL 15 or newer: by `PATH`, by `pg_config`, in Debian's directories.
    ///
    /// # Errors
    /// [`Missing`] when there is none.
    pub fn find() -> Result<Self, Missing> {
        let mut directories = path_directories();
        directories.extend(debian_directories());
        directories.extend(from_pg_config());
        directories
            .into_iter()
            .filter_map(|directory| Self::at(&directory))
            .filter(|found| found.major >= OLDEST_POSTGRES)
            .max_by_key(|found| found.major)
            .ok_or_else(|| Missing {
                package: "postgresql",
                what: "a PostgreSQL server, version 15 or newer",
                looked: format!("PATH, pg_config, {DEBIAN_VERSIONS}/*/bin"),
                command: "sudo apt-get install -y --no-install-recommends postgresql",
            })
    }

    /// The installation whose programs are in `directory`, if it is complete.
    fn at(directory: &Path) -> Option<Self> {
        let server = std::fs::canonicalize(directory.join("postgres")).ok()?;
        let directory = server.parent()?.to_owned();
        if !directory.join("initdb").is_file() {
            return None;
        }
        let answer = Command::new(&server).arg("--version").output().ok()?;
        let version = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
        let major = major_of(&version)?;
        Some(Self { directory, version, major })
    }

    /// The path of one program, for example `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of all of them.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What `postgres --version` says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The major version, 15 or more.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }
}

/// Finds PgBouncer.
///
/// # Errors
/// [`Missing`] when it is not installed.
pub fn pgbouncer() -> Result<PathBuf, Missing> {
    on_path("pgbouncer").ok_or_else(|| Missing {
        package: "pgbouncer",
        what: "PgBouncer, version 1.18 or newer",
        looked: format!("PATH, {}", SYSTEM_PROGRAMS.join(", ")),
        command: "sudo apt-get install -y --no-install-recommends pgbouncer",
    })
}

/// Finds the Redis server.
///
/// # Errors
/// [`Missing`] when it is not installed.
pub fn redis() -> Result<PathBuf, Missing> {
    on_path("redis-server").ok_or_else(|| Missing {
        package: "redis-server",
        what: "a Redis server, version 7 or newer",
        looked: format!("PATH, {}", SYSTEM_PROGRAMS.join(", ")),
        command: "sudo apt-get install -y --no-install-recommends redis-server",
    })
}

/// Finds a program by `PATH` and in the system's directories.
fn on_path(program: &str) -> Option<PathBuf> {
    let mut directories = path_directories();
    directories.extend(SYSTEM_PROGRAMS.iter().map(PathBuf::from));
    directories.into_iter().map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The major version in a text such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn path_directories() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn debian_directories() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(DEBIAN_VERSIONS) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().join("bin")).collect()
}

fn from_pg_config() -> Option<PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| PathBuf::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("postgres"), None);
    }

    #[test]
    fn a_missing_program_names_the_command_that_installs_it() {
        let missing = Missing {
            package: "x",
            what: "x",
            looked: "PATH".to_owned(),
            command: "sudo apt-get install -y x",
        };
        assert_eq!(missing.to_string(), "x was not found (PATH); install it: sudo apt-get install -y x");
    }
}
