//! A write to both sides, where they share a server: one transaction, both or neither.

use tidegate_flags::{Side, Stage};
use tidegate_store::postgres::{Failure, QualifiedName, Session, TextValue, ToSql, Type, quote_identifier};

/// Columns of a key.
pub const KEY_COLUMNS_MAX: usize = 16;

/// A table on the old side, and the one on the new side that holds the same rows.
///
/// A row is mirrored by copying what the primary holds after the write, never by writing a second time: ids, times and
/// defaults are then the same on both sides, and a row that is gone is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePair {
    key_columns: usize,
    old: Statements,
    new: Statements,
}

/// What is done on, or from, one side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statements {
    /// Locks the row here.
    lock: String,
    /// Copies the row from here to the other side.
    copy: String,
}

/// A pair of tables that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TablePairError {
    /// The key has no columns, or too many.
    #[error("a pair of tables has a key of {0} columns; give it 1 to {KEY_COLUMNS_MAX}")]
    Key(usize),
}

impl TablePair {
    /// A pair with the columns of its key and the others, each as its name on the old side and on the new side.
    ///
    /// # Errors
    /// [`TablePairError::Key`].
    pub fn new(
        old: &QualifiedName,
        new: &QualifiedName,
        key: &[(&str, &str)],
        others: &[(&str, &str)],
    ) -> Result<TablePair, TablePairError> {
        if !(1..=KEY_COLUMNS_MAX).contains(&key.len()) {
            return Err(TablePairError::Key(key.len()));
        }
        let turned = |columns: &[(&str, &str)]| -> Vec<(String, String)> {
            columns.iter().map(|(old, new)| (quote_identifier(new), quote_identifier(old))).collect()
        };
        let straight = |columns: &[(&str, &str)]| -> Vec<(String, String)> {
            columns.iter().map(|(old, new)| (quote_identifier(old), quote_identifier(new))).collect()
        };
        Ok(TablePair {
            key_columns: key.len(),
            old: Statements::new(&old.quoted(), &new.quoted(), &straight(key), &straight(others)),
            new: Statements::new(&new.quoted(), &old.quoted(), &turned(key), &turned(others)),
        })
    }

    fn of(&self, side: Side) -> &Statements {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    /// Locks the row on one side, if it is there, and returns whether it is.
    ///
    /// # Errors
    /// The server's.
    pub async fn lock(&self, session: &Session, side: Side, key: &[&str]) -> Result<bool, Failure> {
        Ok(!self.ask(session, &self.of(side).lock, key).await?.is_empty())
    }

    /// Makes the row on the other side what it is on this one: made, changed or removed.
    ///
    /// # Errors
    /// The server's.
    pub async fn copy(&self, session: &Session, from: Side, key: &[&str]) -> Result<(), Failure> {
        self.ask(session, &self.of(from).copy, key).await?;
        Ok(())
    }

    async fn ask(
        &self,
        session: &Session,
        sql: &str,
        key: &[&str],
    ) -> Result<Vec<tidegate_store::postgres::Row>, Failure> {
        if key.len() != self.key_columns {
            let what = format!("a key of {} values for {} columns", key.len(), self.key_columns);
            return Err(Failure::unusable_answer(what));
        }
        let values: Vec<TextValue<'_>> = key.iter().map(|value| TextValue(Some(value))).collect();
        let bound: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
        session.query(sql, &bound).await
    }
}

impl Statements {
    /// Column names come quoted, each as (here, there).
    fn new(here: &str, there: &str, key: &[(String, String)], others: &[(String, String)]) -> Statements {
        let list = |names: Vec<&str>| names.join(", ");
        let is_key = |side: &dyn Fn(&(String, String)) -> String| {
            let parts: Vec<String> =
                key.iter().enumerate().map(|(at, pair)| format!("{} = ${}", side(pair), at + 1)).collect();
            parts.join(" AND ")
        };
        let (key_here, key_there) = (is_key(&|pair| pair.0.clone()), is_key(&|pair| pair.1.clone()));
        let all = || key.iter().chain(others);
        let conflict = if others.is_empty() {
            "NOTHING".to_owned()
        } else {
            let sets: Vec<String> =
                others.iter().map(|(_, there)| format!("{there} = excluded.{there}")).collect();
            format!("UPDATE SET {}", sets.join(", "))
        };
        let gone = format!(
            "DELETE FROM {there} WHERE {key_there} AND NOT EXISTS (SELECT FROM {here} WHERE {key_here})"
        );
        Statements {
            lock: format!("SELECT 1 FROM {here} WHERE {key_here} FOR UPDATE"),
            copy: format!(
                "WITH gone AS ({gone}) INSERT INTO {there} ({}) SELECT {} FROM {here} WHERE {key_here} \
                 ON CONFLICT ({}) DO {conflict}",
                list(all().map(|(_, there)| there.as_str()).collect()),
                list(all().map(|(here, _)| here.as_str()).collect()),
                list(key.iter().map(|(_, there)| there.as_str()).collect()),
            ),
        }
    }
}

/// Writes a row, and its mirror if the stage has one, inside a transaction of [`crate::Switch::write`] at READ
/// COMMITTED.
///
/// The row is locked first on the side that the stage names, in a statement of its own, and only then written. Every
/// writer, and every copying of old rows meanwhile, keeps this order: with another one they wait for each other for
/// ever, or a row that was removed comes back. The body writes the primary, which is the side it gets.
///
/// # Errors
/// The body's, or the server's: the transaction is to be rolled back, on both sides.
pub async fn dual_write<T, E: From<Failure>>(
    session: &Session,
    stage: Stage,
    pair: &TablePair,
    key: &[&str],
    body: impl AsyncFnOnce(&Session, Side) -> Result<T, E>,
) -> Result<T, E> {
    if stage.mirror.is_none() {
        return body(session, stage.primary).await;
    }
    pair.lock(session, stage.lock_first, key).await?;
    let written = body(session, stage.primary).await?;
    pair.copy(session, stage.primary, key).await?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QualifiedName {
        QualifiedName { schema: None, name: text.to_owned() }
    }

    #[test]
    fn each_side_has_its_own_names_and_every_one_is_quoted() {
        let pair = TablePair::new(&name("v1"), &name("v\"2"), &[("id", "key")], &[("a", "b")]).unwrap();
        assert_eq!(pair.old.lock, r#"SELECT 1 FROM "v1" WHERE "id" = $1 FOR UPDATE"#);
        assert_eq!(
            pair.new.copy,
            r#"WITH gone AS (DELETE FROM "v1" WHERE "id" = $1 AND NOT EXISTS (SELECT FROM "v""2" WHERE "key" = $1)) INSERT INTO "v1" ("id", "a") SELECT "key", "b" FROM "v""2" WHERE "key" = $1 ON CONFLICT ("id") DO UPDATE SET "a" = excluded."a""#
        );
        let only_key = TablePair::new(&name("v1"), &name("v2"), &[("id", "id")], &[]).unwrap();
        assert!(only_key.old.copy.ends_with("DO NOTHING"));
        assert_eq!(TablePair::new(&name("a"), &name("b"), &[], &[]), Err(TablePairError::Key(0)));
    }
}
