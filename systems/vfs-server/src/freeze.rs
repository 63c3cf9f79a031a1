//! Holding writes back: a row with an epoch, changed while no write is open, seen by each write.
//!
//! Every write takes the advisory lock [`FREEZE_LOCK`] shared and then reads the row, in its own transaction. Whoever
//! changes the row takes the lock for itself: after its COMMIT no older writer is open, and every later one reads the
//! new row. The signs of life of the instances say who has heard of it.

use std::time::Duration;

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, TxOptions, TxOutcome, Type, run_tx};

use crate::app::text;
use crate::db::column;
use crate::instances::LOST_AFTER;

/// The advisory lock of every write.
pub const FREEZE_LOCK: i64 = 7_337_001;
/// How long writes may be held back at most; it then lifts by itself.
pub const FREEZE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long open writes are waited for.
const WRITERS_BOUND: Duration = Duration::from_secs(30);

/// How writes stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezeStatus {
    /// Grows with each change.
    pub epoch: i64,
    /// Whether writes are held back now.
    pub frozen: bool,
    /// Until when, as ISO 8601 in UTC; also a time that has passed.
    pub frozen_until: Option<String>,
    /// Until when the database itself holds writes back, whatever rows a restore brings. `None`: it does not.
    pub held_by_database_until: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub actor: Option<String>,
}

/// An instance, by its last sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Its name.
    pub instance: String,
    /// Its program's version.
    pub version: String,
    /// The newest migration that it knows.
    pub highest_migration_known: i32,
    /// The epoch of the freeze that it has seen.
    pub freeze_epoch_seen: i64,
    /// The epoch of the feeds that it has seen.
    pub feed_epoch_seen: i32,
    /// Milliseconds since its last sign of life.
    pub silent_ms: i64,
    /// Whether that is recent.
    pub live: bool,
}

/// Holds writes back for a time, from the moment in which no older write is open. Returns the freeze's epoch.
///
/// # Errors
/// The database's; nothing is changed then, but where the connection was lost at COMMIT.
pub async fn freeze(
    session: &Session,
    duration: Duration,
    reason: &str,
    actor: &str,
) -> Result<i64, Failure> {
    let seconds = duration.min(FREEZE_MAX).as_secs_f64();
    change(
        session,
        include_str!("freeze/sql/freeze.sql"),
        &[(&seconds, Type::FLOAT8), text(&reason), text(&actor)],
    )
    .await
}

/// Lets writes in again. Returns the freeze's epoch.
///
/// # Errors
/// As [`freeze`].
pub async fn unfreeze(session: &Session) -> Result<i64, Failure> {
    change(session, include_str!("freeze/sql/unfreeze.sql"), &[]).await
}

async fn change(
    session: &Session,
    sql: &str,
    parameters: &[(&(dyn tidegate_store::postgres::ToSql + Sync), Type)],
) -> Result<i64, Failure> {
    let options = TxOptions {
        lock_timeout: Some(WRITERS_BOUND),
        application_prefix: "vfs:".to_owned(),
        ..TxOptions::default()
    };
    let outcome = run_tx(session, "freeze", &options, async |session: &Session| {
        session.query("SELECT pg_advisory_xact_lock($1)", &[(&FREEZE_LOCK, Type::INT8)]).await?;
        let rows = session.query(sql, parameters).await?;
        let row = rows.first().ok_or_else(|| Failure::unusable_answer("the row of vfs_freeze is missing"))?;
        column(row, 0)
    })
    .await;
    match outcome {
        TxOutcome::Committed(epoch) => Ok(epoch),
        TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure) => Err(failure),
    }
}

/// How writes stand.
///
/// # Errors
/// The database's.
pub async fn status(session: &Session) -> Result<FreezeStatus, Failure> {
    let rows = session.query(include_str!("freeze/sql/status.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("the row of vfs_freeze is missing"))?;
    Ok(FreezeStatus {
        epoch: column(row, 0)?,
        frozen: column(row, 1)?,
        frozen_until: column(row, 2)?,
        reason: column(row, 3)?,
        actor: column(row, 4)?,
        held_by_database_until: column(row, 5)?,
    })
}

/// Every instance that has given a sign of life, by name.
///
/// # Errors
/// The database's.
pub async fn instances(session: &Session) -> Result<Vec<InstanceStatus>, Failure> {
    let rows = session.query(include_str!("freeze/sql/instances.sql"), &[]).await?;
    let lost_after_ms = i64::try_from(LOST_AFTER.as_millis()).unwrap_or(i64::MAX);
    let read = |row| {
        let silent_ms: i64 = column(row, 5)?;
        Ok(InstanceStatus {
            instance: column(row, 0)?,
            version: column(row, 1)?,
            highest_migration_known: column(row, 2)?,
            freeze_epoch_seen: column(row, 3)?,
            feed_epoch_seen: column(row, 4)?,
            silent_ms,
            live: silent_ms <= lost_after_ms,
        })
    };
    rows.iter().map(read).collect()
}

/// Waits until every live instance has seen an epoch of the freeze, at most for `bound`. Returns those that have not.
///
/// # Errors
/// The database's.
pub async fn acknowledged(
    session: &Session,
    epoch: i64,
    bound: Duration,
) -> Result<Vec<InstanceStatus>, Failure> {
    let started = tokio::time::Instant::now();
    loop {
        let mut waiting = instances(session).await?;
        waiting.retain(|instance| instance.live && instance.freeze_epoch_seen < epoch);
        if waiting.is_empty() || started.elapsed() >= bound {
            return Ok(waiting);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
