//! The server's rules, one by one.

use proptest::prelude::*;
use serde_json::json;
use vfs_core::access::Membership;
use vfs_core::model::{Model, ModelError, Pull, Share};
use vfs_core::{
    AccessLevel, Cursor, OpType, Operation, PrincipalId, PrincipalType, PushStatus, ReconcileRequest,
    ReconcileState,
};

use crate::scene::{
    Reader, at, client, cursor, item, link_add, link_remove, operation, push, statuses, to, user, write_ids,
};

pub(crate) fn share(on: &str, with: &str) -> Share {
    Share {
        entry_id: format!("share:{on}:{with}"),
        item_id: item(on),
        principal: to(PrincipalType::User, with),
        level: AccessLevel::Write,
        expires_at: None,
    }
}

pub(crate) fn of_alice(ids: &[&str]) -> Model {
    let mut model = Model::new(at(0));
    for id in ids {
        model.register(at(0), &user("alice"), &item(id)).expect("new");
    }
    model
}

#[test]
fn what_becomes_of_an_operation_is_decided_in_its_order() {
    use PushStatus::{AlreadyApplied, Applied, InvalidOp, StaleWriteId};
    let mut model = of_alice(&["file"]);
    model.register(at(0), &user("bob"), &item("other")).unwrap();
    let first = operation("d", 1, 0, "file", link_add("p"));
    let foreign = operation("d", 2, 0, "other", link_add("p"));
    let third = operation("d", 3, 0, "file", link_add("q"));
    let got = push(&mut model, 1, "alice", "d", &[first.clone(), first.clone(), foreign, third.clone()]);
    assert_eq!(statuses(&got), [Applied, AlreadyApplied, InvalidOp, Applied]);
    let late = operation("d", 2, 0, "file", link_remove("p"));
    assert_eq!(statuses(&push(&mut model, 2, "alice", "d", std::slice::from_ref(&late))), [StaleWriteId]);
    // The same operation under a new number, after an answer that was lost.
    let renumbered = Operation { write_id: late.write_id, ..third };
    assert_eq!(statuses(&push(&mut model, 2, "alice", "d", &[renumbered])), [AlreadyApplied]);
    assert_eq!(model.write_ids(&user("alice")), write_ids(&[("d", 3)]));
    assert_eq!(model.operations().count(), 2);
    // Another user's operation of the same id is another operation.
    let theirs = operation("d", 1, 0, "other", link_add("p"));
    assert_eq!(statuses(&push(&mut model, 3, "bob", "d", &[theirs])), [Applied]);
}

#[test]
fn the_time_of_an_operation_is_that_of_the_head_and_never_goes_back() {
    let mut model = of_alice(&["file"]);
    let in_2099 = operation("d", 1, 73 * 365 * 86_400_000, "file", link_add("p"));
    push(&mut model, 50, "alice", "d", &[in_2099]);
    push(&mut model, 20, "alice", "d", &[operation("d", 2, 0, "file", link_add("q"))]);
    let times: Vec<String> = model.operations().map(|item| item.occurred_at.clone()).collect();
    assert_eq!(times, [at(50).to_string(), at(50).to_string()]);
    let ids: Vec<String> = model.operations().map(|item| item.op_id.clone()).collect();
    assert_eq!(ids, ["0001-0000000000000002", "0001-0000000000000003"]);
    let sources: Vec<String> = model.operations().map(|item| item.source_id.clone()).collect();
    assert_eq!(sources, ["alice:d:1:d-1", "alice:d:2:d-2"]);
}

#[test]
fn a_later_grantee_is_told_where_the_item_is_and_who_loses_it_is_told_that() {
    let mut model = of_alice(&["folder", "file"]);
    model.link(at(1), "link-1", &item("folder"), &item("file")).unwrap();
    let mut bob = Reader::new("bob");
    bob.settle(&model, 2, 10);
    assert_eq!(bob.received.len(), 0);

    model.grant(at(3), &user("alice"), &share("file", "bob")).unwrap();
    assert_eq!(model.grant(at(3), &user("alice"), &share("file", "bob")), Err(ModelError::ShareExists));
    bob.settle(&model, 4, 1);
    assert_eq!(bob.parents("file"), ["folder"]);
    assert_eq!(bob.replay.snapshot().acl.len(), 1);

    model.revoke(at(5), &user("alice"), &item("file"), &share("file", "bob").principal).unwrap();
    model.unlink(at(6), &item("folder"), &item("file"));
    bob.settle(&model, 7, 1);
    assert_eq!(bob.replay.snapshot().acl.len(), 0);
    let last = model.operations().filter(|item| bob.received.contains(&item.op_id)).last().unwrap();
    assert_eq!((last.op_type, last.item_id.as_str()), (OpType::AclRemove, "file"));

    // Revived under its own id, and told again.
    let again = Share { entry_id: "share:new".to_owned(), ..share("file", "bob") };
    model.grant(at(8), &user("alice"), &again).unwrap();
    bob.settle(&model, 9, 1);
    assert_eq!(bob.replay.snapshot().acl.len(), 1);
    let granted = model.operations().filter(|item| item.op_type == OpType::AclAdd).last().unwrap();
    assert_eq!(granted.source_id, "share:file:bob");
}

