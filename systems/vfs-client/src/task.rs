//! What is asked of the server beside operations: items registered, names, blobs, shares.
//!
//! Each task can be asked again after an answer that was lost: the server answers an identical repeat as it did the
//! first time. Ids are made here, so that the repeat is identical.

use serde::{Deserialize, Serialize};
use vfs_core::{PrincipalType, RelationKind};

/// Names a task in its client's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TaskId(pub i64);

/// Something to ask of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Task {
    /// An item is to be the user's.
    Register {
        /// Its id.
        item_id: String,
        /// What it is.
        object_type: String,
        /// What clients know of it.
        metadata: String,
    },
    /// What clients know of an item is to be this.
    SetMetadata {
        /// Which.
        item_id: String,
        /// What they know.
        metadata: String,
    },
    /// A blob is to be stored and attached to an item.
    Attach(Attach),
    /// A stage that was begun for nothing is to be given up.
    Abandon {
        /// Which.
        staging_id: String,
    },
    /// An item is to be shared.
    Share {
        /// Which.
        item_id: String,
        /// With whom.
        with: Principal,
        /// `view`, `edit` or `download`.
        permission: String,
    },
    /// A share of an item is to be taken back.
    Unshare {
        /// Of which.
        item_id: String,
        /// With whom it was shared.
        with: Principal,
    },
}

/// Somebody to share with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// What the id is of.
    pub kind: PrincipalType,
    /// Who.
    pub id: String,
}

/// A blob on its way to an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attach {
    /// To which.
    pub item_id: String,
    /// As what.
    pub relation_kind: RelationKind,
    /// The blob's id.
    pub blob_id: String,
    /// The file below the client's spool that has its bytes: a copy of its own, which nobody else changes. A name, so that
    /// it is found from every directory, and where the client's own is moved.
    pub bytes_file: String,
    /// How many there are.
    pub size_bytes: u64,
    /// What kind of bytes they are, as a media type.
    pub content_type: String,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a blob has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Progress {
    /// Its bytes are here only.
    Here,
    /// Its bytes are on the server.
    Uploaded,
    /// It is to be attached by this stage, which the server may have.
    Staged {
        /// Which.
        staging_id: String,
        /// Until when it can be attached, as ISO 8601.
        expires_at: String,
    },
}

impl Task {
    /// In a few words, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Register { item_id, object_type, .. } => format!("register {object_type} {item_id}"),
            Self::SetMetadata { item_id, .. } => format!("name {item_id}"),
            Self::Attach(attach) => {
                let progress = match attach.progress {
                    Progress::Here => "not uploaded yet",
                    Progress::Uploaded => "uploaded",
                    Progress::Staged { .. } => "staged",
                };
                format!(
                    "attach blob {} ({} bytes, {progress}) to {}",
                    attach.blob_id, attach.size_bytes, attach.item_id
                )
            }
            Self::Abandon { staging_id } => format!("abandon stage {staging_id}"),
            Self::Share { item_id, with, permission } => {
                format!("share {item_id} with {} {} to {permission}", with.kind.as_str(), with.id)
            }
            Self::Unshare { item_id, with } => {
                format!("take the share of {item_id} with {} {} back", with.kind.as_str(), with.id)
            }
        }
    }

    /// Whether operations may rest on it: it is asked before they are pushed.
    #[must_use]
    pub fn is_before_operations(&self) -> bool {
        matches!(self, Self::Register { .. })
    }
}

/// A task that waits, or that the server will not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingTask {
    /// By what it is named.
    pub id: TaskId,
    /// What is to be done.
    #[serde(flatten)]
    pub task: Task,
    /// Why the server will not. `None`: it has not said so.
    pub refusal: Option<String>,
}
