//! Who sees what, by the rules of the reference: grants, principals, inheritance along links.
//!
//! The server itself knows no inheritance: there an item is visible to its owner and to whom it is granted. These
//! rules are for whoever decides on a tree, and for tests.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::cursor::Cursor;
use crate::id::{ItemId, PrincipalId, UserId};
use crate::operation::{AccessLevel, Principal, PrincipalType};
use crate::register::{AclState, LinkState};
use crate::timestamp::Timestamp;

/// A grant, with the keys that make it worth something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To what.
    pub item_id: ItemId,
    /// To whom.
    pub principal: Principal,
    /// How much.
    pub level: AccessLevel,
    /// When the keys were last written; `None`: there are none.
    pub updated_at: Option<Timestamp>,
    /// The wrapped session key.
    pub wrapped_session_key: Option<String>,
    /// The wrapped hierarchical key.
    pub wrapped_hierarchical_key: Option<String>,
}

/// The keys of a grant, as a snapshot of the entries has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// To what.
    pub item_id: ItemId,
    /// To whom.
    pub principal: Principal,
    /// When it was written.
    pub updated_at: Timestamp,
    /// The wrapped session key; `None`: that of an older row holds.
    pub wrapped_session_key: Option<String>,
    /// The wrapped hierarchical key; `None`: that of an older row holds.
    pub wrapped_hierarchical_key: Option<String>,
}

/// Joins what stands with its keys: presence and level come from `standing`, keys from `rows`.
///
/// A row for what does not stand is dropped. Of several rows the newest key that is one counts.
#[must_use]
pub fn with_keys(standing: &[AclState], rows: &[KeyRow]) -> Vec<Grant> {
    let mut grants: BTreeMap<(ItemId, Principal), Grant> = BTreeMap::new();
    for entry in standing {
        let principal = Principal { kind: entry.principal_type, id: entry.principal_id.clone() };
        let grant = Grant {
            item_id: entry.item_id.clone(),
            principal: principal.clone(),
            level: entry.access_level,
            updated_at: None,
            wrapped_session_key: None,
            wrapped_hierarchical_key: None,
        };
        grants.insert((entry.item_id.clone(), principal), grant);
    }
    let mut oldest_first: Vec<&KeyRow> = rows.iter().collect();
    oldest_first.sort_by_key(|row| row.updated_at);
    for row in oldest_first {
        let Some(grant) = grants.get_mut(&(row.item_id.clone(), row.principal.clone())) else { continue };
        grant.updated_at = Some(row.updated_at);
        if row.wrapped_session_key.is_some() {
            grant.wrapped_session_key.clone_from(&row.wrapped_session_key);
        }
        if row.wrapped_hierarchical_key.is_some() {
            grant.wrapped_hierarchical_key.clone_from(&row.wrapped_hierarchical_key);
        }
    }
    grants.into_values().collect()
}

/// In what a user is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The groups.
    pub groups: BTreeSet<PrincipalId>,
    /// The organisations.
    pub organizations: BTreeSet<PrincipalId>,
}

/// Who is in what, up to some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipSnapshot {
    /// Up to where.
    pub cursor: Cursor,
    /// By user; one that is missing has only what is granted to the user itself.
    pub members: BTreeMap<UserId, Membership>,
}

/// Which principals there are, up to some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalCatalog {
    /// Up to where.
    pub cursor: Cursor,
    /// Those that are not deleted. Grants to others count for nothing.
    pub principals: BTreeSet<Principal>,
}

/// A snapshot that is older than the one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Of memberships.
    #[error("membership snapshot cursor regressed")]
    MembershipRegressed,
    /// Of principals.
    #[error("principal catalog snapshot cursor regressed")]
    CatalogRegressed,
}

/// Where access comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessSource {
    /// From a grant on the item itself.
    Direct {
        /// To whom it is.
        principal: Principal,
    },
    /// From all of its parents.
    Inherited,
}

/// What a user has on an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// How much.
    pub level: AccessLevel,
    /// Where from.
    pub source: AccessSource,
}

/// What decides on access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules {
    memberships: Option<MembershipSnapshot>,
    catalog: Option<PrincipalCatalog>,
}

impl AccessRules {
    /// Without memberships, with every principal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up who is in what. One from the same place as the known replaces it.
    ///
    /// # Errors
    /// It is older than the one that is known, which stays.
    pub fn set_memberships(&mut self, snapshot: MembershipSnapshot) -> Result<(), AccessError> {
        if self.memberships.as_ref().is_some_and(|known| snapshot.cursor < known.cursor) {
            return Err(AccessError::MembershipRegressed);
        }
        self.memberships = Some(snapshot);
        Ok(())
    }

