//! What a dry run counted, and an apply is held to.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_rekey::Counts;
use tidegate_runbook::{Name, RekeyForm, RekeyMode, RekeyPlan, RelationRef};

use super::{COUNTS, SUBJECT};
use crate::error::StepError;
use crate::values::Values;

/// The numbers of a dry run, by the subject's id.
pub(super) struct HeldTo {
    dry: Name,
    /// Rules whose records are scanned no more once they are moved.
    in_place: BTreeSet<String>,
    counts: BTreeMap<String, Counts>,
}

impl HeldTo {
    /// What the dry run of this step kept; `None`: the step is held to none.
    pub(super) fn read(
        values: &Values,
        mode: &RekeyMode,
        plan: &RekeyPlan,
    ) -> Result<Option<Self>, StepError> {
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
        let in_place = plan.rules.iter().filter(|rule| matches!(rule.form, RekeyForm::InPlace(_)));
        let in_place = in_place.map(|rule| rule.name.clone()).collect();
        Ok(Some(Self { dry: dry.clone(), in_place, counts }))
    }

    /// The numbers of one subject.
    pub(super) fn of(&self, id: &str) -> Result<Counts, String> {
        let found = self.counts.get(id).cloned();
        found.ok_or_else(|| {
            format!("{} counted nothing for {id}, so there is nothing to be held to", self.dry)
        })
    }

    /// Whether what is there now is what an apply that was cut off left of what was counted: the same records, none of
    /// them refused that was not, and no more to copy. What a person has decided since is less to refuse, and may be
    /// more to copy.
    pub(super) fn is_rest(&self, now: &Counts, counted: &Counts) -> Result<(), String> {
        for difference in counted.differences(now) {
            let (was, is) = (difference.held_to, difference.found);
            let same = match self.in_place.contains(&difference.rule) {
                true => is.scanned <= was.scanned,
                false => is.scanned == was.scanned,
            };
            let fewer =
                is.quarantined <= was.quarantined && is.conflicts <= was.conflicts && is.failed <= was.failed;
            let decided = (was.quarantined + was.conflicts + was.failed)
                .saturating_sub(is.quarantined + is.conflicts + is.failed);
            if !same || !fewer || is.migrated > was.migrated + decided {
                return Err(format!(
                    "{} records of {} are there with {} to be copied, where {} and {} were counted",
                    is.scanned, difference.rule, is.migrated, was.scanned, was.migrated
                ));
            }
        }
        Ok(())
    }
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
        let of = |in_place: &[&str]| HeldTo {
            dry: Name::parse("dry").unwrap(),
            in_place: in_place.iter().map(|name| (*name).to_owned()).collect(),
            counts: BTreeMap::new(),
        };
        let (held, counted) = (of(&[]), counts(10, 8, 1, 1));
        let fits = |now: &Counts| held.is_rest(now, &counted).is_ok();
        assert!(fits(&counts(10, 8, 1, 1)));
        assert!(fits(&counts(10, 3, 6, 1)));
        assert!(fits(&counts(10, 4, 6, 0)), "one was decided, and is to be copied");
        assert!(fits(&counts(10, 9, 1, 0)), "one was decided before anything was copied");
        assert!(!fits(&counts(11, 3, 7, 1)), "a record more");
        assert!(!fits(&counts(10, 9, 0, 1)), "more to copy");
        assert!(!fits(&counts(10, 3, 5, 2)), "another one refused");
        assert!(!fits(&Counts::default()), "the rule has no records any more");
        let in_place = of(&["trips"]);
        assert!(in_place.is_rest(&Counts::default(), &counted).is_ok(), "all of them name the id now");
        assert!(in_place.is_rest(&counts(3, 3, 0, 0), &counted).is_ok());
        assert!(in_place.is_rest(&counts(11, 8, 2, 1), &counted).is_err());
    }
}
