//! From a connection string, the environment and the password file to an [`Address`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Address, AddressError, CONNECT_TIMEOUT_DEFAULT, HOSTS_MAX, Host, PORT_DEFAULT, TargetSession, TlsMode,
    TlsRoots,
};
use crate::postgres::{conninfo, passfile};

/// Where servers put their sockets: Debian's place, then the one upstream compiles in.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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
