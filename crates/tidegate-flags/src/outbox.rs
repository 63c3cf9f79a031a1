//! Writes that the other side has not got yet, where both sides do not share a server.
//!
//! The primary's transaction notes each write down ([`put`]). Somebody takes the oldest of each key ([`take`]), gives
//! it to the other side, where [`apply`] tells a second delivery, and removes it ([`done`]).

use std::time::Duration;

use tidegate_store::postgres::{Session, Type};

use crate::answer::{found, milliseconds, side, signed, unsigned, value};
use crate::error::FlagsError;
use crate::stage::Side;

/// Writes that one [`take`] returns at most.
pub const TAKEN_MAX: u32 = 1000;

/// A write to be noted down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put<'a> {
    /// The side that has yet to get it.
    pub side: Side,
    /// What kind of record it is, such as a table's name.
    pub record: &'a str,
    /// The record's key as text.
    pub key: &'a str,
    /// The whole record as text after the write; `None`: it is gone.
    pub payload: Option<&'a str>,
    /// The epoch under which it was written; 0: under the environment.
    pub epoch: u64,
}

/// A write that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Grows in commit order for each key.
    pub id: i64,
    /// The side that has yet to get it.
    pub side: Side,
    /// What kind of record it is.
    pub record: String,
    /// The record's key as text.
    pub key: String,
    /// The whole record as text after the write; `None`: it is gone.
    pub payload: Option<String>,
    /// The epoch under which it was written; 0: under the environment.
    pub epoch: u64,
    /// How often the other side has refused it.
    pub attempts: u32,
}

/// How far the other side is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behind {
    /// Writes that it has not got.
    pub writes: u64,
    /// Records that differ because of that.
    pub keys: u64,
    /// Writes that it has refused at least once.
    pub refused: u64,
    /// The age of the oldest; `None`: there is none.
    pub oldest: Option<Duration>,
}

/// Notes a write down, in the transaction that wrote. Returns its number.
///
/// Whoever notes down the same key waits until this transaction ends.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn put(session: &Session, set: &str, write: &Put<'_>) -> Result<i64, FlagsError> {
    let asked = session
        .query(
            "SELECT tidegate.flag_outbox_put($1, $2, $3, $4, $5, $6)",
            &[
                (&set, Type::TEXT),
                (&write.side.name(), Type::TEXT),
                (&write.record, Type::TEXT),
                (&write.key, Type::TEXT),
                (&write.payload, Type::TEXT),
                (&signed(write.epoch), Type::INT8),
            ],
        )
        .await;
    only(&found(asked)?, 0)
}

/// Takes the oldest write of each key, in order, at most `most` and [`TAKEN_MAX`]; they stay taken until the
/// transaction ends, and what others took is left out. One that was refused less than `pause` ago is left alone, and
/// so are the later ones of its key.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn take(
    session: &Session,
    set: &str,
    most: u32,
    pause: Duration,
) -> Result<Vec<Taken>, FlagsError> {
    let sql =
        "SELECT id, side, record, key, payload, epoch, attempts FROM tidegate.flag_outbox_take($1, $2, $3)";
    let most = i32::try_from(most.min(TAKEN_MAX)).unwrap_or(i32::MAX);
    let asked = session
        .query(sql, &[(&set, Type::TEXT), (&most, Type::INT4), (&milliseconds(pause), Type::INT8)])
        .await;
    let what = "a write of the outbox";
    found(asked)?
        .iter()
        .map(|row| {
            let attempts: i32 = value(row, 6, what)?;
            Ok(Taken {
                id: value(row, 0, what)?,
                side: side(value(row, 1, what)?)?,
                record: value(row, 2, what)?,
                key: value(row, 3, what)?,
                payload: value(row, 4, what)?,
                epoch: unsigned(row, 5, what)?,
                attempts: u32::try_from(attempts).unwrap_or(0),
            })
        })
        .collect()
}

/// Removes writes that the other side has got. Returns how many there were.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn done(session: &Session, ids: &[i64]) -> Result<u64, FlagsError> {
    let sql = "SELECT tidegate.flag_outbox_done($1)";
    let rows = found(session.query(sql, &[(&ids, Type::INT8_ARRAY)]).await)?;
    rows.first().map_or(Ok(0), |row| unsigned(row, 0, "a count"))
}

/// Notes down that the other side refused a write: it stays.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn refused(session: &Session, id: i64, why: &str) -> Result<(), FlagsError> {
    let sql = "SELECT tidegate.flag_outbox_refused($1, $2)";
    found(session.query(sql, &[(&id, Type::INT8), (&why, Type::TEXT)]).await)?;
    Ok(())
}

/// Whether a write is new to this database, which is the other side's; it is noted down in the transaction that
/// applies it. `source` names the outbox that it came from.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn apply(session: &Session, source: &str, write: &Taken) -> Result<bool, FlagsError> {
    let asked = session
        .query(
            "SELECT tidegate.flag_outbox_apply($1, $2, $3, $4)",
            &[
                (&source, Type::TEXT),
                (&write.record, Type::TEXT),
                (&write.key, Type::TEXT),
                (&write.id, Type::INT8),
            ],
        )
        .await;
    only(&found(asked)?, 0)
}

/// How far the other side is behind.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn behind(session: &Session, set: &str) -> Result<Behind, FlagsError> {
    let sql = "SELECT writes, keys, refused, oldest_ms FROM tidegate.flag_outbox_open($1)";
    let rows = found(session.query(sql, &[(&set, Type::TEXT)]).await)?;
    let Some(row) = rows.first() else { return Ok(Behind::default()) };
    let what = "the outbox";
    let oldest: Option<i64> = value(row, 3, what)?;
    Ok(Behind {
        writes: unsigned(row, 0, what)?,
        keys: unsigned(row, 1, what)?,
        refused: unsigned(row, 2, what)?,
        oldest: oldest.map(|age| Duration::from_millis(u64::try_from(age).unwrap_or(0))),
    })
}

/// How many writes the other side has not got yet.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn outbox_open(session: &Session, set: &str) -> Result<u64, FlagsError> {
    Ok(behind(session, set).await?.writes)
}

/// The one value of an answer.
fn only<T: for<'a> tidegate_store::postgres::FromSql<'a>>(
    rows: &[tidegate_store::postgres::Row],
    at: usize,
) -> Result<T, FlagsError> {
    let what = "an answer of the outbox";
    let row =
        rows.first().ok_or_else(|| FlagsError::Unreadable { what, why: "there is no row".to_owned() })?;
    value(row, at, what)
}
