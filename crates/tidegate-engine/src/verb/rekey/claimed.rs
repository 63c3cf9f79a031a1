//! Who has which name, by a record of the page.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use tidegate_rekey::Claims;
use tidegate_runbook::{Name, RelationRef};
use tidegate_store::kv::KvError;

use crate::error::StepError;
use crate::values::Values;

/// The columns that the record must have.
const COLUMNS: [&str; 2] = ["id", "name"];

/// The names of all accounts. Case does not count, so that a name that differs in it only is claimed by both.
#[derive(Debug)]
pub(super) struct Claimed {
    /// By the name in lower case: ids, and the spellings.
    names: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Claimed {
    pub(super) fn read(values: &Values, record: &Name) -> Result<Self, StepError> {
        let relation = values.relation(&RelationRef { step: record.clone(), part: None })?;
        let place = |wanted: &str| relation.columns.iter().position(|(name, _)| name == wanted);
        let [Some(id), Some(name)] = COLUMNS.map(place) else {
            return Err(StepError::refused(
                format!("{record} tells who has which name, and needs columns `id` and `name`"),
                "Give its columns these names, with AS.",
            ));
        };
        let mut claimed = Self { names: BTreeMap::new() };
        for row in &relation.rows {
            let cell = |place: usize| row.get(place).and_then(Option::as_deref).unwrap_or_default();
            let (id, name) = (cell(id), cell(name));
            if id.is_empty() {
                return Err(StepError::refused(
                    format!("{record} has a row without id, for the name {name:?}"),
                    "Leave names that belong to nobody out.",
                ));
            }
            // An id is a name of its own account, whatever else that is called.
            for spelling in [id, name].into_iter().filter(|spelling| !spelling.is_empty()) {
                let of = claimed.names.entry(spelling.to_lowercase()).or_default();
                of.0.insert(id.to_owned());
                of.1.insert(spelling.to_owned());
            }
        }
        Ok(claimed)
    }
}

#[async_trait]
impl Claims for Claimed {
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let found = self.names.get(&spelling.to_lowercase());
        Ok(found.map(|(ids, _)| ids.iter().cloned().collect()).unwrap_or_default())
    }

    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        let lower = format!("{}:", spelling.to_lowercase());
        let own = self.names.get(&spelling.to_lowercase()).map(|(ids, _)| ids);
        let of_others = |ids: &BTreeSet<String>| own.is_none_or(|own| !ids.is_subset(own));
        let longer = self.names.range(lower.clone()..).take_while(|(name, _)| name.starts_with(&lower));
        let longer = longer.filter(|(_, (ids, _))| of_others(ids));
        // As a key of this spelling would begin, so that case does not hide them; what follows, as it is spelt.
        let rest = |name: &String| {
            let (begin, rest) = name.split_at_checked(lower.len())?;
            (begin.to_lowercase() == lower).then(|| format!("{spelling}:{rest}"))
        };
        Ok(longer
            .flat_map(|(name, (_, spellings))| spellings.iter().chain([name]).filter_map(rest))
            .collect())
    }
}
