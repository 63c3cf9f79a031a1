//! A bounded pool of sessions, for programs that serve many requests at once.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool as Managed, PoolError as ManagedError, RecycleError, RecycleResult,
    Timeouts,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::Address;
use super::failure::{Failure, FailureKind};
use super::session::Session;

/// Sessions that [`PoolOptions::size`] is cut down to.
pub const POOL_SIZE_MAX: usize = 1_000;

/// How a pool is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Most sessions at a time, at least 1 and at most [`POOL_SIZE_MAX`].
    pub size: usize,
    /// How long somebody waits for a session, the time to connect included.
    pub wait: Duration,
    /// The name that each session shows.
    pub application_name: String,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions { size: 10, wait: Duration::from_secs(5), application_name: String::new() }
    }
}

/// Why there was no session.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The server refused or did not answer.
    #[error(transparent)]
    Store(#[from] Failure),
    /// All are in use.
    #[error(
        "all {size} sessions of the pool were in use for {} ms; raise its size, or end what keeps them",
        wait.as_millis()
    )]
    Exhausted {
        /// The pool's size.
        size: usize,
        /// How long it was waited for.
        wait: Duration,
    },
    /// The pool was closed.
    #[error("the pool of sessions is closed: the program is ending")]
    Closed,
}

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Most sessions at a time.
    pub size: usize,
    /// Sessions that are open.
    pub open: usize,
    /// Sessions that nobody uses.
    pub idle: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// A bounded pool of sessions. Cloning it gives the same pool.
///
/// A session whose connection has ended is replaced when it would be handed out. Whoever takes one leaves no
/// transaction open and no setting behind on it; [`super::run_tx`] does neither, also when its future is dropped.
#[derive(Clone)]
pub struct Pool {
    managed: Managed<Sessions>,
    /// Places of those that write.
    writers: Arc<Semaphore>,
    wait: Duration,
}

/// A session out of the pool, which goes back when this is dropped.
pub struct Pooled(Object<Sessions>, Option<OwnedSemaphorePermit>);

impl Deref for Pooled {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl std::fmt::Debug for Pooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.status()).finish_non_exhaustive()
    }
}

struct Sessions {
    address: Address,
    application_name: String,
}

impl Manager for Sessions {
    type Type = Session;
    type Error = Failure;

    async fn create(&self) -> Result<Session, Failure> {
        Session::connect(&self.address, &self.application_name).await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Failure> {
        if session.is_closed() {
            return Err(RecycleError::message("the connection has ended"));
        }
        Ok(())
    }
}

impl Pool {
    /// A pool that opens its sessions when they are asked for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(address: Address, options: PoolOptions) -> Result<Pool, PoolError> {
        let wait = Some(options.wait);
        let sessions = Sessions { address, application_name: options.application_name };
        let managed = Managed::builder(sessions)
            .max_size(options.size.clamp(1, POOL_SIZE_MAX))
            .timeouts(Timeouts { wait, create: wait, recycle: wait })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Failure::new(FailureKind::Other, format!("no pool could be made: {error}")))?;
        let size = options.size.clamp(1, POOL_SIZE_MAX);
        let writers = Arc::new(Semaphore::new(size.saturating_sub((size / 4).max(1)).max(1)));
        Ok(Pool { managed, writers, wait: options.wait })
    }

    /// A session that nobody else uses; waits at most as long as the options say.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`], [`PoolError::Closed`], or that of connecting.
    pub async fn get(&self) -> Result<Pooled, PoolError> {
        match tokio::time::timeout(self.wait, self.managed.get()).await {
            Ok(Ok(session)) => Ok(Pooled(session, None)),
            Ok(Err(ManagedError::Backend(failure))) => Err(failure.into()),
            Ok(Err(ManagedError::Closed)) => Err(PoolError::Closed),
            Ok(Err(ManagedError::Timeout(_))) | Err(_) => Err(self.too_late()),
            Ok(Err(error @ (ManagedError::NoRuntimeSpecified | ManagedError::PostCreateHook(_)))) => {
                Err(Failure::new(FailureKind::Other, error.to_string()).into())
            }
        }
    }

    /// A session for a transaction that may wait for locks. A quarter of the sessions, and at least one where there are
    /// two, is never used so: whoever only looks gets one also while all that write wait for each other.
    ///
    /// # Errors
    /// As [`Pool::get`].
    pub async fn get_to_write(&self) -> Result<Pooled, PoolError> {
        match tokio::time::timeout(self.wait, self.writers.clone().acquire_owned()).await {
            Ok(Ok(place)) => {
                let mut pooled = self.get().await?;
                pooled.1 = Some(place);
                Ok(pooled)
            }
            Ok(Err(_)) => Err(PoolError::Closed),
            Err(_) => Err(PoolError::Exhausted { size: self.status().size, wait: self.wait }),
        }
    }

    /// Nobody gave a session back, or none could be opened.
    fn too_late(&self) -> PoolError {
        let (wait, status) = (self.wait, self.status());
        if status.open >= status.size && status.idle == 0 {
            return PoolError::Exhausted { size: status.size, wait };
        }
        let place = self.managed.manager().address.redacted();
        let what = format!("no session could be opened at {place} within {} ms", wait.as_millis());
        Failure::new(FailureKind::CannotConnect, what).while_connecting().into()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.managed.status();
        PoolStatus {
            size: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Ends the sessions that nobody uses and that were handed out last so long ago. Returns how many.
    pub fn end_idle(&self, longer_than: Duration) -> usize {
        self.managed.retain(|_, metrics| metrics.last_used() < longer_than).removed.len()
    }

    /// Ends the sessions that nobody uses, and the others when they come back. Nobody gets one any more.
    pub fn close(&self) {
        self.managed.close();
        self.writers.close();
    }
}
