//! The one door through which data changes: a named transaction that ends committed, rolled back, or unknown.

use std::time::{Duration, Instant};

use futures_util::future::join;
use tracing::Instrument;

use super::answer::Answer;
use super::backoff::Backoff;
use super::failure::{Failure, FailureKind};
use super::quote::quote_literal;
use super::session::{Session, cut_application_name};

/// Attempts that [`TxOptions::attempts`] is cut down to.
pub const ATTEMPTS_MAX: u32 = 100;

/// What a savepoint answers outside of a transaction.
const NO_TRANSACTION: &str = "25P01";

/// Statements of [`begin_statements`], each with one answer.
const BEGIN_ANSWERS: usize = 5;

/// What concurrent transactions may see of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Every statement reads what is committed when it starts.
    #[default]
    ReadCommitted,
    /// Every statement reads the same snapshot.
    RepeatableRead,
    /// As if the transactions ran one after the other.
    Serializable,
}

impl Isolation {
    fn sql(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        }
    }
}

/// How a transaction is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOptions {
    /// The isolation level.
    pub isolation: Isolation,
    /// Whether the server refuses writes in it.
    pub read_only: bool,
    /// How long a statement waits for a lock; `None`: as long as it takes.
    pub lock_timeout: Option<Duration>,
    /// How long one statement may take; `None`: as long as it takes.
    pub statement_timeout: Option<Duration>,
    /// How long the transaction may sit between two statements before the server ends the connection; `None`: for
    /// ever.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// How often the transaction is tried in all, at least once and at most [`ATTEMPTS_MAX`] times.
    pub attempts: u32,
    /// Whether a lock timeout (55P03) is tried again, as 40001 and 40P01 are.
    pub retry_lock_timeouts: bool,
    /// Upper bound of the wait before the second attempt; it doubles with each further one.
    pub backoff_base: Duration,
    /// Upper bound of any wait.
    pub backoff_max: Duration,
    /// Seed of the waits: each is drawn evenly from zero to its bound.
    pub jitter_seed: u64,
    /// Stands before the transaction's name in `application_name`.
    pub application_prefix: String,
}

impl Default for TxOptions {
    fn default() -> TxOptions {
        TxOptions {
            isolation: Isolation::ReadCommitted,
            read_only: false,
            lock_timeout: Some(Duration::from_secs(2)),
            statement_timeout: Some(Duration::from_secs(60)),
            idle_in_transaction_timeout: Some(Duration::from_secs(60)),
            attempts: 5,
            retry_lock_timeouts: false,
            backoff_base: Duration::from_millis(20),
            backoff_max: Duration::from_secs(2),
            jitter_seed: 0,
            application_prefix: String::new(),
        }
    }
}

/// How a transaction ended.
#[derive(Debug)]
#[must_use]
pub enum TxOutcome<T, E> {
    /// The server said that it is committed.
    Committed(T),
    /// Nothing of it remains.
    RolledBack(E),
    /// The connection was lost between sending COMMIT and the answer: it may be either. Never tried again here;
    /// whoever asks must look at the data by another connection.
    Unknown(Failure),
}

/// An error of a transaction's body, which may hold the failure that decides about another attempt.
pub trait TxError: From<Failure> {
    /// The failure of the store that this error stems from, where it does.
    fn failure(&self) -> Option<&Failure>;
}

impl TxError for Failure {
    fn failure(&self) -> Option<&Failure> {
        Some(self)
    }
}

/// Runs `body` in a transaction.
///
/// `BEGIN` and the settings go out in one round trip; none of them takes a snapshot. The name, after the prefix, is
/// the session's `application_name` meanwhile.
///
/// The body may run more than once: after a serialization failure, a deadlock or (when asked for) a lock timeout
/// everything is rolled back and, after a random wait, begun again. It must not end the transaction itself. Nothing
/// else may use the session meanwhile.
///
/// When the returned future is dropped a ROLLBACK is queued behind what runs.
pub async fn run_tx<T, E: TxError>(
    session: &Session,
    name: &str,
    options: &TxOptions,
    mut body: impl AsyncFnMut(&Session) -> Result<T, E>,
) -> TxOutcome<T, E> {
    let mut attempts = TxAttempts::new(session, name, options, "");
    let span = attempts.span();
    async {
        loop {
            let ended = match attempts.begin().await {
                Ok(_) => body(session).await,
                Err(failure) => Err(E::from(failure)),
            };
            if let Some(outcome) = attempts.end(ended).await {
                return outcome;
            }
        }
    }
    .instrument(span)
    .await
}

