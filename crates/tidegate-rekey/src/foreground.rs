//! Giving way: while the user whose keys are moved waits for an answer of the same process, the run goes in small pieces
//! and rests between them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as Held, PoisonError};
use std::time::Duration;

use tidegate_store::kv::around::{Around, Operation};
use tidegate_store::kv::{Kv, KvError};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Records of one batch while the user waits for an answer.
pub(crate) const GENTLE_RECORDS: usize = 32;
/// How many times as long as a piece of work took it rests.
const REST: u32 = 20;
/// The longest rest: whoever waits all the time does not keep a run from going on.
const REST_MOST: Duration = Duration::from_millis(250);
/// Whoever asked this short a time ago is about to ask again.
const LINGERS: Duration = Duration::from_millis(5);
/// Users who are kept before those are forgotten who wait for nothing.
const KEPT: usize = 1_000;

/// The requests for whose answers users wait, of one process.
#[derive(Debug, Clone, Default)]
pub struct Foreground(Arc<Held<HashMap<String, Arc<Requests>>>>);

/// Those of one user.
#[derive(Debug, Default)]
struct Requests(watch::Sender<Waiting>);

#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    in_flight: usize,
    /// When the last one ended.
    ended: Option<Instant>,
}

/// A request, until it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Requests>);

impl Foreground {
    /// A request of this user begins.
    #[must_use]
    pub fn enter(&self, user: &str) -> InFlight {
        let requests = self.of(user);
        requests.0.send_modify(|waiting| waiting.in_flight += 1);
        InFlight(requests)
    }

    /// Whether this user waits for an answer, or did a moment ago.
    #[must_use]
    pub fn is_busy(&self, user: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(user).is_some_and(|requests| requests.is_busy())
    }

    /// The same store for work on the keys of this user, which can wait: while the user waits for an answer, it makes one
    /// operation after the other, and rests twenty times as long as it and what it was for have taken.
    #[must_use]
    pub fn gentle(&self, store: Kv, user: &str) -> Kv {
        Arc::new(Gentle { store, requests: self.of(user), begun: Mutex::new(Instant::now()) })
    }

    fn of(&self, user: &str) -> Arc<Requests> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = known.get(user) {
            return Arc::clone(requests);
        }
        if known.len() >= KEPT {
            known.retain(|_, requests| Arc::strong_count(requests) > 1 || requests.is_busy());
        }
        Arc::clone(known.entry(user.to_owned()).or_default())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| {
            waiting.in_flight = waiting.in_flight.saturating_sub(1);
            waiting.ended = Some(Instant::now());
        });
    }
}

impl Requests {
    fn is_busy(&self) -> bool {
        let waiting = *self.0.borrow();
        waiting.in_flight > 0 || waiting.lingers_until().is_some_and(|until| until > Instant::now())
    }

    /// Waits until the user has waited for nothing for a moment.
    async fn are_over(&self) {
        let mut told = self.0.subscribe();
        while self.is_busy() {
            let waiting = *told.borrow_and_update();
            let lingers = waiting.lingers_until().filter(|_| waiting.in_flight == 0);
            tokio::select! {
                // The sender is ours: it is there.
                _ = told.changed() => {}
                () = until(lingers) => {}
            }
        }
    }
}

impl Waiting {
    fn lingers_until(self) -> Option<Instant> {
        self.ended.map(|ended| ended + LINGERS)
    }
}

/// Waits until then; none: for ever.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

fn rest(worked: Duration) -> Duration {
    worked.saturating_mul(REST).min(REST_MOST)
}

struct Gentle {
    store: Kv,
    requests: Arc<Requests>,
    /// When the last piece of work began.
    begun: Mutex<Instant>,
}

impl fmt::Debug for Gentle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Gentle {
    /// Waits until the next operation may be made; what it answers is kept until it was.
    async fn turn(&self) -> Option<MutexGuard<'_, Instant>> {
        if !self.requests.is_busy() {
            if let Ok(mut begun) = self.begun.try_lock() {
                *begun = Instant::now();
            }
            return None;
        }
        let mut begun = self.begun.lock().await;
        tokio::select! {
            () = sleep(rest(begun.elapsed())) => {}
            () = self.requests.are_over() => {}
        }
        *begun = Instant::now();
        Some(begun)
    }
}

impl Around for Gentle {
    fn within(&self) -> &Kv {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        _operation: Operation,
        _size: usize,
        make: impl Future<Output = Result<T, KvError>> + Send,
    ) -> Result<T, KvError> {
        let _turn = self.turn().await;
        make.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_as_many_times_as_long_as_it_worked_and_never_for_long() {
        assert_eq!(rest(Duration::ZERO), Duration::ZERO);
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(40));
        assert_eq!(rest(Duration::from_secs(60)), REST_MOST);
        assert_eq!(rest(Duration::MAX), REST_MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_is_busy_from_the_first_request_to_a_moment_after_the_last_and_others_are_not() {
        let foreground = Foreground::default();
        let (one, other) = (foreground.enter("u-1"), foreground.enter("u-1"));
        drop(one);
        tokio::time::advance(LINGERS * 2).await;
        assert!(foreground.is_busy("u-1"));
        assert!(!foreground.is_busy("u-2"));
        drop(other);
        assert!(foreground.is_busy("u-1"));
        tokio::time::advance(LINGERS).await;
        assert!(!foreground.is_busy("u-1"));
    }

    #[test]
    fn users_who_wait_for_nothing_are_forgotten_and_those_who_wait_are_not() {
        let foreground = Foreground::default();
        let waits = foreground.enter("u-1");
        for number in 0..KEPT * 2 {
            // As one that nobody has, and that ended long ago.
            drop(foreground.of(&format!("n-{number}")));
        }
        assert!(foreground.0.lock().unwrap().len() <= KEPT);
        assert!(foreground.is_busy("u-1"));
        drop(waits);
    }
}
