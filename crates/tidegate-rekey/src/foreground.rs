//! Giving way: while somebody waits for an answer of the same process, a run goes in small pieces and rests between
//! them.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tidegate_store::kv::{
    Entry, Key, Kv, KvError, KvStore, Namespace, Page, Properties, UnixSecond, Write, Written, WrittenAll,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

/// Records of one batch while others wait for answers.
pub(crate) const GENTLE_RECORDS: usize = 32;
/// How many times as long as a piece of work took it rests.
const REST: u32 = 15;
/// The longest rest: whoever waits all the time does not keep a run from going on.
const REST_MOST: Duration = Duration::from_millis(250);
/// Whoever asked this short a time ago will ask again.
const LINGERS: Duration = Duration::from_millis(100);

/// The requests for whose answers somebody waits, of one process.
#[derive(Debug, Clone, Default)]
pub struct Foreground(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    in_flight: AtomicUsize,
    begun: AtomicU64,
    /// When the first one began.
    since: OnceLock<Instant>,
    /// Milliseconds from there to the end of the last one, and one; 0: none has ended.
    ended: AtomicU64,
}

/// A request, until it is dropped.
#[derive(Debug)]
pub struct InFlight(Foreground);

impl Foreground {
    /// A request begins.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.0.since.get_or_init(Instant::now);
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        InFlight(self.clone())
    }

    /// Requests that have begun so far.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Whether somebody waits, or did a moment ago.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        if self.0.in_flight.load(Ordering::SeqCst) > 0 {
            return true;
        }
        let ended = self.0.ended.load(Ordering::SeqCst);
        let Some(since) = self.0.since.get().filter(|_| ended > 0) else { return false };
        since.elapsed() < Duration::from_millis(ended) + LINGERS
    }

    /// The same store for work that can wait: while there are requests, it makes one operation after the other, and
    /// rests fifteen times as long as it and what it was for have taken.
    #[must_use]
    pub fn gentle(&self, store: Kv) -> Kv {
        Arc::new(Gentle { store, foreground: self.clone(), granted: Mutex::new(Instant::now()) })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let requests = &self.0.0;
        let after = requests.since.get().map_or(Duration::ZERO, Instant::elapsed);
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        requests.ended.fetch_max(after, Ordering::SeqCst);
        requests.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

fn rest(worked: Duration) -> Duration {
    worked.saturating_mul(REST).min(REST_MOST)
}

struct Gentle {
    store: Kv,
    foreground: Foreground,
    /// When the last piece of work began.
    granted: Mutex<Instant>,
}

impl fmt::Debug for Gentle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Gentle {
    /// Waits until the next operation may be made; what it answers is kept until it was.
    async fn turn(&self) -> Option<MutexGuard<'_, Instant>> {
        if !self.foreground.is_busy() {
            return None;
        }
        let mut granted = self.granted.lock().await;
        sleep(rest(granted.elapsed())).await;
        *granted = Instant::now();
        Some(granted)
    }
}

#[async_trait]
impl KvStore for Gentle {
    fn properties(&self) -> Properties {
        self.store.properties()
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        self.store.now().await
    }

    async fn get_many(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let _turn = self.turn().await;
        self.store.get_many(namespace, keys).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        let _turn = self.turn().await;
        self.store.list(namespace, prefix, after, limit).await
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        let _turn = self.turn().await;
        self.store.write_each(writes).await
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        let _turn = self.turn().await;
        self.store.write_all(writes).await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, KvError> {
        let _turn = self.turn().await;
        self.store.sweep(at_most).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_as_many_times_as_long_as_it_worked_and_never_for_long() {
        assert_eq!(rest(Duration::ZERO), Duration::ZERO);
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(30));
        assert_eq!(rest(Duration::from_secs(60)), REST_MOST);
        assert_eq!(rest(Duration::MAX), REST_MOST);
    }

    #[test]
    fn it_is_busy_from_the_first_request_to_a_moment_after_the_last() {
        let foreground = Foreground::default();
        assert!(!foreground.is_busy());
        let (one, other) = (foreground.enter(), foreground.enter());
        drop(one);
        assert_eq!(foreground.0.in_flight.load(Ordering::SeqCst), 1);
        assert!(foreground.is_busy());
        drop(other);
        assert_eq!(foreground.0.in_flight.load(Ordering::SeqCst), 0);
        assert!(foreground.0.ended.load(Ordering::SeqCst) > 0);
    }
}
