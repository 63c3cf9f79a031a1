//! `accounts platform-migrate`: every migration that is not applied yet, in order.
//!
//! The engine applies them, one transaction each, under its lease and with what it applied in
//! `platform_schema_migrations`. Nothing of a runbook is asked: no confirms, no backups. What stands under `manual/` is
//! never applied.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use accounts::{MIGRATIONS, Migration};
use clap::Args;
use tidegate_engine::embedded::{Checked, Page, Seen, Stopped, check, run as run_page};
use tidegate_engine::versions::Versioned;
use tidegate_runbook::Runbook;
use tidegate_store::postgres::Session;

use super::{FAILED, USAGE, actor, connect, environment, failed, say};

/// The page's beginning.
const HEAD: &str = include_str!("platform_migrate/head.md");
/// What makes the version table, which older versions of this program have made likewise.
const TABLE: &str = include_str!("platform_migrate/table.sql");

#[derive(Debug, Args)]
pub(crate) struct PlatformMigrateArguments {
    /// Applies nothing that comes after this version, such as 0004.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

/// Applies what is missing.
pub(super) async fn run(arguments: &PlatformMigrateArguments) -> ExitCode {
    match migrate(arguments.to.as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped { code, why }) => failed(&why, code),
    }
}

async fn migrate(to: Option<&str>) -> Result<(), Stopped> {
    let stopped = |why: String| Stopped { code: FAILED, why };
    let wanted: Vec<Migration> =
        MIGRATIONS.iter().filter(|migration| to.is_none_or(|to| version(migration) <= to)).copied().collect();
    if to.is_some_and(|to| wanted.last().is_none_or(|last| version(last) != to)) {
        return Err(Stopped { code: USAGE, why: "--to: there is no migration of that version".to_owned() });
    }
    let checked: Checked = check(page(&wanted))?;
    let session = connect("accounts platform-migrate").await?;
    session.run(TABLE).await.map_err(|failure| stopped(failure.to_string()))?;
    refuse_changed(&session, &checked.runbook).await.map_err(stopped)?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    let ended = run_page(checked, actor(), environment, &seen).await;
    let mut applied = 0_usize;
    for (step, outcome) in &seen.borrow().done {
        if !outcome.already {
            applied += 1;
            say(&format!("{step}: {}", outcome.summary));
        }
    }
    ended?;
    say(&format!("platform-migrate: {applied} applied, {} in all", wanted.len()));
    Ok(())
}

/// Refuses a file that was applied with other statements than it has now.
async fn refuse_changed(session: &Session, runbook: &Runbook) -> Result<(), String> {
    let rows = session.query("SELECT id, checksum FROM platform_schema_migrations", &[]).await;
    let rows = rows.map_err(|failure| failure.to_string())?;
    let steps = runbook.stages.iter().flat_map(|stage| &stage.steps).filter_map(Versioned::of);
    for Versioned { name, checksum, .. } in steps {
        for row in &rows {
            let read = |at: usize| row.try_get::<_, String>(at).map_err(|error| error.to_string());
            let (known, stored) = (read(0)?, read(1)?);
            if known == name && stored != checksum {
                return Err(format!(
                    "Migration checksum mismatch for {name}. Expected {stored}, got {checksum}."
                ));
            }
        }
    }
    Ok(())
}

/// The digits that a file's name begins with.
fn version(migration: &Migration) -> &'static str {
    migration.name.split('_').next().unwrap_or_default()
}

/// The page that applies these migrations.
fn page(migrations: &[Migration]) -> Page {
    let mut text = HEAD.to_owned();
    let mut files = Vec::new();
    for migration in migrations {
        let version = version(migration);
        let path = format!("migrations/{}", migration.name);
        text.push_str(&format!(
            "\n```sql\n-- @migrate apply_{version}\n-- @version {version}\n-- @file {path}\n"
        ));
        if let Some(undo) = migration.undo {
            text.push_str(&format!("-- @undo\n{undo}"));
        }
        text.push_str("```\n");
        files.push((path, migration.sql.to_owned()));
    }
    Page { name: "platform-migrate.md", text, files }
}
