//! Replaying the feed: pages in any cut, and pages that cannot be replayed.

use proptest::prelude::*;
use vfs_core::container_clock::ContainerClocks;
use vfs_core::feed::FeedItem;
use vfs_core::replay::{Replay, ReplaySnapshotError, check_page};
use vfs_core::{AccessLevel, Cursor, OpType};

use crate::lcg::Lcg;
use crate::scene::{cursor, fed_grant, fed_link};

/// A feed of so many operations on few registers.
fn feed(length: i64, lcg: &mut Lcg) -> Vec<FeedItem> {
    (0..length)
        .map(|n| {
            let id = format!("op-{n:04}");
            // Several in one millisecond: the ids order them.
            let millisecond = n / 3;
            let child = *lcg.pick(&["a", "b", "c"]);
            match lcg.between(0, 2) {
                0 => fed_link(OpType::LinkAdd, &id, millisecond, lcg.pick::<&str>(&["p", "q"]), child),
                1 => fed_link(OpType::LinkRemove, &id, millisecond, lcg.pick::<&str>(&["p", "q"]), child),
                _ => fed_grant(
                    &id,
                    millisecond,
                    child,
                    lcg.pick::<&str>(&["u", "v"]),
                    *lcg.pick(AccessLevel::ALL),
                ),
            }
        })
        .collect()
}

#[test]
fn readers_who_get_their_pages_at_different_times_converge() {
    for seed in [1_220, 1_221, 1_224, 1_225, 1_226] {
        let mut lcg = Lcg::new(seed);
        let feed = feed(60, &mut lcg);
        let mut readers: Vec<(usize, Replay)> = (0..3).map(|_| (0, Replay::new())).collect();
        while readers.iter().any(|(read, _)| *read < feed.len()) {
            let which = lcg.between(0, 2) as usize;
            let (read, replay) = &mut readers[which];
            let until = feed.len().min(*read + lcg.between(1, 7) as usize);
            replay.apply_page(&feed[*read..until]).expect("the next page");
            *read = until;
        }
        assert!(
            readers.iter().all(|(_, replay)| replay.snapshot() == readers[0].1.snapshot()),
            "seed {seed}"
        );
        assert_eq!(readers[0].1.cursor(), feed[59].cursor().as_ref());
    }
}

#[test]
fn a_page_that_does_not_go_on_is_refused_whole() {
    let mut replay = Replay::new();
    let feed = feed(9, &mut Lcg::new(7));
    replay.apply_page(&feed[..6]).unwrap();
    let before = replay.clone();
    let mut backwards: Vec<FeedItem> = feed[6..].to_vec();
    backwards.swap(1, 2);
    for (page, index) in [(&feed[3..6], 0), (&feed[5..8], 0), (&backwards[..], 2)] {
        let error = replay.apply_page(page).unwrap_err();
        assert_eq!(error.code(), "nonMonotonicCursor");
        assert_eq!(
            error.to_string(),
            format!("CRDT feed item {index} is not strictly newer than local cursor")
        );
        assert_eq!(replay, before);
    }
    replay.apply_page(&feed[6..]).unwrap();
}

#[test]
fn each_malformed_item_has_its_code_and_its_text() {
    let link = || fed_link(OpType::LinkAdd, "a", 1, "p", "c");
    let grant = || fed_grant("a", 1, "c", "u", AccessLevel::Read);
    let cases = [
        (FeedItem { op_id: " ".to_owned(), ..link() }, "invalidCursor", "has invalid cursor fields"),
        (FeedItem { occurred_at: "?".to_owned(), ..link() }, "invalidCursor", "has invalid cursor fields"),
        (FeedItem { principal_type: None, ..grant() }, "invalidAclOperation", "is missing principal fields"),
        (FeedItem { principal_id: None, ..grant() }, "invalidAclOperation", "is missing principal fields"),
        (FeedItem { access_level: None, ..grant() }, "invalidAclOperation", "is missing access level"),
        (FeedItem { parent_id: None, ..link() }, "invalidLinkOperation", "is missing link fields"),
        (
            FeedItem { child_id: Some(String::new()), ..link() },
            "invalidLinkOperation",
            "is missing link fields",
        ),
    ];
    for (item, code, text) in cases {
        let error = check_page(None, &[item]).unwrap_err();
        assert_eq!((error.code(), error.to_string()), (code, format!("CRDT feed item 0 {text}")));
    }
    let removed = FeedItem { op_type: OpType::AclRemove, access_level: None, ..grant() };
    assert!(check_page(None, &[removed]).is_ok());
}

