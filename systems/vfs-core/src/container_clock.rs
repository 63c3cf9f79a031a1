//! When something last changed in each container: the parent of a link, the item of a grant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cursor::Cursor;
use crate::pulled_items::Place;
use crate::replay::ValidPage;

/// Entries that one answer may have.
pub const LIMIT_MAX: usize = 500;

/// Entries of one answer, where nothing is said.
pub const LIMIT_DEFAULT: usize = 100;

/// A limit that is not from 1 to [`LIMIT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("limit must be an integer between 1 and 500")]
pub struct LimitError;

/// A container that stands twice in a list of clocks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("state.containerClocks has duplicate containerId {container_id}")]
pub struct DuplicateContainer {
    /// Which.
    pub container_id: String,
}

/// The last change in one container. As JSON `{"containerId", "changedAt", "changeId"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerClock {
    /// Which container.
    pub container_id: String,
    /// Where in the feed.
    #[serde(flatten)]
    pub changed: Cursor,
}

/// A part of the containers that changed since some place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedContainers {
    /// Oldest change first.
    pub items: Vec<ContainerClock>,
    /// The place of the last of them; null where there is none.
    pub next_cursor: Option<Cursor>,
    /// Whether there are more.
    pub has_more: bool,
}

/// The last change in each container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerClocks(BTreeMap<String, Cursor>);

impl ContainerClocks {
    /// Of no container yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a list of clocks.
    ///
    /// # Errors
    /// The first container that stands twice.
    pub fn from_snapshot(clocks: &[ContainerClock]) -> Result<Self, DuplicateContainer> {
        let mut taken = Self::new();
        for clock in clocks {
            if taken.0.insert(clock.container_id.clone(), clock.changed.clone()).is_some() {
                return Err(DuplicateContainer { container_id: clock.container_id.clone() });
            }
        }
        Ok(taken)
    }

    /// Takes note of a change; an older one changes nothing.
    pub fn observe(&mut self, container_id: &str, changed: &Cursor) {
        self.note(container_id, Place::of(changed));
    }

    fn note(&mut self, container_id: &str, changed: Place<'_>) {
        match self.0.get_mut(container_id) {
            Some(known) if Place::of(known) >= changed => {}
            Some(known) => {
                known.changed_at = changed.changed_at;
                changed.change_id.clone_into(&mut known.change_id);
            }
            None => {
                self.0.insert(container_id.to_owned(), changed.cursor());
            }
        }
    }

    /// Takes note of a page.
    pub fn apply_page(&mut self, page: &ValidPage<'_>) {
        for (container_id, changed) in page.containers() {
            self.note(container_id, changed);
        }
    }

    /// The last change in a container; `None`: none is known.
    #[must_use]
    pub fn get(&self, container_id: &str) -> Option<&Cursor> {
        self.0.get(container_id)
    }

    /// The containers that changed strictly after a place, oldest change first, `limit` of them at most.
    ///
    /// # Errors
    /// A limit outside of 1 to [`LIMIT_MAX`].
    pub fn list_changed_since(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangedContainers, LimitError> {
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(LimitError);
        }
        let is_newer = |changed: &&Cursor| after.is_none_or(|after| **changed > *after);
        let mut newer: Vec<_> = self.0.iter().filter(|(_, changed)| is_newer(changed)).collect();
        newer.sort_by_key(|(container_id, changed)| (*changed, *container_id));
        let has_more = newer.len() > limit;
        let items: Vec<_> = newer.into_iter().take(limit).map(clock).collect();
        let next_cursor = items.last().map(|last| last.changed.clone());
        Ok(ChangedContainers { items, next_cursor, has_more })
    }

    /// All of them, by the bytes of their ids.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ContainerClock> {
        self.0.iter().map(clock).collect()
    }
}

fn clock((container_id, changed): (&String, &Cursor)) -> ContainerClock {
    ContainerClock { container_id: container_id.clone(), changed: changed.clone() }
}
