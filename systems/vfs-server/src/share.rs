//! Shares: who else may see an item, kept as entries of access.

mod ending;
mod query;
mod write;

pub use ending::tell_ended;
pub(crate) use ending::watch_ends;
pub use query::{Listed, Target, list, search};
pub use write::{change, share, share_between_organizations, take_back};

use serde::Serialize;
use tidegate_store::postgres::{Failure, Row};
use vfs_core::{AccessLevel, PrincipalType, Timestamp};

use crate::db::column;
use crate::feed::time;

/// Stands before the id of an entry that is a share.
pub const SHARE_PREFIX: &str = "share:";
/// Stands before the id of an entry that is a share between organizations; the source's id and a colon follow.
pub const ORG_SHARE_PREFIX: &str = "org-share:";

/// What a share permits, in the words of this interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// To look.
    View,
    /// To look and to change.
    Edit,
    /// To look and to take a copy.
    Download,
}

impl Permission {
    /// Reads its word; `None`: it is another.
    #[must_use]
    pub fn parse(word: &str) -> Option<Permission> {
        match word {
            "view" => Some(Permission::View),
            "edit" => Some(Permission::Edit),
            "download" => Some(Permission::Download),
            _ => None,
        }
    }

    /// The level of access that it is kept as. That a copy may be taken is not kept.
    #[must_use]
    pub fn level(self) -> AccessLevel {
        match self {
            Permission::View | Permission::Download => AccessLevel::Read,
            Permission::Edit => AccessLevel::Write,
        }
    }

    fn of(level: AccessLevel) -> Permission {
        match level {
            AccessLevel::Read => Permission::View,
            AccessLevel::Write | AccessLevel::Admin => Permission::Edit,
        }
    }
}

/// A share to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShare<'a> {
    /// What it is shared with.
    pub with: PrincipalType,
    /// Whom it is shared with.
    pub target_id: &'a str,
    /// What they may do.
    pub permission: Permission,
    /// Until when; `None`: until it is taken back.
    pub expires_at: Option<Timestamp>,
    /// The item's key, wrapped for them; `None`: not yet.
    pub wrapped_session_key: Option<&'a str>,
}

/// What changes of a share. `None`: it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareChange {
    /// What they may do.
    pub permission: Option<Permission>,
    /// Until when; the inner `None`: until it is taken back.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Its id.
    pub id: String,
    /// The item.
    pub item_id: String,
    /// What it is shared with.
    pub share_type: PrincipalType,
    /// Whom it is shared with.
    pub target_id: String,
    /// What they are called; `None`: they are gone, or have no name.
    pub target_name: Option<String>,
    /// What they may do.
    pub permission_level: Permission,
    /// Who shared it; `None`: not known.
    pub created_by: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `None`: until it is taken back.
    pub expires_at: Option<Timestamp>,
}

impl Share {
    /// Reads columns id, item, principal's type and id, name, level, grantor, created, expires.
    fn read(row: &Row) -> Result<Share, Failure> {
        let word = |at| column::<String>(row, at);
        let (share_type, level) = (word(2)?, word(5)?);
        let expires_at: Option<jiff::Timestamp> = column(row, 8)?;
        Ok(Share {
            id: word(0)?,
            item_id: word(1)?,
            share_type: PrincipalType::parse(&share_type)
                .ok_or_else(|| Failure::unusable_answer("principal_type is not known"))?,
            target_id: word(3)?,
            target_name: column(row, 4)?,
            permission_level: AccessLevel::parse(&level)
                .map(Permission::of)
                .ok_or_else(|| Failure::unusable_answer("access_level is not known"))?,
            created_by: column(row, 6)?,
            created_at: time(column(row, 7)?)?,
            expires_at: expires_at.map(time).transpose()?,
        })
    }
}
