//! What a writer does first.

use tidegate_store::postgres::{Answer, Failure, Session, Type, quote_literal};

use crate::answer::{self, found, side, unsigned, value};
use crate::error::FlagsError;
use crate::stage::{Side, Stage};

/// Statements of [`look_sql`], each with one answer.
pub const LOOK_ANSWERS: usize = 2;

/// The row that rules, as a writer read it inside the barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Grows by one with every move.
    pub epoch: u64,
    /// The row's name.
    pub row: String,
    /// The set's columns.
    pub columns: Vec<String>,
    /// The row's values, in the order of the columns.
    pub values: Vec<bool>,
    /// The side whose row a write to both sides locks first.
    pub lock_first: Side,
}

impl Entered {
    /// What it means; `None` for a set that is no switch set.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Stage::of(&self.columns, &self.values, self.lock_first)
    }
}

/// Enters the barrier for the rest of the transaction and reads the row that rules; `None`: the set is not declared.
///
/// In isolation levels above READ COMMITTED it must be the first statement, and fails with 40001 where the row was
/// moved while it waited: the transaction is to be tried again.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn enter(session: &Session, name: &str) -> Result<Option<Entered>, FlagsError> {
    let sql = "SELECT epoch, row_name, row_values, lock_first, columns FROM tidegate.flag_enter($1)";
    let rows = found(session.query(sql, &[(&name, Type::TEXT)]).await)?;
    rows.first().map_or(Ok(None), from_row)
}

/// Reads a row of epoch, name, values, lock order and columns; NULLs stand for a set that is not declared.
pub(crate) fn from_row(row: &tidegate_store::postgres::Row) -> Result<Option<Entered>, FlagsError> {
    let what = "a flag set";
    let epoch: Option<i64> = value(row, 0, what)?;
    if epoch.is_none() {
        return Ok(None);
    }
    Ok(Some(Entered {
        epoch: unsigned(row, 0, what)?,
        row: value(row, 1, what)?,
        values: value(row, 2, what)?,
        lock_first: side(value(row, 3, what)?)?,
        columns: value(row, 4, what)?,
    }))
}

/// As [`enter`], as one statement of text that can ride with `BEGIN`. Its answer is read by [`entered`].
#[must_use]
pub fn enter_sql(name: &str) -> String {
    format!("SELECT tidegate.flag_enter_json({})", quote_literal(name))
}

/// Reads the answer to [`enter_sql`]; `None`: the set is not declared.
///
/// # Errors
/// [`FlagsError::Unreadable`].
pub fn entered(answer: &Answer) -> Result<Option<Entered>, FlagsError> {
    let unreadable =
        |why: String| FlagsError::Unreadable { what: "the row of a flag set inside the barrier", why };
    let text = answer.single().ok_or_else(|| unreadable("it is not one value".to_owned()))?;
    let Some(text) = text else { return Ok(None) };
    let (epoch, row, values, lock_first, columns): (u64, String, Vec<bool>, String, Vec<String>) =
        serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(Entered { epoch, row, columns, values, lock_first: side(&lock_first)? }))
}

/// What a writer does first where it has found no flag tables so far: enters the barrier all the same, and looks
/// whether they are there now. Its [`LOOK_ANSWERS`] answers are read by [`looked`].
#[must_use]
pub fn look_sql(name: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended(\
         pg_catalog.concat_ws(' ', 'tidegate flags of', {}) COLLATE \"C\", 0)); \
         SELECT pg_catalog.to_regprocedure('tidegate.flag_enter(text)') IS NOT NULL",
        quote_literal(name)
    )
}

/// Reads the last answer to [`look_sql`]: whether the flag functions are there.
#[must_use]
pub fn looked(answer: &Answer) -> bool {
    answer.single() == Some(Some("t"))
}

/// Whether a failure says that the flag functions are not there (any more).
#[must_use]
pub fn is_missing(failure: &Failure) -> bool {
    answer::is_missing(failure)
}

#[cfg(test)]
mod tests {
    use super::{Side, entered};
    use tidegate_store::postgres::Answer;

    fn answer(value: Option<&str>) -> Answer {
        Answer { rows: vec![vec![value.map(str::to_owned)]], ..Answer::default() }
    }

    #[test]
    fn a_row_is_read_from_text() {
        let text = r#"[7, "it's \"dual\"", [true,false], "new", ["reads","a,b"]]"#;
        let row = entered(&answer(Some(text))).unwrap().unwrap();
        assert_eq!((row.epoch, &*row.row, row.lock_first), (7, "it's \"dual\"", Side::New));
        assert_eq!(
            (row.values, row.columns),
            (vec![true, false], vec!["reads".to_owned(), "a,b".to_owned()])
        );
        assert_eq!(entered(&answer(None)).unwrap(), None);
    }

    #[test]
    fn what_is_no_row_is_an_error_and_never_a_guess() {
        for bad in [
            "",
            "7",
            r#"[7, "dual", [true], "new"]"#,
            r#"[-7, "dual", [true], "new", ["reads"]]"#,
            r#"[7, null, [true], "new", ["reads"]]"#,
            r#"[7, "dual", [null], "new", ["reads"]]"#,
            r#"[7, "dual", [true], "left", ["reads"]]"#,
        ] {
            assert!(entered(&answer(Some(bad))).is_err(), "{bad}");
        }
        assert!(entered(&Answer::default()).is_err());
    }
}
