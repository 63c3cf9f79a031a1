//! What an account is made of, in either schema, behind one set of functions.
//!
//! A [`Store`] is one schema. Functions that only read take it and a session; functions that change something take a
//! [`crate::Write`], which knows the schema to write first and copies the outcome to the other one. `None` says that
//! what was asked for is not there, or not the asker's to see.

mod account;
mod book;
mod error;
mod identity;
mod pixbook;
mod row;
mod snapshot;
mod statements;

pub use account::{Capability, Ensured, User, ensure_workspace, rename_workspace};
pub use book::{NewBook, RemovedBook, create_book, remove_book, update_book};
pub use error::StoreError;
pub use identity::{
    AvatarChange, IdentityChange, NewIdentity, Removed, Reset, create_identity, remove_identity,
    reset_identities, update_identity,
};
pub use pixbook::{Pixbook, PixbookWanted, ensure_personal_pixbook};
pub use row::{ACTIVE, Book, DELETED, Identity, Membership, Snapshot, Summary, collection_or_primary};
pub use snapshot::{NewSnapshot, save_snapshot};

pub(crate) use account::enter;
pub(crate) use error::column;

use statements::{Statements, V1, V2};
use tidegate_switch::Side;

/// One of the two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store(Side);

impl Store {
    /// The schema of a side.
    #[must_use]
    pub fn of(side: Side) -> Store {
        Store(side)
    }

    pub(crate) fn statements(self) -> &'static Statements {
        match self.0 {
            Side::Old => &V1,
            Side::New => &V2,
        }
    }
}
