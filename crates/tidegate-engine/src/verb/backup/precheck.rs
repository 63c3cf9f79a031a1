//! What can be known of a backup before anything of a run is done.

use rustix::fs::statvfs;
use tidegate_runbook::{Action, Backup, Step};
use tidegate_store::postgres::Session;

use super::scratch::Found;
use super::{dump_file, snapshot, tools};
use crate::error::StepError;
use crate::job::Job;
use crate::verb::restore::removal;

/// Most names that a message lists.
const NAMED_MAX: usize = 20;
/// A dump is hardly ever smaller than this part of its database.
const SMALLEST_PART: u64 = 20;

/// Finds out what would stop the backup; gives what `plan` tells of it.
pub(super) async fn precheck(job: Job<'_>, backup: &Backup) -> Result<Vec<String>, StepError> {
    let mut findings = Vec::new();
    let session = snapshot::connect(job).await?;
    let tools = tools::find(job, &session).await?;
    findings.push(format!("pg_dump {} at {}", tools.version, tools.dump));
    must_see_every_row(&session).await?;
    must_be_able_to_read(&session).await?;
    must_hold_no_large_objects(&session).await?;
    if !backup.tables.is_empty() {
        super::tables_named(&session, &backup.tables).await?;
    }
    findings.extend(must_fit(job, backup, &session).await?);
    session.close().await;
    match &backup.rehearse {
        Ok(()) => findings.push(Found::look(job).await?.finding()),
        Err(why) => findings.push(format!("no rehearsal: {why}")),
    }
    findings.extend(obstacles_to_restore(job).await?);
    Ok(findings)
}

/// Where the page would restore this backup: what would stop the role that migrates, told while there is time.
async fn obstacles_to_restore(job: Job<'_>) -> Result<Vec<String>, StepError> {
    let restores =
        |step: &Step| matches!(&step.action, Action::Restore(restore) if restore.backup == job.step.id);
    if !job.program.runbook.ways.iter().flat_map(|way| &way.steps).any(restores) {
        return Ok(Vec::new());
    }
    let home = job.doors.connect_home(&job.application()).await?;
    let obstacles = removal::obstacles(&home).await?;
    home.close().await;
    Ok(obstacles.into_iter().map(|obstacle| format!("a restore would be refused: {obstacle}")).collect())
}

/// `pg_dump` fails where row security would hide rows from it.
async fn must_see_every_row(session: &Session) -> Result<(), StepError> {
    let hidden = names(session, include_str!("hidden_tables.sql")).await?;
    if hidden.is_empty() {
        return Ok(());
    }
    let role = role(session).await?;
    Err(StepError::refused(
        format!(
            "row security would stop the dump: role {role} does not see every row of {}",
            hidden.join(", ")
        ),
        format!(
            "ALTER ROLE {role} BYPASSRLS as a superuser, or let login dump be a role that row security does not stop."
        ),
    ))
}

async fn must_be_able_to_read(session: &Session) -> Result<(), StepError> {
    let unreadable = names(session, include_str!("unreadable.sql")).await?;
    if unreadable.is_empty() {
        return Ok(());
    }
    let role = role(session).await?;
    Err(StepError::refused(
        format!("role {role} may not read what it shall dump: {}", unreadable.join(", ")),
        format!("GRANT pg_read_all_data TO {role}, or let login dump be a role that may read everything."),
    ))
}

/// Refuses what this version cannot put back.
pub(super) async fn must_hold_no_large_objects(session: &Session) -> Result<(), StepError> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let rows = session.query(sql, &[]).await?;
    match rows.first().map_or(0, |row| row.get::<_, i64>(0)) {
        0 => Ok(()),
        count => Err(StepError::refused(
            format!("the database holds {count} large objects, which this version cannot back up"),
            "Back up by hand and waive the backup, or move them into bytea columns.",
        )),
    }
}

async fn must_fit(job: Job<'_>, backup: &Backup, session: &Session) -> Result<Vec<String>, StepError> {
    let file = dump_file::wanted(job, &backup.file)?;
    let folder = dump_file::folder(&file);
    dump_file::must_be_writable(folder)?;
    let rows =
        session.query("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", &[]).await?;
    let size: u64 = rows.first().map_or(0, |row| crate::journal::unsigned(row.get(0)));
    let free = match statvfs(folder) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            return Ok(vec![format!("how much space {} has is not known: {error}", folder.display())]);
        }
    };
    let whole = backup.tables.is_empty();
    if whole && free < size / SMALLEST_PART {
        return Err(StepError::refused(
            format!("{} has {free} bytes left, and the database has {size}", folder.display()),
            "Free space, or let `file` name a folder with more of it.",
        ));
    }
    let mut findings = vec![format!("database {size} bytes, {} has {free} bytes left", folder.display())];
    if whole && free < size {
        findings.push("the dump may not fit: the folder has less space than the database takes".to_owned());
    }
    Ok(findings)
}

async fn names(session: &Session, sql: &str) -> Result<Vec<String>, StepError> {
    let rows = session.query(sql, &[]).await?;
    let mut names: Vec<String> = rows.iter().take(NAMED_MAX).map(|row| row.get(0)).collect();
    if rows.len() > NAMED_MAX {
        names.push(format!("and {} more", rows.len() - NAMED_MAX));
    }
    Ok(names)
}

async fn role(session: &Session) -> Result<String, StepError> {
    let rows = session.query("SELECT current_user::text", &[]).await?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}
