//! `vfs-server freeze` and `unfreeze`.

use std::time::Duration;

use clap::Args;
use vfs_server::freeze::{self, FREEZE_MAX};

use super::{connect, duration, say};

#[derive(Debug, Args)]
pub(crate) struct FreezeArguments {
    /// For how long, at most an hour; it then lifts by itself.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    life: Duration,
    /// Why.
    #[arg(long)]
    reason: String,
    /// Who holds writes back.
    #[arg(long)]
    actor: String,
    /// How long the instances' acknowledgement is waited for.
    #[arg(long, value_parser = duration, default_value = "15s", value_name = "TIME")]
    wait: Duration,
}

/// Holds writes back and waits until every live instance has seen it.
pub(super) async fn freeze(arguments: &FreezeArguments) -> Result<(), String> {
    if arguments.life.is_zero() || arguments.life > FREEZE_MAX {
        return Err("--for: must be more than 0 and at most 1h".to_owned());
    }
    let session = connect("vfs-server freeze").await?;
    let epoch = freeze::freeze(&session, arguments.life, &arguments.reason, &arguments.actor)
        .await
        .map_err(|failure| format!("writes are not frozen: {failure}"))?;
    let waiting = freeze::acknowledged(&session, epoch, arguments.wait)
        .await
        .map_err(|failure| format!("writes are frozen, but who has seen it cannot be told: {failure}"))?;
    if waiting.is_empty() {
        say(&format!("writes are frozen: epoch {epoch}, for {} s", arguments.life.as_secs_f64()));
        return Ok(());
    }
    let names: Vec<&str> = waiting.iter().map(|instance| instance.instance.as_str()).collect();
    Err(format!(
        "writes are frozen (epoch {epoch}), but these instances have not acknowledged it: {}; `vfs-server unfreeze` \
         lets writes in again",
        names.join(", ")
    ))
}

/// Lets writes in again.
pub(super) async fn unfreeze() -> Result<(), String> {
    let session = connect("vfs-server unfreeze").await?;
    let epoch = freeze::unfreeze(&session).await.map_err(|failure| failure.to_string())?;
    say(&format!("writes are let in: epoch {epoch}"));
    Ok(())
}
