//! Saved states of a book.

use serde_json::Value as Json;
use tidegate_store::postgres::{Session, Type};

use super::Store;
use super::book::lock_book;
use super::error::StoreError;
use super::row::{Book, Snapshot};
use crate::id::fresh;
use crate::mirror::Table;
use crate::write::Write;

/// A state to be saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The content.
    pub payload: Json,
    /// The head of the book's ledger. `None`: not told.
    pub ledger_head: Option<String>,
    /// The version that the caller saw. `None`: whichever.
    pub expected_version: Option<i64>,
    /// The ledger head that the caller saw. `None`: whichever.
    pub expected_ledger_head: Option<String>,
}

impl Store {
    /// The newest saved state of a book.
    ///
    /// # Errors
    /// The database's.
    pub async fn latest_snapshot(
        self,
        session: &Session,
        book: &str,
    ) -> Result<Option<Snapshot>, StoreError> {
        let rows = session.query(self.statements().latest_snapshot, &[(&book, Type::TEXT)]).await?;
        rows.first().map(Snapshot::of).transpose()
    }
}

/// Saves a state of a book as its next version, within an account that [`super::ensure_personal_pixbook`] locked.
///
/// The content stands in the row, once, and the version rises by one, once: the other schema gets a copy.
///
/// # Errors
/// The database's; [`StoreError::SnapshotConflict`] where the book is not at what the caller expected.
pub async fn save_snapshot(
    write: &mut Write<'_>,
    book: &Book,
    new: &NewSnapshot,
) -> Result<Snapshot, StoreError> {
    lock_book(write, book).await?;
    let (session, store) = (write.session(), write.store());
    let latest = store.latest_snapshot(session, &book.id).await?;
    let current = book.current_version.max(latest.as_ref().map_or(0, |latest| latest.version));
    let ledger_head = latest.and_then(|latest| latest.ledger_head);
    let conflict = |expected: String| StoreError::SnapshotConflict {
        expected,
        current,
        ledger_head: ledger_head.clone(),
    };
    if let Some(expected) = new.expected_version.filter(|expected| *expected != current) {
        return Err(conflict(expected.to_string()));
    }
    if let Some(expected) =
        new.expected_ledger_head.as_ref().filter(|expected| Some(*expected) != ledger_head.as_ref())
    {
        return Err(conflict(format!("ledger head {expected}")));
    }
    let (id, version) = (fresh("snapshot"), current.saturating_add(1));
    let statements = store.statements();
    session
        .execute(
            statements.insert_snapshot,
            &[
                (&id, Type::TEXT),
                (&book.id, Type::TEXT),
                (&version, Type::INT8),
                (&new.ledger_head, Type::TEXT),
                (&new.payload, Type::JSONB),
            ],
        )
        .await?;
    session.execute(statements.bump_book, &[(&book.id, Type::TEXT), (&version, Type::INT8)]).await?;
    write.touch(Table::Books, &book.id);
    write.touch(Table::Snapshots, &id);
    let saved = store.latest_snapshot(session, &book.id).await?;
    saved.ok_or(StoreError::Invalid("Unable to save pixbook."))
}
