//! The statements of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_runbook::{Compare, CompareMode, Equality};
use tidegate_store::postgres::{Failure, Session, quote_identifier, quote_literal};

use crate::error::StepError;
use crate::values::RenderedSql;
use crate::verb::compare::differences::Differences;

/// Buckets that rows are hashed into, by key. A power of two.
/// Few enough that their sums stay near the processor: with more, the scan itself becomes slower.
const BUCKETS: i64 = 1_024;

/// More differing buckets than this, and all rows are read again.
const BUCKETS_NAMED_MAX: usize = 256;

/// So many differing buckets are looked through key by key.
const BUCKETS_LOOKED_THROUGH_MAX: usize = 32;

/// So many keys are named to the server, which then finds their rows by an index.
const KEYS_NAMED_MAX: usize = 1_000;

/// Columns whose hashes are chained, each within the next: deeper, an expression is more than a server takes. Wider rows
/// have several chains.
const COLUMNS_CHAINED_MAX: usize = 64;

/// Keys of one side, each a JSON array of texts, with their rows' hashes.
pub(super) type Candidates = BTreeMap<String, Option<String>>;

fn listed(buckets: &[i64]) -> String {
    let list: Vec<String> = buckets.iter().map(i64::to_string).collect();
    list.join(",")
}

/// One side of a comparison.
pub(super) struct SideQuery {
    /// The query in parentheses, as `q` with the columns `c0`, `c1`, ….
    pub(super) from: String,
    /// Which of its columns are the key.
    pub(super) key: Vec<usize>,
    /// `first` or `second`, for messages.
    pub(super) name: &'static str,
}

/// Both sides, ready to be asked.
pub(super) struct Queries {
    left: SideQuery,
    right: SideQuery,
    /// Names of the columns, after the first query.
    columns: Vec<String>,
    equal: Equality,
    mode: CompareMode,
    /// What each column is hashed by, in order.
    hashed: Vec<Hashed>,
    /// Types of the key's columns, in the first query.
    key_types: Vec<String>,
    /// Keys that print alike hash alike, which is faster than hashing what they print.
    key_hashes: bool,
}

/// Counts and sums of one side, by bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SideSums(BTreeMap<i64, (u64, String)>);

impl SideSums {
    fn rows(&self) -> u64 {
        self.0.values().map(|(rows, _)| rows).sum()
    }
}

/// Sums of both sides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) left_rows: u64,
    pub(super) right_rows: u64,
    /// Buckets that differ; `None`: too many to be named, or nothing that is told by them.
    buckets: Option<Vec<i64>>,
}

impl Sums {
    /// What both sides come to.
    pub(super) fn of(left: &SideSums, right: &SideSums, mode: CompareMode) -> Self {
        let all = left.0.keys().chain(right.0.keys()).collect::<BTreeSet<_>>();
        let differ: Vec<i64> =
            all.into_iter().filter(|bucket| left.0.get(bucket) != right.0.get(bucket)).copied().collect();
        let told = differ.is_empty() || (mode == CompareMode::Equal && differ.len() <= BUCKETS_NAMED_MAX);
        Self { left_rows: left.rows(), right_rows: right.rows(), buckets: told.then_some(differ) }
    }

    /// The buckets that differ, where they are few.
    fn few_buckets(&self) -> Option<String> {
        self.buckets
            .as_ref()
            .filter(|buckets| buckets.len() <= BUCKETS_LOOKED_THROUGH_MAX)
            .map(|buckets| listed(buckets))
    }

    /// The keys whose rows have other hashes on both sides, or stand on one alone; `None` where the buckets were not
    /// looked through, or there are too many.
    pub(super) fn keys(&self, left: &Candidates, right: &Candidates) -> Option<BTreeSet<String>> {
        self.few_buckets()?;
        let all: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        let keys: BTreeSet<String> =
            all.into_iter().filter(|key| left.get(*key) != right.get(*key)).cloned().collect();
        (!keys.is_empty() && keys.len() <= KEYS_NAMED_MAX).then_some(keys)
    }

    /// Whether nothing differs.
    pub(super) fn equal(&self) -> bool {
        self.buckets.as_ref().is_some_and(Vec::is_empty)
    }
}

type Columns = [(String, String)];

