//! The judgement of one record by itself, where no store can be brought to show it.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_rekey::{Answers, Case, Claim, Copied, Plan, Reason, Verdict, judge};
use tidegate_store::kv::{Entry, Key, UnixSecond, Version};

use crate::world::{MID, SyncedIds, at, james, rules, trip};

/// A trip of James, who alone claims the name, unless the test says otherwise.
fn judged(change: impl Fn(&mut Entry, &mut Copied, &mut Answers), now: i64) -> Verdict {
    let plan = Plan::new(rules(), at("JOURNAL"), Arc::new(SyncedIds)).unwrap();
    let subject = james();
    let mut source = Entry {
        value: Bytes::from(trip("1", "James", MID).to_string()),
        metadata: None,
        expires_at: Some(UnixSecond(100)),
        version: Version(7),
    };
    let mut claims = Answers::default();
    let mine = Claim { claimants: ["u-1".to_owned()].into(), longer_names: Vec::new() };
    claims.0.insert("James".to_owned(), mine);
    let mut copied = Copied::default();
    change(&mut source, &mut copied, &mut claims);
    judge(&Case {
        plan: &plan,
        rule: &plan.rules[0],
        subject: &subject,
        spelling: "James",
        new_key: None,
        key: &Key::new("trip:James:1").unwrap(),
        source: &source,
        destination: None,
        copied,
        decision: None,
        claims: &claims,
        now: UnixSecond(now),
    })
}

#[test]
fn a_record_is_there_until_the_second_of_its_end() {
    assert!(
        matches!(judged(|_, _, _| {}, 99), Verdict::Copy(copy) if copy.expires_at == Some(UnixSecond(100)))
    );
    assert_eq!(judged(|_, _, _| {}, 100), Verdict::Expired);
}

#[test]
fn what_nobody_was_asked_about_is_nobodys() {
    let verdict = judged(|_, _, claims| claims.0.clear(), 0);
    assert_eq!(verdict, Verdict::Quarantine(Reason::NotTheClaimant { ids: [].into() }));
}

#[test]
fn the_ledger_tells_a_removed_record_from_one_that_was_never_copied() {
    let with = |source: Option<u64>, destination| {
        judged(|_, copied, _| *copied = Copied { source: source.map(Version), destination }, 0)
    };
    assert!(matches!(with(None, false), Verdict::Copy(_)));
    assert_eq!(with(Some(7), true), Verdict::DeletedSince);
    assert_eq!(with(Some(6), true), Verdict::Conflict(Reason::ChangedAfterRemoval));
    assert_eq!(with(None, true), Verdict::Conflict(Reason::ChangedAfterRemoval));
}
