//! By which way a page is gathered.
//!
//! A page behind a cursor is read row by row, and what the caller may not see is left out. Where a cursor is far behind
//! and nearly everything there is others', that would go through all of it, at every page anew. So a page that is far
//! behind is looked for among the next rows first; where it is not whole there and hardly any of them were the caller's,
//! it is gathered from the caller's own items.

use std::sync::LazyLock;

use tidegate_store::postgres::{Failure, Session, Type};
use vfs_core::Cursor;

use crate::db::column;

/// Parameters of the question whether the items are few: who, in which root, how many rows lie behind the cursor.
const FEW: [Type; 3] = [Type::TEXT, Type::TEXT, Type::INT8];
/// Rows behind a cursor from which on most of them may be others'.
const FAR_BEHIND: i64 = 10_000;
/// The rows among which a page that is far behind is looked for first.
const NEXT_ROWS: usize = 1_000;
/// Of the next rows, one in so many is the caller's where reading on row by row ends soon.
const ONE_IN: usize = 20;

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
    every_row: &'static str,
    next_rows: LazyLock<String>,
    by_item: &'static str,
}

impl Pages {
    pub(crate) const fn new(
        every_row: &'static str,
        next_rows: fn() -> String,
        by_item: &'static str,
    ) -> Pages {
        Pages { every_row, next_rows: LazyLock::new(next_rows), by_item }
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
    pub(crate) user: &'a str,
    pub(crate) root: Option<&'a str>,
    /// Rows between the cursor and the newest one that is known.
    behind: i64,
}

impl<'a> Reader<'a> {
    /// `newest`: the feeds' newest number that is known; an older one makes no difference but to the time.
    pub(crate) fn new(
        user: &'a str,
        root: Option<&'a str>,
        cursor: Option<&Cursor>,
        newest: i64,
    ) -> Reader<'a> {
        let number = |cursor: &Cursor| cursor.change_id.rsplit_once('-')?.1.parse::<i64>().ok();
        let behind = newest.saturating_sub(cursor.and_then(number).unwrap_or_default());
        Reader { user, root, behind }
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
    ) -> Result<Option<Way>, Failure> {
        if way != Way::NextRows || i64::try_from(found).is_ok_and(|found| found >= wanted) {
            return Ok(None);
        }
        if found.saturating_mul(ONE_IN) >= NEXT_ROWS {
            return Ok(Some(Way::EveryRow));
        }
        let few = session.ready(include_str!("sql/has_few_items.sql"), &FEW).await?;
        let few = session.query_ready(&few, &[&self.user, &self.root, &self.behind]).await?;
        let few = few.first().ok_or_else(|| Failure::unusable_answer("the items were not counted"))?;
        Ok(Some(if column(few, 0)? { Way::ByItem } else { Way::EveryRow }))
    }
}
