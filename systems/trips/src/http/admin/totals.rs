//! Sums over what is said of each user, for whoever asks about many or does not want to know a user's place in an answer.

use serde_json::{Map, Value, json};

/// Counts that stand in what is said of one user.
const COUNTS: [&str; 12] = [
    "migrated",
    "wouldMigrate",
    "removed",
    "trip_legacy",
    "trip_legacy_lower",
    "expense_legacy",
    "mileage_legacy",
    "trash_legacy",
    "settings_legacy",
    "hns_legacy",
    "authenticators_legacy",
    "legacyKeys",
];

/// Counts that stand in it for each rule, and what they are called here.
const OF_RULES: [(&str, &str); 5] = [
    ("skippedNewer", "skippedNewer"),
    ("conflicts", "conflicts"),
    ("quarantined", "quarantined"),
    ("failed", "failedRecords"),
    ("deletedSince", "deletedSince"),
];

/// The sums.
pub(super) fn totals(results: &Map<String, Value>) -> Value {
    let count = |holds: &dyn Fn(&Value) -> bool| results.values().filter(|told| holds(told)).count();
    let is = |told: &Value, pointer: &str| told.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    let mut totals = Map::new();
    totals.insert("users".to_owned(), json!(results.len()));
    totals.insert("errors".to_owned(), json!(count(&|told| told.get("error").is_some())));
    totals.insert("done".to_owned(), json!(count(&|told| is(told, "/migrationState/done"))));
    totals.insert("consistent".to_owned(), json!(count(&|told| is(told, "/check/consistent"))));
    for name in COUNTS {
        totals.insert(name.to_owned(), sum(results.values().filter_map(|told| told.get(name))));
    }
    for (name, called) in OF_RULES {
        let rules = results.values().filter_map(|told| told.get("counts")?.as_object());
        let counts = rules.flat_map(|rules| rules.values().filter_map(|rule| rule.get(name)));
        totals.insert(called.to_owned(), sum(counts));
    }
    Value::Object(totals)
}

fn sum<'v>(values: impl Iterator<Item = &'v Value>) -> Value {
    Value::from(values.filter_map(Value::as_u64).fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_each_user_is_added_up() {
        let told = json!({
            "a": { "migrated": 2, "migrationState": { "done": true }, "counts": { "trips": { "conflicts": 1 } } },
            "b": { "migrated": 3, "check": { "consistent": true }, "counts": { "x": { "conflicts": 2 }, "y": {} } },
            "c": { "error": "User not found" },
        });
        let totals = totals(told.as_object().expect("an object"));
        let of = |name: &str| totals.get(name).and_then(Value::as_u64);
        assert_eq!(
            (of("users"), of("errors"), of("done"), of("consistent")),
            (Some(3), Some(1), Some(1), Some(1))
        );
        assert_eq!((of("migrated"), of("conflicts"), of("legacyKeys")), (Some(5), Some(3), Some(0)));
    }
}
