//! By which way a page is gathered.
//!
//! A page behind a cursor is read row by row, and what the caller may not see is left out. Where a cursor is far behind
//! and nearly everything there is others', that would go through all of it, at every page anew: then the page is gathered
//! from the caller's own items.

use futures_util::future::try_join;
use tidegate_store::postgres::{Failure, Row, Session, Type};
use vfs_core::Cursor;

use super::{Feed, start_of};
use crate::db::column;

/// Parameters of the question whether the items are few: who, in which root, how many rows lie behind the cursor.
const FEW: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];
/// Parameters of the question whether the next rows are others': who, behind which time and id, in which root.
const SPARSE: [Type; 4] = [Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT];
/// Rows behind a cursor from which on it is asked whether most of them are others'.
const FAR_BEHIND: i64 = 10_000;

/// Whether a page is to be gathered from the caller's items. Where the cursor is not far behind, the database is not
/// asked. `newest`: the feeds' newest number that is known here; an older one makes no difference but to the time.
pub(crate) async fn is_sparse(
    session: &Session,
    feed: Feed,
    user: &str,
    root: Option<&str>,
    cursor: Option<&Cursor>,
    newest: i64,
) -> Result<bool, Failure> {
    let number = |cursor: &Cursor| cursor.change_id.rsplit_once('-')?.1.parse::<i64>().ok();
    let behind = newest.saturating_sub(cursor.and_then(number).unwrap_or_default());
    if behind < FAR_BEHIND {
        return Ok(false);
    }
    let (at, id) = start_of(cursor);
    let few = session.ready(include_str!("sql/has_few_items.sql"), &FEW).await?;
    let sparse = match feed {
        Feed::Operations => include_str!("sql/are_operations_sparse.sql"),
        Feed::Objects => include_str!("sql/are_changes_sparse.sql"),
    };
    let sparse = session.ready(sparse, &SPARSE).await?;
    let (few, sparse) = try_join(
        session.query_ready(&few, &[&user, &root, &behind]),
        session.query_ready(&sparse, &[&user, &at, &id, &root]),
    )
    .await?;
    Ok(yes(&few)? && yes(&sparse)?)
}

fn yes(rows: &[Row]) -> Result<bool, Failure> {
    let row =
        rows.first().ok_or_else(|| Failure::unusable_answer("whether a feed is sparse was not answered"))?;
    column(row, 0)
}
