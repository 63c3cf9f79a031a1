//! Writing, listing and hashing one dump.

use tidegate_runbook::Backup;
use tidegate_store::postgres::quote_identifier;
use tidegate_store::process::{self, Piped};

use super::contents::{self, Contents};
use super::dump_file::{self, DumpFile, Named};
use super::snapshot::{self, Snapshot};
use super::tools::{self, Tools};
use crate::crash::{self, Site};
use crate::digest::Digest;
use crate::error::StepError;
use crate::job::Job;

/// Bytes passed on at once.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes that the list of a dump may have.
const LIST_BYTES_MAX: usize = 256 << 20;

/// A dump that stands under its name.
pub(super) struct Dumped {
    pub(super) named: Named,
    pub(super) contents: Contents,
    pub(super) sha256: Digest,
    pub(super) list_sha256: Digest,
    pub(super) bytes: u64,
}

/// A table that a partial backup names.
pub(super) type TableName = (String, String);

/// Dumps what the snapshot sees; nothing is left if it fails.
pub(super) async fn write(
    job: Job<'_>,
    backup: &Backup,
    snapshot: &Snapshot,
    tools: &Tools,
    only: &[TableName],
) -> Result<Dumped, StepError> {
    let mut file = DumpFile::create(job, backup)?;
    let bytes = dump(job, backup, snapshot, tools, only, &mut file).await?;
    let contents = list(job, snapshot, tools, &file).await?;
    let sha256 = dump_file::digest(&file.partial).await?;
    let list_sha256 = Digest::of(contents.list.as_bytes());
    let named = file.name(contents.list.clone()).await?;
    crash::point(Site::DumpWritten, job.step.id.as_str());
    Ok(Dumped { named, contents, sha256, list_sha256, bytes })
}

async fn dump(
    job: Job<'_>,
    backup: &Backup,
    snapshot: &Snapshot,
    tools: &Tools,
    only: &[TableName],
    file: &mut DumpFile,
) -> Result<u64, StepError> {
    let access = tools::access(&snapshot::address(job)?, job)?;
    let lock_wait = job.program.runbook.limits.lock_timeout.as_millis();
    let mut argv = vec![
        tools.dump.clone(),
        "--format=custom".to_owned(),
        "--no-password".to_owned(),
        format!("--snapshot={}", snapshot.exported),
        format!("--lock-wait-timeout={lock_wait}"),
    ];
    if only.is_empty() {
        argv.push("--exclude-schema=tidegate".to_owned());
    }
    // In double quotes nothing of a name is a pattern.
    argv.extend(
        only.iter()
            .map(|(schema, name)| format!("--table={}.{}", quote_identifier(schema), quote_identifier(name))),
    );
    let invocation = tools::invocation(argv, tools::environment(&access), tools::timeout(job));
    let cut_short = |failure| tools::did_not_end("pg_dump", &failure);
    // The bytes pass through this process: if it dies, pg_dump has nobody to write to and ends, and its snapshot with it.
    let mut running = Piped::start(&invocation).map_err(cut_short)?;
    let mut writer = file.writer()?;
    let mut bytes: u64 = 0;
    loop {
        let piece = running.read(PIECE_BYTES).await.map_err(cut_short)?;
        if piece.is_empty() {
            break;
        }
        if bytes == 0 {
            crash::point(Site::DumpStarted, job.step.id.as_str());
        }
        bytes += u64::try_from(piece.len()).unwrap_or(0);
        must_fit(backup, bytes)?;
        writer.write(&piece).await?;
    }
    writer.finish().await?;
    let finished = running.finish().await.map_err(cut_short)?;
    tools::must_have_succeeded("pg_dump", &finished)?;
    Ok(bytes)
}

fn must_fit(backup: &Backup, bytes: u64) -> Result<(), StepError> {
    match backup.bytes_max {
        Some(most) if bytes > most => Err(StepError::refused(
            format!("the dump is larger than the {most} bytes of `bytes_max`"),
            "Raise `bytes_max`, or find out why the database is larger than it was thought to be.",
        )),
        Some(_) | None => Ok(()),
    }
}

async fn list(
    job: Job<'_>,
    snapshot: &Snapshot,
    tools: &Tools,
    file: &DumpFile,
) -> Result<Contents, StepError> {
    let argv = vec![tools.restore.clone(), "--list".to_owned(), file.partial.display().to_string()];
    let environment = vec![("LC_ALL".to_owned(), "C".to_owned())];
    let mut invocation = tools::invocation(argv, environment, tools::timeout(job));
    invocation.output_bytes_max = LIST_BYTES_MAX;
    let listed = process::run(invocation).await;
    let listed = listed.map_err(|failure| tools::did_not_end("pg_restore --list", &failure))?;
    tools::must_have_succeeded("pg_restore --list", &listed)?;
    if listed.truncated {
        return Err(StepError::refused(
            format!("the list of the dump is longer than {LIST_BYTES_MAX} bytes"),
            "Back up some tables at a time with `tables`.",
        ));
    }
    let seals = snapshot.seal_triggers().await?;
    let contents = contents::read(&String::from_utf8_lossy(&listed.stdout), &seals);
    Ok(contents)
}
