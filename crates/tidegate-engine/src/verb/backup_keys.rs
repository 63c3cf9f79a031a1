//! `backup` of a key-value store: a file of its keys, read again, and rehearsed in a store that is thrown away.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tidegate_runbook::{Action, BackupKeys, Step};
use tidegate_store::kv::snapshot::{self, Mode, Selection, SnapshotError, Taken};
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Kv, Namespace};

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::gate::milliseconds_since;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::question::kv::rendered_key;
use crate::verb::backup::dump_file;

/// How many backups of the same name may stand in a folder.
const NAMES_MAX: u32 = 1_000;

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(backup: &BackupKeys) -> String {
    let which = if backup.prefix.is_some() { "those keys of" } else { "all keys of" };
    let rehearsal = match &backup.rehearse {
        Ok(()) => "restore it into a store that is thrown away, compare".to_owned(),
        Err(why) => format!("no rehearsal: {why}"),
    };
    format!("copy {which} {} into a file and hash it; {rehearsal}", backup.namespaces.join(", "))
}

/// Finds out what would stop the backup, before anything of a run is done.
pub(crate) async fn precheck(job: Job<'_>, backup: &BackupKeys) -> Result<(), StepError> {
    // Where a way back would restore it, the store must be one that can be changed.
    let restores =
        |step: &Step| matches!(&step.action, Action::RestoreKeys(restore) if restore.backup == job.step.id);
    if job.program.runbook.ways.iter().flat_map(|way| &way.steps).any(restores) {
        job.doors.keys_to_change(job.store()).await?;
    } else {
        job.doors.keys(job.store()).await?;
    }
    if let Ok(file) = dump_file::wanted(job, &backup.file) {
        dump_file::must_be_writable(dump_file::folder(&file))?;
    }
    namespaces(&backup.namespaces).map(drop)
}

/// Backs up.
///
/// # Idempotence
/// An attempt after a crash begins anew, under another name if the one before had already given its own.
pub(crate) async fn perform(job: Job<'_>, backup: &BackupKeys) -> Result<Outcome, StepError> {
    let begun = jiff::Timestamp::now();
    let store = job.doors.keys(job.store()).await?;
    let namespaces = namespaces(&backup.namespaces)?;
    let prefix = backup.prefix.as_ref().map(|prefix| rendered_key(prefix, job.values)).transpose();
    let prefix = prefix.map_err(|why| StepError::refused(why, "Nothing was copied."))?;
    let wanted = dump_file::wanted(job, &backup.file)?;
    remove_left_over(&wanted);
    let (mut file, taken) = take(job, &store, &namespaces, prefix.as_deref(), &wanted).await?;
    crash::point(Site::DumpWritten, job.step.id.as_str());
    must_be_of_one_moment(job, backup, &taken)?;
    let rehearsed = match &backup.rehearse {
        Ok(()) => rehearse(job, &wanted, &file.path).await?,
        Err(why) => format!("waived: {why}"),
    };
    let sha256 = dump_file::digest(&file.path).await?;
    let bytes = std::fs::metadata(&file.path).map_or(0, |found| found.len());
    file.kept = true;
    let keys = taken.manifest.counts.values().sum();
    let counts: Vec<String> =
        taken.manifest.counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let path = file.path.display().to_string();
    let moments = if taken.manifest.consistent { "of one moment" } else { "of several moments" };
    Ok(Outcome {
        summary: format!("copied {keys} keys, {moments}, to {path} ({bytes} bytes); rehearsed: {rehearsed}"),
        figures: BTreeMap::from([
            ("keys".to_owned(), keys),
            ("bytes".to_owned(), bytes),
            ("attempts".to_owned(), u64::from(taken.attempts)),
        ]),
        texts: BTreeMap::from([
            ("file".to_owned(), path),
            ("sha256".to_owned(), sha256.to_string()),
            ("namespaces".to_owned(), counts.join(", ")),
            ("moments".to_owned(), moments.to_owned()),
            ("taken_at".to_owned(), taken.manifest.taken_at),
            ("rehearsed".to_owned(), rehearsed),
        ]),
        took_ms: milliseconds_since(begun),
        ..Outcome::default()
    })
}

/// The backup's file, which is removed unless it turns out to be good.
struct BackupFile {
    path: PathBuf,
    kept: bool,
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a backup that is not good could not be removed");
        }
    }
}

/// Writes the file under the first name that is free.
async fn take(
    job: Job<'_>,
    store: &Kv,
    namespaces: &[Namespace],
    prefix: Option<&str>,
    wanted: &Path,
) -> Result<(BackupFile, Taken), StepError> {
    for number in 1..=NAMES_MAX {
        let path = match number {
            1 => wanted.to_owned(),
            _ => dump_file::beside(wanted, &format!(".{number}")),
        };
        match snapshot::take(&**store, namespaces, prefix, &path).await {
            Ok(taken) => return Ok((BackupFile { path, kept: false }, taken)),
            Err(SnapshotError::Exists { .. }) => {}
            Err(error) => return Err(failed(job, &error)),
        }
    }
    Err(StepError::refused(
        format!("{} and {NAMES_MAX} numbered names beside it are taken", wanted.display()),
        "Move older backups away, or put {{run.id}} in `file`.",
    ))
}

