//! `vfs get`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use vfs_client::task::Task;
use vfs_client::transport::encoded;
use vfs_client::{Device, Home};

use super::{CommandError, open};

/// What is fetched, and where to.
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// The file: a path, or `id:` and an item's id.
    path: String,
    /// Where it is written; unless said, or as `-`, standard output.
    file: Option<PathBuf>,
    /// Which kind of attachment: file, emailAttachment, photo, other.
    #[arg(long, default_value = "file")]
    kind: String,
}

pub(crate) fn run(home: Home, arguments: &GetArguments) -> Result<(), CommandError> {
    let device = open(home)?;
    let item_id = device.tree()?.find(&arguments.path)?;
    let (body, length) = content(&device, &item_id, arguments)?;
    match arguments.file.as_deref().filter(|file| *file != Path::new("-")) {
        None => {
            let stdout = std::io::stdout();
            copied(body, &mut stdout.lock(), length, &arguments.path)
        }
        Some(file) => {
            // Under another name until all of it is there.
            let mut part = file.as_os_str().to_owned();
            part.push(".part");
            let part = PathBuf::from(part);
            let written = File::create(&part)
                .map_err(|error| CommandError::refused(format!("cannot write {}: {error}", part.display())))
                .and_then(|mut target| {
                    copied(body, &mut target, length, &arguments.path)?;
                    let kept = target.sync_all().and_then(|()| std::fs::rename(&part, file));
                    kept.map_err(|error| {
                        CommandError::Negative(format!("cannot write {}: {error}", file.display()))
                    })
                });
            if written.is_err() {
                let _ = std::fs::remove_file(&part);
            }
            written
        }
    }
}

/// The newest bytes of an item: those that wait here, or the server's.
fn content(
    device: &Device,
    item_id: &str,
    arguments: &GetArguments,
) -> Result<(Box<dyn Read>, Option<u64>), CommandError> {
    let tasks = device.tasks()?;
    let waiting = tasks.iter().rev().find_map(|task| match &task.task {
        Task::Attach(attach)
            if task.refusal.is_none()
                && attach.item_id == item_id
                && attach.relation_kind.as_str() == arguments.kind =>
        {
            Some(attach)
        }
        _ => None,
    });
    if let Some(attach) = waiting {
        let bytes = device.bytes_path(attach);
        let file = File::open(&bytes)
            .map_err(|error| CommandError::Negative(format!("cannot read {}: {error}", bytes.display())))?;
        return Ok((Box::new(file), Some(attach.size_bytes)));
    }
    let Some(blob) = device.newest_blob(item_id, Some(&arguments.kind))? else {
        let (path, kind) = (&arguments.path, &arguments.kind);
        return Err(CommandError::Negative(format!("{path} has no content of kind {kind}")));
    };
    let path = format!("/v1/vfs/items/{}/blobs/{}", encoded(item_id), encoded(&blob));
    let download = device.transport().download(&path).map_err(vfs_client::DeviceError::from)?;
    let length = download.length;
    Ok((Box::new(download), length))
}

fn copied(
    mut from: impl Read,
    to: &mut impl Write,
    length: Option<u64>,
    path: &str,
) -> Result<(), CommandError> {
    let copied = std::io::copy(&mut from, to).and_then(|copied| to.flush().map(|()| copied));
    match copied {
        Ok(copied) if length.is_none_or(|length| length == copied) => Ok(()),
        Ok(copied) => Err(CommandError::Negative(format!(
            "{path} broke off after {copied} of {} bytes; try again",
            length.unwrap_or_default()
        ))),
        Err(error) => Err(CommandError::Negative(format!("{path} broke off: {error}; try again"))),
    }
}
