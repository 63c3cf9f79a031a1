//! Where a database is and who connects to it.

mod error;
mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::passfile;
pub use error::AddressError;

/// How long one attempt to connect may take when nothing else is said.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Hosts that one address may name.
pub const HOSTS_MAX: usize = 16;
const PORT_DEFAULT: u16 = 5432;

/// How far the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS where the server offers it, plain text otherwise.
    Prefer,
    /// TLS; the certificate is examined only when root certificates are named.
    Require,
    /// TLS with a certificate that a root certificate vouches for.
    VerifyCa,
    /// As `VerifyCa`, and the certificate is for the host that was asked for.
    VerifyFull,
}

impl TlsMode {
    const ALL: [(&'static str, TlsMode); 5] = [
        ("disable", TlsMode::Disable),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }
}

/// Whose signature makes a certificate good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsRoots {
    /// The certificates in this PEM file. A server that shows one of these very certificates is trusted by that
    /// alone; its dates are then not looked at.
    File(PathBuf),
    /// The operating system's.
    System,
}

/// What the session must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSession {
    /// Anything.
    Any,
    /// Accepts writes by default.
    ReadWrite,
    /// Does not accept writes by default.
    ReadOnly,
    /// The server is not in recovery.
    Primary,
    /// The server is in recovery.
    Standby,
}

impl TargetSession {
    const ALL: [(&'static str, TargetSession); 5] = [
        ("any", TargetSession::Any),
        ("read-write", TargetSession::ReadWrite),
        ("read-only", TargetSession::ReadOnly),
        ("primary", TargetSession::Primary),
        ("standby", TargetSession::Standby),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, target)| *target == self).map_or("any", |(name, _)| name)
    }
}

/// One server that may answer.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// A host name, an IP address, or a directory with a socket when it begins with `/`.
    pub(super) name: String,
    pub(super) numeric: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

impl Host {
    pub(super) fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }

    pub(super) fn place(&self) -> String {
        if self.is_socket() {
            format!("{}/.s.PGSQL.{}", self.name, self.port)
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }
}

/// Everything needed to connect. `Debug` and [`Address::redacted`] never show a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) tls_mode: TlsMode,
    pub(super) tls_roots: Option<TlsRoots>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) target_session: TargetSession,
    pub(super) options: Option<String>,
    pub(super) application_name: Option<String>,
}

impl Address {
    /// The address as a URL without its password: fit for messages and logs.
    #[must_use]
    pub fn redacted(&self) -> String {
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|host| {
                let name = if host.name.contains(':') {
                    format!("[{}]", host.name)
                } else {
                    percent_encode(&host.name)
                };
                format!("{name}:{}", host.port)
            })
            .collect();
        format!(
            "postgresql://{}@{}/{}",
            percent_encode(&self.user),
            hosts.join(","),
            percent_encode(&self.database)
        )
    }

    /// The first host: a name, an IP address, or a directory with a socket.
    #[must_use]
    pub fn host(&self) -> &str {
        self.hosts.first().map_or("", |host| &host.name)
    }

    /// The first host's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.hosts.first().map_or(PORT_DEFAULT, |host| host.port)
    }

    /// Who connects.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How far the connection is protected.
    #[must_use]
    pub fn tls_mode(&self) -> TlsMode {
        self.tls_mode
    }

    /// The same servers and user, another database (for a scratch database beside this one). A password that came
    /// from a password file is kept.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Address {
        Address { database: database.to_owned(), ..self.clone() }
    }

    /// The same servers and database, with the user and password of `other` (for a login that goes through a pooler).
    #[must_use]
    pub fn with_credentials_of(&self, other: &Address) -> Address {
        let password = other.hosts.iter().find_map(|host| host.password.clone());
        let mut address = Address { user: other.user.clone(), ..self.clone() };
        for host in &mut address.hosts {
            host.password.clone_from(&password);
        }
        address
    }

    /// Every secret in this address, for a redactor. Empty when there is no password.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let mut secrets: Vec<&str> = self.hosts.iter().filter_map(|host| host.password.as_deref()).collect();
        secrets.dedup();
        secrets
    }

    /// `PG*` variables that make a libpq program connect to the same place. The password is not among them: see
    /// [`super::ChildAccess`].
    #[must_use]
    pub fn libpq_environment(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        let list = |each: &dyn Fn(&Host) -> String| self.hosts.iter().map(each).collect::<Vec<_>>().join(",");
        set("PGHOST", list(&|host| host.name.clone()));
        if self.hosts.iter().any(|host| host.numeric.is_some()) {
            set("PGHOSTADDR", list(&|host| host.numeric.map(|ip| ip.to_string()).unwrap_or_default()));
        }
        set("PGPORT", list(&|host| host.port.to_string()));
        set("PGUSER", self.user.clone());
        set("PGDATABASE", self.database.clone());
        set("PGSSLMODE", self.tls_mode.name().to_owned());
        match &self.tls_roots {
            Some(TlsRoots::File(path)) => set("PGSSLROOTCERT", path.display().to_string()),
            // Programs older than PostgreSQL 16 do not know the word "system": they get the file it stands for.
            Some(TlsRoots::System) => {
                if let Some(path) = super::tls::system_roots_file() {
                    set("PGSSLROOTCERT", path.display().to_string());
                }
            }
            None => {}
        }
        let seconds = self.connect_timeout.map_or(0, |limit| limit.as_secs());
        set("PGCONNECT_TIMEOUT", seconds.to_string());
        if self.target_session != TargetSession::Any {
            set("PGTARGETSESSIONATTRS", self.target_session.name().to_owned());
        }
        if let Some(options) = &self.options {
            set("PGOPTIONS", options.clone());
        }
        set("PGCLIENTENCODING", "UTF8".to_owned());
        variables
    }

    /// The lines of a password file for a libpq program, one a host; `None` when there is no password.
    #[must_use]
    pub fn passfile_line(&self) -> Option<String> {
        let lines: Vec<String> = self
            .hosts
            .iter()
            .filter_map(|host| {
                let password = host.password.as_deref()?;
                // libpq looks its default socket directory up as "localhost"; a star matches either way.
                let name = if host.is_socket() { "*".to_owned() } else { passfile::escape(&host.name) };
                Some(format!(
                    "{name}:{}:*:{}:{}",
                    host.port,
                    passfile::escape(&self.user),
                    passfile::escape(password)
                ))
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.redacted()).finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}
