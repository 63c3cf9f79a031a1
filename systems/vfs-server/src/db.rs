//! The one way in which data changes here: a named transaction behind the freeze.
//!
//! Lock order: the freeze's advisory lock, shared; then rows, by id; then the feed's head, by the first write to a
//! feed. Nothing takes a row lock after the head, and the head is held to COMMIT.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join;
use tidegate_store::postgres::{
    Answer as Said, Failure, FromSql, Row, Session, TxAttempts, TxError, TxOptions, TxOutcome,
};

use crate::http::ApiError;

/// How long a write may wait for a lock that another one holds.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long one statement may take.
const STATEMENT_BOUND: Duration = Duration::from_secs(20);
/// What a write is told that met somebody who holds all writes back, without a freeze.
const HELD: &str = "Writes are held back for a moment";
/// Seconds after which a write may be tried again that met somebody who holds all writes back.
const HELD_RETRY_S: u64 = 2;
/// How often a write is tried.
const ATTEMPTS: u32 = 4;

/// Why a transaction, or a look at the database, came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The request is answered so; the transaction is rolled back.
    #[error("{}", .0.error())]
    Refused(ApiError),
    /// The database refused or did not answer.
    #[error(transparent)]
    Store(#[from] Failure),
    /// What is stored is not what it must be.
    #[error("{0}")]
    Broken(String),
    /// Whether the change was kept is not known.
    #[error("a commit was not answered: {0}")]
    Unknown(Failure),
    /// No session of the pool.
    #[error(transparent)]
    Pool(#[from] tidegate_store::postgres::PoolError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Trouble {
        Trouble::Refused(error)
    }
}

