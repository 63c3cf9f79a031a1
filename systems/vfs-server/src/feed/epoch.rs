//! Epochs of the feeds: a restore begins a new one, and no position is given twice.

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, TxOptions, TxOutcome, Type, run_tx};

use crate::app::text;
use crate::db::column;

/// A new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// Its number.
    pub epoch: i32,
    /// The newest number in the feeds when it began.
    pub began_after_seq: i64,
}

/// How the feeds stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochStatus {
    /// The epoch.
    pub epoch: i32,
    /// The newest number.
    pub seq: i64,
    /// The time of the newest row, as ISO 8601 in UTC.
    pub at: String,
    /// Operations up to this number may be gone; 0: none.
    pub horizon: i64,
    /// Why the epoch began.
    pub reason: String,
}

/// Begins a new epoch, above the one that there is and above `above`, whichever is higher.
///
/// A database that was restored knows nothing of epochs that began after its backup: whoever restores says in `above`
/// which one clients have seen last.
///
/// # Errors
/// The database's; nothing is changed then, but where the connection was lost at COMMIT.
///
/// # Locks
/// The feeds' head, to the end of the transaction.
pub async fn begin(session: &Session, above: i32, reason: &str) -> Result<Begun, Failure> {
    let options = TxOptions { application_prefix: "vfs:".to_owned(), ..TxOptions::default() };
    let outcome = run_tx(session, "epoch", &options, async |session: &Session| {
        let sql = include_str!("sql/begin_epoch.sql");
        let rows = session.query(sql, &[(&above, Type::INT4), text(&reason)]).await?;
        let row = rows.first().ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
        Ok::<_, Failure>(Begun { epoch: column(row, 0)?, began_after_seq: column(row, 1)? })
    })
    .await;
    match outcome {
        TxOutcome::Committed(begun) => Ok(begun),
        TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure) => Err(failure),
    }
}

/// How the feeds stand.
///
/// # Errors
/// The database's.
pub async fn status(session: &Session) -> Result<EpochStatus, Failure> {
    let rows = session.query(include_str!("sql/epoch_status.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
    Ok(EpochStatus {
        epoch: column(row, 0)?,
        seq: column(row, 1)?,
        at: column(row, 2)?,
        horizon: column(row, 3)?,
        reason: column(row, 4)?,
    })
}
