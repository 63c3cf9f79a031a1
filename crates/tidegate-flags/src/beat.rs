//! An instance's signs of life.

use std::time::Duration;

use tidegate_store::postgres::{Session, Type};
use uuid::Uuid;

use crate::answer::{found, milliseconds, signed, unsigned};
use crate::enter::{Entered, from_row};
use crate::error::FlagsError;

/// What an instance says of itself.
#[derive(Debug, Clone)]
pub struct Beat<'a> {
    /// The set it obeys.
    pub set: &'a str,
    /// Drawn anew at every start.
    pub instance: Uuid,
    /// What it calls itself.
    pub name: &'a str,
    /// The host; empty: unknown.
    pub host: &'a str,
    /// The application's version.
    pub version: &'a str,
    /// After so much silence it is gone; it refuses requests by itself before.
    pub lost_after: Duration,
    /// The epoch that new requests get; 0: none yet.
    pub seen_epoch: u64,
    /// No open request got an older epoch; 0: none yet.
    pub drained_epoch: u64,
    /// How its environment contradicts the row.
    pub contradiction: Option<&'a str>,
    /// A sign that says nothing new is written down only when the last one is older than this.
    pub rewrite_after: Duration,
}

/// What the database says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatAnswer {
    /// The row that rules.
    pub row: Entered,
    /// How old the sign of life is that stands in the database.
    pub age: Duration,
}

/// Gives a sign of life and asks which row rules; `None`: the set is not declared. Outside of a transaction.
///
/// It is committed without waiting for the disk: what a crash of the server loses, the next sign says again.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn beat(session: &Session, beat: &Beat<'_>) -> Result<Option<BeatAnswer>, FlagsError> {
    let asked = session
        .query(
            include_str!("sql/beat.sql"),
            &[
                (&beat.set, Type::TEXT),
                (&beat.instance, Type::UUID),
                (&beat.name, Type::TEXT),
                (&beat.host, Type::TEXT),
                (&beat.version, Type::TEXT),
                (&milliseconds(beat.lost_after).max(1), Type::INT8),
                (&signed(beat.seen_epoch), Type::INT8),
                (&signed(beat.drained_epoch), Type::INT8),
                (&beat.contradiction, Type::TEXT),
                (&milliseconds(beat.rewrite_after), Type::INT8),
            ],
        )
        .await;
    let rows = found(asked)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(entered) = from_row(row)? else { return Ok(None) };
    let age = Duration::from_millis(unsigned(row, 5, "a sign of life")?);
    Ok(Some(BeatAnswer { row: entered, age }))
}

/// Says that the instance has ended: nobody waits for it any more.
///
/// # Idempotence
/// Leaving twice is success.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn leave(session: &Session, set: &str, instance: Uuid) -> Result<(), FlagsError> {
    let sql = "SELECT tidegate.flag_leave($1, $2)";
    found(session.query(sql, &[(&set, Type::TEXT), (&instance, Type::UUID)]).await)?;
    Ok(())
}
