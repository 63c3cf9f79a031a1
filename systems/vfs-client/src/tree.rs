//! The items as a tree with paths.
//!
//! What lies in what is the client's own knowledge: what it has read, and what it has queued on top of that. Every user
//! has one item from which paths begin; what others shared lies beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vfs_core::Change;
use vfs_core::client::Client;

/// How deep a tree is followed.
pub const DEPTH_MAX: usize = 128;
/// Bytes of one name.
pub const NAME_BYTES_MAX: usize = 1_024;

/// What is known of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What it is, such as `file` or `folder`.
    pub object_type: String,
    /// Whose it is; `None`: nobody's.
    pub owner_id: Option<String>,
    /// What its metadata says that it is called; `None`: nothing that this program understands.
    pub name: Option<String>,
}

/// The metadata of an item that has a name.
#[must_use]
pub fn metadata(name: &str) -> String {
    serde_json::json!({ "name": name }).to_string()
}

/// The name that metadata say; `None`: they are another program's.
#[must_use]
pub fn name_of(metadata: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(metadata).ok()?;
    value.get("name")?.as_str().filter(|name| is_name(name)).map(str::to_owned)
}

/// Whether a text can be a name: not blank, no `/`, no control character, not `.` or `..`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(['/', '\0'])
        && !name.chars().any(char::is_control)
        && name != "."
        && name != ".."
}

/// The item from which a user's paths begin.
#[must_use]
pub fn root_id(user_id: &str) -> String {
    format!("vfs-root:{user_id}")
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// It is none.
    #[error(
        "{path:?} is no path: it begins with / and has no empty, `.` or `..` part; or `id:` and an item's id"
    )]
    Malformed {
        /// The text.
        path: String,
    },
    /// Nothing of that name lies there.
    #[error("there is no {path}; `vfs tree` shows what there is, and `vfs sync` fetches what is new")]
    NotFound {
        /// The first part of the path that is not there.
        path: String,
    },
    /// Two items of one name lie there, as two clients made them at once.
    #[error("{path} is the name of {} items; say which one: {}", ids.len(), ids.join(", "))]
    Ambiguous {
        /// The path.
        path: String,
        /// The items, each as what can be given instead.
        ids: Vec<String>,
    },
}

/// The tree as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    root: String,
    items: BTreeMap<String, Item>,
    children: BTreeMap<String, BTreeSet<String>>,
    parents: BTreeMap<String, BTreeSet<String>>,
}

/// One line of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The whole path.
    pub path: String,
    /// Steps from where the tree begins.
    pub depth: usize,
    /// The item.
    pub item_id: String,
    /// What it is; `None`: not known.
    pub object_type: Option<String>,
    /// Whose it is; `None`: nobody's, or not known.
    pub owner_id: Option<String>,
}

impl Tree {
    /// From what a client has read and queued, and what is known of items.
    #[must_use]
    pub fn new(client: &Client, items: Vec<Item>) -> Self {
        let mut tree = Self {
            root: root_id(client.options().user_id.as_str()),
            items: items.into_iter().map(|item| (item.id.clone(), item)).collect(),
            children: BTreeMap::new(),
            parents: BTreeMap::new(),
        };
        for link in client.replay().snapshot().links {
            tree.link(&link.parent_id, &link.child_id);
        }
        for queued in client.pending() {
            let operation = &queued.operation;
            match &operation.change {
                Change::LinkAdd { parent_id } => tree.link(parent_id.as_str(), operation.item_id.as_str()),
                Change::LinkRemove { parent_id } => {
                    tree.unlink(parent_id.as_str(), operation.item_id.as_str())
                }
                Change::AclAdd { .. } | Change::AclRemove { .. } => {}
            }
        }
        tree
    }

    fn link(&mut self, parent: &str, child: &str) {
        self.children.entry(parent.to_owned()).or_default().insert(child.to_owned());
        self.parents.entry(child.to_owned()).or_default().insert(parent.to_owned());
    }

    fn unlink(&mut self, parent: &str, child: &str) {
        if let Some(children) = self.children.get_mut(parent) {
            children.remove(child);
        }
        if let Some(parents) = self.parents.get_mut(child) {
            parents.remove(parent);
        }
    }

    /// What is known of an item.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    /// Where an item lies; more than one place is possible.
    pub fn parents(&self, id: &str) -> impl Iterator<Item = &str> {
        self.parents.get(id).into_iter().flatten().map(String::as_str)
    }

