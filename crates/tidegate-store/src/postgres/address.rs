//! Where a database is and who connects to it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{conninfo, passfile};

/// How long one attempt to connect may take when nothing else is said.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Hosts that one address may name.
pub const HOSTS_MAX: usize = 16;
const PORT_DEFAULT: u16 = 5432;
/// Where servers put their sockets: Debian's place, then the one upstream compiles in.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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
    /// The certificates in this PEM file.
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

/// An address that cannot be used. No message repeats the text of a URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is no connection string.
    #[error("the database address cannot be read: {what}")]
    Syntax {
        /// What is wrong with it.
        what: String,
    },
    /// A keyword that means nothing here.
    #[error("the database address sets '{keyword}', which is not supported; remove it")]
    UnknownKeyword {
        /// The keyword.
        keyword: String,
    },
    /// A value that its keyword does not take.
    #[error("{name}='{value}' in the database address or environment is not valid: expected {expected}")]
    BadValue {
        /// The keyword or environment variable.
        name: String,
        /// The value given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Numbers of hosts, ports and numeric addresses that do not fit.
    #[error(
        "the database address names {hosts} host(s) but {others} {what}; give one for all or one for each"
    )]
    CountMismatch {
        /// How many hosts.
        hosts: usize,
        /// How many of the others.
        others: usize,
        /// What the others are.
        what: &'static str,
    },
    /// Nobody said who connects.
    #[error("no database user is known; name one in the address, or set PGUSER")]
    NoUser,
    /// The password file cannot be read.
    #[error("the password file {} cannot be read", path.display())]
    PassfileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The password file is open to others.
    #[error("the password file {} may be read by others (mode {mode:04o}); run chmod 600 on it", path.display())]
    PassfileTooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Verification was asked for without anything to verify against.
    #[error("sslmode={mode} needs root certificates: set sslrootcert to a PEM file or to 'system'")]
    NoRootCertificates {
        /// The mode.
        mode: &'static str,
    },
}

