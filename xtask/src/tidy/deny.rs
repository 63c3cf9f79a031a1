//! Licences, advisories and duplicate versions, by cargo-deny where it is installed.

use std::path::Path;

use crate::steps::{cargo, has_subcommand, succeeds};

/// Whether cargo-deny has nothing to say. Advisories are left out: they need the network and change without us.
pub(crate) fn passes(root: &Path) -> bool {
    if !has_subcommand(root, "deny") {
        eprintln!(
            "tidy: cargo-deny is not installed: licences and duplicate versions (deny.toml) were not checked"
        );
        return true;
    }
    succeeds(&mut cargo(root, &["deny", "--offline", "check", "licenses", "bans", "sources"]))
}
