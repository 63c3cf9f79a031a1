//! Who else is connected, who blocks whom, and ending those who must go.
//!
//! A role without `pg_read_all_stats` sees that other roles' sessions exist but not what they do: what is hidden is
//! `None`, and such sessions match no application name.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

use super::failure::{Failure, FailureKind};
use super::session::Session;

/// How long to wait between two looks at whether ended backends are gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a backend is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It runs a statement.
    Active,
    /// It waits for a statement, outside any transaction.
    Idle,
    /// It waits for a statement within a transaction, and holds that transaction's locks.
    IdleInTransaction,
    /// As before, in a transaction that has failed.
    IdleInFailedTransaction,
    /// It runs a function by the fast path, or tracking is off.
    Other,
}

/// One backend as `pg_stat_activity` shows it. `None` is: not shown to this role, or nothing to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Its process id; 0 stands for a prepared transaction, which blocks without having a session.
    pub pid: i32,
    /// The role.
    pub user: Option<String>,
    /// The name it gave itself.
    pub application_name: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// Where its client is; `None` for a Unix socket too.
    pub client_address: Option<String>,
    /// What it does.
    pub activity: Option<Activity>,
    /// What it waits for, such as `Lock: relation`.
    pub waits_for: Option<String>,
    /// How long it has been doing that.
    pub activity_age: Option<Duration>,
    /// How long its transaction has been open.
    pub transaction_age: Option<Duration>,
    /// When it started, in microseconds since 1970 by the server's clock. Together with the pid it names the backend
    /// for good.
    pub started_at_us: Option<i64>,
    /// The first 200 characters of its current or last statement.
    pub query_head: Option<String>,
}

impl Backend {
    /// Reads one row of `sessions_of_database.sql` or `blockers.sql`.
    fn from_values(values: Vec<Option<String>>) -> Option<Backend> {
        let mut values = values.into_iter();
        let mut next = || values.next().flatten().filter(|value| !value.is_empty());
        let seconds = |text: Option<String>| -> Option<Duration> {
            Duration::try_from_secs_f64(text?.parse::<f64>().ok()?.max(0.0)).ok()
        };
        let pid = next()?.parse().ok()?;
        let user = next();
        let application_name = next();
        let database = next();
        let client_address = next();
        let activity = next().map(|state| match state.as_str() {
            "active" => Activity::Active,
            "idle" => Activity::Idle,
            "idle in transaction" => Activity::IdleInTransaction,
            "idle in transaction (aborted)" => Activity::IdleInFailedTransaction,
            _ => Activity::Other,
        });
        let (wait_type, wait) = (next(), next());
        Some(Backend {
            pid,
            user,
            application_name,
            database,
            client_address,
            activity,
            waits_for: wait_type.zip(wait).map(|(kind, event)| format!("{kind}: {event}")),
            activity_age: seconds(next()),
            transaction_age: seconds(next()),
            started_at_us: next().and_then(|text| text.parse().ok()),
            query_head: next(),
        })
    }
}

/// What became of backends that were to be ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Termination {
    /// Ended, and gone from the server.
    pub ended: Vec<Backend>,
    /// Told to end, but still there when the time was up.
    pub lingering: Vec<Backend>,
    /// Not ended, because this role may not.
    pub refused: Vec<Backend>,
}

/// The other clients' sessions in this session's database, in order of pid.
///
/// # Errors
/// The server's.
pub async fn of_this_database(session: &Session) -> Result<Vec<Backend>, Failure> {
    let answers = session.run(include_str!("sql/sessions_of_database.sql")).await?;
    Ok(answers.into_iter().flat_map(|answer| answer.rows).filter_map(Backend::from_values).collect())
}

