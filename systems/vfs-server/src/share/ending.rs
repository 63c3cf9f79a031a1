//! Shares that end by time: the feeds tell of it, so that clients need not watch the clock.

use std::sync::Arc;
use std::time::Duration;

use tidegate_store::postgres::{Pool, Session, Type};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::App;
use crate::db::{Trouble, column, transact};

/// How often it is looked for shares that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Shares that one transaction tells of.
const BATCH: i64 = 200;
/// Transactions of one look.
const BATCHES_MAX: usize = 50;

/// Tells the feeds of shares that have ended, until the service does. Each instance looks; each end is told once.
pub(crate) async fn watch_ends(app: Arc<App>, mut ended: watch::Receiver<bool>) {
    loop {
        if timeout(LOOK_EVERY, ended.changed()).await.is_ok() {
            return;
        }
        match tell_ended(app.pool()).await {
            Ok(0) => {}
            Ok(told) => tracing::debug!(told, "shares have ended"),
            // Writes are frozen or held back: they are told once that is over.
            Err(Trouble::Refused(refusal)) => {
                tracing::debug!(reason = refusal.error(), "ends of shares wait")
            }
            Err(error) => tracing::warn!(%error, "shares that have ended could not be told of"),
        }
    }
}

/// Tells the feeds of shares that have ended and were not told of: to whom they were for, as if they were taken back.
/// Returns how many.
///
/// # Idempotence
/// An end is told once, by whichever instance comes first.
///
/// # Locks
/// The shares' rows, passing over those that are locked; then the feeds' head, to the end of the transaction.
///
/// # Errors
/// [`Trouble`]; what was told before it stays told.
pub async fn tell_ended(pool: &Pool) -> Result<u64, Trouble> {
    let mut all = 0;
    for _ in 0..BATCHES_MAX {
        if !is_one_to_tell(pool).await? {
            break;
        }
        let session = pool.get_to_write().await?;
        let session: &Session = &session;
        let told: u64 = transact!(session, "end shares", "", {
            let sql = include_str!("sql/end_expired.sql");
            Ok(session.execute_prepared(sql, &[(&BATCH, Type::INT8)]).await?)
        })?;
        all += told;
        if told == 0 {
            break;
        }
    }
    Ok(all)
}

/// Looked at first, and without a transaction: mostly there is none.
async fn is_one_to_tell(pool: &Pool) -> Result<bool, Trouble> {
    let session = pool.get().await?;
    let sql = "SELECT EXISTS (SELECT FROM vfs_acl_entries WHERE revoked_at IS NULL \
               AND end_told_of IS DISTINCT FROM expires_at AND expires_at <= now())";
    let rows = session.query_prepared(sql, &[]).await?;
    Ok(rows.first().map_or(Ok(false), |row| column(row, 0))?)
}
