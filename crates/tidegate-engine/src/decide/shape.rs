//! What every object of the database is, by definition and not by row number, so that two sets can be compared.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_store::postgres::{Failure, Session};

/// Most lines told of one comparison.
const LINES_TOLD: usize = 50;

/// Most characters told of a definition.
const DEFINITION_CHARACTERS: usize = 300;

/// Kind and name of an object.
type Key = (String, String);

/// What an object is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    definition: String,
    /// The relation that it is a part of.
    part_of: Option<String>,
}

/// Definitions by kind and name, of every object that is not the system's or ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shapes(BTreeMap<Key, Shape>);

/// What the comparison of two sets found, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What is missing, too much, or not the same.
    pub(crate) differences: Vec<String>,
    /// Objects of others that hang on what is compared and are no part of it.
    pub(crate) dependants: Vec<String>,
}

/// Reads all definitions, inside a transaction. Names are qualified whatever the search path is.
pub(crate) async fn shapes(session: &Session) -> Result<Shapes, Failure> {
    session.run("SAVEPOINT tidegate_shapes; SET LOCAL search_path = ''").await?;
    let rows = session.query(include_str!("shape/shapes.sql"), &[]).await?;
    session.run("ROLLBACK TO SAVEPOINT tidegate_shapes; RELEASE SAVEPOINT tidegate_shapes").await?;
    let shape = |row: &tidegate_store::postgres::Row| Shape {
        definition: row.get::<_, Option<String>>(2).unwrap_or_default(),
        part_of: row.get(3),
    };
    Ok(Shapes(rows.iter().map(|row| ((row.get(0), row.get(1)), shape(row))).collect()))
}

impl Shapes {
    /// How `exists` differs from what was `made` after it was taken away, which left `without`.
    ///
    /// What was taken away and not made again is a difference if it is a part of a relation that was made again, such
    /// as an index too many; else it is an object of others that hangs on what is compared. The order of columns counts
    /// only for relations that were made again: elsewhere a column that is made anew comes last.
    pub(crate) fn compare(exists: &Self, without: &Self, made: &Self) -> Difference {
        let remade: BTreeSet<&String> = RELATIONS
            .iter()
            .flat_map(|kind| made.0.keys().filter(move |(of, _)| of == kind))
            .filter(|key| !without.0.contains_key(*key))
            .map(|(_, name)| name)
            .collect();
        let mut found = Difference::default();
        let keys: BTreeSet<&Key> = exists.0.keys().chain(made.0.keys()).collect();
        for key in keys {
            let (kind, name) = key;
            match (exists.0.get(key), made.0.get(key)) {
                _ if kind == COLUMN_ORDER && !remade.contains(name) => {}
                (Some(exists), Some(made)) if exists.definition != made.definition => {
                    let (exists, made) = (cut(&exists.definition), cut(&made.definition));
                    found
                        .differences
                        .push(format!("differs: {kind} {name}: there is {exists}, the step makes {made}"));
                }
                (Some(exists), None) => {
                    if exists.part_of.as_ref().is_some_and(|relation| remade.contains(relation)) {
                        found
                            .differences
                            .push(format!("extra: {kind} {name} exists and the step does not make it"));
                    } else {
                        found.dependants.push(format!("{kind} {name}"));
                    }
                }
                (None, Some(_)) => found
                    .differences
                    .push(format!("missing: {kind} {name} does not exist and the step makes it")),
                _ => {}
            }
        }
        for lines in [&mut found.differences, &mut found.dependants] {
            let more = lines.len().saturating_sub(LINES_TOLD);
            lines.truncate(LINES_TOLD);
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
        }
        found
    }
}

/// Kinds of relations that have parts.
const RELATIONS: [&str; 5] = ["table", "view", "materialized view", "foreign table", "composite type"];

/// The kind of the lines that tell the order of columns.
const COLUMN_ORDER: &str = "column order";

fn cut(definition: &str) -> String {
    let one_line = definition.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= DEFINITION_CHARACTERS {
        return one_line;
    }
    one_line.chars().take(DEFINITION_CHARACTERS).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, &str, &str, Option<&str>)]) -> Shapes {
        Shapes(
            entries
                .iter()
                .map(|(kind, name, text, part_of)| {
                    let shape =
                        Shape { definition: (*text).to_owned(), part_of: part_of.map(ToOwned::to_owned) };
                    (((*kind).to_owned(), (*name).to_owned()), shape)
                })
                .collect(),
        )
    }

    const TABLE: (&str, &str, &str, Option<&str>) = ("table", "public.t", "t", None);

    #[test]
    fn what_is_missing_extra_or_different_is_named() {
        let exists =
            of(&[("index", "public.i", "a", Some("public.t")), ("view", "public.v", "x", None), TABLE]);
        let made =
            of(&[("index", "public.j", "a", Some("public.t")), ("view", "public.v", "y", None), TABLE]);
        let Difference { differences, dependants } = Shapes::compare(&exists, &Shapes::default(), &made);
        assert_eq!(differences.len(), 3, "{differences:?}");
        assert!(differences.iter().any(|line| line.starts_with("extra: index public.i")));
        assert!(differences.iter().any(|line| line.starts_with("missing: index public.j")));
        assert!(differences.iter().any(|line| line.starts_with("differs: view public.v")));
        assert_eq!(dependants, Vec::<String>::new());
    }

    #[test]
    fn what_hangs_on_it_and_is_no_part_of_it_is_no_difference() {
        let exists = of(&[
            TABLE,
            ("view", "public.theirs", "v", None),
            ("constraint", "public.their_table.k", "k", Some("public.their_table")),
        ]);
        let Difference { differences, dependants } =
            Shapes::compare(&exists, &Shapes::default(), &of(&[TABLE]));
        assert_eq!(differences, Vec::<String>::new());
        assert_eq!(dependants, ["constraint public.their_table.k", "view public.theirs"]);
    }

    #[test]
    fn the_order_of_columns_counts_only_where_the_relation_is_made_anew() {
        let exists = of(&[TABLE, (COLUMN_ORDER, "public.t", "a, b", Some("public.t"))]);
        let made = of(&[TABLE, (COLUMN_ORDER, "public.t", "b, a", Some("public.t"))]);
        assert_eq!(Shapes::compare(&exists, &of(&[TABLE]), &made), Difference::default());
        assert_eq!(Shapes::compare(&exists, &Shapes::default(), &made).differences.len(), 1);
    }
}
