//! What every object of the database is, by definition and not by row number, so that two sets can be compared.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_store::postgres::{Failure, Session};

/// Most differences told of one comparison.
const DIFFERENCES_TOLD: usize = 50;

/// Most characters told of a definition.
const DEFINITION_CHARACTERS: usize = 300;

/// Definitions by kind and name, of every object that is not the system's or ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shapes(BTreeMap<(String, String), String>);

/// Reads all definitions, inside a transaction. Names are qualified whatever the search path is.
pub(crate) async fn shapes(session: &Session) -> Result<Shapes, Failure> {
    session.run("SAVEPOINT tidegate_shapes; SET LOCAL search_path = ''").await?;
    let rows = session.query(include_str!("shape/shapes.sql"), &[]).await?;
    session.run("ROLLBACK TO SAVEPOINT tidegate_shapes; RELEASE SAVEPOINT tidegate_shapes").await?;
    Ok(Shapes(
        rows.iter()
            .map(|row| ((row.get(0), row.get(1)), row.get::<_, Option<String>>(2).unwrap_or_default()))
            .collect(),
    ))
}

impl Shapes {
    /// What this has and `other` has not, by kind and name.
    pub(crate) fn without(&self, other: &Self) -> BTreeSet<(String, String)> {
        self.0.keys().filter(|key| !other.0.contains_key(*key)).cloned().collect()
    }

    /// How what `exists` differs from what was `made`, one line each; empty if nothing does.
    ///
    /// The order of columns counts only for relations in `remade`: elsewhere a column that is made anew comes last.
    pub(crate) fn differences(
        exists: &Self,
        made: &Self,
        remade: &BTreeSet<(String, String)>,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let keys: BTreeSet<_> = exists.0.keys().chain(made.0.keys()).collect();
        for key in keys {
            let (kind, name) = key;
            if kind == COLUMN_ORDER && !remade.contains(&("table".to_owned(), name.clone())) {
                continue;
            }
            match (exists.0.get(key), made.0.get(key)) {
                (Some(exists), Some(made)) if exists != made => lines.push(format!(
                    "differs: {kind} {name}: there is {}, the step makes {}",
                    cut(exists),
                    cut(made)
                )),
                (Some(_), None) => lines.push(format!(
                    "extra: {kind} {name} exists and the step does not make it (or its undo takes it along)"
                )),
                (None, Some(_)) => {
                    lines.push(format!("missing: {kind} {name} does not exist and the step makes it"));
                }
                _ => {}
            }
        }
        if lines.len() > DIFFERENCES_TOLD {
            let more = lines.len() - DIFFERENCES_TOLD;
            lines.truncate(DIFFERENCES_TOLD);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

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

    fn of(entries: &[(&str, &str, &str)]) -> Shapes {
        Shapes(
            entries
                .iter()
                .map(|(kind, name, text)| (((*kind).to_owned(), (*name).to_owned()), (*text).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn what_is_missing_extra_or_different_is_named() {
        let exists = of(&[("index", "public.i", "a"), ("view", "public.v", "x"), ("table", "public.t", "t")]);
        let made = of(&[("index", "public.j", "a"), ("view", "public.v", "y"), ("table", "public.t", "t")]);
        let lines = Shapes::differences(&exists, &made, &BTreeSet::new());
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("extra: index public.i")));
        assert!(lines.iter().any(|line| line.starts_with("missing: index public.j")));
        assert!(lines.iter().any(|line| line.starts_with("differs: view public.v")));
    }

    #[test]
    fn the_order_of_columns_counts_only_where_the_relation_is_made_anew() {
        let exists = of(&[(COLUMN_ORDER, "public.t", "a, b")]);
        let made = of(&[(COLUMN_ORDER, "public.t", "b, a")]);
        assert_eq!(Shapes::differences(&exists, &made, &BTreeSet::new()), Vec::<String>::new());
        let remade = BTreeSet::from([("table".to_owned(), "public.t".to_owned())]);
        assert_eq!(Shapes::differences(&exists, &made, &remade).len(), 1);
    }
}
