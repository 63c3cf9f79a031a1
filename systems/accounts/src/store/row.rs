//! Rows as they come from either schema.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;
use tidegate_store::postgres::Row;

use super::error::{StoreError, column};

/// The word for a row that is there.
pub const ACTIVE: &str = "active";
/// The word for a row that is gone.
pub const DELETED: &str = "deleted";

/// A user's active membership of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The membership's own id.
    pub member: String,
    /// The account.
    pub account: String,
    /// The account's name.
    pub name: String,
    /// `owner`, `member`, or another word.
    pub role: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the account last changed.
    pub updated_at: Timestamp,
}

impl Membership {
    pub(super) fn of(row: &Row) -> Result<Membership, StoreError> {
        Ok(Membership {
            member: column(row, 0)?,
            account: column(row, 1)?,
            name: column(row, 2)?,
            role: column(row, 3)?,
            created_at: column(row, 4)?,
            updated_at: column(row, 5)?,
        })
    }
}

/// An account as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The account.
    pub account_id: String,
    /// The same id, under its old name.
    pub workspace_id: String,
    /// What people see.
    pub name: String,
    /// The member's role.
    pub role: String,
    /// What the member may do, sorted.
    pub capabilities: Vec<String>,
    /// When the account was made.
    #[serde(serialize_with = "millis")]
    pub created_at: Timestamp,
    /// When the account last changed.
    #[serde(serialize_with = "millis")]
    pub updated_at: Timestamp,
}

/// A person whom an account looks after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// The account.
    #[serde(skip)]
    pub account: String,
    /// What people see.
    pub display_name: String,
    /// The picture. `None`: none.
    pub avatar_public_id: Option<String>,
    /// What names it within the account.
    pub user_key: String,
    /// The profile that it is bound to. `None`: none.
    pub profile_id: Option<String>,
    /// The key that it is bound to. `None`: none.
    pub identity_public_key: Option<String>,
    /// That key's fingerprint. `None`: no key.
    pub identity_key_fingerprint: Option<String>,
    /// [`ACTIVE`], [`DELETED`], or an old word.
    pub status: String,
    /// When it was made.
    #[serde(serialize_with = "millis")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(serialize_with = "millis")]
    pub updated_at: Timestamp,
}

impl Identity {
    pub(super) fn of(row: &Row) -> Result<Identity, StoreError> {
        Ok(Identity {
            id: column(row, 0)?,
            account: column(row, 1)?,
            display_name: column(row, 2)?,
            avatar_public_id: column(row, 3)?,
            user_key: column(row, 4)?,
            status: column(row, 5)?,
            profile_id: column(row, 6)?,
            identity_public_key: column(row, 7)?,
            identity_key_fingerprint: column(row, 8)?,
            created_at: column(row, 9)?,
            updated_at: column(row, 10)?,
        })
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.status == DELETED
    }
}

/// A book of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// Its id.
    pub id: String,
    /// The account.
    #[serde(skip)]
    pub account: String,
    /// Whose it is.
    pub managed_user_id: String,
    /// Which collection it is, without blanks around it.
    pub collection_id: String,
    /// What people see.
    pub name: String,
    /// [`ACTIVE`], [`DELETED`], or an old word.
    pub status: String,
    /// Version of the newest snapshot; 0: none yet.
    pub current_version: i64,
    /// When it was made.
    #[serde(serialize_with = "millis")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(serialize_with = "millis")]
    pub updated_at: Timestamp,
}

impl Book {
    pub(super) fn of(row: &Row) -> Result<Book, StoreError> {
        let collection: String = column(row, 3)?;
        Ok(Book {
            id: column(row, 0)?,
            account: column(row, 1)?,
            managed_user_id: column(row, 2)?,
            collection_id: collection_or_primary(&collection),
            name: column(row, 4)?,
            status: column(row, 5)?,
            current_version: column(row, 6)?,
            created_at: column(row, 7)?,
            updated_at: column(row, 8)?,
        })
    }
}

/// A saved state of a book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// From 1.
    pub version: i64,
    /// Where the content is.
    pub object_key: String,
    /// SHA-256 of the content as stored, in hexadecimal.
    pub sha256: String,
    /// The head of the book's ledger. `None`: not told.
    pub ledger_head: Option<String>,
    /// The content. `None`: it is elsewhere.
    pub payload: Option<Json>,
    /// When it was saved.
    #[serde(serialize_with = "millis")]
    pub created_at: Timestamp,
}

impl Snapshot {
    pub(super) fn of(row: &Row) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            id: column(row, 0)?,
            version: column(row, 1)?,
            object_key: column(row, 2)?,
            sha256: column(row, 3)?,
            ledger_head: column(row, 4)?,
            payload: column(row, 5)?,
            created_at: column(row, 6)?,
        })
    }
}

/// The name of a collection without blanks around it; `primary` where it is blank.
#[must_use]
pub fn collection_or_primary(name: &str) -> String {
    let name = name.trim();
    if name.is_empty() { "primary".to_owned() } else { name.to_owned() }
}

/// A moment to the millisecond, in UTC.
fn millis<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}