    /// Takes up which principals there are. One from the same place as the known replaces it.
    ///
    /// # Errors
    /// It is older than the one that is known, which stays.
    pub fn set_catalog(&mut self, catalog: PrincipalCatalog) -> Result<(), AccessError> {
        if self.catalog.as_ref().is_some_and(|known| catalog.cursor < known.cursor) {
            return Err(AccessError::CatalogRegressed);
        }
        self.catalog = Some(catalog);
        Ok(())
    }

    /// What a user has, by item. An item that is not in it: nothing.
    ///
    /// A grant on an item itself is a boundary: it counts instead of what would be inherited, be it more or less. An
    /// item without one inherits the weakest of its parents, if it has all of them; if one is missing, or the item is
    /// below itself, nothing.
    #[must_use]
    pub fn resolve(&self, user: &UserId, grants: &[Grant], links: &[LinkState]) -> BTreeMap<ItemId, Access> {
        let direct = self.direct(user, grants);
        let mut parents: BTreeMap<&ItemId, BTreeSet<&ItemId>> = BTreeMap::new();
        let mut children: BTreeMap<&ItemId, Vec<&ItemId>> = BTreeMap::new();
        for link in links {
            if parents.entry(&link.child_id).or_default().insert(&link.parent_id) {
                children.entry(&link.parent_id).or_default().push(&link.child_id);
            }
        }
        // From the grants downwards: an item is reached once all of its parents are, so what is below itself never is.
        let mut found: BTreeMap<ItemId, Access> = BTreeMap::new();
        let mut ready: Vec<(ItemId, Access)> = direct.into_iter().collect();
        let bounded: BTreeSet<ItemId> = ready.iter().map(|(item_id, _)| item_id.clone()).collect();
        while let Some((item_id, access)) = ready.pop() {
            let below = children.get(&item_id).cloned().unwrap_or_default();
            found.insert(item_id, access);
            for child in below.into_iter().filter(|child| !bounded.contains(*child)) {
                let levels = parents.get(child).into_iter().flatten().map(|parent| found.get(*parent));
                let levels: Option<Vec<AccessLevel>> = levels.map(|access| Some(access?.level)).collect();
                if let Some(weakest) = levels.and_then(|levels| levels.into_iter().min()) {
                    ready.push((child.clone(), Access { level: weakest, source: AccessSource::Inherited }));
                }
            }
        }
        found
    }

    /// The best grant to one of the user's principals, by item.
    fn direct(&self, user: &UserId, grants: &[Grant]) -> BTreeMap<ItemId, Access> {
        let mut best: BTreeMap<ItemId, &Grant> = BTreeMap::new();
        for grant in grants.iter().filter(|grant| self.is_to(user, &grant.principal)) {
            let known = best.entry(grant.item_id.clone()).or_insert(grant);
            if precedence(grant) > precedence(known) {
                *known = grant;
            }
        }
        best.into_iter()
            .map(|(item_id, grant)| {
                let source = AccessSource::Direct { principal: grant.principal.clone() };
                (item_id, Access { level: grant.level, source })
            })
            .collect()
    }

    fn is_to(&self, user: &UserId, principal: &Principal) -> bool {
        if self.catalog.as_ref().is_some_and(|catalog| !catalog.principals.contains(principal)) {
            return false;
        }
        let membership = self.memberships.as_ref().and_then(|snapshot| snapshot.members.get(user));
        match principal.kind {
            PrincipalType::User => principal.id.as_str() == user.as_str(),
            PrincipalType::Group => membership.is_some_and(|is| is.groups.contains(&principal.id)),
            PrincipalType::Organization => {
                membership.is_some_and(|is| is.organizations.contains(&principal.id))
            }
        }
    }
}

/// Greater wins: more access, then users before groups before organisations, then the newer, then the smaller id.
fn precedence(grant: &Grant) -> (AccessLevel, u8, Option<Timestamp>, std::cmp::Reverse<&PrincipalId>) {
    let kind = match grant.principal.kind {
        PrincipalType::User => 2,
        PrincipalType::Group => 1,
        PrincipalType::Organization => 0,
    };
    (grant.level, kind, grant.updated_at, std::cmp::Reverse(&grant.principal.id))
}