/// The attempts at one transaction, for a caller who stands between `BEGIN` and the body: [`run_tx`] in pieces.
///
/// Each attempt is one [`TxAttempts::begin`] and one [`TxAttempts::end`]. When this is dropped between them a ROLLBACK
/// is queued behind what runs.
#[derive(Debug)]
pub struct TxAttempts<'a> {
    session: &'a Session,
    name: &'a str,
    options: &'a TxOptions,
    begin: String,
    backoff: Backoff,
    made: u32,
    open: Option<OpenTransaction<'a>>,
    span: tracing::Span,
    started: Instant,
}

impl<'a> TxAttempts<'a> {
    /// None yet. The opening is SQL text of statements that go out with `BEGIN` in the same round trip, anew in each
    /// attempt: a lock that must come first, and what is read under it. It may be empty; values in it pass
    /// [`super::quote_literal`].
    #[must_use]
    pub fn new(session: &'a Session, name: &'a str, options: &'a TxOptions, opening: &str) -> TxAttempts<'a> {
        let mut begin = begin_statements(name, options);
        if !opening.is_empty() {
            begin.push_str("; ");
            begin.push_str(opening);
        }
        TxAttempts {
            session,
            name,
            options,
            begin,
            backoff: Backoff::new(options.backoff_base, options.backoff_max, options.jitter_seed),
            made: 0,
            open: None,
            span: tracing::info_span!(
                "transaction",
                tx = name,
                attempts = tracing::field::Empty,
                outcome = tracing::field::Empty,
                elapsed_ms = tracing::field::Empty,
            ),
            started: Instant::now(),
        }
    }

    /// The span that all of it belongs in.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        self.span.clone()
    }

    /// Begins an attempt. Returns the answers to the opening.
    ///
    /// # Errors
    /// The server's: hand it to [`TxAttempts::end`] in the body's place.
    pub async fn begin(&mut self) -> Result<Vec<Answer>, Failure> {
        self.made += 1;
        self.open = Some(OpenTransaction { session: self.session, ended: false });
        let mut answers = self.session.run(&self.begin).await?;
        answers.drain(..BEGIN_ANSWERS.min(answers.len()));
        Ok(answers)
    }

    /// As [`TxAttempts::begin`], with a look at the data in the same round trip: `look` is polled once `BEGIN` is sent,
    /// and must send its one statement when it is first polled, as [`Session::query_ready`] does. Where the opening
    /// fails, what it found is dropped.
    ///
    /// # Errors
    /// As [`TxAttempts::begin`]; then that of the look.
    pub async fn begin_with<T>(
        &mut self,
        look: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(Vec<Answer>, T), Failure> {
        let (begun, seen) = join(self.begin(), look).await;
        Ok((begun?, seen?))
    }

    /// Ends the attempt behind its last statement, which is sent with COMMIT in one round trip: `last` must send it when
    /// it is first polled, as [`Session::query_ready`] does. The server commits only what it has not refused. `None`:
    /// after a wait, it is to be begun again.
    ///
    /// What is wrong with the answer to the last statement is found only once everything is committed; the outcome is
    /// then unknown to the caller, and told as that.
    pub async fn end_behind<T, E: TxError>(
        &mut self,
        last: impl Future<Output = Result<T, Failure>>,
    ) -> Option<TxOutcome<T, E>> {
        let Some(mut open) = self.open.take() else {
            return self.end(Err(E::from(never_begun()))).await;
        };
        let (answered, ended) = join(last, open.commit()).await;
        match (answered, ended) {
            (Ok(value), Ended::Committed) => Some(self.report("committed", TxOutcome::Committed(value))),
            (_, Ended::Unknown(failure)) | (Err(failure), Ended::Committed) => {
                Some(self.report("unknown", TxOutcome::Unknown(failure)))
            }
            // COMMIT only says that the transaction is aborted: the last statement says why.
            (Err(failure), Ended::RolledBack(_)) | (Ok(_), Ended::RolledBack(failure)) => {
                self.end(Err(E::from(failure))).await
            }
        }
    }

    /// Ends the attempt as its body ended. `None`: after a wait, it is to be begun again.
    pub async fn end<T, E: TxError>(&mut self, ended: Result<T, E>) -> Option<TxOutcome<T, E>> {
        let error = match (ended, self.open.take()) {
            (Ok(value), Some(mut open)) => match open.commit().await {
                Ended::Committed => return Some(self.report("committed", TxOutcome::Committed(value))),
                Ended::RolledBack(failure) => E::from(failure),
                Ended::Unknown(failure) => return Some(self.report("unknown", TxOutcome::Unknown(failure))),
            },
            (Ok(_), None) => E::from(never_begun()),
            (Err(error), open) => {
                if let Some(mut open) = open {
                    open.roll_back().await;
                }
                error
            }
        };
        let again = error.failure().is_some_and(|failure| is_retried(failure, self.options))
            && self.made < self.options.attempts.min(ATTEMPTS_MAX)
            && !self.session.is_closed();
        if !again {
            return Some(self.report("rolled back", TxOutcome::RolledBack(error)));
        }
        let wait = self.backoff.next_wait();
        if let Some(failure) = error.failure() {
            tracing::debug!(%failure, attempt = self.made, ?wait, "a transaction is tried again");
        }
        tokio::time::sleep(wait).await;
        None
    }

    fn report<T, E>(&self, ended_as: &str, outcome: TxOutcome<T, E>) -> TxOutcome<T, E> {
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (span, attempts) = (&self.span, self.made);
        span.record("attempts", attempts);
        span.record("outcome", ended_as);
        span.record("elapsed_ms", elapsed_ms);
        tracing::debug!(
            parent: span,
            tx = self.name,
            outcome = ended_as,
            attempts,
            elapsed_ms,
            "a transaction ended"
        );
        outcome
    }
}

fn never_begun() -> Failure {
    Failure::new(FailureKind::Other, "a transaction was ended that was not begun")
}

fn is_retried(failure: &Failure, options: &TxOptions) -> bool {
    match failure.kind() {
        FailureKind::Serialization | FailureKind::Deadlock => true,
        FailureKind::LockTimeout => options.retry_lock_timeouts,
        _ => false,
    }
}

/// How COMMIT was answered.
enum Ended {
    Committed,
    RolledBack(Failure),
    Unknown(Failure),
}

/// A transaction that is rolled back when it is dropped before its end.
#[derive(Debug)]
struct OpenTransaction<'a> {
    session: &'a Session,
    ended: bool,
}

