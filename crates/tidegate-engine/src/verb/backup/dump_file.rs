//! The dump's file: written under another name, private, on the disk for good before it gets its own.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};
use rustix::io::Errno;
use sha2::Digest as _;
use tidegate_runbook::{Backup, TextTemplate};
use tokio::io::AsyncWriteExt as _;

use crate::digest::Digest;
use crate::error::StepError;
use crate::job::Job;

/// How many attempts may leave a finished file of the same name.
const NAMES_MAX: u32 = 1_000;
/// Bytes read at once while hashing.
const PIECE_BYTES: usize = 1 << 20;

/// A dump that is being written, and removed if it does not get its name.
#[derive(Debug)]
pub(crate) struct DumpFile {
    wanted: PathBuf,
    /// Where it is written.
    pub(crate) partial: PathBuf,
    open: Option<File>,
    kept: bool,
}

/// A dump with its name, and its list beside it. Both are removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) file: PathBuf,
    pub(crate) list: PathBuf,
    kept: bool,
}

impl Named {
    /// The dump is good.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for path in [&self.file, &self.list] {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a dump that is not good could not be removed");
            }
        }
    }
}

/// Writes pieces beside the runtime.
pub(crate) struct Writer<'a> {
    file: tokio::fs::File,
    path: &'a Path,
}

impl Writer<'_> {
    /// Appends a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), StepError> {
        self.file.write_all(piece).await.map_err(|error| cannot("write", self.path, &error))
    }

    /// Brings all of it to the disk.
    pub(crate) async fn finish(mut self) -> Result<(), StepError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| cannot("write", self.path, &error))?;
        self.file.sync_all().await.map_err(|error| cannot("write", self.path, &error))
    }
}

/// Where the page wants the dump.
pub(crate) fn wanted(job: Job<'_>, file: &TextTemplate) -> Result<PathBuf, StepError> {
    let text = job.values.text(file, false, str::to_owned)?;
    let path = PathBuf::from(&text);
    if text.is_empty() || path.file_name().is_none() {
        return Err(StepError::refused(
            format!("{text:?} names no file for the dump"),
            "Let `file` name a file in a folder that exists.",
        ));
    }
    std::path::absolute(&path).map_err(|error| cannot("find", &path, &error))
}

/// The folder that a file stands in.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("/"))
}

/// A folder in which files can be made.
pub(crate) fn must_be_writable(folder: &Path) -> Result<(), StepError> {
    if !folder.is_dir() {
        return Err(StepError::refused(
            format!("the folder {} of the backup is not there", folder.display()),
            "Make it, or let `file` name another one.",
        ));
    }
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        StepError::refused(
            format!("nothing can be written to {}: {error}", folder.display()),
            "Give this user the right to write there, or let `file` name another folder.",
        )
    })
}

