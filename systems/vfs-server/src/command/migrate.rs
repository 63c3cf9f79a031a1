//! `vfs-server migrate`: every migration that is not applied yet, in order.
//!
//! The engine applies them, one transaction each, under its lease and with what it applied in `schema_migrations`.
//! Nothing of a runbook is asked: no confirms, no backups. What the files refuse, they refuse here, too; and their drops
//! are drops.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Args;
use tidegate_engine::embedded::{Page, Seen, Stopped, check, run as run_page};
use vfs_server::migrations::{MIGRATIONS, Migration};

use super::{FAILED, actor, connect, failed, say};

/// The page's beginning.
const HEAD: &str = include_str!("migrate/head.md");
/// The head of the stage of what comes after the baseline.
const FLATTENING: &str = include_str!("migrate/flattening.md");
/// What makes the version table, as the baseline does.
const TABLE: &str = include_str!("migrate/table.sql");

/// What the file of a migration that needs the keys' prefix reads it from.
const PREFIX_SETTING: &str = "vfs.blob_key_prefix";

#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// Applies nothing that comes after this version, such as 24.
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
}

/// Applies what is missing.
pub(super) async fn run(arguments: &MigrateArguments) -> ExitCode {
    match migrate(arguments.to).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped { code, why }) => failed(&why, code),
    }
}

async fn migrate(to: Option<u32>) -> Result<(), Stopped> {
    let stopped = |why: String| Stopped { code: FAILED, why };
    let wanted: Vec<Migration> =
        MIGRATIONS.iter().filter(|migration| to.is_none_or(|to| migration.version <= to)).copied().collect();
    if to.is_some_and(|to| wanted.last().is_none_or(|last| last.version != to)) {
        return Err(stopped("--to: there is no migration of that version".to_owned()));
    }
    let checked = check(page(&wanted))?;
    let session = connect("vfs-server migrate").await.map_err(stopped)?;
    session.run(TABLE).await.map_err(|failure| stopped(failure.to_string()))?;
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
    say(&format!("migrate: {applied} applied, {} in all", wanted.len()));
    Ok(())
}

/// The environment, with the prefix of the keys in the object store as a setting of every session.
fn environment(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    let prefix = std::env::var("VFS_BLOB_S3_KEY_PREFIX").ok().filter(|prefix| !prefix.is_empty());
    match (name, prefix) {
        ("PGOPTIONS", Some(prefix)) => {
            let escaped = prefix.replace('\\', "\\\\").replace(' ', "\\ ");
            Some(
                format!("{} -c {PREFIX_SETTING}={escaped}", value.unwrap_or_default())
                    .trim_start()
                    .to_owned(),
            )
        }
        _ => value,
    }
}

/// The page that applies these migrations.
fn page(migrations: &[Migration]) -> Page {
    let mut text = HEAD.to_owned();
    let mut files = Vec::new();
    for (at, migration) in migrations.iter().enumerate() {
        if at == 1 {
            text.push_str(FLATTENING);
        }
        let path = format!("migrations/{}", migration.name);
        let version = migration.version;
        text.push_str(&format!(
            "\n```sql\n-- @migrate v{version:03}\n-- @version {version}\n-- @file {path}\n```\n"
        ));
        files.push((path, migration.sql.to_owned()));
    }
    Page { name: "migrate.md", text, files }
}
