//! Where the bytes are kept: what the `VFS_BLOB_*` variables say.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::key::{KeyPrefix, KeyPrefixError};

const PROVIDER: &str = "VFS_BLOB_STORE_PROVIDER";
const FILE_ROOT: &str = "VFS_BLOB_FILE_ROOT";
const BUCKET: &str = "VFS_BLOB_S3_BUCKET";
const KEY_PREFIX: &str = "VFS_BLOB_S3_KEY_PREFIX";
const ENDPOINT: &str = "VFS_BLOB_S3_ENDPOINT";
const REGION: &str = "VFS_BLOB_S3_REGION";
const ACCESS_KEY_ID: &str = "VFS_BLOB_S3_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "VFS_BLOB_S3_SECRET_ACCESS_KEY";
const FORCE_PATH_STYLE: &str = "VFS_BLOB_S3_FORCE_PATH_STYLE";
const ATTEMPTS: &str = "VFS_BLOB_ATTEMPTS";
const ATTEMPT_TIMEOUT: &str = "VFS_BLOB_ATTEMPT_TIMEOUT_MS";
const DEADLINE: &str = "VFS_BLOB_DEADLINE_MS";
const BACKOFF: &str = "VFS_BLOB_BACKOFF_MS";

/// Most attempts at one request.
pub const ATTEMPTS_MAX: u32 = 10;
/// Longest deadline and pause.
const SPAN_MAX: Duration = Duration::from_secs(600);

/// A configuration of the object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobConfig {
    /// What keeps the objects.
    pub provider: Provider,
    /// What stands before ids in keys.
    pub prefix: KeyPrefix,
    /// How requests are tried again.
    pub patience: Patience,
}

/// What keeps the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A bucket behind the protocol of S3.
    S3(S3Config),
    /// Files below a directory.
    File {
        /// The directory.
        root: PathBuf,
    },
}

/// A bucket and how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// The endpoint's URL; `None`: AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Access key and secret; `None`: what the environment of AWS gives.
    pub keys: Option<(String, String)>,
    /// Whether the bucket stands in the path and not in the host's name.
    pub path_style: bool,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("keys", &self.keys.as_ref().map(|(access, _)| (access, "‹secret›")))
            .field("path_style", &self.path_style)
            .finish()
    }
}

/// How long and how often the object store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in all, 1 to [`ATTEMPTS_MAX`].
    pub attempts: u32,
    /// For one attempt, up to the head of its answer; then between two pieces of the body.
    pub attempt_timeout: Duration,
    /// For all attempts of one request together, pauses included.
    pub deadline: Duration,
    /// Upper bound of the pause before the second attempt; it doubles with each further one.
    pub backoff: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            attempts: 4,
            attempt_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(90),
            backoff: Duration::from_millis(100),
        }
    }
}

/// Why the object store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobConfigError {
    /// A provider that there is not.
    #[error(
        "Unsupported {PROVIDER} \"{0}\". Expected \"s3\". (\"file\" keeps blobs below {FILE_ROOT}, on one machine.)"
    )]
    Provider(String),
    /// A variable that has to be there.
    #[error("Missing required blob storage environment variable: {0}")]
    Missing(&'static str),
    /// One of two that belong together.
    #[error("{ACCESS_KEY_ID} and {SECRET_ACCESS_KEY} must be set together or not at all")]
    HalfOfTheKeys,
    /// Neither yes nor no.
    #[error("{FORCE_PATH_STYLE} must be true, false, 1 or 0")]
    PathStyle,
    /// A prefix that would not stand in keys as it is given.
    #[error("{KEY_PREFIX} {0}")]
    Prefix(KeyPrefixError),
    /// A number out of its range.
    #[error("{name} must be a whole number from 1 to {most}")]
    Number {
        /// The variable.
        name: &'static str,
        /// The largest value.
        most: u64,
    },
    /// The store's client refuses the configuration.
    #[error("the object store cannot be set up: {0}; check the VFS_BLOB_* variables")]
    Store(String),
}

impl BlobConfigError {
    /// Whether nobody has said where blobs go: a server serves without them.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        matches!(self, Self::Missing(BUCKET))
    }
}

impl BlobConfig {
    /// Reads the variables; blank ones count as unset.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<BlobConfig, BlobConfigError> {
        let get = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let provider = match get(PROVIDER).as_deref() {
            None | Some("s3") => Provider::S3(S3Config::read(&get)?),
            Some("file") => {
                let root = get(FILE_ROOT).ok_or(BlobConfigError::Missing(FILE_ROOT))?;
                Provider::File { root: root.into() }
            }
            Some(other) => return Err(BlobConfigError::Provider(other.to_owned())),
        };
        let prefix = KeyPrefix::parse(&get(KEY_PREFIX).unwrap_or_default());
        let prefix = prefix.map_err(BlobConfigError::Prefix)?;
        Ok(BlobConfig { provider, prefix, patience: Patience::read(&get)? })
    }

    /// Where the objects are, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        let prefix = self.prefix.as_str();
        match &self.provider {
            Provider::S3(s3) => {
                let endpoint = s3.endpoint.as_deref().unwrap_or("AWS");
                format!("bucket {} at {endpoint} ({}), prefix {prefix:?}", s3.bucket, s3.region)
            }
            Provider::File { root } => format!("directory {}, prefix {prefix:?}", root.display()),
        }
    }
}