    /// What lies in an item and has a name, blobs and other programs' items left out; by name, then id.
    #[must_use]
    pub fn children(&self, id: &str) -> Vec<&Item> {
        let children = self.children.get(id).into_iter().flatten();
        let mut known: Vec<&Item> = children
            .filter_map(|child| self.items.get(child))
            .filter(|item| item.name.is_some() && item.object_type != "blob")
            .collect();
        known.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        known
    }

    /// What others shared and no shared item holds.
    #[must_use]
    pub fn shared(&self) -> Vec<&Item> {
        let is_mine = |item: &Item| item.owner_id.as_deref() == self.root.strip_prefix("vfs-root:");
        let is_held = |item: &Item| self.parents(&item.id).any(|parent| self.items.contains_key(parent));
        let mut shared: Vec<&Item> = self
            .items
            .values()
            .filter(|item| item.name.is_some() && item.object_type != "blob")
            .filter(|item| !is_mine(item) && !is_held(item))
            .collect();
        shared.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        shared
    }

    /// Whether an item is another or lies anywhere below it.
    #[must_use]
    pub fn holds(&self, above: &str, below: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![below];
        while let Some(id) = open.pop() {
            if id == above {
                return true;
            }
            if seen.insert(id) {
                open.extend(self.parents(id));
            }
        }
        false
    }

    /// The item at a path: `/a/b` from the user's root, `/shared/…` among what others shared, or `id:` and an item's id.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn find(&self, path: &str) -> Result<String, PathError> {
        if let Some(id) = path.strip_prefix("id:") {
            return Ok(id.to_owned());
        }
        let mut at = Place::Item(self.root.clone());
        let mut walked = String::new();
        for (index, part) in parts(path)?.into_iter().enumerate() {
            walked.push('/');
            walked.push_str(part);
            let named: Vec<&Item> = match &at {
                Place::Item(id) => self.children(id),
                Place::Shared => self.shared(),
            };
            let found: Vec<&Item> =
                named.into_iter().filter(|item| item.name.as_deref() == Some(part)).collect();
            at = match found.as_slice() {
                [item] => Place::Item(item.id.clone()),
                [] if index == 0 && part == SHARED => Place::Shared,
                [] => return Err(PathError::NotFound { path: walked }),
                several => {
                    let ids = several.iter().map(|item| format!("id:{}", item.id)).collect();
                    return Err(PathError::Ambiguous { path: walked, ids });
                }
            };
        }
        match at {
            Place::Item(id) => Ok(id),
            Place::Shared => Err(PathError::NotFound { path: walked }),
        }
    }

    /// Everything below an item, or, without one, below the root and among what others shared.
    #[must_use]
    pub fn entries(&self, from: Option<&str>) -> Vec<Entry> {
        let mut entries = Vec::new();
        match from {
            Some(id) => self.walk(id, "", 0, &mut BTreeSet::new(), &mut entries),
            None => {
                self.walk(&self.root, "", 0, &mut BTreeSet::new(), &mut entries);
                let shared = self.shared();
                if !shared.is_empty() {
                    for item in shared {
                        self.enter(item, &format!("/{SHARED}"), 1, &mut BTreeSet::new(), &mut entries);
                    }
                }
            }
        }
        entries
    }

    fn walk<'a>(
        &'a self,
        id: &'a str,
        path: &str,
        depth: usize,
        above: &mut BTreeSet<&'a str>,
        entries: &mut Vec<Entry>,
    ) {
        // A cycle, as two clients can make one at once, is shown once.
        if depth >= DEPTH_MAX || !above.insert(id) {
            return;
        }
        for child in self.children(id) {
            self.enter(child, path, depth, above, entries);
        }
        above.remove(id);
    }

    fn enter<'a>(
        &'a self,
        item: &'a Item,
        path: &str,
        depth: usize,
        above: &mut BTreeSet<&'a str>,
        entries: &mut Vec<Entry>,
    ) {
        let path = format!("{path}/{}", item.name.as_deref().unwrap_or(&item.id));
        entries.push(Entry {
            path: path.clone(),
            depth,
            item_id: item.id.clone(),
            object_type: Some(item.object_type.clone()),
            owner_id: item.owner_id.clone(),
        });
        self.walk(&item.id, &path, depth + 1, above, entries);
    }
}

/// The name under which what others shared is found, unless the root has an item of that name.
pub const SHARED: &str = "shared";

enum Place {
    Item(String),
    Shared,
}

