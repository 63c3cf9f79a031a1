//! Where everything of this process lives, and what is kept for the next one.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;
use crate::account::Account;
use crate::warden::{WARDEN, Warden};

static ROOT: Mutex<Option<PathBuf>> = Mutex::new(None);
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The directory that all test processes of this user share: prepared data directories and port reservations.
///
/// It is in the system's temporary directory, not in the build's: servers run as another user when we are root, and
/// that user may not be let into the directory where the sources are.
pub(crate) fn shared() -> Result<PathBuf, Error> {
    let account = Account::for_servers()?;
    let ours = rustix::process::geteuid().as_raw();
    let path = std::env::temp_dir().join(format!("tidegate-testkit-{ours}"));
    make(&path, 0o755)?;
    let found = std::fs::symlink_metadata(&path).map_err(Error::file("look at", &path))?;
    if !found.is_dir() || (found.uid() != ours && found.uid() != account.uid) {
        return Err(Error::State(format!("{} belongs to somebody else; remove it", path.display())));
    }
    account.own(&path)?;
    Ok(path)
}

/// The directory of this process, removed by its warden.
pub(crate) fn root() -> Result<PathBuf, Error> {
    let mut root = ROOT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = root.as_ref() {
        return Ok(path.clone());
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let path = shared()?.join(format!("p{}-{:x}", std::process::id(), started & 0xff_ffff_ffff));
    make(&path, 0o755)?;
    Account::for_servers()?.own(&path)?;
    let warden = Warden::start(&path)?;
    // The lock above makes this the only setting.
    let _ = WARDEN.set(warden);
    *root = Some(path.clone());
    Ok(path)
}

/// A new directory of this process that belongs to the servers' account. Names stay short: the path of a Unix
/// socket has 107 bytes.
pub(crate) fn directory(prefix: &str) -> Result<PathBuf, Error> {
    let path = root()?.join(format!("{prefix}{}", next_number()));
    make(&path, 0o700)?;
    Account::for_servers()?.own(&path)?;
    Ok(path)
}

/// A number that is used once in this process.
pub(crate) fn next_number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Makes a directory with exactly these permissions, if it is not there.
fn make(path: &Path, mode: u32) -> Result<(), Error> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(Error::file("set the permissions of", path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::file("make", path)(error)),
    }
}
