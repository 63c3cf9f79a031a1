//! The rows that a step is done for, one by one, and what comes of them.

mod waves;

use tidegate_runbook::{Cohort, EACH, KeptValue, Name, RelationRef, ValueRef};

use crate::digest::Digest;
use crate::error::StepError;
use crate::outcome::KeptColumn;
use crate::values::{Relation, Value, Values};

pub(crate) use waves::{AtHand, Waves, forget};

/// Most subjects of one cohort.
pub(crate) const SUBJECTS_MAX: usize = 10_000;

/// Failed subjects that a sentence names.
const NAMED: usize = 5;

/// The column of what came of a subject.
const STATE: &str = "subject_state";
/// The column of why it failed.
const DETAIL: &str = "subject_detail";

/// The subjects of a step, and the columns that its requests may ask for.
pub(crate) struct Roster<'a> {
    relation: &'a Relation,
    fields: Vec<Option<Name>>,
    each: Option<Name>,
}

/// What came of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Why it failed; `None`: it is done.
    pub(crate) failed: Option<String>,
    /// What was kept of the answer.
    pub(crate) kept: Vec<KeptColumn>,
}

impl<'a> Roster<'a> {
    /// The rows that the cohort's record kept.
    ///
    /// # Errors
    /// [`StepError::Value`] if the record has not run; [`StepError::Refused`] for too many rows, for two that are equal,
    /// and for columns whose names are taken by what the step keeps.
    pub(crate) fn new(values: &'a Values, cohort: &Cohort, kept: &[KeptValue]) -> Result<Self, StepError> {
        let relation = values.relation(&RelationRef { step: cohort.over.clone(), part: None })?;
        if relation.rows.len() > SUBJECTS_MAX {
            return Err(StepError::refused(
                format!(
                    "{} keeps {} rows, and a step is done for at most {SUBJECTS_MAX}",
                    cohort.over,
                    relation.rows.len()
                ),
                "Take a part of them, and the others in another run.",
            ));
        }
        let mut sorted: Vec<&Vec<Option<String>>> = relation.rows.iter().collect();
        sorted.sort_unstable();
        if let Some([twice, _]) = sorted.array_windows().find(|[one, other]| one == other) {
            return Err(StepError::refused(
                format!(
                    "{} keeps the row {} twice, so one subject would be done twice",
                    cohort.over,
                    named(twice)
                ),
                "Select the rows with DISTINCT.",
            ));
        }
        let taken = relation.columns.iter().map(|(name, _)| name.as_str()).find(|name| {
            [STATE, DETAIL].contains(name) || kept.iter().any(|value| value.name.as_str() == *name)
        });
        if let Some(taken) = taken {
            return Err(StepError::refused(
                format!("{} has a column {taken}, which this step keeps of its own", cohort.over),
                "Give the column another name in the record, with AS.",
            ));
        }
        let fields = relation.columns.iter().map(|(name, _)| Name::parse(name).ok()).collect();
        Ok(Self { relation, fields, each: Name::parse(EACH).ok() })
    }

    /// The rows, in order.
    pub(crate) fn rows(&self) -> &'a [Vec<Option<String>>] {
        &self.relation.rows
    }

    /// Makes a row the one at hand.
    pub(crate) fn put(&self, row: &[Option<String>], values: &mut Values) {
        let Some(each) = &self.each else { return };
        for ((field, (_, type_name)), cell) in self.fields.iter().zip(&self.relation.columns).zip(row) {
            let name = ValueRef { root: each.clone(), field: field.clone() };
            let value = Value { type_name: type_name.clone(), text: cell.clone(), secret: false };
            if field.is_some() {
                values.set(name, value);
            }
        }
    }

    /// What the step keeps: each subject's row, what came of it, and what was kept of its answer.
    pub(crate) fn kept(&self, judged: &[Judged], kept: &[KeptValue]) -> Relation {
        let text = || "text".to_owned();
        let mut columns = self.relation.columns.clone();
        columns.extend([(STATE.to_owned(), text()), (DETAIL.to_owned(), text())]);
        for value in kept {
            let name = value.name.as_str();
            let found = judged.iter().flat_map(|judged| &judged.kept);
            let mut types =
                found.filter(|kept| kept.name == name && kept.text.is_some()).map(|kept| &kept.type_name);
            let first = types.next();
            let one = first.filter(|first| types.all(|other| other == *first));
            columns.push((name.to_owned(), one.cloned().unwrap_or_else(text)));
        }
        let rows = self.rows().iter().zip(judged).map(|(row, judged)| {
            let state = if judged.failed.is_none() { "done" } else { "failed" };
            let of = |value: &KeptValue| {
                let found = judged.kept.iter().find(|kept| kept.name == value.name.as_str());
                found.and_then(|kept| kept.text.clone())
            };
            let mut cells = row.clone();
            cells.extend([Some(state.to_owned()), judged.failed.clone()]);
            cells.extend(kept.iter().map(of));
            cells
        });
        Relation { columns, rows: rows.collect() }
    }
}

/// A row as a sentence names it.
pub(crate) fn named(row: &[Option<String>]) -> String {
    let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect();
    cells.join(", ")
}

/// What a subject is known again by.
pub(crate) fn key(row: &[Option<String>]) -> (Digest, String) {
    let cells = serde_json::to_string(row).unwrap_or_default();
    (Digest::of(cells.as_bytes()), cells)
}

/// The first of those that failed, with why.
pub(crate) fn failures<'r>(failed: impl Iterator<Item = (&'r [Option<String>], &'r str)>) -> String {
    let mut said = Vec::new();
    let mut more = 0_u64;
    for (row, why) in failed {
        if said.len() < NAMED {
            said.push(format!("{}: {why}", named(row)));
        } else {
            more += 1;
        }
    }
    let more = if more > 0 { format!("; and {more} others") } else { String::new() };
    format!("{}{more}", said.join("; "))
}

/// A share in percent, for a sentence.
pub(crate) fn percent(failed: usize, of: usize) -> String {
    let tenths = failed.saturating_mul(1_000).checked_div(of).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_known_by_its_cells_and_null_is_none_of_them() {
        let row =
            |cells: &[Option<&str>]| cells.iter().map(|cell| cell.map(str::to_owned)).collect::<Vec<_>>();
        assert_ne!(key(&row(&[None])).0, key(&row(&[Some("NULL")])).0);
        assert_ne!(key(&row(&[Some("a"), Some("b")])).0, key(&row(&[Some("a, b")])).0);
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), "0.0 %");
    }
}