impl S3Config {
    fn read(get: &impl Fn(&str) -> Option<String>) -> Result<S3Config, BlobConfigError> {
        let bucket = get(BUCKET).ok_or(BlobConfigError::Missing(BUCKET))?;
        let endpoint = get(ENDPOINT);
        let region = get(REGION).or_else(|| get("AWS_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
        let keys = match (get(ACCESS_KEY_ID), get(SECRET_ACCESS_KEY)) {
            (Some(access), Some(secret)) => Some((access, secret)),
            (None, None) => get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY")),
            _ => return Err(BlobConfigError::HalfOfTheKeys),
        };
        let path_style = match get(FORCE_PATH_STYLE).as_deref() {
            None => endpoint.is_some(),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => return Err(BlobConfigError::PathStyle),
        };
        Ok(S3Config { bucket, endpoint, region, keys, path_style })
    }
}

impl Patience {
    fn read(get: &impl Fn(&str) -> Option<String>) -> Result<Patience, BlobConfigError> {
        let number = |name: &'static str, most: u64| match get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
                _ => Err(BlobConfigError::Number { name, most }),
            },
        };
        let most_ms = u64::try_from(SPAN_MAX.as_millis()).unwrap_or(u64::MAX);
        let span = |name: &'static str| Ok(number(name, most_ms)?.map(Duration::from_millis));
        let normal = Patience::default();
        let attempts = number(ATTEMPTS, u64::from(ATTEMPTS_MAX))?;
        Ok(Patience {
            attempts: attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(normal.attempts),
            attempt_timeout: span(ATTEMPT_TIMEOUT)?.unwrap_or(normal.attempt_timeout),
            deadline: span(DEADLINE)?.unwrap_or(normal.deadline),
            backoff: span(BACKOFF)?.unwrap_or(normal.backoff),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<BlobConfig, BlobConfigError> {
        BlobConfig::read(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn s3(variables: &[(&str, &str)]) -> S3Config {
        match read(variables).unwrap().provider {
            Provider::S3(config) => config,
            Provider::File { .. } => panic!("not s3"),
        }
    }

    #[test]
    fn refusals_have_their_texts() {
        let unsupported = read(&[(PROVIDER, "gcs")]).unwrap_err().to_string();
        assert!(
            unsupported.starts_with("Unsupported VFS_BLOB_STORE_PROVIDER \"gcs\". Expected \"s3\"."),
            "{unsupported}"
        );
        assert_eq!(
            read(&[]).unwrap_err().to_string(),
            "Missing required blob storage environment variable: VFS_BLOB_S3_BUCKET"
        );
        assert_eq!(
            read(&[(PROVIDER, "file")]).unwrap_err().to_string(),
            "Missing required blob storage environment variable: VFS_BLOB_FILE_ROOT"
        );
        assert_eq!(read(&[(BUCKET, "b"), (ACCESS_KEY_ID, "a")]).unwrap_err(), BlobConfigError::HalfOfTheKeys);
        assert_eq!(
            read(&[(BUCKET, "b"), (SECRET_ACCESS_KEY, "s")]).unwrap_err(),
            BlobConfigError::HalfOfTheKeys
        );
        assert_eq!(
            read(&[(BUCKET, "b"), (FORCE_PATH_STYLE, "yes")]).unwrap_err(),
            BlobConfigError::PathStyle
        );
        assert!(matches!(read(&[(BUCKET, "b"), (KEY_PREFIX, "../x")]), Err(BlobConfigError::Prefix(_))));
        assert!(matches!(read(&[(BUCKET, "b"), (ATTEMPTS, "0")]), Err(BlobConfigError::Number { .. })));
    }

    #[test]
    fn the_region_falls_back_twice() {
        assert_eq!(s3(&[(BUCKET, "b")]).region, "us-east-1");
        assert_eq!(s3(&[(BUCKET, "b"), ("AWS_REGION", "eu-west-1")]).region, "eu-west-1");
        assert_eq!(s3(&[(BUCKET, "b"), ("AWS_REGION", "x"), (REGION, "eu-north-1")]).region, "eu-north-1");
    }

    #[test]
    fn the_path_holds_the_bucket_where_an_endpoint_is_named() {
        assert!(!s3(&[(BUCKET, "b")]).path_style);
        assert!(s3(&[(BUCKET, "b"), (ENDPOINT, "http://x")]).path_style);
        assert!(!s3(&[(BUCKET, "b"), (ENDPOINT, "http://x"), (FORCE_PATH_STYLE, "0")]).path_style);
        assert!(s3(&[(BUCKET, "b"), (FORCE_PATH_STYLE, "true")]).path_style);
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = s3(&[(BUCKET, "b"), (ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "hush")]);
        assert!(!format!("{config:?}").contains("hush"));
    }
}
