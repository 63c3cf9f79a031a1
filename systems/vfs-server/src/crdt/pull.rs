//! Pulling: a page of operations behind a cursor, of what a user may see.

use futures_util::future::join3;
use tidegate_store::postgres::{Row, Session, Type};
use vfs_core::feed::check_rows;
use vfs_core::{
    AccessLevel, Cursor, FeedItem, FeedPage, OpType, PrincipalType, ReplicaId, WriteId, WriteIdMap,
};

use crate::db::{Trouble, column};
use crate::feed::{Feed, Ground, ground, ground_ready, start_of};

/// Replicas whose newest writes a page tells: as many as a client takes.
pub const WRITE_IDS_MAX: i64 = 512;

/// Parameters of the page: who, behind which time and id, in which root, how many.
const PAGE: [Type; 5] = [Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT, Type::INT8];
/// Parameters of the newest writes: whose, which client's first, how many.
const HEADS: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];

/// What is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull<'a> {
    /// The caller.
    pub user: &'a str,
    /// The caller's client, whose newest write is told whatever the number of replicas. `None`: not told.
    pub client: Option<&'a str>,
    /// Where it has come to; `None`: nowhere yet.
    pub cursor: Option<&'a Cursor>,
    /// Only this item and what lies directly in it.
    pub root: Option<&'a str>,
    /// Items of the page.
    pub limit: usize,
}

/// Reads a page, and how the feed stands, in one round trip. The page comes first: what is compacted away between the
/// two is noticed.
///
/// # Errors
/// [`Trouble`]; a cursor that this feed cannot be read from is [`Trouble::Refused`].
pub async fn pull(session: &Session, pull: &Pull<'_>) -> Result<(FeedPage, Ground), Trouble> {
    let (at, id) = start_of(pull.cursor);
    let rows_max = i64::try_from(pull.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let page = session.ready(include_str!("sql/pull.sql"), &PAGE).await?;
    let heads = session.ready(include_str!("sql/write_ids.sql"), &HEADS).await?;
    ground_ready(session).await?;
    let (rows, ground, heads) = join3(
        session.query_ready(&page, &[&pull.user, &at, &id, &pull.root, &rows_max]),
        ground(session, pull.cursor),
        session.query_ready(&heads, &[&pull.user, &pull.client, &WRITE_IDS_MAX]),
    )
    .await;
    let (mut rows, ground) = (rows?, ground?);
    ground.judge(Feed::Operations, pull.cursor).map_err(|gone| gone.refusal(ground.epoch))?;
    let last_reconciled_write_ids = write_ids(&heads?)?;
    let has_more = rows.len() > pull.limit;
    rows.truncate(pull.limit);
    let items = rows.iter().map(item).collect::<Result<Vec<FeedItem>, Trouble>>()?;
    check_rows(&items).map_err(|error| Trouble::Broken(format!("{error} ({})", error.code())))?;
    let tail = items.last().filter(|_| has_more).and_then(FeedItem::cursor);
    let next_cursor = tail.as_ref().map(Cursor::encode);
    Ok((FeedPage { items, next_cursor, has_more, last_reconciled_write_ids }, ground))
}

/// The newest write of each of a user's replicas: the client's own, then those that wrote last.
fn write_ids(rows: &[Row]) -> Result<WriteIdMap, Trouble> {
    let mut map = WriteIdMap::new();
    for row in rows {
        let (replica, write): (String, i64) = (column(row, 0)?, column(row, 1)?);
        let replica = ReplicaId::parse(&replica).map_err(|_| broken("the head of a replica", &replica))?;
        let write = u64::try_from(write).ok().and_then(|write| WriteId::new(write).ok());
        map.observe(replica, write.ok_or_else(|| broken("the head of a replica", "its write"))?);
    }
    Ok(map)
}

/// A row as it goes over the wire. A word that is not known fails, and is never taken for another.
fn item(row: &Row) -> Result<FeedItem, Trouble> {
    let op_type: String = column(row, 2)?;
    let principal_type: Option<String> = column(row, 3)?;
    let access_level: Option<String> = column(row, 5)?;
    let at: jiff::Timestamp = column(row, 11)?;
    Ok(FeedItem {
        op_id: column(row, 0)?,
        item_id: column(row, 1)?,
        op_type: OpType::parse(&op_type).ok_or_else(|| broken("op_type", &op_type))?,
        principal_type: principal_type
            .map(|word| PrincipalType::parse(&word).ok_or_else(|| broken("principal_type", &word)))
            .transpose()?,
        principal_id: column(row, 4)?,
        access_level: access_level
            .map(|word| AccessLevel::parse(&word).ok_or_else(|| broken("access_level", &word)))
            .transpose()?,
        parent_id: column(row, 6)?,
        child_id: column(row, 7)?,
        actor_id: column(row, 8)?,
        source_table: column(row, 9)?,
        source_id: column(row, 10)?,
        occurred_at: crate::feed::time(at)?.to_string(),
    })
}

fn broken(what: &str, found: &str) -> Trouble {
    Trouble::Broken(format!("{what} is not what it must be: {found:?}"))
}
