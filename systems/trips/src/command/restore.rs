//! `trips kv-restore`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tidegate_store::kv::snapshot::Keys;
use trips::App;
use trips::migration::recovery::Extent;
use trips::migration::{Actor, Migration};

use super::{confirmed, say, told};

/// Keys of one kind that are printed.
const KEYS_PRINTED: usize = 20;

/// What is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Everything as it was: later keys are removed, later writes are undone.
    Exact,
    /// What is missing; nothing that stands is touched.
    Missing,
    /// What stands under one user's id.
    User,
}

/// From where, and how.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The file.
    #[arg(long)]
    from: PathBuf,
    /// How.
    #[arg(long, value_enum, default_value = "exact")]
    mode: How,
    /// The user of `--mode user`: a name or an id.
    #[arg(long, required_if_eq("mode", "user"))]
    user: Option<String>,
    /// Writes; without it only says what would be lost.
    #[arg(long, requires = "actor")]
    apply: bool,
    /// Who does it: it stands in the trail.
    #[arg(long)]
    actor: Option<String>,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(app: Arc<App>, arguments: &RestoreArguments) -> Result<(), String> {
    let extent = match (arguments.mode, &arguments.user) {
        (How::Exact, _) => Extent::Exact,
        (How::Missing, _) => Extent::Missing,
        (How::User, Some(user)) => Extent::User(user.clone()),
        (How::User, None) => return Err("--mode user needs --user".to_owned()),
    };
    let name = arguments.actor.clone().unwrap_or_else(|| "cli:dry-run".to_owned());
    let actor = Actor { user_id: name.clone(), name, ip: None };
    let migration = Migration::new(&app).map_err(told)?;
    let would = migration.restore(&arguments.from, &extent, false, &actor).await.map_err(told)?;
    print("lost: written over", &would.replaced);
    print("lost: removed", &would.removed);
    print("put back", &would.added);
    print("left, though it differs", &would.kept);
    print("not put back, as it has expired", &would.expired);
    say(&format!("{:>8}  the same", would.same));
    if !arguments.apply {
        say("nothing was written; add --apply --actor \"your name\" to write it");
        return Ok(());
    }
    confirmed("Write this, and lose what is said above to be lost", "restore", arguments.yes)?;
    let done = migration.restore(&arguments.from, &extent, true, &actor).await.map_err(told)?;
    say(&format!(
        "{} put back, {} written over, {} removed; indexes are rebuilt",
        done.added.count, done.replaced.count, done.removed.count
    ));
    Ok(())
}

fn print(what: &str, keys: &Keys) {
    say(&format!("{:>8}  {what}", keys.count));
    for (namespace, key) in keys.first.iter().take(KEYS_PRINTED) {
        say(&format!("          {namespace} {key}"));
    }
}
