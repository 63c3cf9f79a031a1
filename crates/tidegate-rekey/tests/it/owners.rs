//! Whose a record is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use tidegate_rekey::{Claim, Claims, Reason, Rekey, RekeyError, Resolution};
use tidegate_store::kv::KvError;

use crate::world::{Accounts, MID, World, at, bounds, james, of, subject, texts, trip};

/// Accounts that count how often they are looked at.
#[derive(Debug)]
struct Counted {
    accounts: Accounts,
    looks: AtomicUsize,
}

#[async_trait]
impl Claims for Counted {
    async fn claimants(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        self.accounts.claimants(spelling).await
    }

    async fn longer_names(&self, spelling: &str) -> Result<Vec<String>, KvError> {
        self.accounts.longer_names(spelling).await
    }

    async fn of_all(&self, spellings: &[String]) -> Result<Vec<Claim>, KvError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.accounts.of_all(spellings).await
    }
}

#[tokio::test]
async fn the_accounts_are_looked_at_once_for_a_page_and_not_again_for_what_is_known() {
    let world = World::with(&[("u-1", &["James", "Jim", "Jimmy"])]);
    for number in 0..200 {
        for name in ["James", "Jim", "Jimmy"] {
            world.put("LOGS", &format!("trip:{name}:{name}-{number}"), &trip("1", name, MID)).await;
        }
        world.put("TRASH", &format!("trash:{number}"), &json!({ "userId": "Jim" })).await;
    }
    let counted = Arc::new(Counted { accounts: world.accounts.clone(), looks: AtomicUsize::new(0) });
    let rekey = Rekey::new(world.store.clone(), world.plan(), counted.clone()).unwrap();
    let james = subject("u-1", &["James", "Jim", "Jimmy"]);
    let dry = rekey.dry(&james).await.unwrap();
    assert_eq!(dry.counts.total().migrated, 800);
    let looks = counted.looks.swap(0, Ordering::SeqCst);
    assert!((1..=3).contains(&looks), "{looks} looks for three names");
    assert_eq!(rekey.apply(&james, bounds(), "jane").await.unwrap().migrated, 800);
}

fn reasons(report: &tidegate_rekey::Report) -> Vec<(String, Reason)> {
    report.quarantined.iter().map(|one| (one.key.clone(), one.reason.clone())).collect()
}

#[tokio::test]
async fn a_name_that_two_accounts_have_moves_nothing_but_what_names_the_id() {
    let world = World::with(&[("u-1", &["James"]), ("u-2", &["james"])]);
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    world.put("LOGS", "trip:James:2", &trip("2", "u-1", MID)).await;
    let before = world.contents("LOGS").await;
    let dry = world.rekey().dry(&james()).await.unwrap();
    let ids = ["u-1", "u-2"].map(str::to_owned).into();
    let expected = vec![("trip:James:1".to_owned(), Reason::SeveralClaimants { ids })];
    assert_eq!(reasons(&dry), expected, "a dry run tells");
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated, reasons(&report)), (false, 1, expected));
    assert!(world.get("LOGS", "trip:u-1:1").await.is_none());
    assert_eq!(world.contents("LOGS").await.len(), before.len() + 1);
    let other = world.apply(&subject("u-2", &["James"])).await;
    assert_eq!((other.migrated, other.quarantined.len()), (0, 2), "nor does the other one get any");
    assert_eq!(world.rekey().quarantined("u-1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_only_somebody_else_has_moves_nothing() {
    let world = World::with(&[("u-2", &["James"])]);
    world.put("HNS", "hns:cred:James", &json!("secret")).await;
    let report = world.apply(&james()).await;
    let ids = ["u-2".to_owned()].into();
    assert_eq!(reasons(&report), [("hns:cred:James".to_owned(), Reason::NotTheClaimant { ids })]);
    assert!(world.get("HNS", "hns:cred:u-1").await.is_none());
}

#[tokio::test]
async fn a_name_that_is_another_accounts_id_takes_nothing_of_that_account() {
    let world = World::with(&[("u-1", &["u-2"]), ("u-2", &["Bob"])]);
    world.put("HNS", "hns:cred:u-2", &json!("secret")).await;
    world.put("LOGS", "trip:u-2:1", &trip("1", "u-2", MID)).await;
    let report = world.apply(&subject("u-1", &["u-2"])).await;
    assert_eq!((report.migrated, report.quarantined.len()), (0, 2));
}

#[tokio::test]
async fn the_keys_of_a_longer_name_are_not_the_shorter_ones() {
    let world = World::with(&[("u-1", &["a"]), ("u-2", &["a:b"])]);
    let a = subject("u-1", &["a"]);
    world.put("LOGS", "trip:a:b:x", &json!({"updatedAt": MID})).await;
    world.put("LOGS", "trip:a:bc", &json!({"updatedAt": MID})).await;
    let report = world.apply(&a).await;
    let expected = ("trip:a:b:x".to_owned(), Reason::LongerName { name: "a:b".to_owned() });
    assert_eq!((report.migrated, reasons(&report)), (1, vec![expected]));
    let longer = world.apply(&subject("u-2", &["a:b"])).await;
    assert_eq!((longer.done, longer.migrated), (true, 1));
    assert!(world.get("LOGS", "trip:u-2:x").await.is_some());
    assert!(world.get("LOGS", "trip:u-1:b:x").await.is_none());
}

#[tokio::test]
async fn a_record_that_names_a_third_party_anywhere_is_quarantined() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", MID)).await;
    let mut record = trip("2", "u-1", MID);
    record["backup"] = json!({"userId": 7});
    world.put("LOGS", "trip:James:2", &record).await;
    let report = world.apply(&james()).await;
    let named = |named: &str| Reason::OtherOwner { named: named.to_owned() };
    let expected =
        vec![("trip:James:1".to_owned(), named("mallory")), ("trip:James:2".to_owned(), named("7"))];
    assert_eq!((report.migrated, reasons(&report)), (0, expected));
}