/// Removes what a process that is no more left half written under this name.
fn remove_left_over(wanted: &Path) {
    let Some(name) = wanted.file_name().map(|name| format!(".{}.", name.to_string_lossy())) else { return };
    let Ok(entries) = std::fs::read_dir(dump_file::folder(wanted)) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let of = found.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".partial"));
        let Some(pid) = of.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let alive = pid == std::process::id() || Path::new(&format!("/proc/{pid}")).exists();
        if alive {
            continue;
        }
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "a half-written backup could not be removed");
        }
    }
}

fn must_be_of_one_moment(job: Job<'_>, backup: &BackupKeys, taken: &Taken) -> Result<(), StepError> {
    if taken.manifest.consistent || backup.one_moment.is_err() {
        return Ok(());
    }
    Err(StepError::refused(
        format!(
            "store {} was written to each of the {} times that it was copied, so its keys are of different moments",
            job.store(),
            taken.attempts
        ),
        "Stop what writes there and run again; or, if each key may be as it stood when it was read, write \
         `one_moment = { waived = \"why\" }`.",
    ))
}

/// Restores the file into a store of its own and compares the two.
async fn rehearse(job: Job<'_>, wanted: &Path, file: &Path) -> Result<String, StepError> {
    crash::point(Site::RehearsalStarted, job.step.id.as_str());
    let scratch = Scratch::make(wanted)?;
    let path = scratch.path.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteKv::open(&path)).await;
    let store = opened
        .map_err(|error| error.to_string())
        .and_then(|opened| opened.map_err(|error| error.to_string()))
        .map_err(|error| scratch.failed(&error))?;
    let all = Selection::all();
    let restored = snapshot::restore(&store, file, Mode::Exact, &all, true).await;
    let restored = restored.map_err(|error| scratch.failed(&error.to_string()))?;
    let found = snapshot::diff(&store, file, &all).await;
    let found = found.map_err(|error| scratch.failed(&error.to_string()))?;
    let unlike = found.missing.count + found.changed.count + found.extra.count;
    crash::point(Site::RehearsalCompared, job.step.id.as_str());
    if unlike > 0 {
        return Err(StepError::refused(
            format!("{unlike} keys were not as in the backup after it was restored for rehearsal"),
            "The backup was removed. Run again; if it happens again, this is a defect of tidegate.",
        ));
    }
    let expired = match restored.expired.count {
        0 => String::new(),
        count => format!(", {count} had expired"),
    };
    Ok(format!("{} keys were restored and compared{expired}", restored.added.count))
}

/// A store for rehearsal. Dropping it removes its files.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Under one name for all attempts, so that what one of them left goes with the next.
    fn make(wanted: &Path) -> Result<Self, StepError> {
        let scratch = Self { path: dump_file::beside(wanted, ".rehearsal") };
        scratch.remove().map_err(|error| {
            StepError::refused(
                format!("{} stands in the way of the rehearsal: {error}", scratch.path.display()),
                "Remove it by hand.",
            )
        })?;
        // All values will be in it: it is private before the store is laid out, and so are the files beside it.
        dump_file::private(&scratch.path).map_err(|error| scratch.failed(&error.to_string()))?;
        Ok(scratch)
    }

    fn failed(&self, error: &str) -> StepError {
        StepError::refused(
            format!("the backup could not be rehearsed in {}: {error}", self.path.display()),
            "Look at the folder of the backup: it needs as much space again.",
        )
    }

    fn remove(&self) -> std::io::Result<()> {
        for ending in ["", "-wal", "-shm"] {
            match std::fs::remove_file(dump_file::beside(&self.path, ending)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(path = %self.path.display(), %error, "the store of a rehearsal could not be removed");
        }
    }
}

/// Namespaces by their names.
pub(crate) fn namespaces(names: &[String]) -> Result<Vec<Namespace>, StepError> {
    let read: Result<Vec<Namespace>, _> = names.iter().map(Namespace::new).collect();
    read.map_err(|error| StepError::refused(error.to_string(), "Correct `namespaces`."))
}

/// What became of a snapshot's file or store, without the password of the store's url.
pub(crate) fn failed(job: Job<'_>, error: &SnapshotError) -> StepError {
    if let SnapshotError::Store(error) = error {
        return job.doors.keys_failed(job.store(), error).into();
    }
    let message = job.doors.without_password(job.store()).redact(&error.to_string());
    StepError::refused(message, "What was not finished is done again by a resumed run.")
}
