//! Pulling: a page of operations behind a cursor, of what a user may see.

use std::collections::HashSet;

use futures_util::future::join3;
use serde::Serialize;
use tidegate_store::postgres::{Row, Session, Type};
use vfs_core::feed::{PAGE_ITEMS_MAX, RowError};
use vfs_core::id::trimmed;
use vfs_core::{AccessLevel, Cursor, OpType, PrincipalType, ReplicaId, Timestamp, WriteId, WriteIdMap};

use crate::db::{Trouble, column};
use crate::feed::{Feed, Ground, Pages, Reader, among_next, ground, ground_ready, start_of, time};

/// Replicas whose newest writes a page tells: as many as a client takes.
pub const WRITE_IDS_MAX: i64 = 512;

/// Parameters of the page: who, behind which time and id, in which root, how many.
const PAGE: [Type; 5] = [Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT, Type::INT8];
/// Parameters of the newest writes: whose, which client's first, how many.
const HEADS: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];

/// The page, by each way.
static PAGES: Pages = Pages::new(
    "SELECT EXISTS (SELECT FROM vfs_crdt_ops o WHERE (o.occurred_at, o.id COLLATE \"C\") > ($1, $2 COLLATE \"C\") \
     ORDER BY o.occurred_at, o.id COLLATE \"C\" OFFSET $3)",
    include_str!("sql/pull.sql"),
    || among_next(include_str!("sql/pull.sql"), "vfs_crdt_ops o", ["o.occurred_at", "o.id COLLATE \"C\""]),
    include_str!("sql/pull_by_item.sql"),
);

/// The column of the page that has an operation's time.
const TIME: usize = 11;

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
    /// The feeds' newest number that is known here; an older one makes no difference but to the time that it takes.
    pub newest: i64,
}

/// A page as it goes over the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'r> {
    items: Vec<Told<'r>>,
    next_cursor: Option<String>,
    has_more: bool,
    last_reconciled_write_ids: WriteIdMap,
    feed_epoch: i32,
}

/// One operation as [`FeedItem`](vfs_core::FeedItem) goes over the wire, its texts where the database's answer has
/// them: nothing is copied before it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'r> {
    op_id: &'r str,
    item_id: &'r str,
    op_type: OpType,
    principal_type: Option<PrincipalType>,
    principal_id: Option<&'r str>,
    access_level: Option<AccessLevel>,
    parent_id: Option<&'r str>,
    child_id: Option<&'r str>,
    actor_id: Option<&'r str>,
    source_table: &'r str,
    source_id: &'r str,
    occurred_at: &'r str,
}

/// Reads a page, and how the feed stands, mostly in one round trip, and writes the page down as JSON. The page comes first:
/// what is compacted away between the two is noticed.
///
/// # Errors
/// [`Trouble`]; a cursor that this feed cannot be read from is [`Trouble::Refused`].
pub async fn pull(session: &Session, pull: &Pull<'_>) -> Result<(String, Ground), Trouble> {
    let (at, id) = start_of(pull.cursor);
    let limit = pull.limit.min(PAGE_ITEMS_MAX);
    let rows_max = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let feed = Feed::Operations;
    let reader = Reader::new(pull.user, pull.root, pull.cursor, pull.newest);
    let heads = session.ready(include_str!("sql/write_ids.sql"), &HEADS).await?;
    ground_ready(session).await?;
    let mut way = reader.first_way();
    let (mut rows, ground, heads) = loop {
        let page = session.ready(PAGES.by(way), &PAGE).await?;
        let (rows, ground, heads) = join3(
            session.query_ready(&page, &[&pull.user, &at, &id, &pull.root, &rows_max]),
            ground(session, pull.cursor),
            session.query_ready(&heads, &[&pull.user, &pull.client, &WRITE_IDS_MAX]),
        )
        .await;
        let rows = rows?;
        match reader.way_after(way, rows.len(), rows_max, session, &PAGES).await? {
            Some(next) => way = next,
            None => break (rows, ground?, heads?),
        }
    };
    ground.judge(feed, pull.cursor).map_err(|gone| gone.refusal(ground.epoch))?;
    let last_reconciled_write_ids = write_ids(&heads)?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let times = rows.iter().map(|row| Ok(time(column(row, TIME)?)?)).collect::<Result<Vec<_>, Trouble>>()?;
    // Operations that were pushed together have one time.
    let mut texts: Vec<(Timestamp, String)> = Vec::new();
    for at in &times {
        if texts.last().is_none_or(|(last, _)| last != at) {
            texts.push((*at, at.to_string()));
        }
    }
    let mut items = Vec::with_capacity(rows.len());
    let mut texts = texts.iter().peekable();
    for (row, at) in rows.iter().zip(&times) {
        while texts.next_if(|(text_at, _)| text_at != at).is_some() {}
        let (_, text) = texts.peek().ok_or_else(|| broken("occurred_at", "nothing"))?;
        items.push(told(row, text)?);
    }
    check(&items, &times).map_err(|error| Trouble::Broken(format!("{error} ({})", error.code())))?;
    let tail = items.last().zip(times.last()).filter(|_| has_more);
    let next_cursor = tail.and_then(|(item, at)| Cursor::new(*at, item.op_id)).map(|cursor| cursor.encode());
    let page = Page { items, next_cursor, has_more, last_reconciled_write_ids, feed_epoch: ground.epoch };
    let text = serde_json::to_string(&page).map_err(|error| Trouble::Broken(error.to_string()))?;
    Ok((text, ground))
}

