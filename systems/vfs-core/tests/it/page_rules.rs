//! What a pulled page and an acknowledgement must satisfy, in which order.

use serde_json::{Value, json};
use vfs_core::feed::FeedItem;
use vfs_core::page::{PullCycle, PulledPage, check_acknowledgement};
use vfs_core::reconcile::ReconcileState;
use vfs_core::{Cursor, OpType};

use crate::scene::{cursor, fed_link, write_ids};

fn link(id: &str, millisecond: i64) -> FeedItem {
    fed_link(OpType::LinkAdd, id, millisecond, "p", "c")
}

fn page(items: Vec<FeedItem>) -> PulledPage {
    PulledPage {
        items: items.into(),
        next_cursor: None,
        has_more: false,
        last_reconciled_write_ids: json!({}),
    }
}

/// The signature and the thrown text of what is wrong with a page.
fn refused(cycle: &PullCycle, before: Option<&Cursor>, page: &PulledPage) -> (String, String) {
    let before_cycle = cycle.clone();
    let error = cycle.check(before, before, page).unwrap_err();
    assert_eq!(*cycle, before_cycle);
    (error.violation().map(|violation| violation.signature()).unwrap_or_default(), error.to_string())
}

#[test]
fn each_rule_of_a_page_has_its_signature_and_its_text() {
    let known = PullCycle::new(write_ids(&[("desktop", 5)]));
    let before = cursor(5, "m");
    let check = |page: &PulledPage| refused(&known, Some(&before), page);
    let silent = |text: &str| (String::new(), text.to_owned());
    let told = |signature: &str, text: &str| (signature.to_owned(), text.to_owned());

    let malformed = PulledPage { last_reconciled_write_ids: json!([]), ..page(vec![link("n", 6)]) };
    assert_eq!(
        check(&malformed),
        silent("lastReconciledWriteIds must be an object map of replicaId -> writeId")
    );
    let fallen =
        PulledPage { last_reconciled_write_ids: json!({ "desktop": 4 }), ..page(vec![link("n", 6)]) };
    assert_eq!(
        check(&fallen),
        told("pull:lastWriteIdRegression", "transport regressed lastReconciledWriteIds for replica desktop")
    );
    let empty = PulledPage { has_more: true, ..page(vec![]) };
    assert_eq!(
        check(&empty),
        told("pull:pullPageInvariantViolation", "transport returned hasMore=true with an empty pull page")
    );
    assert_eq!(
        check(&page(vec![FeedItem { op_id: " ".to_owned(), ..link("n", 6) }])),
        silent("transport returned item with missing opId")
    );
    assert_eq!(
        check(&page(vec![link("n", 6), link("n", 7)])),
        told("pull:pullDuplicateOpReplay", "transport replayed opId n during pull pagination")
    );
    let timeless = FeedItem { occurred_at: "x".to_owned(), ..link("n", 6) };
    assert_eq!(check(&page(vec![timeless])), silent("transport returned item with invalid occurredAt"));
    let elsewhere = PulledPage { next_cursor: Some(cursor(6, "o")), ..page(vec![link("n", 6)]) };
    assert_eq!(
        check(&elsewhere),
        told(
            "pull:pullPageInvariantViolation",
            "transport returned nextCursor that does not match pull page tail"
        )
    );
    assert_eq!(
        check(&page(vec![link("a", 1)])),
        told("pull:pullCursorRegression", "transport returned regressing sync cursor")
    );
    let back = PulledPage { next_cursor: Some(cursor(1, "a")), ..page(vec![]) };
    assert_eq!(check(&back), told("pull:pullCursorRegression", "transport returned regressing sync cursor"));
    assert_eq!(
        check(&page(vec![link("m", 5)])),
        silent("CRDT feed item 0 is not strictly newer than local cursor")
    );
    let unlinked = FeedItem { parent_id: None, ..link("n", 6) };
    assert_eq!(check(&page(vec![unlinked])), silent("CRDT feed item 0 is missing link fields"));
}

