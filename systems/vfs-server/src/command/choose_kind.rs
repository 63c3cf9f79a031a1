//! `vfs-server choose-kind`.

use clap::Args;
use vfs_server::legacy::{Choice, choose};

use super::{connect, say};

#[derive(Debug, Args)]
pub(crate) struct ChooseKindArguments {
    /// The blob.
    #[arg(long)]
    blob: String,
    /// The item that it is attached to.
    #[arg(long)]
    item: String,
    /// What it stays attached as: one of the kinds that it is attached as now.
    #[arg(long)]
    kind: String,
    /// Who chooses.
    #[arg(long)]
    actor: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// Notes the choice.
pub(super) async fn run(arguments: &ChooseKindArguments) -> Result<(), String> {
    let session = connect("vfs-server choose-kind").await?;
    let choice = Choice {
        blob: arguments.blob.clone(),
        item: arguments.item.clone(),
        kind: arguments.kind.clone(),
        actor: arguments.actor.clone(),
        reason: arguments.reason.clone(),
    };
    let Choice { blob, item, kind, .. } = &choice;
    if !choose(&session, &choice).await.map_err(|failure| failure.to_string())? {
        return Err(format!("blob {blob} is not attached to item {item} as {kind}; nothing was noted"));
    }
    say(&format!("blob {blob}, item {item}: {kind} stays"));
    Ok(())
}