#[test]
fn a_snapshot_with_an_entry_twice_is_not_taken_up() {
    let mut replay = Replay::new();
    replay.apply_page(&feed(30, &mut Lcg::new(3))).unwrap();
    let snapshot = replay.snapshot();
    assert_eq!(Replay::from_snapshot(&snapshot).unwrap(), replay);
    let mut twice = snapshot.clone();
    twice.acl.push(twice.acl[0].clone());
    let error = Replay::from_snapshot(&twice).unwrap_err();
    assert_eq!(error, ReplaySnapshotError::DuplicatePrincipal);
    assert_eq!(error.to_string(), "snapshot acl contains duplicate principal entry");
    let mut twice = snapshot;
    twice.links.push(twice.links[0].clone());
    let error = Replay::from_snapshot(&twice).unwrap_err();
    assert_eq!(error.to_string(), "snapshot links contain duplicate edge");
}

#[test]
fn containers_are_listed_from_the_oldest_change_in_pages() {
    let mut clocks = ContainerClocks::new();
    let items = [
        fed_link(OpType::LinkAdd, "a", 1, "p", "x"),
        fed_link(OpType::LinkAdd, "b", 1, "q", "x"),
        fed_grant("c", 2, "x", "u", AccessLevel::Read),
        fed_link(OpType::LinkRemove, "d", 3, "p", "x"),
    ];
    clocks.apply_page(&check_page(None, &items).unwrap());
    let ids = |clocks: &ContainerClocks, after: Option<&Cursor>, limit| {
        let page = clocks.list_changed_since(after, limit).unwrap();
        let ids: Vec<String> = page.items.iter().map(|clock| clock.container_id.clone()).collect();
        (ids.join(" "), page.next_cursor, page.has_more)
    };
    assert_eq!(ids(&clocks, None, 2), ("q x".to_owned(), Some(cursor(2, "c")), true));
    assert_eq!(ids(&clocks, Some(&cursor(2, "c")), 2), ("p".to_owned(), Some(cursor(3, "d")), false));
    assert_eq!(ids(&clocks, Some(&cursor(3, "d")), 2), (String::new(), None, false));
    clocks.observe("p", &cursor(1, "a"));
    assert_eq!(ids(&clocks, None, 500).0, "q x p");
    for limit in [0, 501] {
        let error = clocks.list_changed_since(None, limit).unwrap_err();
        assert_eq!(error.to_string(), "limit must be an integer between 1 and 500");
    }
    let mut list = clocks.snapshot();
    assert_eq!(ContainerClocks::from_snapshot(&list).unwrap(), clocks);
    list.push(list[0].clone());
    let error = ContainerClocks::from_snapshot(&list).unwrap_err();
    assert_eq!(error.to_string(), "state.containerClocks has duplicate containerId p");
    let json = serde_json::to_value(&clocks.snapshot()[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "containerId": "p", "changedAt": "2026-02-14T12:00:00.003Z", "changeId": "d" })
    );
}

proptest! {
    #[test]
    fn a_page_is_replayed_whole_or_not_at_all(seed in any::<u32>(), cut in 0_usize..20, bad in 0_usize..20, how in 0..4) {
        let feed = feed(20, &mut Lcg::new(seed));
        let mut replay = Replay::new();
        replay.apply_page(&feed[..cut]).unwrap();
        let before = replay.clone();
        let mut page = feed[cut..].to_vec();
        let at = bad % page.len();
        match how {
            0 => page[at].op_id = String::new(),
            1 => page[at].occurred_at = "never".to_owned(),
            2 => {
                let again = page[at].clone();
                page.insert(at, again);
            }
            _ => {
                page[at].principal_id = None;
                page[at].parent_id = None;
            }
        }
        prop_assert!(replay.apply_page(&page).is_err());
        prop_assert_eq!(&replay, &before);
        prop_assert!(replay.apply_page(&feed[cut..]).is_ok());
    }

    #[test]
    fn the_cut_into_pages_does_not_matter(seed in any::<u32>(), size in 1_usize..8) {
        let feed = feed(40, &mut Lcg::new(seed));
        let (mut paged, mut whole) = (Replay::new(), Replay::new());
        for page in feed.chunks(size) {
            paged.apply_page(page).unwrap();
        }
        whole.apply_page(&feed).unwrap();
        prop_assert_eq!(paged, whole);
    }
}
