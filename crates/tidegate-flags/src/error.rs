//! Why flags could not be used or moved.

use tidegate_store::postgres::{Failure, TxError};

use crate::declaration::DeclarationError;

/// Why flags could not be used or moved.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// The server refused or did not answer.
    #[error("flags: {0}")]
    Store(#[from] Failure),
    /// The schema is not there.
    #[error("the flag tables are not in schema tidegate of this database; install them first")]
    NotInstalled,
    /// A newer program installed it.
    #[error(
        "the flag tables in schema tidegate have format {found}; this program knows {known}: use a newer tidegate, \
         nothing was changed"
    )]
    Newer {
        /// What stands there.
        found: i32,
        /// What this program knows.
        known: i32,
    },
    /// The set is not there.
    #[error("flag set '{set}' is not declared in this database; declare it first")]
    UnknownSet {
        /// The set.
        set: String,
    },
    /// A declaration is not sound.
    #[error("flag set '{set}' is not soundly declared: {}", list(errors))]
    Declaration {
        /// The set.
        set: String,
        /// Everything that is wrong.
        errors: Vec<DeclarationError>,
    },
    /// The set has other columns in the database.
    #[error(
        "flag set '{set}' has the columns {} in the database and {} in its declaration; columns never change: \
         declare a new set", found.join(", "), declared.join(", ")
    )]
    ColumnsChanged {
        /// The set.
        set: String,
        /// In the database.
        found: Vec<String>,
        /// In the declaration.
        declared: Vec<String>,
    },
    /// The row that rules is not declared, or is declared otherwise.
    #[error(
        "row '{row}' of flag set '{set}' rules in the database {how}; declare it as it is there, or move away from it \
         with the declaration that has it"
    )]
    RowNotDeclared {
        /// The set.
        set: String,
        /// The row.
        row: String,
        /// What differs.
        how: &'static str,
    },
    /// There is no such row.
    #[error("flag set '{set}' has no row '{row}'; its rows are {}", rows.join(", "))]
    UnknownRow {
        /// The set.
        set: String,
        /// What was asked for.
        row: String,
        /// What there is.
        rows: Vec<String>,
    },
    /// There is no such move.
    #[error(
        "flag set '{set}' may not move from '{from}' to '{to}'; from '{from}' it may move to {}",
        if legal.is_empty() { "nothing".to_owned() } else { legal.join(", ") }
    )]
    UndeclaredMove {
        /// The set.
        set: String,
        /// The row that rules.
        from: String,
        /// What was asked for.
        to: String,
        /// Where the moves from there lead.
        legal: Vec<String>,
    },
    /// The database holds or answered what this program does not understand.
    #[error(
        "flags: {what} cannot be read ({why}); the schema tidegate was changed by hand or by a newer program"
    )]
    Unreadable {
        /// What was read.
        what: &'static str,
        /// Why not.
        why: String,
    },
}

impl TxError for FlagsError {
    fn failure(&self) -> Option<&Failure> {
        match self {
            FlagsError::Store(failure) => Some(failure),
            _ => None,
        }
    }
}

fn list(errors: &[DeclarationError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