impl OpenTransaction<'_> {
    async fn roll_back(&mut self) {
        // If this fails the connection is gone, and the transaction with it.
        if let Err(failure) = self.session.run("ROLLBACK").await {
            tracing::debug!(%failure, "ROLLBACK was not answered");
        }
        self.ended = true;
    }

    async fn commit(&mut self) -> Ended {
        if self.session.is_closed() {
            self.ended = true;
            let lost = "the connection to the server was lost before COMMIT was sent";
            let failure = self.session.last_word();
            return Ended::RolledBack(
                failure.unwrap_or_else(|| Failure::new(FailureKind::ConnectionLost, lost)),
            );
        }
        // In an aborted transaction COMMIT answers ROLLBACK, and outside of one it answers COMMIT; neither is an
        // error. SAVEPOINT fails in both cases, and then the server does not look at COMMIT.
        let answer = self.session.run("SAVEPOINT tidegate_commit; COMMIT").await;
        match answer {
            Ok(answers) if answers.len() == 2 => {
                self.ended = true;
                Ended::Committed
            }
            // An answer to something else: requests and answers have come apart, so this connection proves nothing.
            Ok(_) => {
                self.ended = true;
                self.session.cut().await;
                let what = "COMMIT was answered as if it were another statement";
                Ended::Unknown(Failure::new(FailureKind::ConnectionLost, what))
            }
            // A connection that ends may do so after the commit became durable and before it was announced.
            Err(failure) if failure.ends_the_connection() || failure.sqlstate().is_none() => {
                self.ended = true;
                Ended::Unknown(failure)
            }
            Err(failure) if failure.sqlstate() == Some(NO_TRANSACTION) => {
                self.ended = true;
                Ended::Unknown(Failure::new(
                    FailureKind::Other,
                    "the transaction was ended from within its own body; whether as a commit is not known",
                ))
            }
            Err(failure) => {
                self.roll_back().await;
                Ended::RolledBack(failure)
            }
        }
    }
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.session.roll_back_unattended();
        }
    }
}

fn begin_statements(name: &str, options: &TxOptions) -> String {
    let mut sql = String::from("BEGIN ISOLATION LEVEL ");
    sql.push_str(options.isolation.sql());
    sql.push_str(if options.read_only { " READ ONLY" } else { " READ WRITE" });
    let application_name = format!("{}{name}", options.application_prefix);
    let idle = milliseconds(options.idle_in_transaction_timeout);
    let settings = [
        ("lock_timeout", milliseconds(options.lock_timeout)),
        ("statement_timeout", milliseconds(options.statement_timeout)),
        ("idle_in_transaction_session_timeout", idle),
        ("application_name", cut_application_name(&application_name).to_owned()),
    ];
    for (setting, value) in settings {
        sql.push_str("; SET LOCAL ");
        sql.push_str(setting);
        sql.push_str(" = ");
        sql.push_str(&quote_literal(&value));
    }
    sql
}

/// A span as the server's settings take it: whole milliseconds, rounded up; 0 is no limit.
fn milliseconds(limit: Option<Duration>) -> String {
    limit.map_or_else(
        || "0".to_owned(),
        |limit| {
            let most = Duration::from_millis(i32::MAX as u64);
            let limit = limit.clamp(Duration::from_millis(1), most);
            limit.as_nanos().div_ceil(1_000_000).to_string()
        },
    )
}
