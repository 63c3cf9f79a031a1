//! Random accounts whose names overlap: nobody gets to read what was not theirs to read.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_rekey::Subject;

use crate::world::{MID, NEW, OLD, World};

const NAMES: [&str; 8] = ["a", "A", "a:b", "A:B", "b", "a:b:c", "u-1", "$&"];

#[derive(Debug, Clone)]
struct Record {
    namespace: &'static str,
    key: String,
    body: Value,
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let owners = prop::sample::select(vec!["a", "A", "a:b", "b", "a:b:c", "u-0", "u-1", "u-2", "$&"]);
    let named = prop::sample::select(vec!["", "a", "A", "a:b", "b", "u-0", "u-1", "u-2", "eve"]);
    let clock = prop::sample::select(vec![OLD, MID, NEW, "never"]);
    let one = (owners, named, clock, 0..3_u8, 0..4_u8, 0..100_u8).prop_map(
        |(owner, named, clock, id, kind, mark)| {
            let mut body = json!({"mark": mark, "updatedAt": clock});
            if !named.is_empty() {
                body["userId"] = json!(named);
            }
            let (namespace, key) = match kind {
                0 => ("SETTINGS", format!("settings:{owner}")),
                1 => ("HNS", format!("hns:cred:{owner}")),
                2 => ("TRASH", format!("trash:{id}")),
                _ => ("LOGS", format!("trip:{owner}:{id}")),
            };
            Record { namespace, key, body }
        },
    );
    prop::collection::vec(one, 0..25)
}

fn accounts() -> impl Strategy<Value = Vec<BTreeSet<&'static str>>> {
    prop::collection::vec(prop::collection::btree_set(prop::sample::select(NAMES.to_vec()), 0..3), 3)
}

/// The ids that could read a key before: by their id in it, or by one of their names in any case.
fn readers(key: &str, body: &Value, accounts: &[(String, Vec<String>)]) -> BTreeSet<String> {
    let mut readers = BTreeSet::new();
    for (id, names) in accounts {
        let mut owners: Vec<String> =
            names.iter().flat_map(|name| [name.clone(), name.to_lowercase()]).collect();
        owners.push(id.clone());
        let reads = |owner: &String| match key.split_once(':') {
            Some(("trip", rest)) => rest.starts_with(&format!("{owner}:")),
            Some(("trash", _)) => body["userId"] == json!(owner),
            _ => key == format!("settings:{owner}") || key == format!("hns:cred:{owner}"),
        };
        if owners.iter().any(reads) {
            readers.insert(id.clone());
        }
    }
    readers
}

async fn holds(names: Vec<BTreeSet<&'static str>>, records: Vec<Record>) {
    let mut world = World::with(&[]);
    for (number, names) in names.iter().enumerate() {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        world.accounts.0.push((format!("u-{number}"), names));
    }
    let accounts = world.accounts.0.clone();
    let mut could_read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut at_keys: BTreeMap<String, Record> = BTreeMap::new();
    for (number, mut record) in records.into_iter().enumerate() {
        // So that each body can be told from all others.
        record.body["mark"] = json!(number);
        world.put(record.namespace, &record.key, &record.body).await;
        at_keys.insert(format!("{}/{}", record.namespace, record.key), record);
    }
    for record in at_keys.values() {
        let readers = readers(&record.key, &record.body, &accounts);
        could_read.insert(record.body["mark"].to_string(), readers);
    }
    let before = world.data().await;
    let mut subjects = Vec::new();
    for (id, names) in &accounts {
        let mut spellings: Vec<String> = Vec::new();
        for name in names.iter().flat_map(|name| [name.clone(), name.to_lowercase()]) {
            if name != *id && !spellings.contains(&name) {
                spellings.push(name);
            }
        }
        subjects.push(Subject::new(id.clone(), spellings).unwrap());
    }
    for subject in &subjects {
        let dry = world.rekey().dry(subject).await.unwrap();
        let report = world.apply(subject).await;
        assert_eq!(dry.counts, report.counts, "a dry run foretells the numbers");
    }
    let after = world.data().await;
    for (namespace, contents) in &after {
        for (key, value) in contents {
            let body: Value = serde_json::from_slice(&value.0).unwrap();
            let allowed = &could_read[&body["mark"].to_string()];
            let owner = match *namespace {
                "TRASH" => body["userId"].as_str().unwrap_or_default().to_owned(),
                _ => key.split(':').find(|part| part.starts_with("u-")).unwrap_or_default().to_owned(),
            };
            let is_canonical = accounts.iter().any(|(id, _)| *id == owner);
            let is_new = before[namespace].get(key) != Some(value);
            if is_canonical && is_new {
                assert!(allowed.contains(&owner), "{owner} may now read {key}: {body}, allowed: {allowed:?}");
            }
        }
    }
    for (namespace, contents) in &before {
        for (key, value) in contents {
            let may_change = key.starts_with("trash:") || key.contains(":u-");
            assert!(may_change || after[namespace].get(key) == Some(value), "{key} is as it was");
        }
    }
    for subject in &subjects {
        assert_eq!(world.apply(subject).await.migrated, 0);
    }
    assert_eq!(world.data().await, after, "a second run writes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_to_read_what_was_not_theirs(names in accounts(), records in records()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(holds(names, records));
    }
}
