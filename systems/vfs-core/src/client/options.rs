//! How a client is made.

use thiserror::Error;

use super::rematerialize::REMATERIALIZATIONS_DEFAULT;
use crate::feed::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::id::{CLIENT_ID_UNITS_MAX, ClientId, UserId, trimmed};

/// Who a client is, and how it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whose client it is.
    pub user_id: UserId,
    /// Which of the user's clients; also the name of the replica that it writes as.
    pub client_id: ClientId,
    pub(super) pull_limit: u16,
    /// Whether the server remembers how far clients have come.
    pub reconciles: bool,
    /// How often one cycle takes the state anew by itself.
    pub rematerializations_max: u32,
}

/// Why a client cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// No user.
    #[error("userId is required")]
    UserId,
    /// No client.
    #[error("clientId is required")]
    ClientId,
    /// A client's id that is too long.
    #[error("clientId must be non-empty and at most 128 characters")]
    ClientIdLength,
    /// A `:` in a client's id.
    #[error("clientId must not include \":\"")]
    ClientIdColon,
    /// No item, or more than 500, a page.
    #[error("pullLimit must be an integer between 1 and 500")]
    PullLimit,
    /// An id that cannot be stored.
    #[error("userId or clientId is no id")]
    Id,
}

impl Options {
    /// A user's client that reads 100 items a page and tells the server how far it has come.
    ///
    /// # Errors
    /// What is wrong with the ids first.
    pub fn new(user_id: &str, client_id: &str) -> Result<Self, OptionsError> {
        if trimmed(user_id).is_empty() {
            return Err(OptionsError::UserId);
        }
        let client = trimmed(client_id);
        if client.is_empty() {
            return Err(OptionsError::ClientId);
        }
        if client.encode_utf16().count() > CLIENT_ID_UNITS_MAX {
            return Err(OptionsError::ClientIdLength);
        }
        if client.contains(':') {
            return Err(OptionsError::ClientIdColon);
        }
        Ok(Self {
            user_id: UserId::parse(user_id).map_err(|_| OptionsError::Id)?,
            client_id: ClientId::parse(client).map_err(|_| OptionsError::Id)?,
            pull_limit: u16::try_from(PAGE_ITEMS_DEFAULT).unwrap_or(u16::MAX),
            reconciles: true,
            rematerializations_max: REMATERIALIZATIONS_DEFAULT,
        })
    }

    /// The same with pages of `items`, 1 to 500.
    ///
    /// # Errors
    /// [`OptionsError::PullLimit`].
    pub fn pull_limit(mut self, items: usize) -> Result<Self, OptionsError> {
        if !(1..=PAGE_ITEMS_MAX).contains(&items) {
            return Err(OptionsError::PullLimit);
        }
        self.pull_limit = u16::try_from(items).map_err(|_| OptionsError::PullLimit)?;
        Ok(self)
    }
}
