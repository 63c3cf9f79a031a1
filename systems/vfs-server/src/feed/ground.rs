//! What a cursor is held against: how far the feeds have come, where epochs began, what was compacted away.

use tidegate_store::postgres::{Failure, Ready, Session, Type};
use vfs_core::{Cursor, Position, Timestamp};

use crate::db::column;
use crate::http::ApiError;

/// Which feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Operations.
    Operations,
    /// Changes of objects.
    Objects,
}

/// How the feeds stand, as far as a cursor is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The epoch.
    pub epoch: i32,
    /// The newest number.
    pub seq: i64,
    /// The time of the newest row.
    pub at: Timestamp,
    /// Operations up to this number may be gone.
    pub horizon: i64,
    /// Where the epoch began that follows the cursor's, if one does.
    pub next_began_after: Option<i64>,
    /// The time of the last row up to the cursor's number, of either feed; `None`: there is none, or no number.
    pub at_or_before: Option<Timestamp>,
    /// The time of the first row from the cursor's number on.
    pub at_or_after: Option<Timestamp>,
}

/// Why reading cannot go on from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The history that the cursor is of was replaced.
    #[error("The feed epoch has changed and this cursor is not part of it; re-materialization required")]
    EpochChanged,
    /// This server has not come so far.
    #[error("The cursor is ahead of the feed; re-materialization required")]
    Ahead,
    /// The cursor's number was given to another row: the feed was set back, and nobody began an epoch.
    #[error("The feed was set back and this cursor is not part of it; re-materialization required")]
    SetBack,
    /// What follows the cursor may have been compacted away.
    #[error("CRDT cursor is older than retained history; re-materialization required")]
    Compacted,
}

impl Gone {
    /// What programs tell it by.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Gone::EpochChanged => "feed_epoch_changed",
            Gone::Ahead => "cursor_ahead",
            Gone::SetBack => "feed_set_back",
            Gone::Compacted => "crdt_rematerialization_required",
        }
    }

    /// The answer: 409.
    #[must_use]
    pub fn refusal(self, epoch: i32) -> ApiError {
        ApiError::conflict(self.to_string()).coded(self.code()).of_epoch(epoch)
    }
}

impl Ground {
    /// The cursor that stands at the newest row of either feed.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let epoch = u16::try_from(self.epoch).unwrap_or_default();
        Position { epoch, seq: u64::try_from(self.seq).unwrap_or_default() }.at(self.at)
    }

    /// Whether reading a feed may go on from a cursor.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn judge(&self, feed: Feed, cursor: Option<&Cursor>) -> Result<(), Gone> {
        if let Some(cursor) = cursor {
            self.has(cursor)?;
        }
        if feed == Feed::Objects || self.horizon == 0 {
            return Ok(());
        }
        // A cursor that is no position of ours cannot be told from one behind the horizon.
        match cursor.and_then(|cursor| Position::parse(&cursor.change_id)) {
            Some(position) if i64::try_from(position.seq).is_ok_and(|seq| seq >= self.horizon) => Ok(()),
            _ => Err(Gone::Compacted),
        }
    }

    /// Whether a cursor is of this history, and not from its future.
    ///
    /// # Errors
    /// [`Gone::EpochChanged`], [`Gone::Ahead`], [`Gone::SetBack`].
    pub fn has(&self, cursor: &Cursor) -> Result<(), Gone> {
        if let Some(position) = Position::parse(&cursor.change_id) {
            let (epoch, seq) = (i32::from(position.epoch), i64::try_from(position.seq).unwrap_or(i64::MAX));
            let replaced = self.next_began_after.is_some_and(|began_after| seq > began_after);
            if epoch > self.epoch || (epoch < self.epoch && replaced) {
                return Err(Gone::EpochChanged);
            }
            if seq > self.seq {
                return Err(Gone::Ahead);
            }
        }
        if cursor.changed_at > self.at {
            return Err(Gone::Ahead);
        }
        // Times never fall from one number to the next, so that in one history the cursor's lies between its neighbours'.
        let is_too_early = self.at_or_before.is_some_and(|before| cursor.changed_at < before);
        let is_too_late = self.at_or_after.is_some_and(|after| cursor.changed_at > after);
        if is_too_early || is_too_late { Err(Gone::SetBack) } else { Ok(()) }
    }
}

/// Has the server prepare what [`ground`] asks, so that it is asked at once and in its turn.
///
/// # Errors
/// The database's.
pub async fn ground_ready(session: &Session) -> Result<Ready, Failure> {
    session.ready(include_str!("sql/ground.sql"), &[Type::INT4, Type::INT8]).await
}

