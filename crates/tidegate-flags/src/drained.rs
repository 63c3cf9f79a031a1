//! Who has not drained yet.

use std::fmt;
use std::time::Duration;

use tidegate_store::postgres::{Session, Type};
use uuid::Uuid;

use crate::answer::{found, milliseconds, signed, unsigned, value};
use crate::error::FlagsError;

/// Why an epoch is not drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// An instance has requests open that began before, or has not seen the epoch yet.
    Behind {
        /// Who.
        instance: Instance,
        /// The epoch that its new requests get.
        seen_epoch: u64,
        /// None of its open requests has an older one.
        drained_epoch: u64,
    },
    /// An instance's environment contradicts the row.
    Override {
        /// Who.
        instance: Instance,
        /// What contradicts.
        contradiction: String,
    },
    /// The set is so young that an instance which has not found it yet may still serve by its environment.
    Unheard {
        /// So long until it would have found it, or refuses by itself.
        left: Duration,
    },
}

/// An instance of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Drawn anew at every start.
    pub id: Uuid,
    /// What it calls itself.
    pub name: String,
    /// The host; empty: unknown.
    pub host: String,
    /// The application's version.
    pub version: String,
    /// How long ago its last sign of life was.
    pub silent_for: Duration,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {} ({}", self.name, self.version)?;
        if !self.host.is_empty() {
            write!(f, ", on {}", self.host)?;
        }
        write!(f, ", last heard {} ms ago)", self.silent_for.as_millis())
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocker::Behind { instance, seen_epoch, drained_epoch } => write!(
                f,
                "{instance} has seen epoch {seen_epoch} and still serves requests of epoch {drained_epoch}"
            ),
            Blocker::Override { instance, contradiction } => {
                write!(
                    f,
                    "{instance} was started with an environment that contradicts the row: {contradiction}"
                )
            }
            Blocker::Unheard { left } => write!(
                f,
                "the flag set is new: instances that have not found it yet may serve by their environment for \
                 another {} ms",
                left.as_millis()
            ),
        }
    }
}

/// What keeps an epoch from being drained, at most [`crate::LISTED_MAX`]; empty: nothing does.
///
/// An instance that has been silent for `lost_after`, or for its own time if that is longer, is gone and does not
/// count: it refuses requests by itself before. After the first move of a set, an instance that could not reach the
/// database since the declaration counts as still there until it has been silent for so long.
///
/// # Errors
/// [`FlagsError::NotInstalled`], or the server's.
pub async fn undrained(
    session: &Session,
    name: &str,
    epoch: u64,
    lost_after: Duration,
) -> Result<Vec<Blocker>, FlagsError> {
    let lost_after_ms = milliseconds(lost_after);
    let mut blockers = Vec::new();
    let young = session
        .query(include_str!("sql/unheard.sql"), &[(&name, Type::TEXT), (&lost_after_ms, Type::INT8)])
        .await;
    if let Some(row) = found(young)?.first() {
        let left: i64 = value(row, 0, "a flag set")?;
        if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
            blockers.push(Blocker::Unheard { left: Duration::from_millis(left) });
        }
    }
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 3] =
        [(&name, Type::TEXT), (&signed(epoch), Type::INT8), (&lost_after_ms, Type::INT8)];
    let what = "an instance";
    for row in found(session.query(include_str!("sql/undrained.sql"), &parameters).await)? {
        let instance = Instance {
            id: value(&row, 0, what)?,
            name: value(&row, 1, what)?,
            host: value(&row, 2, what)?,
            version: value(&row, 3, what)?,
            silent_for: Duration::from_millis(unsigned(&row, 7, what)?),
        };
        let (seen_epoch, drained_epoch) = (unsigned(&row, 4, what)?, unsigned(&row, 5, what)?);
        let contradiction: Option<String> = value(&row, 6, what)?;
        blockers.push(match contradiction {
            Some(contradiction) => Blocker::Override { instance, contradiction },
            None => Blocker::Behind { instance, seen_epoch, drained_epoch },
        });
    }
    blockers.truncate(crate::LISTED_MAX);
    Ok(blockers)
}
