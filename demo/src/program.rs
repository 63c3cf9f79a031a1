//! The programs that are shown. `cargo demo` builds them with this one; here they are found beside it.

use std::path::{Path, PathBuf};

use crate::Error;

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// What runs pages.
    pub(crate) tidegate: PathBuf,
    /// The accounts' service.
    pub(crate) accounts: PathBuf,
    /// The file sync's server.
    pub(crate) vfs_server: PathBuf,
    /// The ledger's service.
    pub(crate) ledger: PathBuf,
    /// The trip log's service.
    pub(crate) trips: PathBuf,
}

impl Programs {
    /// A `PATH` on which they are found first.
    pub(crate) fn path(&self) -> String {
        let ours = self.accounts.parent().unwrap_or(&self.accounts).display();
        let rest = std::env::var("PATH").unwrap_or_default();
        format!("{ours}:{rest}")
    }
}

/// The programs as they stand beside this one.
pub(crate) fn find() -> Result<Programs, Error> {
    let this = std::env::current_exe().map_err(Error::file("find", "this program"))?;
    let beside = |name: &str| {
        let program = this.with_file_name(name);
        if program.is_file() { Ok(program) } else { Err(Error::NotBuilt { program }) }
    };
    Ok(Programs {
        tidegate: beside("tidegate")?,
        accounts: beside("accounts")?,
        vfs_server: beside("vfs-server")?,
        ledger: beside("ledger")?,
        trips: beside("trips")?,
    })
}

/// The repository's root: the directory above this package.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
