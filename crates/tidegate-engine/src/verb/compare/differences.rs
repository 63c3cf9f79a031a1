//! The rows in which two queries differ.

use tidegate_runbook::{AcceptedDifference, DifferencePart, Name, RelationRef};

use crate::values::Relation;

/// Differences that a sentence names.
const LISTED_MAX: usize = 20;

/// Characters of a value that a sentence shows.
const VALUE_CHARS_MAX: usize = 60;

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// How.
    pub(crate) part: DifferencePart,
    /// The key's columns in text.
    pub(crate) key: Vec<Option<String>>,
    /// The columns that differ; none for a row that one side lacks.
    pub(crate) columns: Vec<ColumnDifference>,
}

/// One column of a row that differs, with what both sides have in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnDifference {
    name: String,
    first: Option<String>,
    second: Option<String>,
}

/// The rows that differ, in order of their keys' text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) rows: Vec<Difference>,
    /// There are more than these.
    pub(crate) more: bool,
}

impl Differences {
    /// Reads what the server answered.
    pub(super) fn read(rows: &[Vec<Option<String>>], at_most: u32) -> Self {
        let limit = usize::try_from(at_most).unwrap_or(usize::MAX);
        let rows_read: Vec<Difference> = rows.iter().take(limit).filter_map(|row| difference(row)).collect();
        Self { rows: rows_read, more: rows.len() > limit }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.more
    }

    pub(crate) fn count(&self, part: DifferencePart) -> u64 {
        let count = self.rows.iter().filter(|row| row.part == part).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// `2 missing, 1 differing`
    pub(crate) fn counts(&self) -> String {
        let parts = [DifferencePart::Missing, DifferencePart::Extra, DifferencePart::Differing];
        let shown: Vec<String> = parts
            .into_iter()
            .filter(|part| self.count(*part) > 0)
            .map(|part| format!("{} {}", self.count(part), part.word()))
            .collect();
        let more = if self.more { " and more" } else { "" };
        format!("{}{more}", shown.join(", "))
    }

    /// Each by its key; what both sides have only `with_values`.
    pub(crate) fn listed(&self, key: &[String], with_values: bool) -> String {
        let mut shown: Vec<String> =
            self.rows.iter().take(LISTED_MAX).map(|row| row.shown(key, with_values)).collect();
        let rest = self.rows.len().saturating_sub(LISTED_MAX);
        if rest > 0 || self.more {
            shown.push(format!("and {rest}{} others", if self.more { " or more" } else { "" }));
        }
        shown.join("; ")
    }

    /// Takes out those that the page accepts; gives their number.
    pub(super) fn take_accepted(&mut self, accepted: &[AcceptedDifference]) -> u64 {
        let before = self.rows.len();
        self.rows.retain(|row| {
            !accepted.iter().any(|accepted| {
                let same = |(text, cell): (&String, &Option<String>)| cell.as_ref() == Some(text);
                accepted.key.len() == row.key.len() && accepted.key.iter().zip(&row.key).all(same)
            })
        });
        u64::try_from(before - self.rows.len()).unwrap_or(u64::MAX)
    }

    /// Leaves only those that were there before, too.
    pub(super) fn keep_also_in(&mut self, before: &Self) {
        if before.more {
            return;
        }
        self.rows
            .retain(|row| before.rows.iter().any(|known| known.key == row.key && known.part == row.part));
    }
}

impl Difference {
    fn shown(&self, key: &[String], with_values: bool) -> String {
        let key: Vec<String> = key
            .iter()
            .zip(&self.key)
            .map(|(name, text)| format!("{name} {}", cell(text.as_deref())))
            .collect();
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|ColumnDifference { name, first, second }| {
                if with_values {
                    format!("{name}: {} and {}", cell(first.as_deref()), cell(second.as_deref()))
                } else {
                    name.clone()
                }
            })
            .collect();
        let columns = if columns.is_empty() { String::new() } else { format!(" in {}", columns.join(", ")) };
        format!("{} {}{columns}", self.part.word(), key.join(", "))
    }
}

fn cell(text: Option<&str>) -> String {
    match text {
        None => "NULL".to_owned(),
        Some(text) if text.chars().count() > VALUE_CHARS_MAX => {
            format!("{:?}…", text.chars().take(VALUE_CHARS_MAX).collect::<String>())
        }
        Some(text) => format!("{text:?}"),
    }
}

