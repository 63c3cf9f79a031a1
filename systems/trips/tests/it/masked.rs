//! The whole of a store as text, without what must differ between two runs: the entries of the trail, who had the
//! lease, when a run was and when it was done, versions, and into how many batches it was cut.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate_store::kv::{Entry, Key, Kv, PAGE_MAX};
use trips::keyspace;

use crate::migration_ground::Standing;

/// By place: what stands there.
pub(crate) type Masked = BTreeMap<String, Standing>;

/// All of a store, or without the migration's own journal.
pub(crate) async fn masked(store: &Kv, with_journal: bool) -> Masked {
    let mut all = Masked::new();
    for namespace in keyspace::all() {
        if namespace == keyspace::migrations() && !with_journal {
            continue;
        }
        let listed = store.list_all(&namespace, "", 1_000_000).await.unwrap();
        let keys: Vec<Key> = listed.into_iter().map(|listed| listed.key).collect();
        for keys in keys.chunks(PAGE_MAX) {
            for (key, entry) in keys.iter().zip(store.get_many(&namespace, keys).await.unwrap()) {
                let entry = entry.unwrap();
                if namespace == keyspace::migrations() {
                    journal(&mut all, key.as_str(), &entry);
                    continue;
                }
                let value = match namespace == keyspace::index() && key.as_str().ends_with(":head") {
                    true => without(&entry, &["lease"]),
                    false => entry.value,
                };
                all.insert(format!("{namespace} {key}"), (value, entry.metadata, entry.expires_at));
            }
        }
    }
    all
}

fn parsed(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.value).unwrap()
}

/// A document without the values of some fields. That they are there counts.
fn without(entry: &Entry, fields: &[&str]) -> Bytes {
    let mut value = parsed(entry);
    for field in fields {
        if let Some(found) = value.get_mut(*field) {
            *found = json!("masked");
        }
    }
    value.to_string().into()
}

fn journal(all: &mut Masked, key: &str, entry: &Entry) {
    if key.starts_with("audit:") {
        return;
    }
    let rest = key.strip_prefix("migration:").and_then(|rest| rest.split_once(':'));
    let Some((id, rest)) = rest else { panic!("{key} is not of the journal") };
    if rest.starts_with("ledger:") {
        for settled in parsed(entry).as_array().unwrap() {
            let mut settled = settled.clone();
            settled["version"] = json!("masked");
            let place = format!("ledger {id} {} {}", settled["namespace"], settled["source"]);
            let twice = all.insert(place, (settled.to_string().into(), None, None));
            assert_eq!(twice, None, "{key} settles what is settled");
        }
        return;
    }
    let told = match rest {
        // Whoever comes next gets it at once.
        "lease" => parsed(entry)["until"].is_i64().to_string().into(),
        // A resumed run's numbers of the last pass may be those of a second look.
        "state" => without(entry, &["lastRun", "stats", "pass"]),
        "do:state" => without(entry, &["lastRun"]),
        "doneSince" => Bytes::from_static(b"a second"),
        _ if rest.starts_with("recovery:") => without(entry, &["version"]),
        _ => entry.value.clone(),
    };
    let place = match rest.strip_prefix("recovery:") {
        Some(rest) => format!("recovery {id} {}", rest.split(':').next().unwrap_or_default()),
        None => key.to_owned(),
    };
    all.insert(place, (told, entry.metadata.clone(), entry.expires_at));
}

/// The places at which two differ; the first few.
pub(crate) fn differences(wanted: &Masked, found: &Masked) -> Vec<String> {
    let places = wanted.keys().chain(found.keys().filter(|place| !wanted.contains_key(*place)));
    let differing = places.filter(|place| wanted.get(*place) != found.get(*place));
    let told = differing
        .map(|place| format!("{place}:\n  wanted {:?}\n  found  {:?}", wanted.get(place), found.get(place)));
    told.take(5).collect()
}
