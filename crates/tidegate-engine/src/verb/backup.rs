//! `backup`: one dump of one snapshot, listed, hashed, and rehearsed by restoring it.
//!
//! The journal's schema `tidegate` is never in it, and neither are the triggers of seals.

use std::collections::BTreeMap;

use tidegate_runbook::{Backup, Name, Step};
use tidegate_store::postgres::Session;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::gate::milliseconds_since;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::verb::{flags, seal};

mod contents;
mod dump;
pub(crate) mod dump_file;
mod precheck;
mod rehearsal;
mod scratch;
pub(crate) mod snapshot;
pub(crate) mod tools;

use dump::{Dumped, TableName};
use rehearsal::Seen;
use snapshot::{Counted, Snapshot};

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(backup: &Backup) -> String {
    let what = if backup.tables.is_empty() {
        "dump the whole database".to_owned()
    } else {
        format!("dump {}", backup.tables.join(", "))
    };
    let rehearsal = match &backup.rehearse {
        Ok(()) => "restore it into login scratch, compare".to_owned(),
        Err(why) => format!("no rehearsal: {why}"),
    };
    format!("{what} from one snapshot, list and hash it; {rehearsal}")
}

/// Finds out what would stop the backup, before anything of a run is done.
pub(crate) async fn precheck(job: Job<'_>, backup: &Backup) -> Result<Vec<String>, StepError> {
    precheck::precheck(job, backup).await
}

/// Backs up. `records` stand `@at` this backup: they see what it sees.
///
/// # Idempotence
/// An attempt after a crash begins anew: it removes what the one before left half done, and takes another name if that
/// one had already given its own.
pub(crate) async fn perform(
    job: Job<'_>,
    backup: &Backup,
    records: &[&Step],
) -> Result<(Outcome, Vec<(Name, Outcome)>), StepError> {
    let begun = jiff::Timestamp::now();
    let snapshot = Snapshot::open(job).await?;
    let tools = tools::find(job, &snapshot.session).await?;
    precheck::must_hold_no_large_objects(&snapshot.session).await?;
    let only = if backup.tables.is_empty() {
        Vec::new()
    } else {
        tables_named(&snapshot.session, &backup.tables).await?
    };
    let kept = snapshot.records(job, records).await?;
    let mut dumped = dump::write(job, backup, &snapshot, &tools, &only).await?;
    let counted = snapshot.count(&dumped.contents.tables).await?;
    let flags = flags::noted(&snapshot.session, job.program).await?;
    snapshot.session.run("ROLLBACK").await?;
    let seen = Seen { counted: &counted, steps: records, kept: &kept, partial: !only.is_empty() };
    let rehearsed = match &backup.rehearse {
        Ok(()) => rehearsal::rehearse(job, &tools, &dumped, &seen).await?,
        Err(why) => format!("waived: {why}"),
    };
    dumped.named.keep();
    let mut outcome = outcome(&dumped, &counted, &rehearsed);
    outcome.texts.insert("snapshot".to_owned(), snapshot.sees.clone());
    outcome.texts.insert("public".to_owned(), if snapshot.public { "yes" } else { "no" }.to_owned());
    outcome.texts.insert("pg_dump".to_owned(), tools.version.clone());
    if !only.is_empty() {
        let names: Vec<String> = only.iter().map(|(schema, name)| format!("{schema}.{name}")).collect();
        outcome.texts.insert("only".to_owned(), names.join(", "));
    }
    outcome.texts.extend(flags);
    outcome.took_ms = milliseconds_since(begun);
    Ok((outcome, kept))
}

/// The tables that a partial backup names, with their partitions and children.
async fn tables_named(session: &Session, patterns: &[String]) -> Result<Vec<TableName>, StepError> {
    let oids: Vec<u32> = seal::tables(session, patterns).await?.iter().map(|table| table.oid).collect();
    let rows = session.query(include_str!("backup/descendants.sql"), &[(&oids, Type::OID_ARRAY)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn outcome(dumped: &Dumped, counted: &[Counted], rehearsed: &str) -> Outcome {
    let rows: u64 = counted.iter().map(|table| table.rows).sum();
    let tables = u64::try_from(dumped.contents.tables.len()).unwrap_or(u64::MAX);
    let uncounted = tables.saturating_sub(u64::try_from(counted.len()).unwrap_or(0));
    Outcome {
        summary: format!(
            "dumped {tables} tables with {rows} rows to {} ({} bytes); rehearsed: {rehearsed}",
            dumped.named.file.display(),
            dumped.bytes
        ),
        figures: BTreeMap::from([
            ("bytes".to_owned(), dumped.bytes),
            ("entries".to_owned(), dumped.contents.entries),
            ("tables".to_owned(), tables),
            ("tables_uncounted".to_owned(), uncounted),
            ("rows".to_owned(), rows),
        ]),
        texts: BTreeMap::from([
            ("file".to_owned(), dumped.named.file.display().to_string()),
            ("sha256".to_owned(), dumped.sha256.to_string()),
            ("list".to_owned(), dumped.named.list.display().to_string()),
            ("list_sha256".to_owned(), dumped.list_sha256.to_string()),
            ("rehearsed".to_owned(), rehearsed.to_owned()),
        ]),
        ..Outcome::default()
    }
}

#[cfg(test)]
pub(crate) mod ground;
#[cfg(test)]
mod tests;