#[test]
fn the_end_of_a_link_that_was_read_past_without_access_is_told_with_the_new_grant() {
    let mut model = of_alice(&["folder", "file"]);
    model.link(at(1), "link-1", &item("folder"), &item("file")).unwrap();
    model.grant(at(2), &user("alice"), &share("file", "bob")).unwrap();
    let mut bob = Reader::new("bob");
    bob.settle(&model, 3, 10);
    model.unlink(at(4), &item("folder"), &item("file"));
    model.revoke(at(5), &user("alice"), &item("file"), &share("file", "bob").principal).unwrap();
    // Of the two only the latter is seen, and the former is then behind.
    bob.settle(&model, 6, 10);
    model.grant(at(7), &user("alice"), &share("file", "bob")).unwrap();
    bob.settle(&model, 8, 10);
    assert_eq!(bob.parents("file"), [""; 0]);
    let mut anew = Reader::new("bob");
    anew.settle(&model, 8, 10);
    assert_eq!(anew.parents("file"), [""; 0]);
}

#[test]
fn a_link_that_a_client_pushed_is_told_again_to_a_later_grantee() {
    let mut model = of_alice(&["file"]);
    push(&mut model, 1, "alice", "d", &[operation("d", 1, 0, "file", link_add("p"))]);
    let (mut early, mut late) = (Reader::new("bob"), Reader::new("bob"));
    model.register(at(2), &user("alice"), &item("other")).unwrap();
    model.grant(at(2), &user("alice"), &share("other", "bob")).unwrap();
    early.settle(&model, 3, 10);
    model.grant(at(4), &user("alice"), &share("file", "bob")).unwrap();
    early.settle(&model, 5, 10);
    late.settle(&model, 5, 10);
    assert_eq!((early.parents("file"), late.parents("file")), (vec!["p".to_owned()], vec!["p".to_owned()]));
}

#[test]
fn only_the_owner_shares_and_a_share_runs_out_at_its_moment() {
    let mut model = of_alice(&["file"]);
    let bob = user("bob");
    assert_eq!(model.grant(at(1), &bob, &share("file", "bob")), Err(ModelError::NotTheOwner));
    assert_eq!(model.grant(at(1), &bob, &share("none", "bob")), Err(ModelError::ItemNotFound));
    assert_eq!(
        model.revoke(at(1), &user("alice"), &item("file"), &share("file", "bob").principal),
        Err(ModelError::ShareNotFound)
    );
    let short = Share { expires_at: Some(at(10)), ..share("file", "bob") };
    model.grant(at(1), &user("alice"), &short).unwrap();
    assert!(model.is_visible(at(9), &bob, &item("file")));
    assert!(!model.is_visible(at(10), &bob, &item("file")));
    model.grant(at(10), &user("alice"), &share("file", "bob")).unwrap();
    assert!(model.is_visible(at(11), &bob, &item("file")));
}

#[test]
fn a_changed_share_tells_what_comes_of_it() {
    let mut model = of_alice(&["folder", "file"]);
    model.link(at(1), "link-1", &item("folder"), &item("file")).unwrap();
    model.grant(at(1), &user("alice"), &share("file", "bob")).unwrap();
    let bob = share("file", "bob").principal;
    let mut change = |now, level, expires_at| {
        let before = model.operations().count();
        model.change_share(at(now), &user("alice"), &item("file"), &bob, level, expires_at).unwrap();
        model.operations().skip(before).map(|item| item.op_type).collect::<Vec<_>>()
    };
    assert_eq!(change(2, Some(AccessLevel::Write), None), []);
    assert_eq!(change(2, Some(AccessLevel::Read), None), [OpType::AclAdd]);
    assert_eq!(change(3, None, Some(Some(at(9)))), [OpType::AclAdd]);
    assert_eq!(change(4, None, Some(Some(at(4)))), [OpType::AclRemove]);
    assert_eq!(change(5, None, Some(Some(at(5)))), []);
    assert_eq!(change(6, None, Some(None)), [OpType::AclAdd, OpType::LinkAdd]);
    model.revoke(at(7), &user("alice"), &item("file"), &bob).unwrap();
    let gone = model.change_share(at(8), &user("alice"), &item("file"), &bob, None, None);
    assert_eq!(gone, Err(ModelError::ShareNotFound));
}

