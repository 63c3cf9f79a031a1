//! Which keys are renamed, and what in their values follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_rekey::{Kind, Plan, RekeyError, Rule};
use tidegate_store::kv::Namespace;

use super::rewrite::SyncedIds;
use crate::keyspace;

/// The rule of trips.
pub const TRIPS: &str = "trips";
/// The rule of expenses.
pub const EXPENSES: &str = "expenses";
/// The rule of mileage.
pub const MILEAGE: &str = "mileage";
/// The rule of the former trash, whose keys say nothing of the owner.
pub const TRASH: &str = "trash";
/// The rule of orders, whose keys say nothing of the owner either.
pub const ORDERS: &str = "hns_orders";
/// The rule of the sync's settings.
pub const HNS_SETTINGS: &str = "hns_settings";
/// The rule of what the sync knows.
pub const HNS_DB: &str = "hns_db";
/// The rule of the sync's session, which ends.
pub const HNS_SESSION: &str = "hns_session";
/// The rule of the sync's secret, which is not JSON.
pub const HNS_CRED: &str = "hns_cred";
/// The rule of a user's settings.
pub const SETTINGS: &str = "settings";
/// The rule of a user's passkeys.
pub const AUTHENTICATORS: &str = "authenticators";

/// The plan of this system's keys.
///
/// Not in it: locks, which end by themselves; `trip_count` and the dirty flag, which are computed; monthly counts and
/// links to a user, which [`super::counters`] and [`super::links`] carry over.
///
/// # Errors
/// [`RekeyError`], where the rules contradict each other.
pub fn plan() -> Result<Arc<Plan>, RekeyError> {
    let rules = vec![
        record(TRIPS, keyspace::logs(), "trip:"),
        record(EXPENSES, keyspace::expenses(), "expense:"),
        record(MILEAGE, keyspace::mileage(), "mileage:"),
        in_place(TRASH, keyspace::trash(), "trash:", "/userId"),
        in_place(ORDERS, keyspace::hughesnet_orders(), "hns:order:", "/ownerId"),
        single(HNS_SETTINGS, keyspace::hughesnet(), "hns:settings:"),
        single(HNS_DB, keyspace::hughesnet(), "hns:db:"),
        single(HNS_SESSION, keyspace::hughesnet(), "hns:session:"),
        Rule {
            opaque: true,
            owner_pointers: Vec::new(),
            proof_pointers: Vec::new(),
            clock_pointers: Vec::new(),
            ..single(HNS_CRED, keyspace::hughesnet(), "hns:cred:")
        },
        single(SETTINGS, keyspace::user_settings(), "settings:"),
        single(AUTHENTICATORS, keyspace::users(), "authenticators:"),
    ];
    Plan::new(rules, keyspace::migrations(), Arc::new(SyncedIds)).map(Arc::new)
}

/// The namespace of each rule.
pub(super) fn namespaces() -> BTreeMap<&'static str, String> {
    [
        (TRIPS, keyspace::logs()),
        (EXPENSES, keyspace::expenses()),
        (MILEAGE, keyspace::mileage()),
        (TRASH, keyspace::trash()),
        (ORDERS, keyspace::hughesnet_orders()),
        (HNS_SETTINGS, keyspace::hughesnet()),
        (HNS_DB, keyspace::hughesnet()),
        (HNS_SESSION, keyspace::hughesnet()),
        (HNS_CRED, keyspace::hughesnet()),
        (SETTINGS, keyspace::user_settings()),
        (AUTHENTICATORS, keyspace::users()),
    ]
    .into_iter()
    .map(|(rule, namespace)| (rule, namespace.to_string()))
    .collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn record(name: &str, namespace: Namespace, prefix: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        namespace,
        kind: Kind::Prefixed { prefix: prefix.to_owned() },
        owner_pointers: texts(&["/userId", "/backup/userId", "/deletedBy", "/metadata/deletedBy"]),
        proof_pointers: texts(&["/userId", "/backup/userId"]),
        key_pointers: texts(&["/metadata/originalKey"]),
        metadata_key_pointers: texts(&["/originalKey"]),
        clock_pointers: texts(&["/updatedAt", "/createdAt"]),
        opaque: false,
    }
}

fn in_place(name: &str, namespace: Namespace, prefix: &str, owner: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        namespace,
        kind: Kind::InPlace { prefix: prefix.to_owned() },
        owner_pointers: texts(&[owner, "/backup/userId"]),
        proof_pointers: texts(&[owner]),
        key_pointers: texts(&["/metadata/originalKey"]),
        metadata_key_pointers: texts(&["/originalKey"]),
        clock_pointers: texts(&["/updatedAt", "/createdAt"]),
        opaque: false,
    }
}

fn single(name: &str, namespace: Namespace, prefix: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        namespace,
        kind: Kind::Single { prefix: prefix.to_owned(), suffix: String::new() },
        owner_pointers: texts(&["/userId", "/ownerId"]),
        proof_pointers: texts(&["/userId", "/ownerId"]),
        key_pointers: Vec::new(),
        metadata_key_pointers: Vec::new(),
        clock_pointers: texts(&["/updatedAt", "/createdAt"]),
        opaque: false,
    }
}
