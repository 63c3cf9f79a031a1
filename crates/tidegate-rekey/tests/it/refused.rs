//! What is refused before anything is read.

use std::sync::Arc;

use tidegate_rekey::{Bounds, Kind, Plain, Plan, Rekey, RekeyError, Rule, Subject};

use crate::watched::Watched;
use crate::world::{World, at, james, opaque, prefixed, single, texts, trash};

fn plan(rules: Vec<Rule>) -> Result<Plan, RekeyError> {
    Plan::new(rules, at("JOURNAL"), Arc::new(Plain))
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let trips = || prefixed("trips", "LOGS", "trip:");
    let bad: Vec<(&str, Vec<Rule>)> = vec![
        ("a name twice", vec![trips(), prefixed("trips", "LOGS", "other:")]),
        ("a name that no key can have", vec![prefixed("a:b", "LOGS", "trip:")]),
        ("a prefix twice", vec![trips(), prefixed("others", "LOGS", "trip:")]),
        ("a prefix within another", vec![trips(), single("others", "LOGS", "trip:old:")]),
        ("a prefix around another", vec![prefixed("others", "LOGS", "tr"), trips()]),
        ("no prefix", vec![prefixed("trips", "LOGS", "")]),
        ("the journal's keys", vec![prefixed("trips", "JOURNAL", "migration:x")]),
        ("no pointer", vec![Rule { clock_pointers: texts(&["updatedAt"]), ..trips() }]),
        ("a bad escape", vec![Rule { owner_pointers: texts(&["/a~2"]), ..trips() }]),
        (
            "a pointer into opaque bytes",
            vec![Rule { proof_pointers: texts(&["/a"]), ..opaque("c", "HNS", "c:") }],
        ),
        ("in place without an owner", vec![Rule { proof_pointers: Vec::new(), ..trash() }]),
        ("in place and not rewritten", vec![Rule { owner_pointers: texts(&["/other"]), ..trash() }]),
    ];
    for (what, rules) in bad {
        assert!(matches!(plan(rules), Err(RekeyError::BadRule { .. })), "{what}");
    }
    let elsewhere = prefixed("others", "MILEAGE", "trip:");
    assert!(plan(vec![trips(), elsewhere]).is_ok(), "namespaces are apart");
    let kind = Kind::Single { prefix: "meta:user:".to_owned(), suffix: ":count".to_owned() };
    assert!(plan(vec![Rule { kind, ..trips() }]).is_ok());
}

#[test]
fn subjects_that_could_meet_themselves_are_refused() {
    let bad: [(&str, &[&str]); 7] = [
        ("", &["a"]),
        ("u:1", &["a"]),
        ("u-1", &[""]),
        ("u-1", &["a", "a"]),
        ("u-1", &["u-1"]),
        ("u-1", &["u-1:x"]),
        ("u-1", &["a\0"]),
    ];
    for (id, spellings) in bad {
        assert!(
            matches!(Subject::new(id, texts(spellings)), Err(RekeyError::BadSubject { .. })),
            "{id} {spellings:?}"
        );
    }
    let many = (0..17).map(|number| format!("n{number}")).collect();
    assert!(Subject::new("u-1", many).is_err());
}

#[tokio::test]
async fn a_subject_that_was_put_together_by_hand_is_checked_too() {
    let world = World::new();
    let wrong = Subject { id: "u-1".to_owned(), spellings: texts(&["u-1"]) };
    assert!(matches!(world.rekey().dry(&wrong).await, Err(RekeyError::BadSubject { .. })));
    assert!(matches!(world.rekey().clean(&wrong, "jane").await, Err(RekeyError::BadSubject { .. })));
}

#[tokio::test]
async fn a_store_without_what_safety_needs_is_refused_by_name() {
    let world = World::new();
    for lacking in ["compare_and_set", "atomic_batches"] {
        let mut store = Watched::new(world.store.clone());
        store.properties.compare_and_set &= lacking != "compare_and_set";
        store.properties.atomic_batches &= lacking != "atomic_batches";
        let refused = Rekey::new(Arc::new(store), world.plan(), Arc::new(world.accounts.clone()));
        assert!(matches!(refused, Err(RekeyError::StoreLacks { lacks, .. }) if lacks == lacking));
    }
}

#[tokio::test]
async fn bounds_that_allow_nothing_are_refused() {
    let world = World::new();
    for (batch, iterations) in [(0, 1), (501, 1), (1, 0)] {
        let bounds = Bounds { batch, iterations, held_to: None };
        let refused = world.rekey().apply(&james(), bounds, "jane").await;
        assert!(matches!(refused, Err(RekeyError::BadBounds { .. })));
    }
    assert!(world.contents("JOURNAL").await.is_empty());
}
