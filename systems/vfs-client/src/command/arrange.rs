//! `vfs mv` and `vfs rm`: where things lie.

use clap::Args;
use uuid::Uuid;
use vfs_client::Home;
use vfs_client::task::Task;
use vfs_client::tree::{PathError, Tree, metadata, split};
use vfs_core::OpType;
use vfs_core::client::LocalOperation;

use super::put::{is_folder, must_be_folder};
use super::{CommandError, open};

/// What goes where.
#[derive(Debug, Args)]
pub(crate) struct MvArguments {
    /// The item's path.
    from: String,
    /// Its new path, or that of the folder that it comes into.
    to: String,
}

/// What goes.
#[derive(Debug, Args)]
pub(crate) struct RmArguments {
    /// The item's path.
    path: String,
    /// Also a folder in which there is something.
    #[arg(long, short)]
    recursive: bool,
}

fn link(op_type: OpType, parent: &str, item: &str) -> LocalOperation {
    LocalOperation::link(op_type, parent, item).named(&Uuid::new_v4().to_string())
}

/// The item at a path and what it lies in by that path.
fn place(tree: &Tree, path: &str) -> Result<(String, String, String), CommandError> {
    let item = tree.find(path)?;
    if let Some(id) = path.strip_prefix("id:") {
        let parents: Vec<&str> = tree.parents(id).collect();
        let [parent] = parents.as_slice() else {
            let count = parents.len();
            return Err(CommandError::refused(format!("{path} lies in {count} places; give its path")));
        };
        let name = tree.item(id).and_then(|item| item.name.clone()).unwrap_or_else(|| id.to_owned());
        return Ok((item, (*parent).to_owned(), name));
    }
    let Some((above, name)) = split(path)? else {
        return Err(CommandError::refused("/ stays where it is"));
    };
    let parent = tree.find(&above).map_err(|_| {
        CommandError::refused(format!("{path} lies in what others shared with you: only they can move it"))
    })?;
    Ok((item, parent, name.to_owned()))
}

pub(crate) fn mv(home: Home, arguments: &MvArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    let tree = device.tree()?;
    let (item, old_parent, old_name) = place(&tree, &arguments.from)?;
    let (parent, name) = match tree.find(&arguments.to) {
        Ok(there) if there == item => return Ok(()),
        Ok(folder) if is_folder(&tree, &folder) => (folder, old_name.clone()),
        Ok(_) => return Err(CommandError::refused(format!("{} is there already", arguments.to))),
        Err(error @ (PathError::Ambiguous { .. } | PathError::Malformed { .. })) => return Err(error.into()),
        Err(PathError::NotFound { .. }) => {
            let Some((above, name)) = split(&arguments.to)? else {
                return Err(CommandError::refused("/ is the root"));
            };
            let parent = tree.find(&above)?;
            must_be_folder(&tree, &parent, &above)?;
            (parent, name.to_owned())
        }
    };
    if tree.holds(&item, &parent) {
        let (from, to) = (&arguments.from, &arguments.to);
        return Err(CommandError::refused(format!("{from} cannot come into itself, as {to} is")));
    }
    if tree.children(&parent).iter().any(|child| child.name.as_deref() == Some(&name) && child.id != item) {
        return Err(CommandError::refused(format!("there is a {name} already where {} leads", arguments.to)));
    }
    let mut operations = Vec::new();
    if parent != old_parent {
        operations.push(link(OpType::LinkAdd, &parent, &item));
        operations.push(link(OpType::LinkRemove, &old_parent, &item));
    }
    let (mut tasks, mut items) = (Vec::new(), Vec::new());
    if name != old_name {
        tasks.push(Task::SetMetadata { item_id: item.clone(), metadata: metadata(&name) });
        items.extend(tree.item(&item).cloned().map(|mut item| {
            item.name = Some(name);
            item
        }));
    }
    Ok(device.queue(&operations, &tasks, &items)?)
}

pub(crate) fn rm(home: Home, arguments: &RmArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    let tree = device.tree()?;
    let (item, parent, _) = place(&tree, &arguments.path)?;
    if !arguments.recursive && !tree.children(&item).is_empty() {
        return Err(CommandError::refused(format!(
            "{} has something in it; `--recursive` takes it all the same",
            arguments.path
        )));
    }
    Ok(device.queue(&[link(OpType::LinkRemove, &parent, &item)], &[], &[])?)
}