impl Queries {
    /// Puts both queries into the form in which they are compared.
    ///
    /// # Errors
    /// [`StepError::Refused`] if their columns do not pair, or a key's column is not there.
    pub(super) fn new(
        compare: &Compare,
        left: &RenderedSql,
        left_columns: &Columns,
        right: &RenderedSql,
        right_columns: &Columns,
    ) -> Result<Self, StepError> {
        if left_columns.len() != right_columns.len() {
            return Err(StepError::refused(
                format!(
                    "the first query has {} columns and the second has {}",
                    left_columns.len(),
                    right_columns.len()
                ),
                "Columns are compared by position: give both queries the same columns in the same order.",
            ));
        }
        for (index, ((name, left), (_, right))) in left_columns.iter().zip(right_columns).enumerate() {
            if family(left, compare.equal) != family(right, compare.equal) {
                return Err(StepError::refused(
                    format!(
                        "column {} ({name}) is {left} in the first query and {right} in the second, which cannot be compared",
                        index + 1
                    ),
                    "Cast one of the two to the other's type.",
                ));
            }
        }
        let columns: Vec<String> = left_columns.iter().map(|(name, _)| name.clone()).collect();
        let mut key = Vec::new();
        for wanted in &compare.key {
            let places: Vec<usize> =
                (0..columns.len()).filter(|at| columns.get(*at) == Some(wanted)).collect();
            match places.as_slice() {
                [at] => key.push(*at),
                found => {
                    return Err(StepError::refused(
                        format!("the first query has {} columns named {wanted:?}", found.len()),
                        format!(
                            "`@key` names columns of the first query; those are: {}.",
                            columns.join(", ")
                        ),
                    ));
                }
            }
        }
        let side = |rendered: &RenderedSql, name| {
            let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
            SideQuery {
                from: format!("({}\n) AS q ({})", rendered.text, names.join(", ")),
                key: key.clone(),
                name,
            }
        };
        let (left, right) = (side(left, "first"), side(right, "second"));
        let (equal, mode) = (compare.equal, compare.mode);
        let key_hashes = equal == Equality::Values
            || key.iter().all(|at| left_columns.get(*at).is_some_and(|(_, name)| hashes_as_it_prints(name)));
        let key_types = key
            .iter()
            .filter_map(|at| left_columns.get(*at).map(|(_, type_name)| type_name.clone()))
            .collect();
        let hashed = left_columns.iter().map(|(_, type_name)| Hashed::of(type_name, equal)).collect();
        Ok(Self { left, right, columns, equal, mode, hashed, key_types, key_hashes })
    }

    /// Both sides.
    pub(super) fn sides(&self) -> [&SideQuery; 2] {
        [&self.left, &self.right]
    }

    /// What is demanded.
    pub(super) fn mode(&self) -> CompareMode {
        self.mode
    }