/// The parts of a path; none for `/`.
///
/// # Errors
/// [`PathError::Malformed`].
pub fn parts(path: &str) -> Result<Vec<&str>, PathError> {
    let malformed = || PathError::Malformed { path: path.to_owned() };
    let rest = path.strip_prefix('/').ok_or_else(malformed)?;
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let parts: Vec<&str> = rest.split('/').collect();
    if parts.len() <= DEPTH_MAX && parts.iter().all(|part| is_name(part)) {
        Ok(parts)
    } else {
        Err(malformed())
    }
}

/// The path of what a path's last part lies in, and that part; `None`: it is the root.
///
/// # Errors
/// [`PathError::Malformed`].
pub fn split(path: &str) -> Result<Option<(String, &str)>, PathError> {
    let parts = parts(path)?;
    Ok(parts.split_last().map(|(name, above)| (format!("/{}", above.join("/")), *name)))
}

#[cfg(test)]
mod tests {
    use vfs_core::client::{LocalOperation, Options};
    use vfs_core::{OpType, Timestamp};

    use super::*;

    fn item(id: &str, name: &str, owner: &str) -> Item {
        let owner_id = Some(owner.to_owned());
        Item { id: id.to_owned(), object_type: "file".to_owned(), owner_id, name: Some(name.to_owned()) }
    }

    fn tree(links: &[(OpType, &str, &str)], items: Vec<Item>) -> Tree {
        let mut client = Client::new(Options::new("ada", "desk").unwrap());
        let now = Timestamp::from_millisecond(1_771_099_200_000).unwrap();
        for (op_type, parent, child) in links {
            client.queue_local_operation(&LocalOperation::link(*op_type, parent, child), now).unwrap();
        }
        Tree::new(&client, items)
    }

    const ADD: OpType = OpType::LinkAdd;

    #[test]
    fn a_path_is_followed_from_the_root_and_among_what_others_shared() {
        let items = vec![item("d", "docs", "ada"), item("a", "a.txt", "ada"), item("s", "team", "bob")];
        let tree = tree(&[(ADD, "vfs-root:ada", "d"), (ADD, "d", "a")], items);
        assert_eq!(tree.find("/"), Ok("vfs-root:ada".to_owned()));
        assert_eq!(tree.find("/docs/a.txt"), Ok("a".to_owned()));
        assert_eq!(tree.find("/shared/team/"), Ok("s".to_owned()));
        assert_eq!(tree.find("id:x"), Ok("x".to_owned()));
        assert_eq!(tree.find("/docs/b"), Err(PathError::NotFound { path: "/docs/b".to_owned() }));
        for path in ["", "docs", "//", "/a//b", "/../x", "/a/./b", "/a\nb"] {
            assert!(matches!(tree.find(path), Err(PathError::Malformed { .. })), "{path:?}");
        }
        let paths: Vec<String> = tree.entries(None).into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, ["/docs", "/docs/a.txt", "/shared/team"]);
    }

    #[test]
    fn two_items_of_one_name_are_told_apart_by_their_ids() {
        let items = vec![item("a", "x", "ada"), item("b", "x", "ada")];
        let tree = tree(&[(ADD, "vfs-root:ada", "a"), (ADD, "vfs-root:ada", "b")], items);
        let ids = vec!["id:a".to_owned(), "id:b".to_owned()];
        assert_eq!(tree.find("/x"), Err(PathError::Ambiguous { path: "/x".to_owned(), ids }));
    }

    #[test]
    fn a_cycle_is_shown_once_and_what_was_taken_away_is_not() {
        let items = vec![item("a", "a", "ada"), item("b", "b", "ada"), item("c", "c", "ada")];
        let links = [
            (ADD, "vfs-root:ada", "a"),
            (ADD, "a", "b"),
            (ADD, "b", "a"),
            (ADD, "a", "c"),
            (OpType::LinkRemove, "a", "c"),
        ];
        let tree = tree(&links, items);
        let paths: Vec<String> = tree.entries(None).into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, ["/a", "/a/b", "/a/b/a"]);
        assert!(tree.holds("a", "b") && tree.holds("b", "a") && !tree.holds("a", "c"));
    }

    #[test]
    fn metadata_of_another_program_have_no_name() {
        assert_eq!(name_of(&metadata("ä b")), Some("ä b".to_owned()));
        for other in
            ["", "{}", "[]", "{\"name\":1}", "{\"name\":\"a/b\"}", "{\"name\":\" \"}", "{\"name\":\"..\"}"]
        {
            assert_eq!(name_of(other), None, "{other}");
        }
    }
}
