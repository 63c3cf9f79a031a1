//! `vfs-server legacy-seed`.

use clap::Args;
use tidegate_store::postgres::{Session, TxOptions, TxOutcome, run_tx};
use vfs_server::legacy::{LegacyData, ROWS_MAX, seed};

use super::{connect, say};

#[derive(Debug, Args)]
pub(crate) struct LegacySeedArguments {
    /// How many items; about as many blobs, stages and attachments.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    rows: u32,
    /// What everything but times follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prefix of the keys in the object store.
    #[arg(long, env = "VFS_BLOB_S3_KEY_PREFIX", default_value = "")]
    prefix: String,
    /// Attaches some blobs to one item as several kinds: migration 24 then stops until a person chose.
    #[arg(long)]
    several_kinds: bool,
}

/// Fills the database.
pub(super) async fn run(arguments: &LegacySeedArguments) -> Result<(), String> {
    let session = connect("vfs-server legacy-seed").await?;
    let data = LegacyData {
        rows: arguments.rows,
        seed: arguments.seed,
        prefix: arguments.prefix.trim_end_matches('/').to_owned(),
        several_kinds: arguments.several_kinds,
    };
    let options = TxOptions { statement_timeout: None, ..TxOptions::default() };
    let outcome = run_tx(&session, "vfs-server legacy-seed", &options, async |session: &Session| {
        seed(session, &data).await
    })
    .await;
    match outcome {
        TxOutcome::Committed(()) => {
            session.run("ANALYZE").await.map_err(|failure| failure.to_string())?;
            say(&format!("{} items of before the flattening, seed {}", data.rows, data.seed));
            Ok(())
        }
        TxOutcome::RolledBack(failure) => {
            Err(format!("{failure}; nothing was added. Is the database empty, and at version 23?"))
        }
        TxOutcome::Unknown(failure) => Err(format!("{failure}; whether rows were added is not known")),
    }
}