/// Who keeps the backend `pid` from getting a lock; empty when nobody does.
///
/// # Locks
/// `pg_blocking_pids` stops the lock manager for a moment: not for a tight loop.
///
/// # Errors
/// The server's.
pub async fn blockers_of(session: &Session, pid: i32) -> Result<Vec<Backend>, Failure> {
    let rows = session.query(include_str!("sql/blockers.sql"), &[(&pid, Type::INT4)]).await?;
    let mut blockers = Vec::with_capacity(rows.len());
    for row in rows {
        let mut values = Vec::with_capacity(row.len());
        for at in 0..row.len() {
            values.push(row.try_get(at).map_err(|error| session.explain(&error))?);
        }
        blockers.extend(Backend::from_values(values));
    }
    Ok(blockers)
}

/// Ends every other session of this database whose application name begins with `prefix`, and waits at most `bound`
/// until they are gone: a backend whose client was killed goes on, and may yet commit.
///
/// # Idempotence
/// Ending nobody is success.
///
/// # Errors
/// Refuses an empty prefix, which would end everybody; otherwise the server's.
pub async fn end_by_prefix(session: &Session, prefix: &str, bound: Duration) -> Result<Termination, Failure> {
    if prefix.is_empty() {
        return Err(Failure::new(
            FailureKind::Other,
            "refused to end sessions by an empty application name prefix, which every session has",
        ));
    }
    let mut meant = of_this_database(session).await?;
    meant.retain(|backend| backend.application_name.as_deref().is_some_and(|name| name.starts_with(prefix)));
    end(session, meant, bound).await
}

/// As [`end_by_prefix`], for a caller who may not go on while one of them is left: returns how many were ended.
///
/// # Idempotence
/// Ending nobody is success.
///
/// # Errors
/// As [`end_by_prefix`], and a failure of kind [`FailureKind::PermissionDenied`] or [`FailureKind::Other`] that names
/// the backends that are still there.
pub async fn end_by_application(session: &Session, prefix: &str, bound: Duration) -> Result<u64, Failure> {
    let outcome = end_by_prefix(session, prefix, bound).await?;
    let pids = |backends: &[Backend]| -> String {
        backends.iter().map(|backend| backend.pid.to_string()).collect::<Vec<_>>().join(", ")
    };
    if !outcome.refused.is_empty() {
        return Err(Failure::new(
            FailureKind::PermissionDenied,
            format!(
                "this role may not end the backends of '{prefix}' (pid {}); have them ended by their owner, or grant \
                 pg_signal_backend",
                pids(&outcome.refused)
            ),
        ));
    }
    if !outcome.lingering.is_empty() {
        return Err(Failure::new(
            FailureKind::Other,
            format!(
                "the backends of '{prefix}' were told to end but are still there after {bound:?} (pid {}); wait, or \
                 end them on the server",
                pids(&outcome.lingering)
            ),
        ));
    }
    Ok(u64::try_from(outcome.ended.len()).unwrap_or(u64::MAX))
}

/// Ends these backends, each only if it still is the one that was listed and a client of this database, and waits at
/// most `bound` until they are gone.
///
/// # Idempotence
/// A backend that is already gone counts as ended.
///
/// # Errors
/// The server's, except that this role may not end a backend: that is told per backend.
pub async fn end(session: &Session, backends: Vec<Backend>, bound: Duration) -> Result<Termination, Failure> {
    let until = Instant::now() + bound;
    let mut outcome = Termination::default();
    for backend in backends {
        let told = session
            .query(
                include_str!("sql/terminate.sql"),
                &[(&backend.pid, Type::INT4), (&backend.started_at_us, Type::INT8)],
            )
            .await;
        match told {
            Ok(_) => outcome.lingering.push(backend),
            Err(failure) if failure.kind() == FailureKind::PermissionDenied => {
                outcome.refused.push(backend);
            }
            Err(failure) => return Err(failure),
        }
    }
    loop {
        let present = of_this_database(session).await?;
        let (gone, there): (Vec<Backend>, Vec<Backend>) = outcome.lingering.drain(..).partition(|backend| {
            !present
                .iter()
                .any(|other| other.pid == backend.pid && other.started_at_us == backend.started_at_us)
        });
        outcome.ended.extend(gone);
        outcome.lingering = there;
        if outcome.lingering.is_empty() || Instant::now() >= until {
            return Ok(outcome);
        }
        sleep(LOOK_EVERY).await;
    }
}
