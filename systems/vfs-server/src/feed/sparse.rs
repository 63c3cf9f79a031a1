//! By which way a page is gathered.
//!
//! A page behind a cursor is read row by row, and what the caller may not see is left out. Where a cursor is far behind
//! and nearly everything there is others', that would go through all of it, at every page anew: then the page is gathered
//! from the caller's own items.

use tidegate_store::postgres::{Failure, Session, Type};
use vfs_core::Cursor;

use crate::db::column;

/// Parameters: who, in which root, how many rows lie behind the cursor.
const IS_SPARSE: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];
/// Rows behind a cursor from which on it is asked whether most of them are others'.
const FAR_BEHIND: i64 = 10_000;

/// Whether a page is to be gathered from the caller's items. Where the cursor is not far behind, the database is not
/// asked. `newest`: the feeds' newest number that is known here; an older one makes no difference but to the time.
pub(crate) async fn is_sparse(
    session: &Session,
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
    let is_sparse = session.ready(include_str!("sql/is_sparse.sql"), &IS_SPARSE).await?;
    let rows = session.query_ready(&is_sparse, &[&user, &root, &behind]).await?;
    let row =
        rows.first().ok_or_else(|| Failure::unusable_answer("whether a feed is sparse was not answered"))?;
    column(row, 0)
}
