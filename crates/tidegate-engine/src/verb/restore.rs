//! `restore`: one transaction that fences, puts flags back, removes, replays, lifts the run's seals and records its outcome.
//!
//! Schema `tidegate` with lease and journal stays as it is. Until the transaction is committed nothing has happened,
//! however it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tidegate_runbook::Restore;
use tidegate_store::postgres::{Session, TxOptions, TxOutcome, run_tx};
use tokio_postgres::types::Type;

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::Event;
use crate::gate::{Passed, milliseconds_since, notices};
use crate::job::Job;
use crate::journal::Head;
use crate::lease;
use crate::outcome::Outcome;
use crate::redact::Redactor;
use crate::verb::backup::{dump_file, tools};
use crate::verb::flags;

mod loss;
pub(crate) mod removal;
mod replay;
mod script;

pub(crate) use loss::loss;

use replay::{Archive, Settings};

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(restore: &Restore) -> String {
    format!(
        "in one transaction: remove everything but the journal, replay backup {}, lift this run's seals, put flags back; every row written since is lost",
        restore.backup
    )
}

/// Restores. The dump is verified before the transaction begins.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    restore: &Restore,
    backup_outcome: &Outcome,
    head: Head,
    events: impl Fn(&Outcome) -> Vec<Event>,
) -> TxOutcome<Passed, StepError> {
    let begun = jiff::Timestamp::now();
    let step = job.step.id.as_str();
    let dump = match Dump::verify(session, job, restore, backup_outcome).await {
        Ok(dump) => dump,
        Err(error) => return TxOutcome::RolledBack(error),
    };
    let settings = match Settings::read(session).await {
        Ok(settings) => settings,
        Err(error) => return TxOutcome::RolledBack(error),
    };
    // One statement may copy the largest table: only the step's own `@timeout` bounds it.
    let options = TxOptions {
        statement_timeout: job.step.timeout,
        idle_in_transaction_timeout: None,
        ..job.tx_options()
    };
    run_tx(session, step, &options, async |session: &Session| {
        let transaction = lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        crash::point(Site::GateFenced, step);
        let moves = flags::put_back(session, job, backup_outcome).await?;
        removal::remove_everything(session, dump.public).await?;
        crash::point(Site::RestoreRemoved, step);
        let archive = Archive { tools: &dump.tools, file: &dump.file, list: &dump.list };
        let replayed = archive.replay(session, job).await?;
        settings.put_back(session).await?;
        dump.must_be_complete(replayed.rows)?;
        let run = job.run();
        let lifted = session.execute(include_str!("restore/lift_seals.sql"), &[(&run, Type::UUID)]).await?;
        crash::point(Site::RestoreReplayed, step);
        let outcome = Outcome {
            summary: format!(
                "restored backup {}: {} tables with {} rows are as they were",
                restore.backup, replayed.tables, replayed.rows
            ),
            figures: BTreeMap::from([
                ("tables".to_owned(), replayed.tables),
                ("rows".to_owned(), replayed.rows),
                ("seals_lifted".to_owned(), lifted),
            ]),
            texts: BTreeMap::from([
                ("file".to_owned(), dump.file.display().to_string()),
                ("sha256".to_owned(), dump.sha256.clone()),
            ]),
            transaction: Some(transaction),
            notices: notices(session),
            took_ms: milliseconds_since(begun),
            ..Outcome::default()
        };
        let events = moves.into_iter().chain(events(&outcome)).collect();
        let events = Redactor::new(job.values.secrets()).events(events);
        let prepared = head.prepare(job.run(), job.epoch, events)?;
        prepared.must_follow(job.state)?;
        prepared.write(session).await?;
        crash::point(Site::GateBeforeCommit, step);
        Ok::<_, StepError>(Passed { outcome, prepared })
    })
    .await
}

/// A dump whose bytes are those that the backup wrote.
struct Dump {
    tools: tools::Tools,
    file: PathBuf,
    list: PathBuf,
    sha256: String,
    public: bool,
    /// Rows that it must hold; `None` where not every table could be counted.
    rows: Option<u64>,
}

impl Dump {
    async fn verify(
        session: &Session,
        job: Job<'_>,
        restore: &Restore,
        backup: &Outcome,
    ) -> Result<Self, StepError> {
        let text = |name: &str| {
            backup.texts.get(name).cloned().ok_or_else(|| {
                StepError::refused(
                    format!("the outcome of backup {} does not name its {name}", restore.backup),
                    "Nothing was changed. Restore by hand with pg_restore.",
                )
            })
        };
        if let Some(tables) = backup.texts.get("only") {
            return Err(StepError::refused(
                format!("backup {} holds some tables only: {tables}", restore.backup),
                "Nothing was changed. A backup of some tables is put back by hand with pg_restore.",
            ));
        }
        let (file, list) = (PathBuf::from(text("file")?), PathBuf::from(text("list")?));
        for (path, wanted) in [(&file, text("sha256")?), (&list, text("list_sha256")?)] {
            let found = dump_file::digest(path).await?.to_string();
            if found != wanted {
                return Err(StepError::refused(
                    format!(
                        "{} is not what backup {} wrote: its SHA-256 is {found}, not {wanted}",
                        path.display(),
                        restore.backup
                    ),
                    "Nothing was changed. Put the true file back there, or take another way.",
                ));
            }
        }
        let counted_all = backup.figures.get("tables_uncounted") == Some(&0);
        Ok(Self {
            tools: tools::find(job, session).await?,
            file,
            list,
            sha256: text("sha256")?,
            public: backup.texts.get("public").is_none_or(|public| public == "yes"),
            rows: backup.figures.get("rows").copied().filter(|_| counted_all),
        })
    }

    fn must_be_complete(&self, rows: u64) -> Result<(), StepError> {
        match self.rows {
            Some(wanted) if wanted != rows => Err(StepError::refused(
                format!("the dump gave {rows} rows where the backup counted {wanted}"),
                "Nothing was changed. Restore by hand from another copy of the dump.",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
