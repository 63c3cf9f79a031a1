//! `vfs share`.

use clap::{Args, ValueEnum};
use vfs_client::Home;
use vfs_client::task::{Principal, Task};
use vfs_core::PrincipalType;

use super::{CommandError, open, say};

/// What is shared with whom.
#[derive(Debug, Args)]
pub(crate) struct ShareArguments {
    /// The item: a path, or `id:` and an item's id.
    path: String,
    /// With whom: a user's id, or `group:` or `organization:` and an id.
    #[arg(long, value_name = "ID")]
    with: String,
    /// What they may do.
    #[arg(long, value_enum, default_value = "view")]
    permission: Permission,
    /// Takes the share back.
    #[arg(long)]
    revoke: bool,
    /// Only the item, and nothing below it.
    #[arg(long)]
    only: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Permission {
    /// Read.
    View,
    /// Read and write.
    Edit,
    /// Read, and keep.
    Download,
}

pub(crate) fn run(home: Home, arguments: &ShareArguments) -> Result<(), CommandError> {
    let with = principal(&arguments.with)?;
    let permission = match arguments.permission {
        Permission::View => "view",
        Permission::Edit => "edit",
        Permission::Download => "download",
    };
    let mut device = open(home)?;
    let tree = device.tree()?;
    let item = tree.find(&arguments.path)?;
    if tree.find("/")? == item {
        return Err(CommandError::refused("share what lies below /, each by itself"));
    }
    let mut items = vec![item.clone()];
    if !arguments.only {
        items.extend(tree.entries(Some(&item)).into_iter().map(|entry| entry.item_id));
    }
    let mine = |id: &String| {
        tree.item(id).is_none_or(|item| item.owner_id.as_deref() == Some(&device.identity().user_id))
    };
    let (items, others): (Vec<String>, Vec<String>) = items.into_iter().partition(mine);
    if items.is_empty() {
        return Err(CommandError::refused(format!(
            "{} is not yours: its owner can share it",
            arguments.path
        )));
    }
    let tasks: Vec<Task> = items
        .into_iter()
        .map(|item_id| {
            let (with, permission) = (with.clone(), permission.to_owned());
            if arguments.revoke {
                Task::Unshare { item_id, with }
            } else {
                Task::Share { item_id, with, permission }
            }
        })
        .collect();
    device.queue(&[], &tasks, &[])?;
    say(format!("{} to be asked with the next sync", tasks.len()));
    if !others.is_empty() {
        say(format!("{} below it belong to others, who can share them", others.len()));
    }
    Ok(())
}

fn principal(text: &str) -> Result<Principal, CommandError> {
    let (kind, id) = match text.split_once(':') {
        Some(("group", id)) => (PrincipalType::Group, id),
        Some(("organization", id)) => (PrincipalType::Organization, id),
        Some(("user", id)) => (PrincipalType::User, id),
        _ => (PrincipalType::User, text),
    };
    if id.trim().is_empty() {
        return Err(CommandError::refused("--with names nobody"));
    }
    Ok(Principal { kind, id: id.to_owned() })
}
