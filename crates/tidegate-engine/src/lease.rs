//! The lease: one runner at a time, proven by an epoch that every step transaction locks.

use std::time::Duration;

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session, sessions};
use tokio_postgres::types::{ToSql, Type};

use crate::holder::{self, Holder};
use crate::journal::{signed, unsigned};

/// How long a taking waits for backends of the old holder to end.
const BACKENDS_GONE_WITHIN: Duration = Duration::from_secs(30);

/// How long a taking waits for backends of other logins, which it may not end.
const OTHERS_GONE_WITHIN: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The lease as another process sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaseInfo {
    /// The current epoch.
    pub epoch: u64,
    /// Who holds it; `None` if it is free.
    pub holder: Option<HolderInfo>,
}

/// Who holds the lease.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HolderInfo {
    /// The claimed name.
    pub actor: String,
    /// The host.
    pub host: String,
    /// The process.
    pub pid: i32,
    /// Held for so long.
    pub age: Duration,
    /// No sign of life for so long.
    pub silent: Duration,
    /// May be taken after so long; zero if it may be taken now.
    pub left: Duration,
    /// The process ran on this host and is gone.
    pub gone: bool,
}

impl std::fmt::Display for HolderInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on host {} (process {}), held for {} s, last sign of life {} s ago",
            self.actor,
            self.host,
            self.pid,
            self.age.as_secs(),
            self.silent.as_secs()
        )
    }
}

/// A lease that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The new epoch.
    pub epoch: u64,
    /// Backends of the holder before that were ended.
    pub ended_backends: u64,
}

/// The lease was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another runner holds it.
    #[error("another runner holds the lease: {0}")]
    Held(HolderInfo),
    /// It was taken by another in this moment.
    #[error("another runner took the lease in this moment")]
    Raced,
    /// The server refused or did not answer.
    #[error("the lease could not be asked for")]
    Store(#[from] Failure),
}

/// Reads the lease.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn read(session: &Session) -> Result<LeaseInfo, Failure> {
    let (info, _, _) = read_row(session).await?;
    Ok(info)
}

async fn read_row(session: &Session) -> Result<(LeaseInfo, String, String), Failure> {
    let rows = session.query(include_str!("lease/read.sql"), &[]).await?;
    let Some(row) = rows.first() else {
        return Ok((LeaseInfo { epoch: 0, holder: None }, String::new(), String::new()));
    };
    let boot: Option<String> = row.get("boot");
    let started: Option<String> = row.get("pid_started");
    let (boot, started) = (boot.unwrap_or_default(), started.unwrap_or_default());
    let seconds = |name: &str| {
        Duration::try_from_secs_f64(row.get::<_, Option<f64>>(name).unwrap_or(0.0).max(0.0))
            .unwrap_or_default()
    };
    let holder = row.get::<_, Option<String>>("holder").map(|actor| {
        let pid = row.get::<_, Option<i32>>("pid").unwrap_or(0);
        HolderInfo {
            actor,
            host: row.get::<_, Option<String>>("host").unwrap_or_default(),
            pid,
            age: seconds("age_seconds"),
            silent: seconds("silent_seconds"),
            left: seconds("left_seconds"),
            gone: holder::is_gone(&boot, pid, &started),
        }
    });
    Ok((LeaseInfo { epoch: unsigned(row.get("epoch")), holder }, boot, started))
}

/// Takes the lease if it is free, expired, or its holder's process is gone from this host.
///
/// Backends of the holder before are ended first: a client that died may have left one that goes on and commits.
///
/// # Errors
/// [`LeaseError::Held`] with what is known of the holder.
///
/// # Locks
/// The lease row, FOR UPDATE: waits for every transaction that holds the fence of the epoch before.
pub async fn take(session: &Session, me: &Holder, lasts: Duration) -> Result<Taken, LeaseError> {
    let found = read(session).await?;
    let mut gone = false;
    if let Some(holder) = &found.holder {
        if !holder.gone && !holder.left.is_zero() {
            return Err(LeaseError::Held(holder.clone()));
        }
        gone = holder.gone;
    }
    let ended_backends = end_backends_of(session, found.epoch).await?;
    let before = signed(found.epoch);
    let seconds = lasts.as_secs_f64();
    let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
        (&before, Type::INT8),
        (&me.actor, Type::TEXT),
        (&me.host, Type::TEXT),
        (&me.boot, Type::TEXT),
        (&me.pid, Type::INT4),
        (&me.pid_started, Type::TEXT),
        (&seconds, Type::FLOAT8),
        (&gone, Type::BOOL),
    ];
    let rows = session.query(include_str!("lease/take.sql"), &parameters).await?;
    match rows.first() {
        Some(row) => named(session, Taken { epoch: unsigned(row.get(0)), ended_backends }).await,
        None => match read(session).await?.holder {
            Some(holder) => Err(LeaseError::Held(holder)),
            None => Err(LeaseError::Raced),
        },
    }
}

