//! By which way a page is gathered.
//!
//! A page behind a cursor is read row by row, and what the caller may not see is left out. Where a cursor is far behind
//! and nearly everything there is others', that would go through all of it, at every page anew. So a page that is far
//! behind is looked for among the next rows first; where it is not whole there, and reading on until it is would take
//! longer than a look into each of the caller's own items, it is gathered from these.

use std::sync::LazyLock;

use tidegate_store::postgres::{Failure, Row, Session, Type};
use vfs_core::{Cursor, Position};

use super::start_of;
use crate::db::column;

/// Parameters of the question whether more rows lie behind the cursor: its time and id, more than how many.
const MORE: [Type; 3] = [Type::TIMESTAMPTZ, Type::TEXT, Type::INT8];
/// Parameters of the question whether the items are few: who, in which root, how many are few.
const FEW: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];
/// Rows behind a cursor from which on most of them may be others'.
const FAR_BEHIND: i64 = 10_000;
/// The rows among which a page that is far behind is looked for first.
const NEXT_ROWS: i64 = 1_000;
/// Rows that are read on in the time of a look into one item.
const ROWS_OF_A_LOOK: i64 = 4;

/// How a page's rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Row by row, however many.
    EveryRow,
    /// Row by row, among the next ones.
    NextRows,
    /// By the caller's items.
    ByItem,
}

/// The statements that give the same page by different ways.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Whether more than so many rows lie behind a place.
    has_more_rows: &'static str,
    every_row: &'static str,
    next_rows: LazyLock<String>,
    by_item: &'static str,
}

impl Pages {
    pub(crate) const fn new(
        has_more_rows: &'static str,
        every_row: &'static str,
        next_rows: fn() -> String,
        by_item: &'static str,
    ) -> Pages {
        Pages { has_more_rows, every_row, next_rows: LazyLock::new(next_rows), by_item }
    }

    pub(crate) fn by(&'static self, way: Way) -> &'static str {
        match way {
            Way::EveryRow => self.every_row,
            Way::NextRows => &self.next_rows,
            Way::ByItem => self.by_item,
        }
    }
}

/// Of a page that reads every row of a feed, the one that reads the next ones: `table` and its other name, and the
/// columns of a row's position, as the page has them.
pub(crate) fn among_next(page: &str, table: &str, position: [&str; 2]) -> String {
    let (Some((_, row)), [at, id]) = (table.split_once(' '), position) else { return page.to_owned() };
    page.replacen(
        &format!("FROM {table}\n"),
        &format!(
            "FROM (SELECT * FROM {table}
                   WHERE ({at}, {id}) > ((SELECT at FROM asked), (SELECT id FROM asked) COLLATE \"C\")
                   ORDER BY {at}, {id} LIMIT {NEXT_ROWS}) AS {row}\n"
        ),
        1,
    )
}

/// Whose page it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    user: &'a str,
    root: Option<&'a str>,
    cursor: Option<&'a Cursor>,
    /// Rows between the cursor and the newest one that is known.
    behind: i64,
}

impl<'a> Reader<'a> {
    /// `newest`: the feeds' newest number that is known; an older one makes no difference but to the time.
    pub(crate) fn new(
        user: &'a str,
        root: Option<&'a str>,
        cursor: Option<&'a Cursor>,
        newest: i64,
    ) -> Reader<'a> {
        let position = cursor.and_then(|cursor| Position::parse(&cursor.change_id));
        let read = position.and_then(|position| i64::try_from(position.seq).ok()).unwrap_or_default();
        Reader { user, root, cursor, behind: newest.saturating_sub(read) }
    }

    /// The way that is tried first.
    pub(crate) fn first_way(self) -> Way {
        if self.behind < FAR_BEHIND { Way::EveryRow } else { Way::NextRows }
    }

    /// The way to try after one that found so many rows of so many wanted, or `None` where these are the page.
    pub(crate) async fn way_after(
        self,
        way: Way,
        found: usize,
        wanted: i64,
        session: &Session,
        pages: &Pages,
    ) -> Result<Option<Way>, Failure> {
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        if way != Way::NextRows || found >= wanted {
            return Ok(None);
        }
        let (at, id) = start_of(self.cursor);
        let more = session.ready(pages.has_more_rows, &MORE).await?;
        if !yes(&session.query_ready(&more, &[&at, &id, &NEXT_ROWS]).await?)? {
            return Ok(None);
        }
        let few = few_items(found, wanted, self.behind);
        if few == 0 {
            return Ok(Some(Way::EveryRow));
        }
        let has_few = session.ready(include_str!("sql/has_few_items.sql"), &FEW).await?;
        let has_few = yes(&session.query_ready(&has_few, &[&self.user, &self.root, &few]).await?)?;
        Ok(Some(if has_few { Way::ByItem } else { Way::EveryRow }))
    }
}

/// Up to how many items a page is sooner gathered from them, where so many of the next rows were the caller's and all
/// that lies behind is like these. Row by row it is read until it is whole; by the items, all of the caller's rows are.
fn few_items(found: i64, wanted: i64, behind: i64) -> i64 {
    let row_by_row = behind.min(wanted.saturating_mul(NEXT_ROWS) / found.max(1));
    let own = behind / NEXT_ROWS * found;
    row_by_row.saturating_sub(own).max(0) / ROWS_OF_A_LOOK
}

fn yes(rows: &[Row]) -> Result<bool, Failure> {
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("a question has no answer"))?;
    column(row, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_rows_are_a_readers_the_more_items_are_few() {
        // Nobody's: all of it would be read.
        assert_eq!(few_items(0, 501, 6_000_000), 125_250);
        assert_eq!(few_items(0, 501, 20_000), 5_000);
        // A row in a thousand: half a million rows for a page, and six thousand by the items.
        assert_eq!(few_items(1, 501, 6_000_000), (501_000 - 6_000) / 4);
        // One in twenty: the page is whole after ten thousand rows, and the items would give three hundred thousand.
        assert_eq!(few_items(50, 501, 6_000_000), 0);
        assert_eq!(few_items(400, 501, 20_000), 0);
        assert_eq!(few_items(1, 501, i64::MAX), 0);
    }
}
