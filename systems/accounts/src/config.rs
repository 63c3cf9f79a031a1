//! What the service is told by its environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidegate_store::postgres::{Address, AddressError};

use tidegate_switch::LOST_AFTER_DEFAULT;

use crate::auth::{AuthSecret, HashCost};

const PORT_DEFAULT: u16 = 3000;
const POOL_DEFAULT: usize = 10;
/// Connections that one instance may be told to keep.
const POOL_MAX: usize = 200;
const IDLE_DEFAULT: Duration = Duration::from_secs(30);
const CONNECT_DEFAULT: Duration = Duration::from_secs(5);
/// Bound of the times that can be set.
const TIME_MAX_MS: u64 = 3_600_000;

/// Why the environment cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that is not what it must be.
    #[error("{name}: {reason}")]
    Variable {
        /// Which.
        name: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// An address that cannot be read.
    #[error("DATABASE_URL: {0}")]
    Database(#[from] AddressError),
}

/// How signing in works here.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// From `AUTH_SECRET`.
    pub secret: AuthSecret,
    /// From `AUTH_BASE_URL`: scheme, host and port, such as `https://accounts.example.org`.
    pub origin: String,
}

impl AuthConfig {
    /// Whether browsers may send the cookie over TLS only.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }
}

/// Everything that the environment says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ADDRESS` (an IP address; default 127.0.0.1) and `PORT` (default 3000; 0: any that is free).
    pub listen: SocketAddr,
    /// `DATABASE_URL`. `None`: unset, and every request that needs it is answered 503.
    pub database: Option<Address>,
    /// `AUTH_SECRET` and `AUTH_BASE_URL`. `None`: one is unset.
    pub auth: Option<AuthConfig>,
    /// `DATABASE_POOL_MAX`.
    pub pool_max: usize,
    /// `DATABASE_IDLE_TIMEOUT_MS`: a session of the pool that no request has taken for so long is ended.
    pub pool_idle: Duration,
    /// `DATABASE_CONNECT_TIMEOUT_MS`.
    pub connect_timeout: Duration,
    /// `AUTH_HASH_COST`, as `memory_kib,passes`.
    pub hash_cost: HashCost,
    /// `FLAGS_LOST_AFTER_MS`: after so much silence the instance is gone for whoever moves the flags, and takes no requests
    /// a little earlier. The page's `lost_after` must not be shorter.
    pub flags_lost_after: Duration,
    /// `INSTANCE_NAME`. Blank: made of host and process.
    pub instance: String,
}

impl Config {
    /// Reads the environment, or what stands for it.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable. An unset one is never an error.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let get =
            |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let ip = match get("ADDRESS") {
            Some(text) => text.parse().map_err(|_| variable("ADDRESS", "must be an IP address"))?,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let port = match get("PORT") {
            Some(text) => text.parse().map_err(|_| variable("PORT", "must be a port, 0 to 65535"))?,
            None => PORT_DEFAULT,
        };
        let wants_tls = get("DATABASE_SSL").is_some_and(|value| value == "true");
        let tls_env = |name: &str| match (name, env(name)) {
            ("PGSSLMODE", None) if wants_tls => Some("require".to_owned()),
            (_, value) => value,
        };
        let database = match get("DATABASE_URL") {
            Some(url) => Some(Address::resolve(Some(&url), &tls_env)?),
            None => None,
        };
        let auth = match (get("AUTH_SECRET"), get("AUTH_BASE_URL")) {
            (Some(secret), Some(url)) => {
                Some(AuthConfig { secret: AuthSecret::of(&secret), origin: origin_of(&url)? })
            }
            _ => None,
        };
        let hash_cost = match get("AUTH_HASH_COST") {
            Some(text) => HashCost::read(&text).ok_or_else(|| {
                variable("AUTH_HASH_COST", "must be memory in KiB and passes, such as 19456,2")
            })?,
            None => HashCost::DEFAULT,
        };
        let pool_max = match get("DATABASE_POOL_MAX") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|max| (1..=POOL_MAX).contains(max))
                .ok_or_else(|| variable("DATABASE_POOL_MAX", "must be a number from 1 to 200"))?,
            None => POOL_DEFAULT,
        };
        Ok(Config {
            listen: SocketAddr::new(ip, port),
            database,
            auth,
            pool_max,
            pool_idle: milliseconds(
                "DATABASE_IDLE_TIMEOUT_MS",
                get("DATABASE_IDLE_TIMEOUT_MS"),
                IDLE_DEFAULT,
            )?,
            connect_timeout: milliseconds(
                "DATABASE_CONNECT_TIMEOUT_MS",
                get("DATABASE_CONNECT_TIMEOUT_MS"),
                CONNECT_DEFAULT,
            )?,
            hash_cost,
            flags_lost_after: milliseconds(
                "FLAGS_LOST_AFTER_MS",
                get("FLAGS_LOST_AFTER_MS"),
                LOST_AFTER_DEFAULT,
            )?,
            instance: get("INSTANCE_NAME").unwrap_or_default(),
        })
    }
}

fn variable(name: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::Variable { name, reason }
}

fn milliseconds(
    name: &'static str,
    text: Option<String>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(ms) if (1..=TIME_MAX_MS).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(variable(name, "must be a number of milliseconds from 1 to 3600000")),
    }
}

/// Scheme, host and port of a URL, in lower case.
fn origin_of(url: &str) -> Result<String, ConfigError> {
    let reason = "must be a URL that begins with http:// or https:// and a host";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| variable("AUTH_BASE_URL", reason))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains(['@', ' ']) {
        return Err(variable("AUTH_BASE_URL", reason));
    }
    Ok(format!("{scheme}://{}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn nothing_is_needed_and_blank_is_unset() {
        let config = read(&[("AUTH_SECRET", " "), ("AUTH_BASE_URL", "https://a.example")]).unwrap();
        assert!(config.database.is_none() && config.auth.is_none());
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!((config.pool_max, config.pool_idle), (10, Duration::from_secs(30)));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (name, value) in [
            ("ADDRESS", "localhost"),
            ("PORT", "65536"),
            ("DATABASE_URL", "mysql://x"),
            ("DATABASE_POOL_MAX", "0"),
            ("DATABASE_POOL_MAX", "201"),
            ("DATABASE_IDLE_TIMEOUT_MS", "-1"),
            ("DATABASE_CONNECT_TIMEOUT_MS", "soon"),
            ("AUTH_HASH_COST", "much"),
            ("FLAGS_LOST_AFTER_MS", "0"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        let error =
            read(&[("AUTH_SECRET", "s"), ("AUTH_BASE_URL", "accounts.example")]).unwrap_err().to_string();
        assert!(error.starts_with("AUTH_BASE_URL: must be a URL"), "{error}");
    }

    #[test]
    fn the_base_url_says_where_requests_come_from() {
        let auth = |url| read(&[("AUTH_SECRET", "s"), ("AUTH_BASE_URL", url)]).unwrap().auth.unwrap();
        assert_eq!(auth("https://A.example:8443/x?y").origin, "https://a.example:8443");
        assert!(auth("https://a.example").is_secure() && !auth("http://a.example").is_secure());
    }
}
