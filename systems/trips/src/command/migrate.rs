//! `trips migrate`.

use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use trips::App;
use trips::migration::{Actor, Migration};

use super::{confirmed, say, told};

/// Whose keys, and whether to copy them.
#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// A user name or an id; several times for several users.
    #[arg(long = "user", required = true)]
    users: Vec<String>,
    /// Copies; without it only counts.
    #[arg(long, requires = "actor")]
    apply: bool,
    /// Who does it: it stands in the trail.
    #[arg(long)]
    actor: Option<String>,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(app: Arc<App>, arguments: &MigrateArguments) -> Result<(), String> {
    if arguments.users.len() > trips::migration::cohort::USERS_MAX {
        return Err(format!("at most {} users are taken at once", trips::migration::cohort::USERS_MAX));
    }
    let name = arguments.actor.clone().unwrap_or_else(|| "cli:dry-run".to_owned());
    let actor = Actor { user_id: name.clone(), name, ip: None };
    if arguments.apply {
        let question = format!("Copy the keys of {} to their ids", arguments.users.join(", "));
        confirmed(&question, "apply", arguments.yes)?;
    }
    let migration = Migration::new(&app).map_err(told)?;
    let report = migration.cohort(&arguments.users, arguments.apply, &actor).await;
    say(&serde_json::to_string_pretty(&report).map_err(told)?);
    if report.success { Ok(()) } else { Err("not every user was done without a failure".to_owned()) }
}

/// Whose keys are counted.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// A user name or an id; several times for several users.
    #[arg(long = "user")]
    users: Vec<String>,
}

/// `trips status`: what is left of these users, or over all users.
pub(crate) async fn status(app: Arc<App>, arguments: &StatusArguments) -> Result<(), String> {
    let migration = Migration::new(&app).map_err(told)?;
    if arguments.users.is_empty() {
        let coverage = migration.coverage().await.map_err(told)?;
        say(&serde_json::to_string_pretty(&coverage).map_err(told)?);
        return Ok(());
    }
    let (success, results) = migration.status(&arguments.users).await;
    say(&serde_json::to_string_pretty(&Value::Object(results)).map_err(told)?);
    if success { Ok(()) } else { Err("not every user could be looked at".to_owned()) }
}
