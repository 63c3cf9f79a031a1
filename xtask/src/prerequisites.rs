//! The servers that tests start.

use std::path::Path;
use std::process::Command;

use crate::steps::{cargo, succeeds};

/// The command that finds or installs them. It belongs to the test kit, whose clusters need them; this package
/// depends on nothing of the repository, and so it runs it as a program.
pub(crate) fn command(root: &Path) -> Command {
    cargo(root, &["run", "--quiet", "--package", "testkit", "--bin", "testkit-prerequisites"])
}

/// Finds or installs them.
pub(crate) fn run(root: &Path) -> bool {
    succeeds(&mut command(root))
}
