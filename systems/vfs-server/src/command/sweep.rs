//! `vfs-server sweep`.

use clap::Args;
use vfs_server::blob::sweep::sweep;

use super::{connect, say};

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// Writes. Without it, what would be written is told.
    #[arg(long)]
    apply: bool,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// Abandons stages whose time is over.
pub(super) async fn run(arguments: &SweepArguments) -> Result<(), String> {
    let session = connect("vfs-server sweep").await?;
    let report = sweep(&session, arguments.apply).await.map_err(|trouble| trouble.to_string())?;
    if arguments.json {
        let document = serde_json::to_string(&report).map_err(|error| error.to_string())?;
        say(&document);
        return Ok(());
    }
    let (abandoned, forgotten) = if arguments.apply {
        ("abandoned", "forgotten")
    } else {
        ("would be abandoned", "would be forgotten")
    };
    for stage in &report.expired {
        say(&format!(
            "stage {} of blob {}: expired {}, {abandoned}",
            stage.staging_id, stage.blob_id, stage.expires_at
        ));
    }
    for id in &report.unreadable {
        say(&format!("stage {id}: its expiry cannot be read, and it is left alone"));
    }
    say(&format!(
        "{} stages {abandoned}, {} old marks {forgotten}",
        report.expired_count, report.stale_marks
    ));
    Ok(())
}
