//! Asking again: how often, how long, and with which pauses.

use std::time::Duration;

use tokio::time::Instant;

use super::classify::{ObjectCode, ObjectError, Retryability};
use super::config::Patience;
use super::failures::FAILURES;

/// Longest pause before a repeated attempt.
pub const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The world as far as waiting needs it.
pub trait Pauses: Send + Sync + std::fmt::Debug + 'static {
    /// Waits.
    fn wait(&self, pause: Duration) -> impl Future<Output = ()> + Send;
    /// Time since some fixed moment.
    fn elapsed(&self) -> Duration;
    /// 64 evenly distributed bits.
    fn random(&self) -> u64;
}

/// Real time, and random bits of the operating system.
#[derive(Debug)]
pub struct RealPauses(Instant);

impl Default for RealPauses {
    fn default() -> RealPauses {
        RealPauses(Instant::now())
    }
}

impl Pauses for RealPauses {
    async fn wait(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // Without random bits the pause is the shortest: that is no reason to fail.
        let _ = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// How one attempt ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What the store said.
    pub code: ObjectCode,
    /// More about it.
    pub message: String,
}

/// Makes attempts until one succeeds, one cannot be repeated, they are all made, or the deadline would pass.
///
/// The pause before attempt n + 1 is drawn evenly from zero to `backoff · 2ⁿ⁻¹`, at most [`PAUSE_MAX`]; after a request
/// for slowing down, from half of that bound to the bound. An attempt gets no more time than is left.
///
/// # Errors
/// The last attempt's, with the number of attempts.
pub async fn persist<T, F: Future<Output = Result<T, Failed>>>(
    patience: &Patience,
    pauses: &impl Pauses,
    mut attempt: impl FnMut(Duration) -> F,
) -> Result<T, ObjectError> {
    let started = pauses.elapsed();
    let mut made = 0;
    let mut after_doubt = false;
    loop {
        let left = patience.deadline.saturating_sub(pauses.elapsed().saturating_sub(started));
        made += 1;
        let failed = match attempt(left.min(patience.attempt_timeout)).await {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        let retryability = failed.code.retryability();
        let pause = pause(patience.backoff, made, retryability, pauses.random());
        let spent = pauses.elapsed().saturating_sub(started);
        let again = retryability != Retryability::NotRetryable
            && made < patience.attempts
            && spent.saturating_add(pause) < patience.deadline;
        FAILURES.note(&failed.code, again);
        if !again {
            let Failed { code, message } = failed;
            return Err(ObjectError { code, attempts: made, message, after_doubt });
        }
        after_doubt |= failed.code.may_have_happened();
        tracing::debug!(
            code = failed.code.name(),
            retryability = retryability.name(),
            attempt = made,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "a request to the object store is tried again"
        );
        pauses.wait(pause).await;
    }
}

fn pause(backoff: Duration, made: u32, retryability: Retryability, random: u64) -> Duration {
    let bound = backoff.saturating_mul(1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX));
    let bound = bound.min(PAUSE_MAX);
    let least = if retryability == Retryability::RetryableWithBackoff { bound / 2 } else { Duration::ZERO };
    let span = u64::try_from((bound - least).as_nanos()).unwrap_or(u64::MAX);
    least + Duration::from_nanos(random.checked_rem(span.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Time that passes only when it is waited for, or when an attempt takes some.
    #[derive(Debug, Default)]
    struct Virtual {
        now: Mutex<Duration>,
        pauses: Mutex<Vec<Duration>>,
        random: u64,
    }

    impl Pauses for Virtual {
        async fn wait(&self, pause: Duration) {
            *self.now.lock().unwrap() += pause;
            self.pauses.lock().unwrap().push(pause);
        }

        fn elapsed(&self) -> Duration {
            *self.now.lock().unwrap()
        }

        fn random(&self) -> u64 {
            self.random
        }
    }

    fn failed(code: ObjectCode) -> Failed {
        Failed { code, message: "m".to_owned() }
    }

    const PATIENCE: Patience = Patience {
        attempts: 4,
        attempt_timeout: Duration::from_secs(30),
        deadline: Duration::from_secs(90),
        backoff: Duration::from_millis(100),
    };

    async fn always(code: ObjectCode, patience: &Patience, world: &Virtual) -> ObjectError {
        persist(patience, world, |_| {
            let failed = failed(code.clone());
            async move { Err::<(), _>(failed) }
        })
        .await
        .unwrap_err()
    }

    #[tokio::test]
    async fn what_cannot_be_repeated_is_asked_once() {
        for code in
            [ObjectCode::NoSuchKey, ObjectCode::AccessDenied, ObjectCode::Other("NoSuchBucket".to_owned())]
        {
            let world = Virtual::default();
            let error = always(code.clone(), &PATIENCE, &world).await;
            assert_eq!((error.code, error.attempts), (code, 1));
            assert!(world.pauses.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn the_bound_of_pauses_doubles_and_ends_at_the_most() {
        let world = Virtual { random: u64::MAX, ..Virtual::default() };
        let patience = Patience { attempts: 10, deadline: Duration::from_secs(600), ..PATIENCE };
        let error = always(ObjectCode::InternalError, &patience, &world).await;
        assert_eq!(error.attempts, 10);
        let pauses = world.pauses.lock().unwrap().clone();
        assert_eq!(pauses.len(), 9);
        for (at, pause) in pauses.iter().enumerate() {
            let bound = (Duration::from_millis(100) * (1 << at)).min(PAUSE_MAX);
            assert!(*pause <= bound, "{at}: {pause:?} > {bound:?}");
        }
    }

    #[tokio::test]
    async fn slowing_down_waits_at_least_half_of_the_bound() {
        let world = Virtual::default();
        let error = always(ObjectCode::SlowDown, &PATIENCE, &world).await;
        assert_eq!(error.attempts, 4);
        let pauses = world.pauses.lock().unwrap().clone();
        assert_eq!(pauses, [50, 100, 200].map(Duration::from_millis));
    }

    #[tokio::test]
    async fn the_deadline_ends_it_before_all_attempts_are_made() {
        let world = Virtual::default();
        let error = persist(&PATIENCE, &world, |most| {
            *world.now.lock().unwrap() += most;
            async { Err::<(), _>(failed(ObjectCode::Timeout)) }
        })
        .await
        .unwrap_err();
        assert_eq!((error.code, error.attempts), (ObjectCode::Timeout, 3));
        assert!(world.elapsed() <= PATIENCE.deadline);
    }

    #[tokio::test]
    async fn a_success_after_failures_is_a_success() {
        let world = Virtual::default();
        let mut answers = vec![Ok(7), Err(failed(ObjectCode::SlowDown)), Err(failed(ObjectCode::Timeout))];
        let value = persist(&PATIENCE, &world, |_| std::future::ready(answers.pop().unwrap())).await;
        assert_eq!(value, Ok(7));
    }
}
