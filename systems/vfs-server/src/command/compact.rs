//! `vfs-server compact`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use vfs_core::compaction::CompactionOptions;
use vfs_server::compaction;

use super::{connect, duration, say};

#[derive(Debug, Args)]
pub(crate) struct CompactArguments {
    /// Does it. Without, what would be done is printed.
    #[arg(long)]
    apply: bool,
    /// Younger operations are kept. Default: 720h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    hot_retention: Option<Duration>,
    /// A client that has not reconciled for longer is not waited for. Default: 2160h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    inactive_window: Option<Duration>,
    /// So much before the oldest cursor of an active client is kept. Default: 6h.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    safety_buffer: Option<Duration>,
    /// Operations by which the horizon moves at most.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    max_rows: i64,
}

/// Plans, and with `--apply` does what was planned.
pub(super) async fn run(arguments: &CompactArguments) -> Result<(), String> {
    let session = connect("vfs-server compact").await?;
    let mut options = CompactionOptions::default();
    options.hot_retention = arguments.hot_retention.unwrap_or(options.hot_retention);
    options.inactive_client_window = arguments.inactive_window.unwrap_or(options.inactive_client_window);
    options.cursor_safety_buffer = arguments.safety_buffer.unwrap_or(options.cursor_safety_buffer);
    let planned = compaction::plan(&session, &options, arguments.max_rows)
        .await
        .map_err(|failure| format!("no plan could be made: {failure}"))?;
    let mut document = json!(planned);
    let outcome = match planned.horizon {
        _ if !arguments.apply => Ok(()),
        Some(horizon) => match compaction::apply(&session, horizon).await {
            Ok(deleted) => {
                if let Some(fields) = document.as_object_mut() {
                    fields.insert("deletedRows".to_owned(), json!(deleted));
                }
                Ok(())
            }
            Err(trouble) => Err(format!("compaction stopped: {trouble}; run it again to go on")),
        },
        None if planned.plan.blocked_reason.is_some() => {
            Err("compaction is blocked: a client's stored state is malformed".to_owned())
        }
        None => Ok(()),
    };
    say(&document.to_string());
    outcome
}
