//! The feed of objects: that something about an item changed.

use serde_json::{Value as Json, json};
use tidegate_store::postgres::{Failure, Row, Session, Type};
use vfs_core::feed::PAGE_ITEMS_MAX;
use vfs_core::{Cursor, Timestamp};

use super::ground::time;
use super::start_of;
use super::way::{Pages, Reader, among_next};
use crate::app::text;
use crate::db::column;

/// The page, by each way.
static PAGES: Pages = Pages::new(
    "SELECT EXISTS (SELECT FROM vfs_sync_changes c WHERE (c.changed_at, c.id COLLATE \"C\") > ($1, $2 COLLATE \"C\") \
     ORDER BY c.changed_at, c.id COLLATE \"C\" OFFSET $3)",
    include_str!("sql/pull_changes.sql"),
    || {
        among_next(
            include_str!("sql/pull_changes.sql"),
            "vfs_sync_changes c",
            ["c.changed_at", "c.id COLLATE \"C\""],
        )
    },
    include_str!("sql/pull_changes_by_item.sql"),
);

/// A page of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangePage {
    /// As they go over the wire, in the order of the feed.
    pub items: Vec<Json>,
    /// The cursor of the last item, only where there is more.
    pub next_cursor: Option<Cursor>,
    /// Whether there is more.
    pub has_more: bool,
}

/// Reads a page behind a cursor, of what a user may see. `newest`: the feeds' newest number that is known here; an older
/// one makes no difference but to the time that it takes.
///
/// # Errors
/// The database's, or that rows are not in order.
pub async fn pull_changes(
    session: &Session,
    user: &str,
    cursor: Option<&Cursor>,
    root: Option<&str>,
    limit: usize,
    newest: i64,
) -> Result<ChangePage, Failure> {
    let limit = limit.min(PAGE_ITEMS_MAX);
    let (at, id) = start_of(cursor);
    let rows_max = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let reader = Reader::new(user, root, cursor, newest);
    let mut way = reader.first_way();
    let mut rows = loop {
        let rows = session
            .query_prepared(
                PAGES.by(way),
                &[text(&user), (&at, Type::TIMESTAMPTZ), text(&id), text(&root), (&rows_max, Type::INT8)],
            )
            .await?;
        match reader.way_after(way, rows.len(), rows_max, session, &PAGES).await? {
            Some(next) => way = next,
            None => break rows,
        }
    };
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let mut last = cursor.cloned();
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let (item, at) = item(row)?;
        if last.is_some_and(|last| last >= at) {
            return Err(Failure::unusable_answer("the feed of objects is out of order"));
        }
        last = Some(at);
        items.push(item);
    }
    Ok(ChangePage { items, next_cursor: if has_more { last } else { None }, has_more })
}

fn item(row: &Row) -> Result<(Json, Cursor), Failure> {
    let id: String = column(row, 0)?;
    let changed_at = time(column(row, 3)?)?;
    let created_at: Option<jiff::Timestamp> = column(row, 6)?;
    let created_at: Option<Timestamp> = created_at.map(time).transpose()?;
    let item = json!({
        "changeId": id,
        "itemId": column::<String>(row, 1)?,
        "changeType": column::<String>(row, 2)?,
        "changedAt": changed_at.to_string(),
        "objectType": column::<Option<String>>(row, 4)?,
        "ownerId": column::<Option<String>>(row, 5)?,
        "createdAt": created_at.map(|at| at.to_string()),
        "accessLevel": column::<Option<String>>(row, 7)?,
    });
    let cursor =
        Cursor::new(changed_at, &id).ok_or_else(|| Failure::unusable_answer("a change has a blank id"))?;
    Ok((item, cursor))
}
