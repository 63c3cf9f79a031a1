//! What is left of a user's legacy keys. Nothing is written.

use serde_json::{Map, Value, json};
use tidegate_rekey::{Counts, InPlaceOwners};
use tidegate_store::kv::{Key, PAGE_MAX};

use super::subject::{self, Found};
use super::{Migration, MigrationError, counters, links, rules};
use crate::keyspace;

/// Keys that a count looks at under one spelling.
const KEYS_MAX: usize = 100_000;

impl Migration {
    /// What is left for each of these users, by what was given for them.
    pub async fn status(&self, inputs: &[String]) -> (bool, Map<String, Value>) {
        let (mut success, mut results) = (true, Map::new());
        let in_place = match self.rekey.scan_in_place().await.map_err(MigrationError::from) {
            Ok(in_place) => in_place,
            Err(error) => {
                let results =
                    inputs.iter().map(|input| (input.clone(), json!({ "error": error.sentence() })));
                return (false, results.collect());
            }
        };
        for input in inputs {
            let told = match subject::find(&*self.store, input).await {
                Ok(Some(found)) => self.status_of(&found, &in_place).await,
                Ok(None) => Ok(json!({ "error": "User not found" })),
                Err(error) => Err(error),
            };
            let told = told.unwrap_or_else(|error| json!({ "error": error.sentence() }));
            success &= told.get("error").is_none();
            results.insert(input.clone(), told);
        }
        (success, results)
    }

    async fn status_of(&self, found: &Found, in_place: &InPlaceOwners) -> Result<Value, MigrationError> {
        let id = &found.subject.id;
        let remaining = self.rekey.remaining_with(&found.subject, in_place).await?;
        let owned = self.rekey.owned_with(&found.subject, in_place).await?;
        let left = |rule: &str| left_of(&remaining, rule);
        let lower = self.trips_in_lower_case(found).await?.min(left(rules::TRIPS));
        let proven = self.proven(&found.subject).await?;
        let counted = counters::carry(&*self.store, id, &proven, false).await?;
        let linked = links::link(&*self.store, id, &proven, &found.core, false).await?;
        let mut value = json!({
            "userId": id,
            "trip_legacy": left(rules::TRIPS) - lower,
            "trip_legacy_lower": lower,
            "expense_legacy": left(rules::EXPENSES),
            "mileage_legacy": left(rules::MILEAGE),
            "trash_legacy": left(rules::TRASH),
            "settings_legacy": left(rules::SETTINGS),
            "hns_legacy": left(rules::HNS_SETTINGS) + left(rules::HNS_DB) + left(rules::HNS_SESSION)
                + left(rules::HNS_CRED) + left(rules::ORDERS),
            "authenticators_legacy": left(rules::AUTHENTICATORS),
            "meta_legacy": counted.carried,
            "links_legacy": linked.written,
            // Keys that are there, copied or not: a cleanup removes them later.
            "legacyKeys": total_scanned(&owned),
        });
        self.attach_states(id, &mut value).await?;
        Ok(value)
    }

    /// Trips that stand only under a lower-case form of a name that is not written so.
    async fn trips_in_lower_case(&self, found: &Found) -> Result<u64, MigrationError> {
        let text = |name: &str| found.core.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let written = [text("name"), text("username")];
        let mut lower: Vec<String> = written.iter().map(|name| name.to_lowercase()).collect();
        lower.dedup();
        let mut count = 0;
        for spelling in lower.iter().filter(|spelling| !spelling.is_empty() && !written.contains(spelling)) {
            let (prefix, mut after, mut seen) = (format!("trip:{spelling}:"), None::<Key>, 0);
            loop {
                let page = self.store.list(&keyspace::logs(), &prefix, after.as_ref(), PAGE_MAX).await?;
                seen += page.entries.len();
                after = page.entries.into_iter().last().map(|listed| listed.key);
                if page.complete {
                    break;
                }
                if seen > KEYS_MAX {
                    return Err(MigrationError::TooMany { what: "keys of one spelling", limit: KEYS_MAX });
                }
            }
            count += u64::try_from(seen).unwrap_or(u64::MAX);
        }
        Ok(count)
    }
}

/// Records of a rule that a next apply would still move, or stumble on.
pub(super) fn left_of(counts: &Counts, rule: &str) -> u64 {
    counts.rule(rule).map_or(0, |of| of.migrated + of.conflicts + of.quarantined + of.failed)
}

/// Legacy keys of all rules.
pub(super) fn total_scanned(counts: &Counts) -> u64 {
    counts.total().scanned
}