/// Takes the lease anew from this very process, after a COMMIT whose answer was lost: waits for that transaction.
///
/// # Errors
/// As [`take`]; [`LeaseError::Raced`] if another took it meanwhile.
pub async fn retake(
    session: &Session,
    me: &Holder,
    epoch: u64,
    lasts: Duration,
) -> Result<Taken, LeaseError> {
    let found = read(session).await?;
    if found.epoch != epoch {
        return Err(found.holder.map_or(LeaseError::Raced, LeaseError::Held));
    }
    let ended_backends = end_backends_of(session, epoch).await?;
    let (before, seconds, force) = (signed(epoch), lasts.as_secs_f64(), true);
    let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
        (&before, Type::INT8),
        (&me.actor, Type::TEXT),
        (&me.host, Type::TEXT),
        (&me.boot, Type::TEXT),
        (&me.pid, Type::INT4),
        (&me.pid_started, Type::TEXT),
        (&seconds, Type::FLOAT8),
        (&force, Type::BOOL),
    ];
    let rows = session.query(include_str!("lease/take.sql"), &parameters).await?;
    match rows.first() {
        Some(row) => named(session, Taken { epoch: unsigned(row.get(0)), ended_backends }).await,
        None => Err(LeaseError::Raced),
    }
}

/// Names the session for its epoch, so that the next holder ends it: not all that is done on it stands in a gate.
async fn named(session: &Session, taken: Taken) -> Result<Taken, LeaseError> {
    let name = format!("{}home", application_prefix(taken.epoch));
    session.query("SELECT set_config('application_name', $1, false)", &[(&name, Type::TEXT)]).await?;
    Ok(taken)
}

/// Ends the backends of an epoch's holder: a killed client's backend goes on, and may yet commit.
///
/// Those of other logins (a dump, a check with `@login`) may be out of this role's reach. They hold no fence, because a
/// gate always runs as the home login; they are given a moment to end by themselves.
async fn end_backends_of(session: &Session, epoch: u64) -> Result<u64, Failure> {
    let prefix = application_prefix(epoch);
    let mut ended = 0_u64;
    let begun = std::time::Instant::now();
    loop {
        let outcome = sessions::end_by_prefix(session, &prefix, BACKENDS_GONE_WITHIN).await?;
        ended = ended.saturating_add(u64::try_from(outcome.ended.len()).unwrap_or(u64::MAX));
        if !outcome.lingering.is_empty() {
            return sessions::end_by_application(session, &prefix, BACKENDS_GONE_WITHIN).await;
        }
        if outcome.refused.is_empty() || begun.elapsed() >= OTHERS_GONE_WITHIN {
            return Ok(ended);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Gives a sign of life; false if the lease is another's.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn beat(session: &Session, epoch: u64, lasts: Duration) -> Result<bool, Failure> {
    let (epoch, seconds) = (signed(epoch), lasts.as_secs_f64());
    let beaten = session
        .execute(include_str!("lease/beat.sql"), &[(&epoch, Type::INT8), (&seconds, Type::FLOAT8)])
        .await?;
    Ok(beaten == 1)
}

/// Gives the lease back. The epoch stays, so that nothing of ours can commit any more.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn release(session: &Session, epoch: u64) -> Result<(), Failure> {
    let epoch = signed(epoch);
    session.execute(include_str!("lease/release.sql"), &[(&epoch, Type::INT8)]).await?;
    Ok(())
}

/// Locks the epoch for this transaction and gives the transaction's `xid8`; `None` if the lease is another's.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
///
/// # Locks
/// The lease row, FOR KEY SHARE: heartbeats pass, a taking waits.
pub async fn fence(session: &Session, epoch: u64) -> Result<Option<u64>, Failure> {
    let epoch = signed(epoch);
    let rows = session.query_prepared(include_str!("journal/fence.sql"), &[(&epoch, Type::INT8)]).await?;
    Ok(rows.first().map(|row| unsigned(row.get(0))))
}

/// What every backend of this epoch's holder begins its `application_name` with.
#[must_use]
pub fn application_prefix(epoch: u64) -> String {
    format!("tidegate/{epoch}/")
}
