//! Reconciling: a client tells how far it has come; what is kept never falls.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tidegate_store::postgres::{Failure, Pool, Row, Session, Type};
use vfs_core::write_ids::ENTRIES_MAX;
use vfs_core::{ClientId, Cursor, ReconcileRequest, ReconcileState, ReplicaId, WriteId, WriteIdMap};

use crate::app::text;
use crate::db::{Trouble, column, transact};
use crate::feed::{Feed, ground, time};

/// Stands before a client's id in its state of the feed of operations.
pub const STATE_PREFIX: &str = "crdt:";

/// What is kept of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// How far it has come.
    pub state: ReconcileState,
    /// The epoch of the feeds.
    pub epoch: i32,
}

/// Keeps how far a client has come in the feed of operations, unless it was further already.
///
/// # Idempotence
/// The later cursor and for each replica the larger write are kept, so that repeats and their order do not matter.
///
/// # Errors
/// [`Trouble`]; a cursor that is not of this feed, or from which a pull would not go on, is [`Trouble::Refused`].
pub async fn reconcile(pool: &Pool, user: &str, request: &ReconcileRequest) -> Result<Reconciled, Trouble> {
    let key = format!("{STATE_PREFIX}{}", request.client_id);
    keep(pool, user, Feed::Operations, &key, &request.client_id, &request.state).await
}

/// The same for the feed of objects, which has no writes.
///
/// # Errors
/// As [`reconcile`].
pub async fn reconcile_objects(
    pool: &Pool,
    user: &str,
    request: &ReconcileRequest,
) -> Result<Reconciled, Trouble> {
    keep(pool, user, Feed::Objects, request.client_id.as_str(), &request.client_id, &request.state).await
}

async fn keep(
    pool: &Pool,
    user: &str,
    feed: Feed,
    key: &str,
    client: &ClientId,
    state: &ReconcileState,
) -> Result<Reconciled, Trouble> {
    let cursor = &state.cursor;
    let at = jiff::Timestamp::from(cursor.changed_at);
    let write_ids = serde_json::to_value(&state.last_reconciled_write_ids)
        .map_err(|error| Trouble::Broken(error.to_string()))?;
    let entries_max = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX);
    let session = pool.get_to_write().await?;
    let session: &Session = &session;
    transact!(session, "reconcile", "", {
        let ground = ground(session, Some(cursor)).await?;
        ground.judge(feed, Some(cursor)).map_err(|gone| gone.refusal(ground.epoch))?;
        let sql = include_str!("sql/reconcile.sql");
        let rows = session
            .query_prepared(
                sql,
                &[
                    text(&user),
                    text(&key),
                    (&at, Type::TIMESTAMPTZ),
                    text(&cursor.change_id),
                    (&write_ids, Type::JSONB),
                    text(&client.as_str()),
                    (&entries_max, Type::INT8),
                ],
            )
            .await?;
        let row = rows.first().ok_or_else(|| Failure::unusable_answer("no state of the client was kept"))?;
        let state = stored(row, client, &state.last_reconciled_write_ids)?;
        Ok(Reconciled { state, epoch: ground.epoch })
    })
}

/// What is kept, with as many writes as a client takes: its own, those that it named, then the others.
fn stored(row: &Row, client: &ClientId, named: &WriteIdMap) -> Result<ReconcileState, Trouble> {
    let (at, id, write_ids): (jiff::Timestamp, String, Json) =
        (column(row, 0)?, column(row, 1)?, column(row, 2)?);
    let cursor = Cursor::new(time(at)?, &id)
        .ok_or_else(|| Trouble::Broken("a client's state has a blank change id".to_owned()))?;
    let Json::Object(entries) = write_ids else {
        return Err(Trouble::Broken("a client's write ids are no object".to_owned()));
    };
    let mut all = BTreeMap::new();
    for (key, value) in &entries {
        let entry = ReplicaId::parse(key).ok().zip(WriteId::from_value(value));
        let (replica, write) =
            entry.ok_or_else(|| Trouble::Broken(format!("a client's write ids hold {key:?}: {value}")))?;
        all.insert(replica, write);
    }
    let wanted = |replica: &ReplicaId| replica == client || named.get(replica).is_some();
    let first = all.iter().filter(|(replica, _)| wanted(replica));
    let others = all.iter().filter(|(replica, _)| !wanted(replica));
    let told = first.chain(others).take(ENTRIES_MAX);
    let last_reconciled_write_ids = told.map(|(replica, write)| (replica.clone(), *write)).collect();
    Ok(ReconcileState { cursor, last_reconciled_write_ids })
}
