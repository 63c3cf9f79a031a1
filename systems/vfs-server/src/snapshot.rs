//! The state of the operations, folded, as one user sees it: what a client begins anew with.

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, ToSql, Type};
use vfs_core::container_clock::ContainerClock;
use vfs_core::replay::{ReplaySnapshot, ReplayedAcl, ReplayedLink};
use vfs_core::{
    AccessLevel, Cursor, Position, PrincipalType, ReconcileState, ReplicaId, WriteId, WriteIdMap,
};

use crate::app::text;
use crate::crdt::WRITE_IDS_MAX;
use crate::db::{Trouble, column};
use crate::feed::time;

/// Links, entries and clocks of one snapshot, together.
pub const ROWS_MAX: i64 = 1_000_000;

/// A state to begin with, in the shape that a client exports its own in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Access and links, and up to where.
    pub replay_snapshot: ReplaySnapshot,
    /// Up to where, and the newest writes of the user's replicas.
    pub reconcile_state: ReconcileState,
    /// The newest change in each container.
    pub container_clocks: Vec<ContainerClock>,
    /// The epoch that it is of.
    pub feed_epoch: i32,
}

/// Folds what a user sees now. One statement, so that all of it is of one moment, and nothing is committed between what
/// is folded and the cursor that it is folded up to.
///
/// # Errors
/// [`Trouble`], also where there are more than `rows_max` rows, which are [`ROWS_MAX`] but in tests.
pub async fn snapshot(
    session: &Session,
    user: &str,
    client: Option<&str>,
    rows_max: i64,
) -> Result<Snapshot, Trouble> {
    let sql = include_str!("snapshot/sql/fold.sql");
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [text(&user), text(&client), (&WRITE_IDS_MAX, Type::INT8), (&rows_max.saturating_add(1), Type::INT8)];
    let rows = session.query_prepared(sql, &parameters).await?;
    if i64::try_from(rows.len()).is_ok_and(|rows| rows > rows_max) {
        return Err(Trouble::Broken(format!("a snapshot would have more than {rows_max} rows")));
    }
    let mut head = None;
    let mut replay_snapshot = ReplaySnapshot { acl: Vec::new(), links: Vec::new(), cursor: None };
    let mut writes = WriteIdMap::new();
    let mut container_clocks = Vec::new();
    for row in &rows {
        let kind: i32 = column(row, 0)?;
        let (a, b, c, d): (String, String, String, String) =
            (column(row, 1)?, column(row, 2)?, column(row, 3)?, column(row, 4)?);
        let at: Option<jiff::Timestamp> = column(row, 5)?;
        let number: i64 = column(row, 6)?;
        let at = at.map(time).transpose()?.ok_or_else(|| broken("a time is missing"));
        match kind {
            1 => {
                let epoch = i32::try_from(number).map_err(|_| broken("the epoch is none"))?;
                let position = Position::parse(&a).ok_or_else(|| broken("the head has no position"))?;
                head = Some((epoch, position.at(at?)));
            }
            2 => replay_snapshot.links.push(ReplayedLink { parent_id: a, child_id: b }),
            3 => replay_snapshot.acl.push(ReplayedAcl {
                item_id: a,
                principal_type: PrincipalType::parse(&b).ok_or_else(|| broken("principal_type"))?,
                principal_id: c,
                access_level: AccessLevel::parse(&d).ok_or_else(|| broken("access_level"))?,
            }),
            4 => {
                let changed = Cursor::new(at?, &b).ok_or_else(|| broken("an operation has no id"))?;
                container_clocks.push(ContainerClock { container_id: a, changed });
            }
            _ => {
                let replica = ReplicaId::parse(&a).map_err(|_| broken("a replica's id"))?;
                let write = u64::try_from(number).ok().and_then(|write| WriteId::new(write).ok());
                writes.observe(replica, write.ok_or_else(|| broken("a replica's newest write"))?);
            }
        }
    }
    let (feed_epoch, cursor) = head.ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
    replay_snapshot.cursor = Some(cursor.clone());
    let reconcile_state = ReconcileState { cursor, last_reconciled_write_ids: writes };
    Ok(Snapshot { replay_snapshot, reconcile_state, container_clocks, feed_epoch })
}

fn broken(what: &str) -> Trouble {
    Trouble::Broken(format!("{what}: not what it must be"))
}
