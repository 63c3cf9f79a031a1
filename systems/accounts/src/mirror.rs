//! What one schema holds is copied to the other, row by row, in the transaction that changed it.
//!
//! A copy is by primary key, takes every column, and never repeats what made the row: a role, a grant or the id of an
//! event is what it is, not what the other schema would have chosen. Rows that a copied row points at are copied with
//! it, so that a schema that is still being filled can take it.

use tidegate_store::postgres::{Session, Type};

use crate::store::StoreError;
use tidegate_switch::Side;

/// The tables of a schema, parents before children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Accounts,
    Members,
    Permissions,
    Identities,
    Books,
    Snapshots,
    Events,
}

impl Table {
    /// In the order in which rows can be copied.
    pub(crate) const ALL: [Table; 7] = [
        Table::Accounts,
        Table::Members,
        Table::Permissions,
        Table::Identities,
        Table::Books,
        Table::Snapshots,
        Table::Events,
    ];

    fn name(self) -> &'static str {
        match self {
            Table::Accounts => "accounts",
            Table::Members => "members",
            Table::Permissions => "permissions",
            Table::Identities => "identities",
            Table::Books => "books",
            Table::Snapshots => "snapshots",
            Table::Events => "audit events",
        }
    }

    /// The statement that copies rows of this table to a side.
    fn copy(self, to: Side) -> &'static str {
        match (self, to) {
            (Table::Accounts, Side::New) => include_str!("mirror/old_to_new/accounts.sql"),
            (Table::Members, Side::New) => include_str!("mirror/old_to_new/members.sql"),
            (Table::Permissions, Side::New) => include_str!("mirror/old_to_new/permissions.sql"),
            (Table::Identities, Side::New) => include_str!("mirror/old_to_new/identities.sql"),
            (Table::Books, Side::New) => include_str!("mirror/old_to_new/books.sql"),
            (Table::Snapshots, Side::New) => include_str!("mirror/old_to_new/snapshots.sql"),
            (Table::Events, Side::New) => include_str!("mirror/old_to_new/events.sql"),
            (Table::Accounts, Side::Old) => include_str!("mirror/new_to_old/accounts.sql"),
            (Table::Members, Side::Old) => include_str!("mirror/new_to_old/members.sql"),
            (Table::Permissions, Side::Old) => include_str!("mirror/new_to_old/permissions.sql"),
            (Table::Identities, Side::Old) => include_str!("mirror/new_to_old/identities.sql"),
            (Table::Books, Side::Old) => include_str!("mirror/new_to_old/books.sql"),
            (Table::Snapshots, Side::Old) => include_str!("mirror/new_to_old/snapshots.sql"),
            (Table::Events, Side::Old) => include_str!("mirror/new_to_old/events.sql"),
        }
    }
}

/// The rows that a write changed, or relied on.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    rows: Vec<(Table, String)>,
}

impl Touched {
    pub(crate) fn add(&mut self, table: Table, id: &str) {
        if !self.rows.iter().any(|(of, known)| *of == table && known == id) {
            self.rows.push((table, id.to_owned()));
        }
    }

    fn ids(&self, table: Table) -> Vec<&str> {
        self.rows.iter().filter(|(of, _)| *of == table).map(|(_, id)| id.as_str()).collect()
    }

    /// Copies every row to a side, as the other side holds it now.
    pub(crate) async fn copy(&self, session: &Session, to: Side) -> Result<(), StoreError> {
        for table in Table::ALL {
            let ids = self.ids(table);
            if ids.is_empty() {
                continue;
            }
            let copied = session.execute(table.copy(to), &[(&ids, Type::TEXT_ARRAY)]).await;
            copied.map_err(|failure| StoreError::Mirror { table: table.name(), failure })?;
        }
        Ok(())
    }
}
