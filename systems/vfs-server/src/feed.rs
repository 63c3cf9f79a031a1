//! The feeds: one order for both, how far it has come, and who may read what of it.

mod changes;
mod epoch;
mod ground;
mod news;
mod pulse;
mod way;

pub use changes::{ChangePage, pull_changes};
pub use epoch::{Begun, EpochStatus, begin, status};
pub use ground::{Feed, Gone, Ground, ground, ground_ready};
pub use news::{News, news};
pub use pulse::Pulse;

use vfs_core::{Cursor, Timestamp};

/// Where reading begins that has no cursor: before everything.
pub(crate) fn start_of(cursor: Option<&Cursor>) -> (jiff::Timestamp, &str) {
    match cursor {
        Some(cursor) => (cursor.changed_at.into(), cursor.change_id.as_str()),
        None => (Timestamp::MIN.into(), ""),
    }
}

pub(crate) use ground::time;
pub(crate) use way::{Pages, Reader, among_next};
