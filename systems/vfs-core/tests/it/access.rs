//! Who sees what, along links.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vfs_core::access::{
    Access, AccessError, AccessRules, AccessSource, Grant, KeyRow, Membership, MembershipSnapshot,
    PrincipalCatalog, with_keys,
};
use vfs_core::register::{AclState, LinkState, Registers};
use vfs_core::{AccessLevel, Change, Principal, PrincipalId, PrincipalType};

use crate::scene::{acl_add, at, cursor, item, link_add, operation, to, user};

fn grant(on: &str, principal: Principal, level: AccessLevel) -> Grant {
    Grant {
        item_id: item(on),
        principal,
        level,
        updated_at: None,
        wrapped_session_key: None,
        wrapped_hierarchical_key: None,
    }
}

fn alice() -> Principal {
    to(PrincipalType::User, "alice")
}

fn link(parent: &str, child: &str) -> LinkState {
    LinkState { parent_id: item(parent), child_id: item(child) }
}

fn ids(of: &[&str]) -> BTreeSet<PrincipalId> {
    of.iter().map(|id| PrincipalId::parse(id).expect("an id")).collect()
}

fn memberships(millisecond: i64) -> MembershipSnapshot {
    let membership = Membership { groups: ids(&["g"]), organizations: ids(&["o"]) };
    MembershipSnapshot { cursor: cursor(millisecond, "m"), members: [(user("alice"), membership)].into() }
}

fn rules() -> AccessRules {
    let mut rules = AccessRules::new();
    rules.set_memberships(memberships(5)).expect("the first");
    rules
}

fn level(rules: &AccessRules, grants: &[Grant], links: &[LinkState], on: &str) -> Option<AccessLevel> {
    rules.resolve(&user("alice"), grants, links).get(&item(on)).map(|access| access.level)
}

fn winner(rules: &AccessRules, grants: &[Grant]) -> Principal {
    match rules.resolve(&user("alice"), grants, &[])[&item("x")].clone() {
        Access { source: AccessSource::Direct { principal }, .. } => principal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn more_access_wins_then_the_nearer_principal_then_the_newer_then_the_smaller_id() {
    let (group, organization) = (to(PrincipalType::Group, "g"), to(PrincipalType::Organization, "o"));
    let of = |principal: &Principal, level| grant("x", principal.clone(), level);
    let (read, write) = (AccessLevel::Read, AccessLevel::Write);
    assert_eq!(winner(&rules(), &[of(&alice(), read), of(&organization, write)]), organization);
    assert_eq!(
        winner(&rules(), &[of(&organization, write), of(&group, write), of(&alice(), write)]),
        alice()
    );
    assert_eq!(winner(&rules(), &[of(&organization, write), of(&group, write)]), group);

    let mut both = AccessRules::new();
    let mut snapshot = memberships(1);
    snapshot.members.insert(user("alice"), Membership { groups: ids(&["g", "h"]), ..Membership::default() });
    both.set_memberships(snapshot).unwrap();
    let other = to(PrincipalType::Group, "h");
    assert_eq!(winner(&both, &[of(&other, read), of(&group, read)]), group);
    let newer = Grant { updated_at: Some(at(9)), ..of(&other, read) };
    let older = Grant { updated_at: Some(at(1)), ..of(&group, read) };
    assert_eq!(winner(&both, &[older, newer]), other);
}

#[test]
fn a_grant_on_the_item_is_a_boundary_also_where_it_is_less() {
    let grants = [grant("top", alice(), AccessLevel::Admin), grant("mid", alice(), AccessLevel::Read)];
    let links = [link("top", "mid"), link("mid", "leaf"), link("top", "side")];
    assert_eq!(level(&rules(), &grants, &links, "mid"), Some(AccessLevel::Read));
    assert_eq!(level(&rules(), &grants, &links, "leaf"), Some(AccessLevel::Read));
    assert_eq!(level(&rules(), &grants, &links, "side"), Some(AccessLevel::Admin));
}

#[test]
fn of_several_parents_all_must_be_seen_and_the_weakest_counts() {
    let links = [link("p", "x"), link("q", "x")];
    let one = [grant("p", alice(), AccessLevel::Admin)];
    assert_eq!(level(&rules(), &one, &links, "x"), None);
    let both = [one[0].clone(), grant("q", alice(), AccessLevel::Read)];
    assert_eq!(level(&rules(), &both, &links, "x"), Some(AccessLevel::Read));
    let direct = [one[0].clone(), grant("x", alice(), AccessLevel::Write)];
    assert_eq!(level(&rules(), &direct, &links, "x"), Some(AccessLevel::Write));
}

#[test]
fn what_is_below_itself_is_not_seen() {
    let links = [link("a", "b"), link("b", "a"), link("top", "a"), link("b", "c"), link("s", "s")];
    let grants = [grant("top", alice(), AccessLevel::Admin)];
    for on in ["a", "b", "c", "s"] {
        assert_eq!(level(&rules(), &grants, &links, on), None, "{on}");
    }
    // A grant on one of them opens the circle.
    let grants = [grants[0].clone(), grant("a", alice(), AccessLevel::Read)];
    assert_eq!(level(&rules(), &grants, &links, "c"), Some(AccessLevel::Read));
}

#[test]
fn a_user_without_memberships_has_what_is_granted_to_the_user_alone() {
    let grants = [
        grant("x", to(PrincipalType::Group, "g"), AccessLevel::Admin),
        grant("y", alice(), AccessLevel::Read),
    ];
    assert_eq!(level(&rules(), &grants, &[], "x"), Some(AccessLevel::Admin));
    let mut missing = AccessRules::new();
    for rules in [AccessRules::new(), {
        missing.set_memberships(MembershipSnapshot { members: [].into(), ..memberships(1) }).unwrap();
        missing
    }] {
        assert_eq!(level(&rules, &grants, &[], "x"), None);
        assert_eq!(level(&rules, &grants, &[], "y"), Some(AccessLevel::Read));
    }
}

#[test]
fn a_deleted_principal_gives_nothing() {
    let mut rules = rules();
    let group = to(PrincipalType::Group, "g");
    let grants = [grant("x", group.clone(), AccessLevel::Admin), grant("x", alice(), AccessLevel::Read)];
    rules
        .set_catalog(PrincipalCatalog { cursor: cursor(1, "c"), principals: [alice(), group].into() })
        .unwrap();
    assert_eq!(level(&rules, &grants, &[], "x"), Some(AccessLevel::Admin));
    rules.set_catalog(PrincipalCatalog { cursor: cursor(2, "c"), principals: [alice()].into() }).unwrap();
    assert_eq!(level(&rules, &grants, &[], "x"), Some(AccessLevel::Read));
}

#[test]
fn a_snapshot_that_goes_back_is_refused_and_the_known_one_stays() {
    let mut rules = rules();
    let catalog =
        |millisecond| PrincipalCatalog { cursor: cursor(millisecond, "c"), principals: [alice()].into() };
    rules.set_catalog(catalog(5)).unwrap();
    let before = rules.clone();
    let error = rules.set_memberships(memberships(4)).unwrap_err();
    assert_eq!(
        (error, error.to_string().as_str()),
        (AccessError::MembershipRegressed, "membership snapshot cursor regressed")
    );
    let error = rules.set_catalog(catalog(4)).unwrap_err();
    assert_eq!(error.to_string(), "principal catalog snapshot cursor regressed");
    assert_eq!(rules, before);
    assert_eq!(rules.set_memberships(memberships(5)), Ok(()));
    assert_eq!(rules.set_catalog(catalog(5)), Ok(()));
}

#[test]
fn keys_come_from_the_rows_and_presence_from_what_stands() {
    let standing = [AclState {
        item_id: item("x"),
        principal_type: PrincipalType::User,
        principal_id: PrincipalId::parse("alice").unwrap(),
        access_level: AccessLevel::Write,
    }];
    let row = |on: &str, millisecond, session: Option<&str>, hierarchical: Option<&str>| KeyRow {
        item_id: item(on),
        principal: alice(),
        updated_at: at(millisecond),
        wrapped_session_key: session.map(str::to_owned),
        wrapped_hierarchical_key: hierarchical.map(str::to_owned),
    };
    let rows =
        [row("x", 2, None, Some("h2")), row("x", 1, Some("s1"), Some("h1")), row("gone", 3, Some("s"), None)];
    let grants = with_keys(&standing, &rows);
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].wrapped_session_key.as_deref(), Some("s1"));
    assert_eq!(grants[0].wrapped_hierarchical_key.as_deref(), Some("h2"));
    assert_eq!((grants[0].level, grants[0].updated_at), (AccessLevel::Write, Some(at(2))));
}

