//! What the server is told by its environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidegate_store::postgres::{Address, AddressError};

use crate::auth::TokenSecret;
use crate::blob::config::{BlobConfig, BlobConfigError};

const PORT_DEFAULT: u16 = 3000;
const POOL_DEFAULT: usize = 10;
/// Connections that one instance may be told to keep.
const POOL_MAX: usize = 200;
const CONNECT_DEFAULT: Duration = Duration::from_secs(5);
const HEAD_DEFAULT: Duration = Duration::from_secs(30);
const UPLOADS_DEFAULT: usize = 32;
/// Uploads that one instance may be told to take at a time: each holds two parts of 8 MiB.
const UPLOADS_MAX: usize = 1_000;
/// Bound of the times that can be set.
const TIME_MAX_MS: u64 = 3_600_000;
/// Bytes of a JSON body, unless `API_JSON_BODY_LIMIT` says otherwise.
const JSON_BODY_DEFAULT: usize = 10 << 20;
/// Bytes that `API_JSON_BODY_LIMIT` may allow.
const JSON_BODY_MAX: u64 = 256 << 20;

/// What every connection asks of the database. A statement of a request may take so long, unless its transaction says
/// otherwise. And nothing is compiled: each question here is small and asked often, and to compile one takes the database
/// longer than to answer it.
const SESSION_OPTIONS: &str = "-c statement_timeout=30s -c jit=off";

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
    /// A `VFS_BLOB_*` variable that is not what it must be.
    #[error("{0}")]
    Blobs(BlobConfigError),
}

/// Everything that the environment says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ADDRESS` (an IP address; default 127.0.0.1) and `PORT` (default 3000; 0: any that is free).
    pub listen: SocketAddr,
    /// `DATABASE_URL`, with a bound of 30 s for each statement.
    pub database: Address,
    /// `JWT_SECRET`. `None`: unset, and every request with a token is answered 500.
    pub token_secret: Option<TokenSecret>,
    /// `DATABASE_POOL_MAX`.
    pub pool_max: usize,
    /// `DATABASE_CONNECT_TIMEOUT_MS`.
    pub connect_timeout: Duration,
    /// `HTTP_HEAD_TIMEOUT_MS`: how long a connection may take to send the head of a request.
    pub head_timeout: Duration,
    /// `VFS_BLOB_UPLOADS_MAX`: uploads of raw bytes that this instance takes at a time.
    pub uploads_max: usize,
    /// `API_JSON_BODY_LIMIT`, in bytes.
    pub json_body_bytes: usize,
    /// The `VFS_BLOB_*` variables. Without a bucket, the routes that need one answer 500.
    pub blobs: Result<BlobConfig, BlobConfigError>,
    /// `INSTANCE_NAME`. Default: made of host and process.
    pub instance: String,
}

impl Config {
    /// Reads the environment, or what stands for it.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
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
        let pool_max = match get("DATABASE_POOL_MAX") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|max| (1..=POOL_MAX).contains(max))
                .ok_or_else(|| variable("DATABASE_POOL_MAX", "must be a number from 1 to 200"))?,
            None => POOL_DEFAULT,
        };
        let uploads_max = match get("VFS_BLOB_UPLOADS_MAX") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|max| (1..=UPLOADS_MAX).contains(max))
                .ok_or_else(|| variable("VFS_BLOB_UPLOADS_MAX", "must be a number from 1 to 1000"))?,
            None => UPLOADS_DEFAULT,
        };
        let json_body_bytes = match get("API_JSON_BODY_LIMIT") {
            Some(text) => bytes(&text).ok_or_else(|| {
                variable("API_JSON_BODY_LIMIT", "must be a size such as 512kb or 10mb, at most 256mb")
            })?,
            None => JSON_BODY_DEFAULT,
        };
        let span = |name: &'static str| get(name).map(|text| milliseconds(name, &text)).transpose();
        let bounded = |name: &str| match (name, env(name)) {
            ("PGOPTIONS", Some(given)) => Some(format!("{given} {SESSION_OPTIONS}")),
            ("PGOPTIONS", None) => Some(SESSION_OPTIONS.to_owned()),
            (_, value) => value,
        };
        Ok(Config {
            listen: SocketAddr::new(ip, port),
            database: database(&bounded)?,
            token_secret: get("JWT_SECRET").map(|secret| TokenSecret::of(&secret)),
            pool_max,
            connect_timeout: span("DATABASE_CONNECT_TIMEOUT_MS")?.unwrap_or(CONNECT_DEFAULT),
            head_timeout: span("HTTP_HEAD_TIMEOUT_MS")?.unwrap_or(HEAD_DEFAULT),
            uploads_max,
            json_body_bytes,
            blobs: match BlobConfig::read(env) {
                Err(error) if !error.is_unset() => return Err(ConfigError::Blobs(error)),
                read => read,
            },
            instance: get("INSTANCE_NAME").unwrap_or_else(|| {
                let host = env("HOSTNAME").filter(|host| !host.is_empty());
                format!("{}:{}", host.as_deref().unwrap_or("localhost"), std::process::id())
            }),
        })
    }
}

