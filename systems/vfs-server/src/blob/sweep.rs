//! Abandoning stages whose time is over, and forgetting marks that nobody asks for any more.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tidegate_store::postgres::{Session, ToSql, Type};
use vfs_core::Timestamp;
use vfs_core::blob_stage::{BlobStage, StageEvent, StageStatus};

use super::rows;
use crate::db::{Trouble, column, transact};

/// Stages and marks that are looked at, and written, at a time.
const PAGE: i64 = 500;
/// Stages that a report lists; more are counted.
pub const LISTED_MAX: usize = 10_000;
/// How long the answer to a repeated deletion is remembered.
pub const DELETED_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long an id is reserved for an object that is being written.
pub const STORING_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What a sweep did, or would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Whether anything was written.
    pub applied: bool,
    /// Stages whose time is over, by their ids, at most [`LISTED_MAX`].
    pub expired: Vec<ExpiredStage>,
    /// How many there are.
    pub expired_count: u64,
    /// Stages that are staged for ever, because their time cannot be read: the runbook's malformed metadata.
    pub unreadable: Vec<String>,
    /// Marks of deleted blobs, and of writes that came to nothing, that are old enough to be forgotten.
    pub stale_marks: u64,
}

/// A stage whose time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiredStage {
    /// Its id.
    pub staging_id: String,
    /// Its blob, which stays, with its object.
    pub blob_id: String,
    /// When it was over.
    pub expires_at: String,
}

/// Sweeps. Without `apply` it only looks.
///
/// # Errors
/// The database's; what was swept before stays swept. Frozen writes are [`Trouble::Refused`].
///
/// # Idempotence
/// Nothing is swept twice, and a stage that is attached meanwhile is left alone.
pub async fn sweep(session: &Session, apply: bool) -> Result<SweepReport, Trouble> {
    let now = rows::now()?;
    let mut report = SweepReport { applied: apply, ..SweepReport::default() };
    let mut after = String::new();
    loop {
        let page = session
            .query(include_str!("sql/staged_after.sql"), &[(&after, Type::TEXT), (&PAGE, Type::INT8)])
            .await?;
        let Some(last) = page.last() else { break };
        after = column(last, 0)?;
        let mut expired = Vec::new();
        for row in &page {
            let (id, blob_id, text): (String, String, Option<String>) =
                (column(row, 0)?, column(row, 1)?, column(row, 2)?);
            let Some(expires_at) = text.and_then(|text| text.parse::<Timestamp>().ok()) else {
                if report.unreadable.len() < LISTED_MAX {
                    report.unreadable.push(id);
                }
                continue;
            };
            let stage = BlobStage::Staged { expires_at };
            if stage.next(StageEvent::Sweep { at: now }).is_ok() {
                expired.push(ExpiredStage { staging_id: id, blob_id, expires_at: expires_at.to_string() });
            }
        }
        if apply {
            let swept = transact!(session, "blob_sweep", "", { abandon(session, &expired, now).await })?;
            expired.retain(|stage| swept.contains(&stage.staging_id));
        }
        report.expired_count += expired.len() as u64;
        let room = LISTED_MAX.saturating_sub(report.expired.len());
        report.expired.extend(expired.into_iter().take(room));
    }
    report.stale_marks = marks(session, apply).await?;
    Ok(report)
}

/// Abandons those that are still staged. Returns them.
async fn abandon(
    session: &Session,
    expired: &[ExpiredStage],
    now: Timestamp,
) -> Result<Vec<String>, Trouble> {
    let ids: Vec<&str> = expired.iter().map(|stage| stage.staging_id.as_str()).collect();
    rows::lock_items(session, &ids).await?;
    let status = StageStatus::Abandoned;
    let added = json!({ "status": status.as_str(), "abandonedAt": now.to_string() });
    let mut swept = Vec::new();
    for id in ids {
        if rows::end_stage(session, id, &status.tag(), &added).await? {
            swept.push(id.to_owned());
        }
    }
    Ok(swept)
}

/// Forgets old marks. Returns how many, or how many there are on one page where nothing is written.
async fn marks(session: &Session, apply: bool) -> Result<u64, Trouble> {
    let (deleted, storing) = (DELETED_KEPT.as_secs_f64(), STORING_KEPT.as_secs_f64());
    let mut forgotten = 0;
    loop {
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&deleted, Type::FLOAT8), (&storing, Type::FLOAT8), (&PAGE, Type::INT8)];
        let page = session.query(include_str!("sql/stale_marks.sql"), &parameters).await?;
        let ids = page.iter().map(|row| column(row, 0)).collect::<Result<Vec<String>, _>>()?;
        if !apply || ids.is_empty() {
            return Ok(forgotten + ids.len() as u64);
        }
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&ids, Type::TEXT_ARRAY), (&deleted, Type::FLOAT8), (&storing, Type::FLOAT8)];
        let gone = transact!(session, "blob_forget_marks", "", {
            session.execute(include_str!("sql/forget_marks.sql"), &parameters).await.map_err(Trouble::from)
        })?;
        if gone == 0 {
            return Ok(forgotten);
        }
        forgotten += gone;
    }
}