fn difference(row: &[Option<String>]) -> Option<Difference> {
    let cells = |at: usize| -> Vec<Option<String>> {
        let text = row.get(at).and_then(Option::as_deref).unwrap_or("[]");
        serde_json::from_str(text).unwrap_or_default()
    };
    let part = part(row.first()?.as_deref()?)?;
    let (names, left, right) = (cells(2), cells(3), cells(4));
    let columns = match part {
        DifferencePart::Differing => names
            .into_iter()
            .zip(left.into_iter().zip(right))
            .filter_map(|(name, (first, second))| name.map(|name| ColumnDifference { name, first, second }))
            .collect(),
        DifferencePart::Missing | DifferencePart::Extra => Vec::new(),
    };
    Some(Difference { part, key: cells(1), columns })
}

fn part(word: &str) -> Option<DifferencePart> {
    [DifferencePart::Missing, DifferencePart::Extra, DifferencePart::Differing]
        .into_iter()
        .find(|part| part.word() == word)
}

/// The differences as one relation that can be kept: how, the key, and the columns that differ; `with_values` also what
/// both sides have in them.
pub(crate) fn relations(found: &Differences, key: &[(String, String)], with_values: bool) -> Relation {
    let text = || "text".to_owned();
    let mut columns = vec![("difference".to_owned(), text())];
    columns.extend(key.iter().cloned());
    columns.push(("columns".to_owned(), text()));
    if with_values {
        columns.extend([("first".to_owned(), text()), ("second".to_owned(), text())]);
    }
    let rows = found.rows.iter().map(|row| {
        let listed = |pick: fn(&ColumnDifference) -> &str| {
            serde_json::to_string(&row.columns.iter().map(pick).collect::<Vec<_>>()).ok()
        };
        let mut cells = vec![Some(row.part.word().to_owned())];
        cells.extend(row.key.iter().cloned());
        cells.push(listed(|column| &column.name));
        if with_values {
            cells.push(listed(|column| column.first.as_deref().unwrap_or("NULL")));
            cells.push(listed(|column| column.second.as_deref().unwrap_or("NULL")));
        }
        cells
    });
    let rows = rows.collect();
    Relation { columns, rows }
}

/// The kept relation taken apart: what `:{id.missing}`, `:{id.extra}` and `:{id.differing}` stand for, with the key's columns.
pub(crate) fn split(step: &Name, kept: &Relation, key_width: usize) -> Vec<(RelationRef, Relation)> {
    let parts = [DifferencePart::Missing, DifferencePart::Extra, DifferencePart::Differing];
    parts
        .into_iter()
        .map(|part| {
            let columns = kept.columns.iter().skip(1).take(key_width).cloned().collect();
            let of_part =
                |row: &&Vec<Option<String>>| row.first().and_then(Option::as_deref) == Some(part.word());
            let rows = kept.rows.iter().filter(of_part);
            let rows = rows.map(|row| row.iter().skip(1).take(key_width).cloned().collect()).collect();
            (RelationRef { step: step.clone(), part: Some(part) }, Relation { columns, rows })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Differences {
        let row = |part: &str, key: &str, names: &str, left: &str, right: &str| {
            vec![
                Some(part.to_owned()),
                Some(format!("[\"{key}\"]")),
                Some(names.to_owned()),
                Some(left.to_owned()),
                Some(right.to_owned()),
            ]
        };
        Differences::read(
            &[
                row("missing", "1", "[null,null]", "[null,null]", "[null,null]"),
                row("differing", "2", "[\"name\",null]", "[\"a\",null]", "[null,null]"),
            ],
            10,
        )
    }

    #[test]
    fn differences_are_counted_and_listed_without_values_unless_asked() {
        let found = found();
        assert_eq!(found.counts(), "1 missing, 1 differing");
        let key = ["id".to_owned()];
        assert_eq!(found.listed(&key, false), "missing id \"1\"; differing id \"2\" in name");
        assert_eq!(found.listed(&key, true), "missing id \"1\"; differing id \"2\" in name: \"a\" and NULL");
    }

    #[test]
    fn what_is_kept_splits_into_its_parts() {
        let step = Name::parse("parity").unwrap();
        let kept = relations(&found(), &[("id".to_owned(), "bigint".to_owned())], true);
        let parts = split(&step, &kept, 1);
        let rows: Vec<usize> = parts.iter().map(|(_, relation)| relation.rows.len()).collect();
        assert_eq!(rows, [1, 0, 1]);
        assert_eq!(parts[2].1.columns, [("id".to_owned(), "bigint".to_owned())]);
        assert_eq!(parts[2].1.rows, [[Some("2".to_owned())]]);
    }

    #[test]
    fn an_accepted_key_is_taken_out_and_counted() {
        let mut found = found();
        let accepted = AcceptedDifference { key: vec!["1".to_owned()], reason: "known".to_owned() };
        assert_eq!(found.take_accepted(&[accepted]), 1);
        assert_eq!(found.counts(), "1 differing");
    }
}