#[test]
fn access_follows_the_registers_as_they_are_written() {
    let mut registers = Registers::new();
    let group = to(PrincipalType::Group, "g");
    registers.apply(&operation("a", 1, 1, "folder", acl_add(group.clone(), AccessLevel::Write)));
    registers.apply(&operation("a", 2, 2, "file", link_add("folder")));
    let seen = |registers: &Registers| {
        let standing = registers.snapshot();
        level(&rules(), &with_keys(&standing.acl, &[]), &standing.links, "file")
    };
    assert_eq!(seen(&registers), Some(AccessLevel::Write));
    registers.apply(&operation("b", 1, 3, "file", link_add("attic")));
    assert_eq!(seen(&registers), None);
    registers.apply(&operation("b", 2, 4, "attic", acl_add(alice(), AccessLevel::Read)));
    assert_eq!(seen(&registers), Some(AccessLevel::Read));
    registers.apply(&operation("a", 3, 5, "folder", Change::AclRemove { principal: group }));
    assert_eq!(seen(&registers), None);
}

proptest! {
    #[test]
    fn whatever_the_links_an_item_without_a_grant_has_no_more_than_each_parent(
        links in prop::collection::vec((0_usize..6, 0_usize..6), 0..14),
        granted in prop::collection::vec((0_usize..6, 0_usize..3), 0..4),
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let links: Vec<LinkState> = links.iter().map(|(parent, child)| link(names[*parent], names[*child])).collect();
        let grants: Vec<Grant> =
            granted.iter().map(|(on, level)| grant(names[*on], alice(), AccessLevel::ALL[*level])).collect();
        let found = rules().resolve(&user("alice"), &grants, &links);
        for (item_id, access) in &found {
            if access.source == AccessSource::Inherited {
                let parents: Vec<_> = links.iter().filter(|link| link.child_id == *item_id).collect();
                prop_assert!(!parents.is_empty());
                let weakest = parents.iter().map(|link| found.get(&link.parent_id).map(|access| access.level)).min();
                prop_assert_eq!(weakest, Some(Some(access.level)));
            }
        }
        for grant in &grants {
            prop_assert!(found.contains_key(&grant.item_id));
        }
    }
}
