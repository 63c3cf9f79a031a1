//! Moving a set from one row to another.

use tidegate_store::postgres::{Session, Type};

use crate::barrier::close_barrier;
use crate::current::{Current, agree, required, unknown_row};
use crate::declaration::{FlagSet, Row};
use crate::error::FlagsError;

/// Moves the set to a row under the next epoch, in the caller's transaction.
///
/// The barrier is closed first, if the caller has not done it: everybody who enters afterwards reads the new row.
///
/// # Errors
/// [`FlagsError::UndeclaredMove`] naming the legal ones, [`FlagsError::UnknownRow`], what [`crate::declare`] refuses,
/// [`FlagsError::UnknownSet`], or the server's.
pub async fn move_to(session: &Session, set: &FlagSet, to: &str, by: &str) -> Result<Current, FlagsError> {
    close_barrier(session, &set.name).await?;
    let there = required(session, &set.name).await?;
    agree(set, &there)?;
    let row = set.row(to).ok_or_else(|| unknown_row(set, to))?;
    let legal = set.moves_from(&there.row);
    if !legal.contains(&to) {
        return Err(FlagsError::UndeclaredMove {
            set: set.name.clone(),
            from: there.row,
            to: to.to_owned(),
            legal: legal.into_iter().map(str::to_owned).collect(),
        });
    }
    put(session, &set.name, row, by).await
}

/// Puts a row back under a new epoch whatever rules now, in the caller's transaction: after a restore, for which no
/// move is declared.
///
/// # Errors
/// [`FlagsError::UnknownSet`], [`FlagsError::Unreadable`] where the row has not one value a column, or the server's.
pub async fn set_row(session: &Session, name: &str, row: &Row, by: &str) -> Result<Current, FlagsError> {
    close_barrier(session, name).await?;
    let there = required(session, name).await?;
    if row.values.len() != there.columns.len() {
        let why = format!("{} values for {} columns", row.values.len(), there.columns.len());
        return Err(FlagsError::Unreadable { what: "the row to set", why });
    }
    put(session, name, row, by).await
}

async fn put(session: &Session, name: &str, row: &Row, by: &str) -> Result<Current, FlagsError> {
    session
        .execute(
            include_str!("sql/move.sql"),
            &[
                (&name, Type::TEXT),
                (&row.name, Type::TEXT),
                (&row.values, Type::BOOL_ARRAY),
                (&row.lock_first.name(), Type::TEXT),
                (&by, Type::TEXT),
            ],
        )
        .await?;
    required(session, name).await
}
