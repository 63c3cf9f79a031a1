//! The directory of one client.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vfs_core::client::{Options, OptionsError};

use crate::transport::{Token, Transport};

/// How long one command waits for another one that works in the same directory, unless somebody says otherwise.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often it looks whether the other one has ended.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// Whose client it is, and whom it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The user.
    pub user_id: String,
    /// Which of the user's clients; no two alike.
    pub client_id: String,
    /// Base URLs of the servers, any of which may be asked.
    pub servers: Vec<String>,
    /// A file with the bearer token. None: `VFS_TOKEN` has it.
    pub token_file: Option<PathBuf>,
}

impl Identity {
    /// What the state machine is made with.
    ///
    /// # Errors
    /// What is wrong with the ids first.
    pub fn options(&self) -> Result<Options, OptionsError> {
        Options::new(&self.user_id, &self.client_id)?.pull_limit(vfs_core::feed::PAGE_ITEMS_MAX)
    }

    /// Where the bearer token comes from.
    #[must_use]
    pub fn token(&self) -> Token {
        match &self.token_file {
            Some(path) => Token::File(path.clone()),
            None => Token::Variable("VFS_TOKEN"),
        }
    }

    /// The way to some servers, as this client and with a token of this user only.
    #[must_use]
    pub fn transport(&self, servers: &[String]) -> Transport {
        Transport::new(servers, self.token(), &self.client_id).of_user(&self.user_id)
    }
}

/// Why a directory cannot be worked in.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Not made yet.
    #[error("{} is no client's directory yet; make it one with `vfs init`", path.display())]
    NotMade {
        /// The directory.
        path: PathBuf,
    },
    /// Made already.
    #[error("{} is a client's directory already, of {}; nothing was changed", path.display(), of)]
    Made {
        /// The directory.
        path: PathBuf,
        /// Whose.
        of: String,
    },
    /// Another command is at work in it.
    #[error("another `vfs` is at work in {}; try again when it has ended", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {doing} {}: {error}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        error: std::io::Error,
    },
    /// `client.json` is not what it must be.
    #[error("{} is not valid: {error}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HomeError {
    let path = path.to_owned();
    move |error| HomeError::File { doing, path, error }
}

/// The directory of one client. Whoever holds a [`Lock`] of it is alone in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
    wait: Duration,
}

/// Being alone in a directory, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// A directory, whether or not it is there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), wait: LOCK_WAIT }
    }

    /// The same, where another one that works in it is waited for as long as this.
    #[must_use]
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join("client.db")
    }

    /// The newest export that is known to be good.
    #[must_use]
    pub fn last_good(&self) -> PathBuf {
        self.path.join("last-good.json")
    }

    /// Where the bytes of blobs wait that are not on the server yet.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// What was counted, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.prom")
    }

    fn identity_file(&self) -> PathBuf {
        self.path.join("client.json")
    }

    /// Makes it the directory of a client.
    ///
    /// # Errors
    /// [`HomeError`]; a directory that is one already is left as it is.
    pub fn make(&self, identity: &Identity) -> Result<(), HomeError> {
        std::fs::create_dir_all(self.spool()).map_err(failed("make", &self.path))?;
        let _lock = self.lock()?;
        match self.identity() {
            Err(HomeError::NotMade { .. }) => {}
            Err(error) => return Err(error),
            Ok(known) => return Err(HomeError::Made { path: self.path.clone(), of: known.user_id }),
        }
        let text = serde_json::to_string_pretty(identity).unwrap_or_default();
        write_whole(&self.identity_file(), text.as_bytes()).map_err(failed("write", &self.identity_file()))
    }

    /// Whose it is.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn identity(&self) -> Result<Identity, HomeError> {
        let file = self.identity_file();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(HomeError::NotMade { path: self.path.clone() });
            }
            Err(error) => return Err(failed("read", &file)(error)),
        };
        serde_json::from_str(&text)
            .map_err(|error| HomeError::Identity { path: file, error: error.to_string() })
    }

    /// Waits until nobody else works in it.
    ///
    /// # Errors
    /// [`HomeError::Busy`] where that takes too long.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let path = self.path.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => HomeError::NotMade { path: self.path.clone() },
            _ => failed("open", &path)(error),
        })?;
        let until = Instant::now() + self.wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(HomeError::Busy { path: self.path.clone() });
                }
                Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_LOOK),
            }
        }
    }
}

/// Writes a file so that after any crash it is the old one or the new one.
///
/// # Errors
/// The file system's; then it is the old one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = (|| {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    if let Err(error) = written.and_then(|()| std::fs::rename(&new, path)) {
        let _gone = std::fs::remove_file(&new);
        return Err(error);
    }
    match path.parent().map(File::open) {
        Some(Ok(directory)) => directory.sync_all(),
        _ => Ok(()),
    }
}