#[tokio::test]
async fn a_record_that_is_given_moves_with_the_next_run_and_names_its_new_owner() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", MID)).await;
    let rekey = world.rekey();
    assert!(!world.apply(&james()).await.done);
    let give = Resolution::Give { to_id: "u-1".to_owned() };
    rekey.resolve("u-1", &at("LOGS"), "trip:James:1", give, "jane", "asked by phone").await.unwrap();
    let shown = rekey.quarantined("u-1").await.unwrap();
    assert_eq!(shown[0].resolved.as_ref().unwrap().actor, "jane");
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.migrated), (true, 1));
    assert_eq!(world.json("LOGS", "trip:u-1:1").await.unwrap(), trip("1", "u-1", MID));
    assert_eq!(world.apply(&james()).await.migrated, 0);
}

#[tokio::test]
async fn a_record_can_be_given_to_an_account_that_has_no_such_name() {
    let world = World::with(&[("u-1", &["James"]), ("u-2", &["Bob"])]);
    world.put("LOGS", "trip:James:1", &trip("1", "Bob", MID)).await;
    world.put("TRASH", "trash:1", &json!({"userId": "James", "backup": {"userId": "Bob"}})).await;
    assert_eq!(world.apply(&james()).await.quarantined.len(), 2);
    let rekey = world.rekey();
    for (namespace, key) in [("LOGS", "trip:James:1"), ("TRASH", "trash:1")] {
        let give = Resolution::Give { to_id: "u-2".to_owned() };
        rekey.resolve("u-1", &at(namespace), key, give, "jane", "it is Bob's").await.unwrap();
    }
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.counts.total().left), (true, 2), "{report:?}");
    let bob = subject("u-2", &["Bob"]);
    let dry = rekey.dry(&bob).await.unwrap();
    let report = world.apply(&bob).await;
    assert_eq!(dry.counts, report.counts);
    assert_eq!((report.done, report.migrated), (true, 2));
    assert_eq!(world.json("LOGS", "trip:u-2:1").await.unwrap(), trip("1", "u-2", MID));
    let trashed = world.json("TRASH", "trash:1").await.unwrap();
    assert_eq!(trashed, json!({"userId": "u-2", "backup": {"userId": "u-2"}}));
    assert_eq!(world.apply(&bob).await.migrated, 0);
}