impl TxError for Trouble {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Trouble::Store(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Trouble {
    /// The answer to the caller: the refusal itself, or 500 with the route's own text. What went wrong is logged and
    /// not told.
    #[must_use]
    pub fn or(self, text: &'static str) -> ApiError {
        match self {
            Trouble::Refused(error) => error,
            trouble => {
                if trouble.sqlstate() == Some(NO_SUCH_TABLE) {
                    MISSING_TABLE_ERRORS.fetch_add(1, Ordering::Relaxed);
                }
                tracing::error!(error = %trouble, answer = text, "a request failed");
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    /// The same for somebody else who came to it in the same transaction.
    #[must_use]
    pub fn copied(&self) -> Trouble {
        match self {
            Trouble::Refused(error) => Trouble::Refused(error.clone()),
            Trouble::Store(failure) => Trouble::Store(failure.clone()),
            Trouble::Unknown(failure) => Trouble::Unknown(failure.clone()),
            Trouble::Broken(_) | Trouble::Pool(_) => Trouble::Broken(self.to_string()),
        }
    }

    /// The five characters of the server, where it refused.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.failure().and_then(Failure::sqlstate)
    }
}

/// The SQLSTATE of a table that is not there.
const NO_SUCH_TABLE: &str = "42P01";

/// Of the whole process, which is what an instance is.
static MISSING_TABLE_ERRORS: AtomicI64 = AtomicI64::new(0);

/// Requests since the start that failed because a statement named a table that is not there.
#[must_use]
pub fn missing_table_errors() -> i64 {
    MISSING_TABLE_ERRORS.load(Ordering::Relaxed)
}

static OPTIONS: LazyLock<TxOptions> = LazyLock::new(|| TxOptions {
    lock_timeout: Some(LOCK_WAIT),
    statement_timeout: Some(STATEMENT_BOUND),
    idle_in_transaction_timeout: Some(STATEMENT_BOUND),
    attempts: ATTEMPTS,
    jitter_seed: u64::from(std::process::id()),
    application_prefix: "vfs:".to_owned(),
    ..TxOptions::default()
});

/// The attempts at one write behind the freeze. `transact!` goes through them.
///
/// In pieces, and not as a function that takes a closure: a future that calls an async closure cannot be shown to be
/// `Send` where the closure borrows, and the routes' futures must be.
#[derive(Debug)]
pub struct Write<'a> {
    session: &'a Session,
    attempts: TxAttempts<'a>,
}

/// The freeze's lock, which every write holds, shared.
const ENTER: &str = "SELECT pg_try_advisory_xact_lock_shared(7337001)";

impl<'a> Write<'a> {
    /// No attempt yet. `opening` is SQL text that goes out with BEGIN, behind the freeze's lock; it may be empty.
    #[must_use]
    pub fn new(session: &'a Session, name: &'a str, opening: &str) -> Write<'a> {
        let mut begin = ENTER.to_owned();
        if !opening.is_empty() {
            begin.push_str("; ");
            begin.push_str(opening);
        }
        Write { session, attempts: TxAttempts::new(session, name, &OPTIONS, &begin) }
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// [`Trouble`], to be handed to [`Write::end`]; frozen writes are [`Trouble::Refused`].
    pub async fn begin(&mut self) -> Result<(), Trouble> {
        self.begin_with(async { Ok(()) }).await
    }

    /// As [`Write::begin`], with a look at the data that goes out behind the opening: [`TxAttempts::begin_with`].
    ///
    /// # Errors
    /// As [`Write::begin`].
    pub async fn begin_with<T>(
        &mut self,
        look: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Trouble> {
        // A statement that the server keeps: as text it would be planned anew for every write, which takes longer than
        // the rest of the beginning.
        let frozen = self.session.ready(include_str!("db/sql/frozen_for.sql"), &[]).await?;
        let frozen = self.session.query_ready(&frozen, &[]);
        let (said, (frozen, seen)) = self
            .attempts
            .begin_with(async {
                let (frozen, seen) = join(frozen, look).await;
                Ok((frozen?, seen))
            })
            .await?;
        thawed(&said, &frozen)?;
        Ok(seen?)
    }

    /// Ends the attempt as its body ended. `None`: it is to be begun again.
    pub async fn end<T>(&mut self, ended: Result<T, Trouble>) -> Option<Result<T, Trouble>> {
        self.attempts.end(ended).await.map(told)
    }

    /// Ends the attempt behind its last statement, which goes out with COMMIT: [`TxAttempts::end_behind`]. `None`: it is
    /// to be begun again.
    pub async fn end_behind<T>(
        &mut self,
        last: impl Future<Output = Result<T, Failure>>,
    ) -> Option<Result<T, Trouble>> {
        self.attempts.end_behind(last).await.map(told)
    }
}

fn told<T>(outcome: TxOutcome<T, Trouble>) -> Result<T, Trouble> {
    match outcome {
        TxOutcome::Committed(value) => Ok(value),
        TxOutcome::RolledBack(trouble) => Err(trouble),
        TxOutcome::Unknown(failure) => Err(Trouble::Unknown(failure)),
    }
}

/// Runs a body in one transaction behind the freeze: `transact!(session, name, opening, { … Ok(value) })`. The body is
/// awaited, its `?` ends the attempt, and it may run again after a serialization failure or a deadlock.
macro_rules! transact {
    ($session:expr, $name:expr, $opening:expr, $body:block) => {{
        let mut write = $crate::db::Write::new($session, $name, $opening);
        loop {
            let ended = match write.begin().await {
                Ok(()) => async { $body }.await,
                Err(trouble) => Err(trouble),
            };
            if let Some(outcome) = write.end(ended).await {
                break outcome;
            }
        }
    }};
}
pub(crate) use transact;

/// Whether writes are let in, by the first answer behind BEGIN: whether the freeze's lock was had, which nobody waits for,
/// since a migration may hold it long; and by the seconds for which they are frozen yet, if they are.
fn thawed(said: &[Said], frozen: &[Row]) -> Result<(), Trouble> {
    let row = frozen.first().ok_or_else(|| Trouble::Broken("the row of vfs_freeze is missing".to_owned()))?;
    if let Some(seconds) = column::<Option<i64>>(row, 0)? {
        return Err(ApiError::frozen(u64::try_from(seconds).unwrap_or(1)).into());
    }
    match said.first().and_then(Said::single) {
        Some(Some("t")) => Ok(()),
        Some(_) => Err(ApiError::unavailable(HELD, HELD_RETRY_S).into()),
        None => Err(Trouble::Broken("the freeze's lock was not answered".to_owned())),
    }
}

/// A column of a row.
///
/// # Errors
/// When it is not of that type: the statement and the code have come apart.
pub fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Failure> {
    row.try_get(at).map_err(|error| Failure::unusable_answer(error.to_string()))
}
