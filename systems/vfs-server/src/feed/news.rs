//! How far the feeds have come for one user.

use tidegate_store::postgres::{Failure, Row, Session, Type};
use vfs_core::{Cursor, Position};

use super::ground::time;
use super::start_of;
use crate::app::text;
use crate::db::column;

/// What is new for a user since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The epoch.
    pub epoch: i32,
    /// Everything up to here was looked at.
    pub head: Cursor,
    /// The newest operation that the user may see, if one is new.
    pub operations: Option<Cursor>,
    /// The newest change of an object that the user may see, if one is new.
    pub objects: Option<Cursor>,
}

/// Looks for what is new for a user since a cursor, in one snapshot.
///
/// # Errors
/// The database's.
pub async fn news(session: &Session, user: &str, since: &Cursor) -> Result<News, Failure> {
    let (at, id) = start_of(Some(since));
    let sql = include_str!("sql/news.sql");
    let rows = session.query_prepared(sql, &[text(&user), (&at, Type::TIMESTAMPTZ), text(&id)]).await?;
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
    let epoch: i32 = column(row, 0)?;
    let seq: i64 = column(row, 1)?;
    let position = Position {
        epoch: u16::try_from(epoch).unwrap_or_default(),
        seq: u64::try_from(seq).unwrap_or_default(),
    };
    Ok(News {
        epoch,
        head: position.at(time(column(row, 2)?)?),
        operations: cursor(row, 3)?,
        objects: cursor(row, 5)?,
    })
}

fn cursor(row: &Row, from: usize) -> Result<Option<Cursor>, Failure> {
    let (at, id): (Option<jiff::Timestamp>, Option<String>) = (column(row, from)?, column(row, from + 1)?);
    match (at, id) {
        (Some(at), Some(id)) => Ok(Cursor::new(time(at)?, &id)),
        _ => Ok(None),
    }
}
