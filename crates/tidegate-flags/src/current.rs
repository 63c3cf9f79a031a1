//! Which row rules, and the first declaration of a set.

use jiff::Timestamp;
use tidegate_store::postgres::{Session, ToSql, Type};

use crate::answer::{found, side, unsigned, value};
use crate::barrier::close_barrier;
use crate::declaration::FlagSet;
use crate::error::FlagsError;
use crate::stage::{Side, Stage};

const IS_NEWS: &str = "SELECT FROM tidegate.flag_set WHERE name = $1 AND declared <> $2";

/// The row that rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The set's columns.
    pub columns: Vec<String>,
    /// The row's name.
    pub row: String,
    /// Its values, in the order of the columns.
    pub values: Vec<bool>,
    /// The side whose row a write to both sides locks first.
    pub lock_first: Side,
    /// Grows by one with every move.
    pub epoch: u64,
    /// When the set was declared first, by the server's clock.
    pub installed_at: Timestamp,
    /// When the row was last moved or set; `None`: never.
    pub moved_at: Option<Timestamp>,
    /// Who did it; `None`: nobody yet.
    pub moved_by: Option<String>,
}

impl Current {
    /// What it means; `None` for a set that is no switch set.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Stage::of(&self.columns, &self.values, self.lock_first)
    }
}

/// The row that rules; `None` where the set is not declared.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn current(session: &Session, name: &str) -> Result<Option<Current>, FlagsError> {
    let rows = found(session.query(include_str!("sql/current.sql"), &[(&name, Type::TEXT)]).await)?;
    let what = "a flag set";
    rows.first()
        .map(|row| {
            Ok(Current {
                columns: value(row, 0, what)?,
                row: value(row, 1, what)?,
                values: value(row, 2, what)?,
                lock_first: side(value(row, 3, what)?)?,
                epoch: unsigned(row, 4, what)?,
                installed_at: value(row, 5, what)?,
                moved_at: value(row, 6, what)?,
                moved_by: value(row, 7, what)?,
            })
        })
        .transpose()
}

/// As [`current()`], for a set that must be there.
pub(crate) async fn required(session: &Session, name: &str) -> Result<Current, FlagsError> {
    current(session, name).await?.ok_or_else(|| FlagsError::UnknownSet { set: name.to_owned() })
}

/// Declares a set: at its initial row where it is new, else at the row that rules, with the rows and moves of this
/// declaration from now on.
///
/// Where the set is new, or its rows or moves are, the barrier is closed until the transaction ends, so that writers that
/// looked for a new set before are through. Declaring a new set a second time, once the first is committed, notes down
/// since when nobody can have missed it.
///
/// # Idempotence
/// Declaring the same again changes nothing.
///
/// # Errors
/// [`FlagsError::Declaration`], [`FlagsError::ColumnsChanged`], [`FlagsError::RowNotDeclared`],
/// [`FlagsError::NotInstalled`], or the server's; a lock timeout where writers keep the barrier.
pub async fn declare(session: &Session, set: &FlagSet) -> Result<Current, FlagsError> {
    let errors = set.check();
    if !errors.is_empty() {
        return Err(FlagsError::Declaration { set: set.name.clone(), errors });
    }
    match current(session, &set.name).await? {
        Some(there) => agree(set, &there)?,
        None => {
            close_barrier(session, &set.name).await?;
            insert(session, set).await?;
            // Somebody else may have been first.
            let there = required(session, &set.name).await?;
            agree(set, &there)?;
            return Ok(there);
        }
    }
    redeclare(session, set).await?;
    required(session, &set.name).await
}

/// Takes over rows and moves, and notes down that the first declaration is committed.
async fn redeclare(session: &Session, set: &FlagSet) -> Result<(), FlagsError> {
    let declared = set.declared();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&set.name, Type::TEXT), (&declared, Type::TEXT)];
    if session.query(IS_NEWS, &parameters).await?.is_empty() {
        session.execute(include_str!("sql/settle.sql"), &[(&set.name, Type::TEXT)]).await?;
        return Ok(());
    }
    // The barrier before the row, as everybody does: whoever is inside may want the row.
    close_barrier(session, &set.name).await?;
    session.execute(include_str!("sql/redeclare.sql"), &parameters).await?;
    Ok(())
}

async fn insert(session: &Session, set: &FlagSet) -> Result<(), FlagsError> {
    let Some(row) = set.row(&set.initial) else { return Err(unknown_row(set, &set.initial)) };
    session
        .execute(
            include_str!("sql/declare.sql"),
            &[
                (&set.name, Type::TEXT),
                (&set.columns, Type::TEXT_ARRAY),
                (&set.declared(), Type::TEXT),
                (&row.name, Type::TEXT),
                (&row.values, Type::BOOL_ARRAY),
                (&row.lock_first.name(), Type::TEXT),
            ],
        )
        .await?;
    Ok(())
}

/// The error for a row that the declaration has not.
pub(crate) fn unknown_row(set: &FlagSet, row: &str) -> FlagsError {
    FlagsError::UnknownRow {
        set: set.name.clone(),
        row: row.to_owned(),
        rows: set.rows.iter().map(|row| row.name.clone()).collect(),
    }
}

/// Refuses a declaration under which what rules would mean something else.
pub(crate) fn agree(set: &FlagSet, there: &Current) -> Result<(), FlagsError> {
    if there.columns != set.columns {
        return Err(FlagsError::ColumnsChanged {
            set: set.name.clone(),
            found: there.columns.clone(),
            declared: set.columns.clone(),
        });
    }
    let how = match set.row(&there.row) {
        None => "and is not declared",
        Some(row) if row.values != there.values => "with other values",
        Some(row) if row.lock_first != there.lock_first => "with the other lock order",
        Some(_) => return Ok(()),
    };
    Err(FlagsError::RowNotDeclared { set: set.name.clone(), row: there.row.clone(), how })
}