    /// Counts and hashes all rows of one side.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub(super) async fn sums(&self, session: &Session, side: &SideQuery) -> Result<SideSums, Failure> {
        let sql = include_str!("sums.sql")
            .replace("{bucket}", &self.bucket(side))
            .replace("{row_hash}", &self.row_hash())
            .replace("{side}", &side.from);
        let mut sums = SideSums::default();
        for row in session.run(&sql).await?.pop().unwrap_or_default().rows {
            if let [Some(bucket), Some(rows), Some(sum)] = row.as_slice()
                && let (Ok(bucket), Ok(rows)) = (bucket.parse(), rows.parse())
            {
                sums.0.insert(bucket, (rows, sum.clone()));
            }
        }
        Ok(sums)
    }

    /// Keys and row hashes of one side, in the buckets that differ; `None` where those are too many to be looked through.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub(super) async fn candidates(
        &self,
        session: &Session,
        side: &SideQuery,
        sums: &Sums,
    ) -> Result<Candidates, Failure> {
        let Some(buckets) = sums.few_buckets() else { return Ok(Candidates::default()) };
        let keys: Vec<String> = side.key.iter().map(|at| format!("q.c{at}::text")).collect();
        let sql = format!(
            "SELECT to_json(ARRAY[{}]), {} FROM {} WHERE {} = ANY ('{{{buckets}}}'::bigint[])",
            keys.join(", "),
            self.row_hash(),
            side.from,
            self.bucket(side),
        );
        let rows = session.run(&sql).await?.pop().unwrap_or_default().rows;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row.as_slice() {
                [Some(key), hash] => Some((key.clone(), hash.clone())),
                _ => None,
            })
            .collect())
    }

    /// The rows that differ, by key.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub(super) async fn differences(
        &self,
        session: &Session,
        sums: &Sums,
        keys: Option<&BTreeSet<String>>,
        at_most: u32,
    ) -> Result<Differences, Failure> {
        let side = |side: &SideQuery| {
            let only = match keys {
                Some(keys) => format!(" WHERE {}", self.among(side, keys)),
                None => sums.buckets.as_ref().map_or(String::new(), |buckets| {
                    format!(" WHERE {} = ANY ('{{{}}}'::bigint[])", self.bucket(side), listed(buckets))
                }),
            };
            format!("SELECT true AS there, q.* FROM {}{only}", side.from)
        };
        let join = match self.mode {
            CompareMode::Equal => "FULL JOIN",
            CompareMode::Contained => "LEFT JOIN",
        };
        let key = &self.left.key;
        let on: Vec<String> = key.iter().map(|at| format!("l.c{at}::text = r.c{at}::text")).collect();
        let others: Vec<usize> = (0..self.columns.len()).filter(|at| !key.contains(at)).collect();
        let unlike = |at: &usize| match self.equal {
            Equality::Text => format!("l.c{at}::text IS DISTINCT FROM r.c{at}::text"),
            Equality::Values => format!("l.c{at} IS DISTINCT FROM r.c{at}"),
        };
        let mut differ: Vec<String> = vec!["l.there IS NULL".to_owned(), "r.there IS NULL".to_owned()];
        differ.extend(others.iter().map(unlike));
        let name = |at: &usize| quote_literal(self.columns.get(*at).map_or("", String::as_str));
        let named: Vec<String> =
            others.iter().map(|at| format!("CASE WHEN {} THEN {} END", unlike(at), name(at))).collect();
        let valued = |side: &str| {
            let cells: Vec<String> = others
                .iter()
                .map(|at| format!("CASE WHEN {} THEN {}.c{at}::text END", unlike(at), side))
                .collect();
            format!("to_json(ARRAY[{}]::text[])", cells.join(", "))
        };
        let keys: Vec<String> =
            key.iter().map(|at| format!("coalesce(l.c{at}::text, r.c{at}::text)")).collect();
        let sql = include_str!("differences.sql")
            .replace("{left}", &side(&self.left))
            .replace("{right}", &side(&self.right))
            .replace("{join}", join)
            .replace("{keys}", &keys.join(", "))
            .replace("{named}", &named.join(", "))
            .replace("{left_values}", &valued("l"))
            .replace("{right_values}", &valued("r"))
            .replace("{same_key}", &on.join(" AND "))
            .replace("{differ}", &differ.join(" OR "))
            .replace("{at_most}", &(u64::from(at_most) + 1).to_string());
        let rows = session.run(&sql).await?.pop().unwrap_or_default().rows;
        Ok(Differences::read(&rows, at_most))
    }

    /// The rows of these keys, each a JSON array of texts, in a form for which an index can be used.
    fn among(&self, side: &SideQuery, keys: &BTreeSet<String>) -> String {
        let columns: Vec<String> = side.key.iter().map(|at| format!("q.c{at}")).collect();
        let rows: Vec<String> = keys
            .iter()
            .filter_map(|key| serde_json::from_str::<Vec<String>>(key).ok())
            .map(|key| {
                let cells = key.iter().zip(&self.key_types);
                let cells: Vec<String> = cells
                    .map(|(text, type_name)| format!("CAST({} AS {type_name})", quote_literal(text)))
                    .collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        format!("({}) IN ({})", columns.join(", "), rows.join(", "))
    }

    /// The bucket of a row: by the key alone, so that both rows of a key meet in it.
    fn bucket(&self, side: &SideQuery) -> String {
        let columns: Vec<String> = side.key.iter().map(|at| format!("q.c{at}")).collect();
        let columns = columns.join(", ");
        let whole = side.key.iter().all(|at| self.hashed.get(*at) == Some(&Hashed::WholeNumber));
        let hash = match (side.key.as_slice(), self.key_hashes) {
            ([at], _) if whole => format!("hashint8extended(q.c{at}::bigint, 0)"),
            (_, true) => format!("hash_record_extended(ROW({columns}), 0)"),
            (_, false) => format!("hashtextextended(ROW({columns})::text, 0)"),
        };
        format!("({hash} & {})", BUCKETS - 1)
    }

    /// The hash of a row, of 64 bits: each column's is the seed of the next one's.
    ///
    /// It costs half of what it costs to write the row as one text and to hash that. By value, what the server's own hash
    /// of a row folds to 32 bits is hashed here: of 5 and 4,294,967,300 as bigint that makes the same.
    fn row_hash(&self) -> String {
        let columns: Vec<(usize, Hashed)> = self.hashed.iter().copied().enumerate().collect();
        let chains: Vec<String> = columns.chunks(COLUMNS_CHAINED_MAX).map(chain).collect();
        match chains.as_slice() {
            [chain] => chain.clone(),
            chains => format!("hashtextextended(ROW({})::text, 0)", chains.join(", ")),
        }
    }
}

/// The hash of some columns of a row.
fn chain(columns: &[(usize, Hashed)]) -> String {
    let mut hash = "0::bigint".to_owned();
    for (at, hashed) in columns {
        // A seed of its own tells NULL from what stands in its place.
        let seed = format!("{hash} # CASE WHEN q.c{at} IS NULL THEN 1::bigint ELSE 0::bigint END");
        hash = match hashed {
            // One hash folds both halves into one; the upper half beside it tells what was folded.
            Hashed::WholeNumber => {
                let number = format!("coalesce(q.c{at}, 0)::bigint");
                format!("hashint8extended({number}, hashint8extended({number} >> 32, {seed}))")
            }
            Hashed::Text => format!("hashtextextended(coalesce(q.c{at}::text COLLATE \"C\", ''), {seed})"),
            Hashed::Number => format!("hash_numeric_extended(coalesce(q.c{at}, 0), {seed})"),
            Hashed::Value => continue,
        };
    }
    let valued = columns.iter().filter(|(_, hashed)| *hashed == Hashed::Value);
    let valued: Vec<String> = valued.map(|(at, _)| format!("q.c{at}")).collect();
    if valued.is_empty() { hash } else { format!("hash_record_extended(ROW({}), {hash})", valued.join(", ")) }
}

impl SideQuery {
    /// The key's columns, as the query's.
    pub(super) fn key_columns(&self) -> Vec<String> {
        self.key.iter().map(|at| quote_identifier(&format!("c{at}"))).collect()
    }
}

/// What a column is hashed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hashed {
    /// Its number.
    WholeNumber,
    /// What it prints.
    Text,
    /// Its number, however many zeros it ends with.
    Number,
    /// Its value, as its type hashes it.
    Value,
}

