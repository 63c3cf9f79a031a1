//! `vfs-server epoch`.

use clap::{Args, Subcommand};
use vfs_server::feed;

use super::{connect, say};

#[derive(Debug, Subcommand)]
pub(crate) enum EpochCommand {
    /// Begins a new epoch of the feeds: after a restore, before clients are let in.
    Begin(BeginArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BeginArguments {
    /// Why.
    #[arg(long)]
    reason: String,
    /// The epoch that clients have seen last, where the database may not know it any more.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..9_999))]
    above: i32,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// Does what is said of epochs.
pub(super) async fn run(command: &EpochCommand) -> Result<(), String> {
    let EpochCommand::Begin(arguments) = command;
    let session = connect("vfs-server epoch").await?;
    let begun = feed::begin(&session, arguments.above, &arguments.reason)
        .await
        .map_err(|failure| format!("no epoch was begun: {failure}"))?;
    if arguments.json {
        say(&serde_json::to_string(&begun).map_err(|error| error.to_string())?);
    } else {
        say(&format!("feed epoch {} begins after position {}", begun.epoch, begun.began_after_seq));
    }
    Ok(())
}
