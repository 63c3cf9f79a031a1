//! A store that is watched: it counts what it is asked, and at chosen operations it fails, loses its answer, waits or
//! lets a test act in between.
//!
//! A test runs once with an empty [`Plan`], takes [`Watched::operations`] as the list of places where a program can
//! die, and then runs once for each place with a plan that names it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

pub use super::around::Operation;

use super::around::Around;
use super::{Kv, KvError, UnixSecond};

/// Most operations that are kept by name; further ones are counted in `nth` alone.
pub const OPERATIONS_KEPT_MAX: usize = 1_000_000;

/// An operation that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub operation: Operation,
    /// Its place among all operations, from 1.
    pub nth: u64,
    /// Its place among those of its name, from 1.
    pub nth_of_name: u64,
    /// Keys or writes that it was given; for a listing the limit.
    pub size: usize,
}

/// Something that a test does in the middle of an operation.
pub type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A hook that runs this.
pub fn hook<F: Future<Output = ()> + Send + 'static>(act: impl Fn() -> F + Send + Sync + 'static) -> Hook {
    Arc::new(move || Box::pin(act()))
}

/// What happens to an operation.
#[derive(Clone)]
pub enum Fault {
    /// It is not made, and answers [`KvError::Unavailable`].
    Refuse,
    /// It is made, and the answer is lost: [`KvError::Unknown`] for a write, [`KvError::Unavailable`] for a reading.
    LoseAnswer,
    /// Neither it nor any operation after it is made: [`KvError::Unavailable`].
    Gone,
    /// It is made once this is notified.
    Hold(Arc<Notify>),
    /// This runs to its end, then the operation is made.
    Before(Hook),
    /// The operation is made, then this runs to its end, then the operation answers.
    After(Hook),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "Refuse",
            Self::LoseAnswer => "LoseAnswer",
            Self::Gone => "Gone",
            Self::Hold(_) => "Hold",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// Which operations something happens to, and what. Where several lines fit one operation, the first counts.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    lines: Vec<(Option<Operation>, u64, Fault)>,
}

impl Plan {
    /// Nothing happens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At the `nth` operation of any name, from 1.
    #[must_use]
    pub fn at(mut self, nth: u64, fault: Fault) -> Self {
        self.lines.push((None, nth, fault));
        self
    }

    /// At the `nth` operation of this name, from 1.
    #[must_use]
    pub fn at_the(mut self, operation: Operation, nth: u64, fault: Fault) -> Self {
        self.lines.push((Some(operation), nth, fault));
        self
    }

    fn fault(&self, asked: Asked) -> Option<Fault> {
        let fits = |(operation, nth, _): &&(Option<Operation>, u64, Fault)| match operation {
            None => *nth == asked.nth,
            Some(operation) => *operation == asked.operation && *nth == asked.nth_of_name,
        };
        self.lines.iter().find(fits).map(|(_, _, fault)| fault.clone())
    }
}

/// A store that is watched.
pub struct Watched {
    store: Kv,
    plan: Plan,
    log: Mutex<Log>,
    gone: AtomicBool,
}

#[derive(Debug, Default)]
struct Log {
    count: u64,
    of_name: [u64; 4],
    kept: Vec<Asked>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Watched {
    /// Watches a store.
    #[must_use]
    pub fn new(store: Kv, plan: Plan) -> Arc<Self> {
        Arc::new(Self { store, plan, log: Mutex::default(), gone: AtomicBool::new(false) })
    }

    /// What it was asked, in order, also where it failed; at most [`OPERATIONS_KEPT_MAX`].
    #[must_use]
    pub fn operations(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    /// How often it was asked for operations of this name.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.of_name.get(operation as usize).copied().unwrap_or_default()
    }

    fn ask(&self, operation: Operation, size: usize) -> Option<Fault> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.count += 1;
        let nth = log.count;
        let mut nth_of_name = 0;
        if let Some(count) = log.of_name.get_mut(operation as usize) {
            *count += 1;
            nth_of_name = *count;
        }
        let asked = Asked { operation, nth, nth_of_name, size };
        if log.kept.len() < OPERATIONS_KEPT_MAX {
            log.kept.push(asked);
        }
        drop(log);
        if self.gone.load(Ordering::SeqCst) { Some(Fault::Gone) } else { self.plan.fault(asked) }
    }

    fn unavailable(&self) -> KvError {
        KvError::Unavailable { store: format!("{self:?}"), message: "the test's plan says so".to_owned() }
    }
}

impl Around for Watched {
    fn within(&self) -> &Kv {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        operation: Operation,
        size: usize,
        make: impl Future<Output = Result<T, KvError>> + Send,
    ) -> Result<T, KvError> {
        match self.ask(operation, size) {
            None => make.await,
            Some(Fault::Refuse) => Err(self.unavailable()),
            Some(Fault::Gone) => {
                self.gone.store(true, Ordering::SeqCst);
                Err(self.unavailable())
            }
            Some(Fault::LoseAnswer) => {
                make.await?;
                if !operation.writes() {
                    return Err(self.unavailable());
                }
                let message = "the test's plan lost the answer".to_owned();
                Err(KvError::Unknown { store: format!("{self:?}"), message })
            }
            Some(Fault::Hold(until)) => {
                until.notified().await;
                make.await
            }
            Some(Fault::Before(hook)) => {
                hook().await;
                make.await
            }
            Some(Fault::After(hook)) => {
                let made = make.await;
                hook().await;
                made
            }
        }
    }

    async fn clock(&self) -> Result<UnixSecond, KvError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(self.unavailable());
        }
        self.store.now().await
    }
}
