//! The epoch of the server's feed: a server that was restored from a backup begins a new one.

use thiserror::Error;

use super::state::State;
use crate::position::Position;

/// What a reply says of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedEpoch {
    /// Which epoch it is, 1 and up.
    pub epoch: u16,
    /// The last position that this epoch took over from those before; `None`: not said.
    pub began_after_seq: Option<u64>,
}

/// The feed is not the one that this client has read. Nothing has changed, and what waits is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EpochError {
    /// The server was restored to before what the client has read.
    #[error(
        "the server's feed was restored (epoch {theirs}, here {ours}) and may lack what this client has read; \
         re-materialize to go on, the queue is kept"
    )]
    Ahead {
        /// The client's epoch.
        ours: u16,
        /// The server's.
        theirs: u16,
    },
    /// The server answers from an epoch that is over.
    #[error("the server answers from epoch {theirs} of its feed, which ended: here it is {ours}")]
    Ended {
        /// The client's epoch.
        ours: u16,
        /// The server's.
        theirs: u16,
    },
    /// The server gives positions anew that this client has read: it was set back, and nobody began an epoch.
    #[error(
        "the server's feed was set back: it tells {told} after {read}, which was read here, and may lack more of it; \
         re-materialize to go on, the queue is kept"
    )]
    SetBack {
        /// What was read here.
        read: Position,
        /// What the server tells after it.
        told: Position,
    },
}

impl EpochError {
    /// What whoever sees it should do.
    #[must_use]
    pub const fn next_action(self) -> &'static str {
        match self {
            Self::SetBack { .. } => {
                "have whoever runs the server begin a new epoch of its feed; export the state, then re-materialize: \
                 what waits is kept and pushed again"
            }
            Self::Ahead { .. } => {
                "export the state, then re-materialize: what waits is kept and pushed again"
            }
            Self::Ended { .. } => {
                "look for a server that was left behind by a restore, and take it out of service"
            }
        }
    }
}

/// Whether a client may go on with a feed, and which epoch it then has read.
pub(super) fn check(state: &State, feed: Option<FeedEpoch>) -> Result<Option<u16>, EpochError> {
    let place = state.cursor().and_then(|cursor| Position::parse(&cursor.change_id));
    let known = state.feed_epoch.or(place.map(|place| place.epoch));
    let Some(feed) = feed else { return Ok(state.feed_epoch) };
    let (Some(ours), theirs) = (known, feed.epoch) else { return Ok(Some(feed.epoch)) };
    if theirs < ours {
        return Err(EpochError::Ended { ours, theirs });
    }
    let was_taken_over = match (place, feed.began_after_seq) {
        // Of two restores and more only the last is known: what was read may have been lost in one before.
        (Some(place), Some(began_after)) => theirs == ours.saturating_add(1) && place.seq <= began_after,
        _ => state.cursor().is_none(),
    };
    if theirs == ours || was_taken_over { Ok(Some(theirs)) } else { Err(EpochError::Ahead { ours, theirs }) }
}
