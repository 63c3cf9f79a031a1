//! `vfs mkdir`, `vfs put`, `vfs attach`: what comes into the tree. All of it works without a server; a sync brings it
//! there.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;
use vfs_client::task::{Attach, Progress, Task};
use vfs_client::tree::{Item, PathError, Tree, metadata, parts, split};
use vfs_client::{Device, Home};
use vfs_core::client::LocalOperation;
use vfs_core::{OpType, RelationKind};

use super::{CommandError, open, say};

/// The media type of bytes of which nobody says more.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Where the folder is to be.
#[derive(Debug, Args)]
pub(crate) struct MkdirArguments {
    /// Its path.
    path: String,
    /// Makes the folders above it, too, and is content where it is there.
    #[arg(long, short)]
    parents: bool,
}

/// What is put where.
#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// The file.
    file: PathBuf,
    /// Its path in the tree, or that of the folder that it comes into.
    path: String,
    /// The media type of its bytes.
    #[arg(long, default_value = CONTENT_TYPE)]
    content_type: String,
}

/// What is attached to what.
#[derive(Debug, Args)]
pub(crate) struct AttachArguments {
    /// The item: a path, or `id:` and an item's id.
    path: String,
    /// The file.
    file: PathBuf,
    /// As what: file, emailAttachment, photo, other.
    #[arg(long, default_value = "other")]
    kind: String,
    /// The media type of its bytes.
    #[arg(long, default_value = CONTENT_TYPE)]
    content_type: String,
}

/// Operations, tasks and items that come together.
#[derive(Debug, Default)]
struct Made {
    operations: Vec<LocalOperation>,
    tasks: Vec<Task>,
    items: Vec<Item>,
}

impl Made {
    /// A new item in a parent.
    fn item(&mut self, device: &Device, parent: &str, name: &str, object_type: &str) -> String {
        let id = Uuid::new_v4().to_string();
        let link = LocalOperation::link(OpType::LinkAdd, parent, &id);
        self.operations.push(link.named(&Uuid::new_v4().to_string()));
        self.tasks.push(Task::Register {
            item_id: id.clone(),
            object_type: object_type.to_owned(),
            metadata: metadata(name),
        });
        self.items.push(Item {
            id: id.clone(),
            object_type: object_type.to_owned(),
            owner_id: Some(device.identity().user_id.clone()),
            name: Some(name.to_owned()),
        });
        id
    }

    fn queue(&self, device: &mut Device) -> Result<(), CommandError> {
        Ok(device.queue(&self.operations, &self.tasks, &self.items)?)
    }
}

pub(crate) fn mkdir(home: Home, arguments: &MkdirArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    let tree = device.tree()?;
    let names = parts(&arguments.path)?;
    let mut made = Made::default();
    let mut at = tree.find("/")?;
    let mut walked = String::new();
    for (index, name) in names.iter().enumerate() {
        walked = format!("{walked}/{name}");
        let is_last = index + 1 == names.len();
        match tree.find(&walked) {
            Ok(_) if is_last && !arguments.parents => {
                return Err(CommandError::refused(format!("{walked} is there already")));
            }
            Ok(id) => {
                must_be_folder(&tree, &id, &walked)?;
                at = id;
            }
            Err(error @ PathError::NotFound { .. }) if !is_last && !arguments.parents => {
                return Err(CommandError::refused(format!(
                    "{error}; `--parents` makes the folders above, too"
                )));
            }
            Err(PathError::NotFound { .. }) => at = made.item(&device, &at, name, "folder"),
            Err(error) => return Err(error.into()),
        }
    }
    if names.is_empty() && !arguments.parents {
        return Err(CommandError::refused("/ is there already"));
    }
    made.queue(&mut device)?;
    say(at);
    Ok(())
}

pub(crate) fn put(home: Home, arguments: &PutArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    let tree = device.tree()?;
    let mut made = Made::default();
    let (path, there) = destination(&tree, &arguments.path, &arguments.file)?;
    let copied = copy(&device, &arguments.file)?;
    let item_id = match there {
        Some(id) => id,
        None => {
            let Some((above, name)) = split(&path)? else {
                return Err(CommandError::refused("/ is a folder; give the file a name"));
            };
            let parent = tree.find(&above)?;
            must_be_folder(&tree, &parent, &above)?;
            made.item(&device, &parent, name, "file")
        }
    };
    made.tasks.push(copied.task(&item_id, RelationKind::File, &arguments.content_type));
    made.queue(&mut device)?;
    say(item_id);
    Ok(())
}