/// Keywords of libpq that change nothing here: they are about other ways to protect, detect or name a connection.
const IGNORED: [&str; 8] = [
    "channel_binding",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// Keywords with a meaning, and the variable that stands in for each.
const KEYWORDS: [(&str, Option<&str>); 14] = [
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("port", Some("PGPORT")),
    ("user", Some("PGUSER")),
    ("password", Some("PGPASSWORD")),
    ("dbname", Some("PGDATABASE")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("passfile", Some("PGPASSFILE")),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("application_name", Some("PGAPPNAME")),
    ("options", Some("PGOPTIONS")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("client_encoding", None),
];

/// What was written, then what the environment adds. An empty value counts as none.
struct Settings<'a> {
    written: BTreeMap<String, String>,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings<'_> {
    fn get(&self, keyword: &str) -> Option<String> {
        let variable = KEYWORDS.iter().find(|(name, _)| *name == keyword).and_then(|(_, variable)| *variable);
        self.written.get(keyword).cloned().filter(|value| !value.is_empty()).or_else(|| self.env(variable?))
    }

    fn env(&self, variable: &str) -> Option<String> {
        (self.env)(variable).filter(|value| !value.is_empty())
    }

    fn one_of<T: Copy>(
        &self,
        keyword: &'static str,
        allowed: &[(&'static str, T)],
        expected: &'static str,
        default: T,
    ) -> Result<T, AddressError> {
        let Some(value) = self.get(keyword) else {
            return Ok(default);
        };
        allowed
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| bad_value(keyword, value, expected))
    }
}

fn bad_value(keyword: &str, value: impl Into<String>, expected: &'static str) -> AddressError {
    AddressError::BadValue { name: keyword.to_owned(), value: value.into(), expected }
}

impl Address {
    /// Works out an address from a connection string and, for what it leaves out, the `PG*` variables that `env`
    /// answers for, the password file and libpq's defaults.
    ///
    /// `url` is a `postgres://` URL or a list of `keyword=value` pairs; `None` takes everything from the environment.
    ///
    /// # Errors
    /// Refuses what it cannot read or does not know, rather than connecting somewhere else than was meant.
    pub fn resolve(url: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<Address, AddressError> {
        let mut written = BTreeMap::new();
        for (keyword, value) in conninfo::parse(url.unwrap_or_default())? {
            if KEYWORDS.iter().any(|(known, _)| *known == keyword) {
                written.insert(keyword, value);
            } else if !IGNORED.contains(&keyword.as_str()) {
                return Err(AddressError::UnknownKeyword { keyword });
            }
        }
        let settings = Settings { written, env };
        if settings.get("host").is_none() && settings.env("PGSERVICE").is_some() {
            return Err(AddressError::UnknownKeyword { keyword: "PGSERVICE".to_owned() });
        }
        let user = settings
            .get("user")
            .or_else(|| settings.env("USER"))
            .or_else(|| settings.env("LOGNAME"))
            .ok_or(AddressError::NoUser)?;
        let database = settings.get("dbname").unwrap_or_else(|| user.clone());
        let (tls_mode, tls_roots) = resolve_tls(&settings)?;
        let hosts = resolve_hosts(&settings, &user, &database)?;
        match settings.get("client_encoding").as_deref() {
            None | Some("auto" | "UTF8" | "utf8" | "UTF-8" | "utf-8") => {}
            Some(other) => return Err(bad_value("client_encoding", other, "UTF8")),
        }
        let connect_timeout = match settings.get("connect_timeout") {
            None => Some(CONNECT_TIMEOUT_DEFAULT),
            Some(text) => {
                let seconds: i32 = text
                    .trim()
                    .parse()
                    .map_err(|_| bad_value("connect_timeout", text, "whole seconds, 0 for no limit"))?;
                u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
            }
        };
        Ok(Address {
            hosts,
            user,
            database,
            tls_mode,
            tls_roots,
            connect_timeout,
            target_session: settings.one_of(
                "target_session_attrs",
                &TargetSession::ALL,
                "any, read-write, read-only, primary or standby",
                TargetSession::Any,
            )?,
            options: settings.get("options"),
            application_name: settings.get("application_name"),
        })
    }

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

fn resolve_tls(settings: &Settings<'_>) -> Result<(TlsMode, Option<TlsRoots>), AddressError> {
    let roots = match settings.get("sslrootcert").as_deref() {
        Some("system") => Some(TlsRoots::System),
        Some(path) => Some(TlsRoots::File(PathBuf::from(path))),
        None => settings
            .env("HOME")
            .map(|home| Path::new(&home).join(".postgresql/root.crt"))
            .filter(|path| path.is_file())
            .map(TlsRoots::File),
    };
    let expected = "disable, prefer, require, verify-ca or verify-full";
    // As libpq has it, the system's roots vouch for host names only: anything weaker would accept any server.
    let default = match roots {
        Some(TlsRoots::System) => TlsMode::VerifyFull,
        _ => TlsMode::Prefer,
    };
    let mode = settings.one_of("sslmode", &TlsMode::ALL, expected, default)?;
    if roots == Some(TlsRoots::System) && mode != TlsMode::VerifyFull {
        return Err(bad_value("sslmode", mode.name(), "verify-full, because sslrootcert is 'system'"));
    }
    if matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull) && roots.is_none() {
        return Err(AddressError::NoRootCertificates { mode: mode.name() });
    }
    Ok((mode, roots))
}

fn resolve_hosts(settings: &Settings<'_>, user: &str, database: &str) -> Result<Vec<Host>, AddressError> {
    let split = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(',').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    };
    let numeric = split(settings.get("hostaddr"));
    let mut names = split(settings.get("host"));
    if names.is_empty() {
        names = if numeric.is_empty() { vec![default_host()] } else { numeric.clone() };
    }
    if names.len() > HOSTS_MAX {
        return Err(bad_value("host", names.join(","), "at most 16 hosts"));
    }
    let mismatch = |others: usize, what| AddressError::CountMismatch { hosts: names.len(), others, what };
    if !numeric.is_empty() && numeric.len() != names.len() {
        return Err(mismatch(numeric.len(), "numeric address(es)"));
    }
    let ports = split(settings.get("port"));
    if ports.len() > 1 && ports.len() != names.len() {
        return Err(mismatch(ports.len(), "ports"));
    }
    let password = settings.get("password");
    let passfile = settings.get("passfile").map(PathBuf::from).or_else(|| {
        let home = settings.env("HOME")?;
        Some(Path::new(&home).join(".pgpass"))
    });
    let mut hosts = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let port = match ports.get(at).or_else(|| ports.first().filter(|_| ports.len() == 1)) {
            Some(text) if !text.is_empty() => text
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| bad_value("port", text, "a number from 1 to 65535"))?,
            _ => PORT_DEFAULT,
        };
        let name = if name.is_empty() { default_host() } else { name.clone() };
        let numeric = match numeric.get(at).filter(|text| !text.is_empty()) {
            Some(text) => Some(text.parse().map_err(|_| bad_value("hostaddr", text, "an IP address"))?),
            None => None,
        };
        let password = match (&password, &passfile) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => {
                let host = if SOCKET_DIRECTORIES.contains(&name.as_str()) { "localhost" } else { &name };
                passfile::look_up(path, passfile::Wanted { host, port, database, user })?
            }
            (None, None) => None,
        };
        hosts.push(Host { name, numeric, port, password });
    }
    Ok(hosts)
}

fn default_host() -> String {
    SOCKET_DIRECTORIES
        .iter()
        .find(|directory| Path::new(directory).is_dir())
        .map_or_else(|| "localhost".to_owned(), |found| (*found).to_owned())
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