#[tokio::test]
async fn a_record_that_is_left_stays_and_keeps_nobody_from_being_done_until_it_is_written_again() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", MID)).await;
    world.write(crate::world::put("LOGS", "trip:James:2", "{", None, None)).await;
    assert!(!world.apply(&james()).await.done);
    let rekey = world.rekey();
    for key in ["trip:James:1", "trip:James:2"] {
        rekey.resolve("u-1", &at("LOGS"), key, Resolution::Leave, "jane", "not ours").await.unwrap();
    }
    let report = world.apply(&james()).await;
    assert_eq!((report.done, of(&report, "trips").left), (true, 2));
    assert!(rekey.remaining(&james()).await.unwrap().0.is_empty());
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", crate::world::NEW)).await;
    let report = world.apply(&james()).await;
    assert_eq!((report.done, report.quarantined.len()), (false, 1), "a decision is on the record as it was");
}

#[tokio::test]
async fn decisions_on_what_is_not_there_or_has_changed_are_refused() {
    let world = World::new();
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", MID)).await;
    world.put("LOGS", "trip:James:2", &trip("2", "James", MID)).await;
    world.apply(&james()).await;
    let rekey = world.rekey();
    let give = || Resolution::Give { to_id: "u-1".to_owned() };
    let resolve = |key, resolution| rekey.resolve("u-1", at_logs(), key, resolution, "jane", "because");
    assert!(matches!(resolve("trip:James:9", give()).await, Err(RekeyError::NotQuarantined { .. })));
    assert!(matches!(resolve("trip:James:2", give()).await, Err(RekeyError::NotQuarantined { .. })));
    assert!(matches!(resolve("trip:u-1:2", Resolution::Leave).await, Err(RekeyError::NotQuarantined { .. })));
    let bad = Resolution::Give { to_id: "a:b".to_owned() };
    assert!(matches!(resolve("trip:James:1", bad).await, Err(RekeyError::BadSubject { .. })));
    world.put("LOGS", "trip:James:1", &trip("1", "mallory", crate::world::NEW)).await;
    assert!(matches!(resolve("trip:James:1", give()).await, Err(RekeyError::ChangedSince { .. })));
}

fn at_logs() -> &'static tidegate_store::kv::Namespace {
    static LOGS: std::sync::OnceLock<tidegate_store::kv::Namespace> = std::sync::OnceLock::new();
    LOGS.get_or_init(|| at("LOGS"))
}

#[tokio::test]
async fn a_record_that_is_proved_later_leaves_the_quarantine() {
    let mut world = World::with(&[("u-1", &["James"]), ("u-2", &["james"])]);
    world.put("LOGS", "trip:James:1", &trip("1", "James", MID)).await;
    world.put("LOGS", "trip:James:2", &trip("2", "James", MID)).await;
    assert_eq!(world.apply(&james()).await.quarantined.len(), 2);
    world.delete("LOGS", "trip:James:2").await;
    world.accounts.0.pop();
    assert!(world.apply(&james()).await.done);
    assert!(world.rekey().quarantined("u-1").await.unwrap().is_empty());
    // Who comes later changes nothing for what was settled.
    world.accounts.0.push(("u-3".to_owned(), texts(&["James"])));
    assert!(world.apply(&james()).await.done);
}

#[tokio::test]
async fn counts_of_what_is_owned_and_what_remains_write_nothing() {
    let world = World::new();
    for key in ["trip:James:1", "trip:james:1", "trip:James:2"] {
        world.put("LOGS", key, &trip("1", "James", MID)).await;
    }
    world.put("SETTINGS", "settings:james", &json!({})).await;
    world.put("TRASH", "trash:1", &json!({"userId": "James"})).await;
    world.put("TRASH", "trash:2", &json!({"userId": "u-1"})).await;
    let rekey = world.rekey();
    let owned = rekey.owned(&james()).await.unwrap();
    let scanned = |rule: &str| owned.rule(rule).map_or(0, |of| of.scanned);
    assert_eq!((scanned("trips"), scanned("settings"), scanned("trash")), (2, 1, 1));
    let remaining = rekey.remaining(&james()).await.unwrap();
    assert_eq!(remaining.total().migrated, 4, "one of two same records is enough");
    assert!(world.contents("JOURNAL").await.is_empty());
    assert!(rekey.apply(&james(), bounds(), "jane").await.unwrap().done);
    assert!(rekey.remaining(&james()).await.unwrap().0.is_empty());
}
