//! `vfs-server status`.

use clap::Args;
use serde_json::json;
use vfs_server::app::schema_version;
use vfs_server::{feed, freeze};

use super::{connect, say};

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// Says how everything stands.
pub(super) async fn run(arguments: &StatusArguments) -> Result<(), String> {
    let session = connect("vfs-server status").await?;
    let told = |failure: tidegate_store::postgres::Failure| failure.to_string();
    let schema = schema_version(&session).await.map_err(told)?;
    let feed = feed::status(&session).await.map_err(told)?;
    let frozen = freeze::status(&session).await.map_err(told)?;
    let instances = freeze::instances(&session).await.map_err(told)?;
    if arguments.json {
        let document = json!({
            "schemaVersion": schema, "feed": feed, "freeze": frozen, "instances": instances,
        });
        say(&document.to_string());
        return Ok(());
    }
    say(&format!("schema: version {schema}"));
    say(&format!(
        "feeds: epoch {} ({}), position {} of {}, operations kept from position {}",
        feed.epoch,
        feed.reason,
        feed.seq,
        feed.at,
        feed.horizon.saturating_add(1)
    ));
    if let Some(until) = &frozen.held_by_database_until {
        say(&format!(
            "writes: held back by the database itself until {until}, as a restore leaves it until its new epoch has \
             begun; go on with that rollback, which lets writes in"
        ));
    }
    match (&frozen.frozen_until, frozen.frozen) {
        (_, true) if frozen.held_by_database_until.is_some() => {}
        (Some(until), true) => say(&format!(
            "writes: frozen until {until} by {}: {} (epoch {})",
            frozen.actor.as_deref().unwrap_or("nobody named"),
            frozen.reason.as_deref().unwrap_or("no reason given"),
            frozen.epoch
        )),
        _ => say(&format!("writes: let in (epoch {})", frozen.epoch)),
    }
    for instance in &instances {
        say(&format!(
            "instance {}: version {}, knows migration {}, has seen freeze {} and feed epoch {}, {}",
            instance.instance,
            instance.version,
            instance.highest_migration_known,
            instance.freeze_epoch_seen,
            instance.feed_epoch_seen,
            if instance.live { "live" } else { "silent" }
        ));
    }
    Ok(())
}
