//! Keys of a source: their columns, and rows before and after a key as SQL.

use tidegate_store::postgres::{Session, quote_identifier, quote_literal};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::verb::backfill::allot::Range;

/// Types of which the keys between two keys can be counted.
const WHOLE_NUMBERS: [&str; 3] = ["bigint", "integer", "smallint"];

/// A key: its columns' texts, in order.
pub(super) type Key = Vec<String>;

/// The columns of a source's key.
#[derive(Clone, Debug)]
pub(super) struct KeyColumns {
    /// Quoted names, of the source as `s`: a bare name may mean what the query makes of it.
    names: Vec<String>,
    /// Types, as `format_type` prints them.
    types: Vec<String>,
}

impl KeyColumns {
    /// Finds the columns, and a unique index that makes them a key.
    pub(super) async fn find(session: &Session, table: &str, names: &[String]) -> Result<Self, StepError> {
        let rows = session
            .query(include_str!("key.sql"), &[(&table, Type::TEXT), (&names, Type::TEXT_ARRAY)])
            .await?;
        let row = rows.first();
        let types: Vec<Option<String>> = row.map(|row| row.get("types")).unwrap_or_default();
        let types: Option<Vec<String>> = types.into_iter().collect();
        let Some(types) = types.filter(|types| types.len() == names.len()) else {
            return Err(StepError::refused(
                format!("{table} has not all of the columns {}", names.join(", ")),
                "Correct `@key`.",
            ));
        };
        if !row.is_some_and(|row| row.get::<_, bool>("is_unique")) {
            return Err(StepError::refused(
                format!("no unique index makes {} a key of {table} that is never NULL", names.join(", ")),
                "Name the columns of its primary key in `@key`, or make a unique index on columns that are NOT NULL.",
            ));
        }
        let names = names.iter().map(|name| format!("s.{}", quote_identifier(name))).collect();
        Ok(Self { names, types })
    }

    /// `s.a, s.b`
    pub(super) fn list(&self) -> String {
        self.names.join(", ")
    }

    /// `s.a DESC, s.b DESC`
    pub(super) fn descending(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("{name} DESC")).collect();
        names.join(", ")
    }

    /// `s.a::text, s.b::text`
    pub(super) fn texts(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("{name}::text")).collect();
        names.join(", ")
    }

    /// The rows of `(after, upto]`, as a condition.
    pub(super) fn range(&self, after: Option<&Key>, upto: &Key) -> String {
        let upto = self.compare("<=", upto);
        match after {
            Some(after) => format!("{} AND {upto}", self.compare(">", after)),
            None => upto,
        }
    }

    /// The numbers, from 1, of the keys in a JSON array, in the order that the source's own columns give them.
    pub(super) fn ordering(&self, source: &str, keys: &str) -> String {
        let cells: Vec<String> = self
            .types
            .iter()
            .enumerate()
            .map(|(at, type_name)| format!("CAST(listed.key ->> {at} AS {type_name}) AS c{at}"))
            .collect();
        // The union takes types and collations from the source; it adds no row.
        let columns: Vec<String> = (0..self.types.len()).map(|at| format!("c{at}")).collect();
        format!(
            "SELECT number FROM (SELECT {}, 0::bigint AS number FROM {source} AS s WHERE false \
             UNION ALL SELECT {}, listed.number FROM json_array_elements(CAST({} AS json)) WITH ORDINALITY AS listed (key, number)) \
             AS keys ({}, number) ORDER BY {}",
            self.list(),
            cells.join(", "),
            quote_literal(keys),
            columns.join(", "),
            columns.join(", "),
        )
    }

    /// The end of a range's first part, in which at most `rows` rows can be: of one column of whole numbers.
    pub(super) fn step(&self, range: &Range, rows: u32) -> Option<Key> {
        let (after, upto) = self.whole_numbers(range)?;
        Some(vec![after.checked_add(i64::from(rows))?.min(upto).to_string()])
    }

    /// How many keys there may be in a range at most: of one column of whole numbers.
    pub(super) fn width(&self, range: &Range) -> Option<u64> {
        let (after, upto) = self.whole_numbers(range)?;
        Some(upto.abs_diff(after))
    }

    fn whole_numbers(&self, range: &Range) -> Option<(i64, i64)> {
        let [type_name] = self.types.as_slice() else { return None };
        if !WHOLE_NUMBERS.contains(&type_name.as_str()) {
            return None;
        }
        let number = |key: &Key| key.first()?.parse::<i64>().ok();
        Some((number(range.after.as_ref()?)?, number(&range.upto)?))
    }

    fn compare(&self, operator: &str, key: &Key) -> String {
        let values: Vec<String> = key
            .iter()
            .zip(&self.types)
            .map(|(text, type_name)| format!("CAST({} AS {type_name})", quote_literal(text)))
            .collect();
        match (self.names.as_slice(), values.as_slice()) {
            ([name], [value]) => format!("{name} {operator} {value}"),
            (names, values) => format!("({}) {operator} ({})", names.join(", "), values.join(", ")),
        }
    }

    /// Reads a key from a row of texts; `None` if any is NULL.
    pub(super) fn read(&self, row: &[Option<String>]) -> Option<Key> {
        row.iter().take(self.names.len()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_counted_and_nothing_else_is() {
        let key = |type_name: &str| KeyColumns { names: vec!["s.a".into()], types: vec![type_name.into()] };
        let range = |after: Option<&str>, upto: &str| Range {
            after: after.map(|after| vec![after.to_owned()]),
            upto: vec![upto.to_owned()],
        };
        let step = |type_name: &str, after, upto| key(type_name).step(&range(after, upto), 100);
        assert_eq!(step("bigint", Some("-5"), "900"), Some(vec!["95".to_owned()]));
        assert_eq!(step("smallint", Some("32700"), "32767"), Some(vec!["32767".to_owned()]));
        assert_eq!(step("bigint", Some("9223372036854775800"), "9223372036854775807"), None);
        assert_eq!(step("bigint", None, "900"), None);
        assert_eq!(step("numeric", Some("1"), "900"), None);
        assert_eq!(key("integer").width(&range(Some("-5"), "95")), Some(100));
        assert_eq!(key("text").width(&range(Some("1"), "2")), None);
    }

    #[test]
    fn a_range_is_written_with_types_and_quotes() {
        let key = KeyColumns {
            names: vec!["s.a".into(), "s.\"B\"".into()],
            types: vec!["bigint".into(), "text".into()],
        };
        assert_eq!(
            key.range(Some(&vec!["1".into(), "o'x".into()]), &vec!["2".into(), "y".into()]),
            "(s.a, s.\"B\") > (CAST('1' AS bigint), CAST('o''x' AS text)) AND (s.a, s.\"B\") <= (CAST('2' AS bigint), CAST('y' AS text))"
        );
    }
}
