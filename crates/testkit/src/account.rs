//! The unprivileged account that servers run under: PostgreSQL and PgBouncer refuse to run as root.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Error;

/// A user and its primary group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whether programs must be switched to this account, because we are root.
    switched: bool,
}

/// Accounts taken when we are root, first found first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

impl Account {
    /// The account for servers: our own, or `postgres` or `nobody` when we are root.
    ///
    /// # Errors
    /// When we are root and the system has neither.
    pub fn for_servers() -> Result<Self, Error> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw(), switched: false });
        }
        let path = "/etc/passwd";
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        CANDIDATES.iter().find_map(|name| find(&text, name)).ok_or_else(|| {
            Error::State(format!(
                "PostgreSQL refuses to run as root, and {path} names none of {CANDIDATES:?}; \
                 add one of them or run as another user"
            ))
        })
    }

    /// A command that will run as this account, in a process group of its own so that signals sent to the test
    /// runner's group do not reach a server.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(0);
        if self.switched {
            command.uid(self.uid).gid(self.gid);
        }
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/");
        command
    }

    /// Gives a path to this account.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn own(&self, path: &std::path::Path) -> Result<(), Error> {
        if self.switched {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .map_err(Error::file("give away", path))?;
        }
        Ok(())
    }
}

/// Finds a user in the text of a passwd file.
fn find(passwd: &str, name: &str) -> Option<Account> {
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid, switched: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:a,b:/var:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some(Account { uid: 101, gid: 104, switched: true }));
        assert_eq!(find(passwd, "postg"), None);
    }
}