pub(crate) fn attach(home: Home, arguments: &AttachArguments) -> Result<(), CommandError> {
    let kinds = RelationKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let kind = RelationKind::parse(&arguments.kind).ok_or_else(|| {
        CommandError::refused(format!("--kind is one of {kinds}, not {:?}", arguments.kind))
    })?;
    let mut device = open(home)?;
    let item_id = device.tree()?.find(&arguments.path)?;
    let copied = copy(&device, &arguments.file)?;
    let blob = copied.blob_id.clone();
    let task = copied.task(&item_id, kind, &arguments.content_type);
    device.queue(&[], &[task], &[])?;
    say(blob);
    Ok(())
}

/// The path that a file gets, and the item whose content it becomes, where that is there.
fn destination(tree: &Tree, path: &str, file: &Path) -> Result<(String, Option<String>), CommandError> {
    let own_name = || {
        let name = file.file_name().and_then(|name| name.to_str());
        name.ok_or_else(|| {
            CommandError::refused(format!("{} has no name that the tree can have", file.display()))
        })
    };
    let within = |folder: &str| -> Result<(String, Option<String>), CommandError> {
        let path = format!("{}/{}", folder.trim_end_matches('/'), own_name()?);
        parts(&path)?;
        match tree.find(&path) {
            Ok(there) => Ok((path, Some(there))),
            Err(PathError::NotFound { .. }) => Ok((path, None)),
            Err(error) => Err(error.into()),
        }
    };
    match tree.find(path) {
        Ok(id) if path.starts_with("id:") => Ok((path.to_owned(), Some(id))),
        Ok(id) if is_folder(tree, &id) => within(path),
        Ok(_) if path.ends_with('/') => Err(CommandError::refused(format!("{path} is no folder"))),
        Ok(id) => Ok((path.to_owned(), Some(id))),
        Err(PathError::NotFound { .. }) if !path.ends_with('/') => Ok((path.to_owned(), None)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn is_folder(tree: &Tree, id: &str) -> bool {
    // The root may not have been read yet.
    tree.item(id).is_none_or(|item| item.object_type == "folder")
}

pub(super) fn must_be_folder(tree: &Tree, id: &str, path: &str) -> Result<(), CommandError> {
    if is_folder(tree, id) { Ok(()) } else { Err(CommandError::refused(format!("{path} is no folder"))) }
}

/// A copy of a file that is the client's own.
struct Copied {
    blob_id: String,
    size_bytes: u64,
}

impl Copied {
    fn task(self, item_id: &str, kind: RelationKind, content_type: &str) -> Task {
        Task::Attach(Attach {
            item_id: item_id.to_owned(),
            relation_kind: kind,
            blob_id: self.blob_id.clone(),
            bytes_file: self.blob_id.clone(),
            size_bytes: self.size_bytes,
            content_type: content_type.to_owned(),
            progress: Progress::Here,
        })
    }
}

/// Copies a file as it is at one moment, and refuses it where it changed meanwhile.
fn copy(device: &Device, from: &Path) -> Result<Copied, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::refused(format!("cannot read {}: {error}; nothing was queued", from.display()))
    };
    let mut source = File::open(from).map_err(failed)?;
    let before = source.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(CommandError::refused(format!("{} is no file; nothing was queued", from.display())));
    }
    let blob_id = Uuid::new_v4().to_string();
    let spool = device.home().spool();
    let file = spool.join(&blob_id);
    let copied = (|| -> std::io::Result<u64> {
        std::fs::create_dir_all(&spool)?;
        let mut target = File::create(&file)?;
        let copied = std::io::copy(&mut source, &mut target)?;
        target.sync_all()?;
        // Its name, too.
        File::open(&spool)?.sync_all()?;
        Ok(copied)
    })();
    let kept = copied.and_then(|copied| Ok((copied, std::fs::metadata(from)?)));
    let (size_bytes, after) = match kept {
        Ok(kept) => kept,
        Err(error) => {
            let _ = std::fs::remove_file(&file);
            return Err(CommandError::refused(format!(
                "cannot copy {} to {}: {error}; nothing was queued",
                from.display(),
                file.display()
            )));
        }
    };
    if after.len() != size_bytes || after.modified().ok() != before.modified().ok() {
        let _ = std::fs::remove_file(&file);
        return Err(CommandError::refused(format!(
            "{} changed while it was read; nothing was queued, try again",
            from.display()
        )));
    }
    Ok(Copied { blob_id, size_bytes })
}
