//! What a dry run counted, and an apply is held to.

use std::collections::BTreeMap;

use tidegate_rekey::Counts;
use tidegate_runbook::{Name, RekeyMode, RelationRef};

use super::{COUNTS, SUBJECT};
use crate::error::StepError;
use crate::values::Values;

/// The numbers of a dry run, by the subject's id.
pub(super) struct HeldTo {
    dry: Name,
    counts: BTreeMap<String, Counts>,
}

impl HeldTo {
    /// What the dry run of this step kept; `None`: the step is held to none.
    pub(super) fn read(values: &Values, mode: &RekeyMode) -> Result<Option<Self>, StepError> {
        let RekeyMode::Apply { held_to: Some(dry), .. } = mode else { return Ok(None) };
        let relation = values.relation(&RelationRef { step: dry.clone(), part: None })?;
        let place = |wanted: &str| relation.columns.iter().position(|(name, _)| name == wanted);
        let (Some(id), Some(counted)) = (place(SUBJECT), place(COUNTS)) else {
            return Err(StepError::refused(
                format!("{dry} kept no numbers to be held to"),
                "Run the dry run again, in a new run.",
            ));
        };
        let mut counts = BTreeMap::new();
        for row in &relation.rows {
            let cell = |place: usize| row.get(place).and_then(Option::as_deref);
            // A subject whose dry run failed has none.
            if let (Some(id), Some(counted)) = (cell(id), cell(counted)) {
                let read: Counts = serde_json::from_str(counted).map_err(|error| {
                    StepError::refused(
                        format!("the numbers that {dry} kept of {id} cannot be read: {error}"),
                        "Run the dry run again, in a new run.",
                    )
                })?;
                counts.insert(id.to_owned(), read);
            }
        }
        Ok(Some(Self { dry: dry.clone(), counts }))
    }

    /// The numbers of one subject.
    pub(super) fn of(&self, id: &str) -> Result<Counts, String> {
        let found = self.counts.get(id).cloned();
        found.ok_or_else(|| {
            format!("{} counted nothing for {id}, so there is nothing to be held to", self.dry)
        })
    }
}

/// Whether what is there now is what an apply that was cut off left of what was counted: the same records, none of them
/// refused that was not, and no more to copy.
pub(super) fn is_rest_of(now: &Counts, counted: &Counts) -> Result<(), String> {
    for difference in counted.differences(now) {
        let (was, is) = (difference.held_to, difference.found);
        let refused = |of: tidegate_rekey::RuleCounts| (of.quarantined, of.conflicts, of.failed);
        if was.scanned != is.scanned || refused(was) != refused(is) || is.migrated > was.migrated {
            return Err(format!(
                "{} records of {} are there with {} to be copied, where {} and {} were counted",
                is.scanned, difference.rule, is.migrated, was.scanned, was.migrated
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidegate_rekey::RuleCounts;

    use super::*;

    fn counts(scanned: u64, migrated: u64, identical: u64, quarantined: u64) -> Counts {
        let of = RuleCounts { scanned, migrated, identical, quarantined, ..RuleCounts::default() };
        Counts([("trips".to_owned(), of)].into())
    }

    #[test]
    fn the_rest_of_a_copy_is_accepted_and_new_records_are_not() {
        let counted = counts(10, 8, 1, 1);
        assert!(is_rest_of(&counts(10, 8, 1, 1), &counted).is_ok());
        assert!(is_rest_of(&counts(10, 3, 6, 1), &counted).is_ok());
        assert!(is_rest_of(&counts(11, 3, 7, 1), &counted).is_err(), "a record more");
        assert!(is_rest_of(&counts(10, 9, 0, 1), &counted).is_err(), "more to copy");
        assert!(is_rest_of(&counts(10, 3, 5, 2), &counted).is_err(), "another one refused");
        assert!(is_rest_of(&Counts::default(), &counted).is_err(), "the rule has no records any more");
    }
}