#[test]
fn groups_and_organisations_see_and_lose_as_users_do() {
    let mut model = of_alice(&["file", "mail"]);
    let ids = |id: &str| [PrincipalId::parse(id).unwrap()].into();
    model.set_membership(user("bob"), Membership { groups: ids("g"), organizations: ids("o") });
    for (on, principal) in
        [("file", to(PrincipalType::Group, "g")), ("mail", to(PrincipalType::Organization, "o"))]
    {
        let wide = Share { principal: principal.clone(), ..share(on, "x") };
        model.grant(at(1), &user("alice"), &wide).unwrap();
        assert!(model.is_visible(at(1), &user("bob"), &item(on)));
        assert!(!model.is_visible(at(1), &user("carol"), &item(on)));
        model.revoke(at(2), &user("alice"), &item(on), &principal).unwrap();
    }
    let mut bob = Reader::new("bob");
    bob.settle(&model, 3, 1);
    assert_eq!(bob.received.len(), 2);
    let mut carol = Reader::new("carol");
    carol.settle(&model, 3, 1);
    assert_eq!(carol.received.len(), 0);
}

#[test]
fn a_root_narrows_to_itself_and_what_is_directly_below() {
    let mut model = of_alice(&["top", "mid", "leaf"]);
    model.link(at(1), "l1", &item("top"), &item("mid")).unwrap();
    model.link(at(1), "l2", &item("mid"), &item("leaf")).unwrap();
    push(&mut model, 2, "alice", "d", &[operation("d", 1, 0, "top", link_add("elsewhere"))]);
    let root = item("top");
    let pull = Pull { after: None, limit: 10, root_id: Some(&root) };
    let page = model.pull(at(3), &user("alice"), &pull).unwrap();
    let items: Vec<&str> = page.items.iter().map(|item| item.item_id.as_str()).collect();
    assert_eq!(items, ["mid", "top"]);
}

#[test]
fn a_page_says_where_it_ends_only_where_there_is_more() {
    let mut model = of_alice(&["file"]);
    let pull =
        |model: &Model, limit| model.pull(at(9), &user("alice"), &Pull { after: None, limit, root_id: None });
    let empty = pull(&model, 1).unwrap();
    assert_eq!((empty.items.len(), empty.next_cursor, empty.has_more), (0, None, false));
    push(
        &mut model,
        1,
        "alice",
        "d",
        &[operation("d", 1, 0, "file", link_add("p")), operation("d", 2, 0, "file", link_add("q"))],
    );
    let first = pull(&model, 1).unwrap();
    let tail = first.items[0].cursor();
    assert_eq!(first.next_cursor.as_deref().and_then(Cursor::decode), tail);
    assert_eq!(first.last_reconciled_write_ids, write_ids(&[("d", 2)]));
    let all = pull(&model, 2).unwrap();
    assert_eq!((all.items.len(), all.next_cursor, all.has_more), (2, None, false));
    assert_eq!(pull(&model, 0), Err(ModelError::Limit));
    assert_eq!(pull(&model, 501), Err(ModelError::Limit));
}

#[test]
fn after_a_compaction_who_is_behind_begins_anew_and_nothing_is_applied_twice() {
    let mut model = of_alice(&["file"]);
    let first = operation("d", 1, 0, "file", link_add("p"));
    push(&mut model, 10, "alice", "d", std::slice::from_ref(&first));
    let mut reader = Reader::new("alice");
    reader.settle(&model, 11, 10);
    push(&mut model, 20, "alice", "d", &[operation("d", 2, 0, "file", link_add("q"))]);
    assert_eq!(model.compact(at(20), 100).seq, 2);
    let pull =
        |after: Option<&Cursor>| model.pull(at(30), &user("alice"), &Pull { after, limit: 5, root_id: None });
    assert_eq!(pull(None), Err(ModelError::Rematerialize));
    assert_eq!(pull(reader.replay.cursor()).unwrap().items.len(), 1);
    assert_eq!(statuses(&push(&mut model, 30, "alice", "d", &[first])), [PushStatus::AlreadyApplied]);
    assert_eq!(model.write_ids(&user("alice")), write_ids(&[("d", 2)]));
}

#[test]
fn a_stale_reconcile_is_answered_with_the_newer_state() {
    let mut model = Model::new(at(0));
    let request = |millisecond, ids| ReconcileRequest {
        client_id: client("d"),
        state: ReconcileState { cursor: cursor(millisecond, "m"), last_reconciled_write_ids: write_ids(ids) },
    };
    let first = model.reconcile(&user("alice"), &request(5, &[("d", 3)]));
    assert_eq!(first, request(5, &[("d", 3)]).state);
    let merged = model.reconcile(&user("alice"), &request(4, &[("d", 1), ("e", 1)]));
    assert_eq!(merged, request(5, &[("d", 3), ("e", 1)]).state);
    assert_eq!(model.reconciled(&user("bob"), &client("d")), None);
}

proptest! {
    #[test]
    fn what_is_no_push_is_never_taken_for_one(text in any::<String>()) {
        let mut model = of_alice(&["a"]);
        let body = json!({ "clientId": "d", "operations": [{ "opId": text, "itemId": "a" }, text] });
        let before = model.clone();
        let reply = model.push(at(1), &user("alice"), &vfs_core::PushRequest::parse(&body).unwrap());
        prop_assert_eq!(statuses(&reply), vec![PushStatus::InvalidOp; 2]);
        prop_assert_eq!(model, before);
    }
}