/// What [`check_rows`](vfs_core::feed::check_rows) says of the same rows, which a test holds against it.
fn check(items: &[Told<'_>], times: &[Timestamp]) -> Result<(), RowError> {
    let mut seen = HashSet::with_capacity(items.len());
    let mut last: Option<(Timestamp, &str)> = None;
    for (index, (item, at)) in items.iter().zip(times).enumerate() {
        if trimmed(item.op_id).is_empty() {
            return Err(RowError::MissingOpId { index });
        }
        if !seen.insert(item.op_id) {
            return Err(RowError::DuplicateOpId { index, op_id: item.op_id.to_owned() });
        }
        let place = (*at, trimmed(item.op_id));
        if last.is_some_and(|last| last >= place) {
            return Err(RowError::OutOfOrderRow { index });
        }
        if has_invalid_link(item) {
            return Err(RowError::InvalidLinkPayload { index });
        }
        last = Some(place);
    }
    Ok(())
}

fn has_invalid_link(item: &Told<'_>) -> bool {
    let blank = |id: Option<&str>| id.is_none_or(|id| trimmed(id).is_empty());
    !item.op_type.is_acl()
        && (blank(item.parent_id)
            || blank(item.child_id)
            || item.child_id != Some(item.item_id)
            || item.parent_id == item.child_id)
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
fn told<'r>(row: &'r Row, occurred_at: &'r str) -> Result<Told<'r>, Trouble> {
    let op_type: &str = column(row, 2)?;
    let principal_type: Option<&str> = column(row, 3)?;
    let access_level: Option<&str> = column(row, 5)?;
    Ok(Told {
        op_id: column(row, 0)?,
        item_id: column(row, 1)?,
        op_type: OpType::parse(op_type).ok_or_else(|| broken("op_type", op_type))?,
        principal_type: principal_type
            .map(|word| PrincipalType::parse(word).ok_or_else(|| broken("principal_type", word)))
            .transpose()?,
        principal_id: column(row, 4)?,
        access_level: access_level
            .map(|word| AccessLevel::parse(word).ok_or_else(|| broken("access_level", word)))
            .transpose()?,
        parent_id: column(row, 6)?,
        child_id: column(row, 7)?,
        actor_id: column(row, 8)?,
        source_table: column(row, 9)?,
        source_id: column(row, 10)?,
        occurred_at,
    })
}

fn broken(what: &str, found: &str) -> Trouble {
    Trouble::Broken(format!("{what} is not what it must be: {found:?}"))
}

#[cfg(test)]
mod tests {
    use vfs_core::FeedItem;
    use vfs_core::feed::check_rows;

    use super::*;

    /// What the rules of the feed say of items, and what is said here of the same.
    fn both(items: &[FeedItem]) -> (Option<RowError>, Option<RowError>) {
        let times: Vec<Timestamp> = items.iter().map(|item| item.time().unwrap()).collect();
        let told: Vec<Told<'_>> = items.iter().map(of).collect();
        (check_rows(items).err(), check(&told, &times).err())
    }

    fn of(item: &FeedItem) -> Told<'_> {
        Told {
            op_id: &item.op_id,
            item_id: &item.item_id,
            op_type: item.op_type,
            principal_type: item.principal_type,
            principal_id: item.principal_id.as_deref(),
            access_level: item.access_level,
            parent_id: item.parent_id.as_deref(),
            child_id: item.child_id.as_deref(),
            actor_id: item.actor_id.as_deref(),
            source_table: &item.source_table,
            source_id: &item.source_id,
            occurred_at: &item.occurred_at,
        }
    }

    fn link(id: &str, second: u8) -> FeedItem {
        FeedItem {
            op_id: id.to_owned(),
            item_id: "file".to_owned(),
            op_type: OpType::LinkAdd,
            principal_type: None,
            principal_id: None,
            access_level: None,
            parent_id: Some("folder \"\u{1}\u{e4}".to_owned()),
            child_id: Some("file".to_owned()),
            actor_id: None,
            source_table: "vfs_links".to_owned(),
            source_id: "link".to_owned(),
            occurred_at: format!("2026-02-14T20:00:{second:02}.000Z"),
        }
    }

    #[test]
    fn rows_are_written_and_checked_as_the_feeds_items_are() {
        let acl = FeedItem {
            op_type: OpType::AclAdd,
            principal_type: Some(PrincipalType::Group),
            principal_id: Some("g".to_owned()),
            access_level: Some(AccessLevel::Write),
            parent_id: None,
            child_id: None,
            actor_id: Some("a".to_owned()),
            ..link("c", 2)
        };
        for item in [link("a", 0), acl.clone()] {
            assert_eq!(serde_json::to_string(&of(&item)).unwrap(), serde_json::to_string(&item).unwrap());
        }
        let with_parent =
            |parent: Option<&str>| FeedItem { parent_id: parent.map(str::to_owned), ..link("b", 1) };
        let other_child = FeedItem { child_id: Some("other".to_owned()), ..link("b", 1) };
        let wrong = [
            vec![link(" ", 0)],
            vec![link("a", 0), link("a", 1)],
            vec![link("b", 1), link("a", 1)],
            vec![link("a", 1), link("b", 0)],
            vec![link("a", 1), link(" a", 1)],
            vec![link("a", 0), with_parent(None)],
            vec![link("a", 0), with_parent(Some(" "))],
            vec![link("a", 0), with_parent(Some("file"))],
            vec![link("a", 0), other_child],
        ];
        for items in wrong {
            let (said, here) = both(&items);
            assert!(said.is_some(), "{items:?}");
            assert_eq!(here, said);
        }
        assert_eq!(both(&[link("a", 0), link("b", 0), acl]), (None, None));
    }
}
