//! `vfs tree`.

use clap::Args;
use vfs_client::Home;

use super::{CommandError, open, say, say_json};

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct TreeArguments {
    /// Only what is below this path.
    path: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(home: Home, arguments: &TreeArguments) -> Result<(), CommandError> {
    let device = open(home)?;
    let tree = device.tree()?;
    let from =
        arguments.path.as_deref().filter(|path| *path != "/").map(|path| tree.find(path)).transpose()?;
    let entries = tree.entries(from.as_deref());
    if arguments.json {
        say_json(&entries);
        return Ok(());
    }
    for entry in &entries {
        let mark = if entry.object_type.as_deref() == Some("folder") { "/" } else { "" };
        say(format!("{}{mark}", entry.path));
    }
    Ok(())
}
