//! One write: the open transaction, the stage that it runs under, and what it touched.

use tidegate_store::postgres::{Session, Type};

use crate::mirror::{Table, Touched};
use crate::store::{Membership, Store, StoreError};
use tidegate_switch::{Side, Stage};

/// Most rows that one write may touch in one table; resetting a larger account is refused.
pub const ROWS_MAX: usize = 10_000;

/// What a store's changing functions work in: the caller's open transaction, under one stage.
///
/// Every change goes through the same three steps: rows are locked on the side that the stage names first, the primary
/// schema is written, and [`Write::mirror`] copies what came out to the other one where the stage says so.
pub struct Write<'a> {
    session: &'a Session,
    stage: Stage,
    touched: Touched,
    /// Who works in which account, once it is locked.
    entered: Option<(String, Membership)>,
}

impl<'a> Write<'a> {
    /// Begins within an open transaction at READ COMMITTED, after the barrier was entered.
    #[must_use]
    pub fn begin(session: &'a Session, stage: Stage) -> Write<'a> {
        Write { session, stage, touched: Touched::default(), entered: None }
    }

    /// The transaction's session.
    #[must_use]
    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// The store that is written first.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::of(self.stage.primary)
    }

    /// Copies what was touched to the other schema, where the stage says so. The last thing before the commit.
    ///
    /// # Errors
    /// [`StoreError::Mirror`]: the transaction must not be committed.
    pub async fn mirror(self) -> Result<(), StoreError> {
        match self.stage.mirror {
            Some(side) => self.touched.copy(self.session, side).await,
            None => Ok(()),
        }
    }

    /// Deletes saved states of books for good, in both schemas: for a clean-up, which no route does.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_snapshots(&mut self, ids: &[String]) -> Result<(), StoreError> {
        for id in ids {
            self.touch(Table::Snapshots, id);
        }
        let sql = self.store().statements().delete_snapshots;
        self.session.execute(sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        Ok(())
    }

    /// The membership of a user whose account is locked already; a blank account is the one that is.
    pub(crate) fn entered(&self, user: &str, account: &str) -> Option<Membership> {
        let (known, membership) = self.entered.as_ref()?;
        let same = known == user && (account.is_empty() || membership.account == account);
        same.then(|| membership.clone())
    }

    pub(crate) fn enter(&mut self, user: &str, membership: &Membership) {
        self.entered = Some((user.to_owned(), membership.clone()));
    }

    pub(crate) fn touch(&mut self, table: Table, id: &str) {
        self.touched.add(table, id);
    }

    /// Waits until no other write works on an account, and keeps others out until the transaction ends.
    pub(crate) async fn lock_account(&mut self, account: &str) -> Result<(), StoreError> {
        self.touch(Table::Accounts, account);
        for side in self.sides() {
            let sql = Store::of(side).statements().lock_account;
            self.session.query(sql, &[(&account, Type::TEXT)]).await?;
        }
        Ok(())
    }

    /// Locks rows that are about to be changed, or copied because others point at them.
    pub(crate) async fn lock(&mut self, table: Table, ids: &[String]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        if ids.len() > ROWS_MAX {
            return Err(StoreError::Invalid("The account is too large to be changed at once."));
        }
        for id in ids {
            self.touch(table, id);
        }
        for side in self.sides() {
            let statements = Store::of(side).statements();
            let sql = match table {
                Table::Members => statements.lock_members,
                Table::Identities => statements.lock_identities,
                Table::Books => statements.lock_books,
                // The account's own lock covers what nothing else writes.
                _ => continue,
            };
            self.session.query(sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        }
        Ok(())
    }

    /// On which sides rows are locked, in this order. A schema that gets no copies may be old, or gone.
    fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        let Stage { primary, mirror, lock_first, .. } = self.stage;
        let first = (mirror.is_some() && lock_first != primary).then_some(lock_first);
        first.into_iter().chain([primary])
    }
}