impl DumpFile {
    /// Makes an empty private file of this run, in place of what an attempt before may have left.
    pub(crate) fn create(job: Job<'_>, backup: &Backup) -> Result<Self, StepError> {
        let wanted = wanted(job, &backup.file)?;
        let partial = beside(&wanted, &format!(".{}.partial", job.run()));
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(cannot("remove", &partial, &error));
            }
            Ok(()) | Err(_) => {}
        }
        let open = private(&partial).map_err(|error| cannot("make", &partial, &error))?;
        Ok(Self { wanted, partial, open: Some(open), kept: false })
    }

    /// What writes it.
    pub(crate) fn writer(&mut self) -> Result<Writer<'_>, StepError> {
        let open = self.open.take().ok_or_else(|| {
            StepError::refused("the dump is written already", "This is a defect of tidegate.")
        })?;
        Ok(Writer { file: tokio::fs::File::from_std(open), path: &self.partial })
    }

    /// Puts the list beside it, and gives the dump a name that nothing else has.
    pub(crate) async fn name(mut self, list: String) -> Result<Named, StepError> {
        let work = move || {
            let named = self.name_blocking(&list)?;
            self.kept = true;
            Ok(named)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            Err(StepError::refused(format!("the dump could not be named: {error}"), "Run again."))
        })
    }

    fn name_blocking(&self, list: &str) -> Result<Named, StepError> {
        let partial = &self.partial;
        File::open(partial)
            .and_then(|file| file.sync_all())
            .map_err(|error| cannot("write", partial, &error))?;
        for number in 1..=NAMES_MAX {
            let file = match number {
                1 => self.wanted.clone(),
                _ => beside(&self.wanted, &format!(".{number}")),
            };
            let list_file = beside(&file, ".list");
            if file.exists() {
                continue;
            }
            match private(&list_file) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(cannot("write", &list_file, &error)),
                Ok(mut open) => {
                    let written = open.write_all(list.as_bytes()).and_then(|()| open.sync_all());
                    if let Err(error) = written {
                        drop(std::fs::remove_file(&list_file));
                        return Err(cannot("write", &list_file, &error));
                    }
                }
            }
            match rename_to_new(partial, &file) {
                Ok(()) => {
                    let named = Named { file, list: list_file, kept: false };
                    let folder = folder(&named.file);
                    let synced = File::open(folder).and_then(|folder| folder.sync_all());
                    synced.map_err(|error| cannot("write", folder, &error))?;
                    return Ok(named);
                }
                Err(error) => {
                    drop(std::fs::remove_file(&list_file));
                    if error.kind() != ErrorKind::AlreadyExists {
                        return Err(cannot("name", &file, &error));
                    }
                }
            }
        }
        Err(StepError::refused(
            format!("{} and {NAMES_MAX} numbered names beside it are taken", self.wanted.display()),
            "Move older dumps away, or put {{run.id}} in `file`.",
        ))
    }
}

impl Drop for DumpFile {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.partial)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.partial.display(), %error, "a half-written dump could not be removed");
        }
    }
}

/// SHA-256 of a file, read piece by piece beside the runtime.
pub(crate) async fn digest(path: &Path) -> Result<Digest, StepError> {
    let path = path.to_owned();
    let work = move || {
        let failed = |error: std::io::Error| cannot("read", &path, &error);
        let mut file = File::open(&path).map_err(failed)?;
        let mut hasher = sha2::Sha256::new();
        let mut piece = vec![0_u8; PIECE_BYTES];
        loop {
            let count = file.read(&mut piece).map_err(failed)?;
            if count == 0 {
                return Ok(Digest(hasher.finalize().into()));
            }
            hasher.update(piece.get(..count).unwrap_or_default());
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(StepError::refused(format!("the dump could not be read: {error}"), "Run again."))
    })
}

/// Makes an empty file that only its owner may read.
pub(crate) fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Renames and never replaces; by a second name where the file system cannot do it in one step.
fn rename_to_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        outcome => Ok(outcome?),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> StepError {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let next = match error.kind() {
        _ if full => "The disk is full: free space, or let `file` name a folder with more of it.",
        ErrorKind::NotFound => "Make the folder, or let `file` name another one.",
        ErrorKind::PermissionDenied => {
            "Give this user the right to write there, or let `file` name another folder."
        }
        _ => "Look at the file and its folder.",
    };
    let word = if full { "the disk is full: " } else { "" };
    StepError::refused(format!("{word}cannot {what} {}: {error}", path.display()), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_named_as_such() {
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let mut writer = Writer { file: tokio::fs::File::from_std(file), path };
        let written = match writer.write(b"x").await {
            Ok(()) => writer.finish().await,
            failed => failed,
        };
        let error = written.unwrap_err().to_string();
        assert!(error.starts_with("the disk is full: cannot write /dev/full"), "{error}");
    }

    #[test]
    fn a_name_that_is_taken_stays_as_it_is() {
        let folder = std::env::temp_dir().join(format!("tidegate-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let (taken, other) = (folder.join("taken"), folder.join("other"));
        std::fs::write(&taken, "first").unwrap();
        std::fs::write(&other, "second").unwrap();
        let refused = rename_to_new(&other, &taken).unwrap_err();
        let kept = std::fs::read_to_string(&taken).unwrap();
        rename_to_new(&other, &folder.join("free")).unwrap();
        let moved = std::fs::read_to_string(folder.join("free")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!((&*kept, &*moved), ("first", "second"));
    }
}