/// Reads how the feeds stand for a cursor. Asked after the page that the cursor is for, so that nothing can be
/// compacted away unnoticed between the two.
///
/// # Errors
/// The database's.
pub async fn ground(session: &Session, cursor: Option<&Cursor>) -> Result<Ground, Failure> {
    let position = cursor.and_then(|cursor| Position::parse(&cursor.change_id));
    let epoch = position.map(|position| i32::from(position.epoch));
    let seq = position.and_then(|position| i64::try_from(position.seq).ok());
    let sql = include_str!("sql/ground.sql");
    let rows = session.query_prepared(sql, &[(&epoch, Type::INT4), (&seq, Type::INT8)]).await?;
    let row = rows.first().ok_or_else(|| Failure::unusable_answer("vfs_feed_head has no row"))?;
    Ok(Ground {
        epoch: column(row, 0)?,
        seq: column(row, 1)?,
        at: time(column(row, 2)?)?,
        horizon: column(row, 3)?,
        next_began_after: column(row, 4)?,
        at_or_before: neighbour(column(row, 5)?)?,
        at_or_after: neighbour(column(row, 6)?)?,
    })
}

fn neighbour(at: Option<jiff::Timestamp>) -> Result<Option<Timestamp>, Failure> {
    at.map(time).transpose()
}

/// A time of the database as one of ours; what is finer than a millisecond is cut off.
pub(crate) fn time(at: jiff::Timestamp) -> Result<Timestamp, Failure> {
    Timestamp::try_from(at).map_err(|error| Failure::unusable_answer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground {
            epoch: 2,
            seq: 900,
            at: "2026-02-14T20:00:00Z".parse().unwrap(),
            horizon: 0,
            next_began_after: Some(500),
            at_or_before: None,
            at_or_after: None,
        }
    }

    fn cursor(time: &str, id: &str) -> Cursor {
        Cursor::new(time.parse().unwrap(), id).unwrap()
    }

    fn at(epoch: u16, seq: u64) -> Cursor {
        cursor("2026-02-14T19:00:00Z", &Position { epoch, seq }.id())
    }

    #[test]
    fn a_cursor_of_replaced_history_is_told_from_one_that_is_shared() {
        let ground = ground();
        assert_eq!(ground.has(&at(1, 500)), Ok(()));
        assert_eq!(ground.has(&at(1, 501)), Err(Gone::EpochChanged));
        assert_eq!(ground.has(&at(1, 5_000)), Err(Gone::EpochChanged));
        assert_eq!(ground.has(&at(3, 1)), Err(Gone::EpochChanged));
        let current = Ground { next_began_after: None, ..ground };
        assert_eq!(current.has(&at(2, 900)), Ok(()));
        assert_eq!(current.has(&at(2, 901)), Err(Gone::Ahead));
    }

    #[test]
    fn a_cursor_from_the_future_is_ahead_whatever_its_id() {
        assert_eq!(ground().has(&cursor("2026-02-14T20:00:00Z", "op-1")), Ok(()));
        assert_eq!(ground().has(&cursor("2026-02-14T20:00:00.001Z", "op-1")), Err(Gone::Ahead));
        assert_eq!(
            ground().has(&cursor("9999-01-01T00:00:00Z", &Position { epoch: 1, seq: 1 }.id())),
            Err(Gone::Ahead)
        );
    }

    #[test]
    fn a_cursor_whose_number_was_given_anew_is_not_of_this_history() {
        let time = |text: &str| -> Option<Timestamp> { Some(text.parse().unwrap()) };
        let (early, late) = (time("2026-02-14T18:59:59.999Z"), time("2026-02-14T19:00:00.001Z"));
        let same = time("2026-02-14T19:00:00Z");
        let has = |at_or_before, at_or_after| {
            Ground { next_began_after: None, at_or_before, at_or_after, ..ground() }.has(&at(2, 700))
        };
        for (before, after) in [(None, None), (early, late), (early, None), (None, late), (same, same)] {
            assert_eq!(has(before, after), Ok(()), "{before:?} {after:?}");
        }
        for (before, after) in [(late, None), (late, late), (None, early), (early, early)] {
            assert_eq!(has(before, after), Err(Gone::SetBack), "{before:?} {after:?}");
        }
    }

    #[test]
    fn behind_the_horizon_only_objects_are_read_on() {
        let ground = Ground { horizon: 100, next_began_after: None, epoch: 1, ..ground() };
        for behind in [None, Some(at(1, 99)), Some(cursor("2026-02-14T19:00:00Z", "op-1"))] {
            assert_eq!(ground.judge(Feed::Operations, behind.as_ref()), Err(Gone::Compacted));
            assert_eq!(ground.judge(Feed::Objects, behind.as_ref()), Ok(()));
        }
        assert_eq!(ground.judge(Feed::Operations, Some(&at(1, 100))), Ok(()));
        assert_eq!(ground.judge(Feed::Operations, Some(&at(1, 901))), Err(Gone::Ahead));
    }
}