/// The address in `DATABASE_URL`.
///
/// # Errors
/// [`ConfigError`] when it is unset or cannot be read.
pub fn database(env: &dyn Fn(&str) -> Option<String>) -> Result<Address, ConfigError> {
    let url = env("DATABASE_URL").filter(|url| !url.trim().is_empty());
    let Some(url) = url else { return Err(variable("DATABASE_URL", "must be the URL of the database")) };
    Ok(Address::resolve(Some(url.trim()), &|name| env(name))?)
}

fn variable(name: &'static str, reason: &'static str) -> ConfigError {
    ConfigError::Variable { name, reason }
}

fn milliseconds(name: &'static str, text: &str) -> Result<Duration, ConfigError> {
    match text.parse() {
        Ok(ms) if (1..=TIME_MAX_MS).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(variable(name, "must be a number of milliseconds from 1 to 3600000")),
    }
}

/// A number of bytes, with or without one of the units b, kb, mb, gb (1024 of the one before).
fn bytes(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| (1..=JSON_BODY_MAX).contains(bytes))?;
    usize::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&|name| {
            let given = pairs.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            given.or_else(|| (name == "DATABASE_URL").then(|| "postgresql://u@h/d".to_owned()))
        })
    }

    #[test]
    fn a_database_is_all_that_is_needed_and_blank_is_unset() {
        let config = read(&[("JWT_SECRET", " ")]).unwrap();
        assert!(config.token_secret.is_none());
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!((config.pool_max, config.json_body_bytes), (10, 10 << 20));
    }

    #[test]
    fn without_a_bucket_it_serves_and_any_other_store_that_cannot_be_used_is_refused() {
        assert!(read(&[]).unwrap().blobs.is_err());
        assert!(read(&[("VFS_BLOB_S3_BUCKET", "b")]).unwrap().blobs.is_ok());
        for (name, value, said) in [
            ("VFS_BLOB_STORE_PROVIDER", "file", "VFS_BLOB_FILE_ROOT"),
            ("VFS_BLOB_STORE_PROVIDER", "gcs", "VFS_BLOB_STORE_PROVIDER"),
            ("VFS_BLOB_S3_FORCE_PATH_STYLE", "yes", "VFS_BLOB_S3_FORCE_PATH_STYLE"),
            ("VFS_BLOB_ATTEMPTS", "0", "VFS_BLOB_ATTEMPTS"),
        ] {
            let refused = read(&[(name, value), ("VFS_BLOB_S3_BUCKET", "b")]).unwrap_err().to_string();
            assert!(refused.contains(said), "{name}={value}: {refused}");
        }
    }

    #[test]
    fn a_body_limit_has_a_unit_or_is_in_bytes() {
        for (text, bytes) in [("100", 100), ("7b", 7), ("512kb", 512 << 10), ("1 MB", 1 << 20)] {
            assert_eq!(read(&[("API_JSON_BODY_LIMIT", text)]).unwrap().json_body_bytes, bytes);
        }
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (name, value) in [
            ("ADDRESS", "localhost"),
            ("PORT", "65536"),
            ("DATABASE_URL", "mysql://x"),
            ("DATABASE_URL", " "),
            ("DATABASE_POOL_MAX", "0"),
            ("DATABASE_CONNECT_TIMEOUT_MS", "soon"),
            ("HTTP_HEAD_TIMEOUT_MS", "0"),
            ("VFS_BLOB_UPLOADS_MAX", "0"),
            ("VFS_BLOB_UPLOADS_MAX", "1001"),
            ("API_JSON_BODY_LIMIT", "0"),
            ("API_JSON_BODY_LIMIT", "10mib"),
            ("API_JSON_BODY_LIMIT", "2gb"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