#[test]
fn of_two_broken_rules_the_earlier_is_told() {
    let known = PullCycle::new(write_ids(&[("b", 5), ("a", 5)]));
    let before = cursor(5, "m");
    // Writes that fall, of two replicas, before an empty page with more.
    let page_of =
        |items, ids: Value| PulledPage { has_more: true, last_reconciled_write_ids: ids, ..page(items) };
    let both = page_of(vec![], json!({ "b": 1, "a": 1 }));
    assert_eq!(
        refused(&known, Some(&before), &both).1,
        "transport regressed lastReconciledWriteIds for replica a"
    );
    // A repeated id before a page that leads back.
    let both = page_of(vec![link("a", 1), link("a", 1)], json!({}));
    assert_eq!(refused(&known, Some(&before), &both).0, "pull:pullDuplicateOpReplay");
    // A page that ends elsewhere before one that leads back.
    let both = PulledPage { next_cursor: Some(cursor(9, "z")), ..page(vec![link("a", 1)]) };
    assert_eq!(refused(&known, Some(&before), &both).0, "pull:pullPageInvariantViolation");
    // A page that leads back before one that cannot be replayed.
    let unlinked = FeedItem { parent_id: None, ..link("a", 1) };
    assert_eq!(refused(&known, Some(&before), &page(vec![unlinked])).0, "pull:pullCursorRegression");
}

#[test]
fn what_a_cycle_has_seen_counts_for_its_later_pages_only_once_applied() {
    let mut cycle = PullCycle::default();
    let first = PulledPage {
        next_cursor: Some(cursor(1, "a")),
        has_more: true,
        last_reconciled_write_ids: json!({ "x": 3 }),
        ..page(vec![link("a", 1)])
    };
    let checked = cycle.check(None, None, &first).unwrap();
    assert_eq!(cycle, PullCycle::default());
    assert_eq!((checked.cursor.clone(), checked.has_more), (Some(cursor(1, "a")), true));
    cycle.accept(&checked);
    let again = page(vec![link("a", 2)]);
    assert_eq!(refused(&cycle, checked.cursor.as_ref(), &again).0, "pull:pullDuplicateOpReplay");
    let fallen = PulledPage { last_reconciled_write_ids: json!({ "x": 2 }), ..page(vec![link("b", 2)]) };
    assert_eq!(refused(&cycle, checked.cursor.as_ref(), &fallen).0, "pull:lastWriteIdRegression");
    assert!(cycle.check(checked.cursor.as_ref(), checked.cursor.as_ref(), &page(vec![link("b", 2)])).is_ok());
}

#[test]
fn an_empty_page_ends_where_it_says_or_where_it_began() {
    let cycle = PullCycle::default();
    let before = cursor(5, "m");
    let end = |next: Option<Cursor>, before: Option<&Cursor>| {
        cycle.check(before, before, &PulledPage { next_cursor: next, ..page(vec![]) }).unwrap().cursor
    };
    assert_eq!(end(None, None), None);
    assert_eq!(end(None, Some(&before)), Some(before.clone()));
    assert_eq!(end(Some(cursor(6, "n")), Some(&before)), Some(cursor(6, "n")));
}

#[test]
fn each_rule_of_an_acknowledgement_has_its_signature_and_its_text() {
    let local = ReconcileState { cursor: cursor(5, "m"), last_reconciled_write_ids: write_ids(&[("a", 5)]) };
    let refused = |cursor: Option<&Cursor>, ids: Value| {
        let error = check_acknowledgement(&local, cursor, &ids).unwrap_err();
        (error.violation().map(|violation| violation.signature()).unwrap_or_default(), error.to_string())
    };
    let told = |signature: &str, text: &str| (signature.to_owned(), text.to_owned());
    let (back, on) = (cursor(5, "l"), cursor(5, "m"));
    assert_eq!(refused(None, json!([])), told("", "transport returned invalid reconcile cursor"));
    assert_eq!(
        refused(Some(&back), json!({ "a": 0 })),
        told("", "lastReconciledWriteIds contains invalid writeId (must be a positive integer)")
    );
    assert_eq!(
        refused(Some(&back), json!({ "a": 4 })),
        told("reconcile:reconcileCursorRegression", "transport reconcile regressed sync cursor")
    );
    assert_eq!(
        refused(Some(&on), json!({ "a": 4 })),
        told("reconcile:lastWriteIdRegression", "transport regressed lastReconciledWriteIds for replica a")
    );
    assert!(check_acknowledgement(&local, Some(&on), &json!({ "b": 1 })).is_ok());
}