impl Hashed {
    fn of(type_name: &str, equal: Equality) -> Self {
        match (family(type_name, equal).as_str(), equal) {
            ("whole number", _) => Self::WholeNumber,
            (_, Equality::Text) => Self::Text,
            ("numeric", _) => Self::Number,
            // What is equal by value prints alike, or is looked at once more in vain.
            ("text" | "timestamp with time zone" | "timestamp without time zone", _) => Self::Text,
            ("time without time zone", _) => Self::Text,
            (_, Equality::Values) => Self::Value,
        }
    }
}

/// Types of which values that print alike hash alike, across the types of one family.
fn hashes_as_it_prints(type_name: &str) -> bool {
    let family = family(type_name, Equality::Text);
    ["whole number", "text", "uuid", "date", "timestamp with time zone", "timestamp without time zone"]
        .contains(&family.as_str())
}

/// Types that print, and by value hash, alike what is alike.
fn family(type_name: &str, equal: Equality) -> String {
    let bare = match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let (before, after) = (type_name.get(..open), type_name.get(close + 1..));
            format!("{}{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        _ => type_name.to_owned(),
    };
    match bare.as_str() {
        "smallint" | "integer" | "bigint" => "whole number".to_owned(),
        "text" | "character varying" => "text".to_owned(),
        "name" if equal == Equality::Text => "text".to_owned(),
        _ => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_print_alike_are_one_family() {
        let same = |left, right| family(left, Equality::Text) == family(right, Equality::Text);
        assert!(same("integer", "bigint") && same("character varying(20)", "text"));
        assert!(
            same("numeric(10,2)", "numeric")
                && same("timestamp(3) without time zone", "timestamp without time zone")
        );
        assert!(!same("json", "jsonb") && !same("character(3)", "text") && !same("integer", "text"));
    }
}
