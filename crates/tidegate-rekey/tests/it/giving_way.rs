//! A run that gives way: to whom, for how long, and that it goes on at once when nobody waits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_rekey::{Foreground, InFlight};
use tidegate_store::kv::around::{Around, Operation};
use tidegate_store::kv::{Kv, KvError};
use tokio::time::{Instant, advance};

use crate::world::{MID, World, bounds, james, trip};

/// What an operation takes, and the rest that follows from it.
const TOOK: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(40);
/// A timer rings up to this much late.
const LATE: Duration = Duration::from_millis(2);

/// A store whose operations take their time by the test's clock; a request ends with one of them.
#[derive(Debug)]
struct Slow {
    store: Kv,
    /// When each began and ended.
    times: Mutex<Vec<(Instant, Instant)>>,
    request: Mutex<Option<InFlight>>,
    ends_with: usize,
}

impl Around for Slow {
    fn within(&self) -> &Kv {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        _operation: Operation,
        _size: usize,
        make: impl Future<Output = Result<T, KvError>> + Send,
    ) -> Result<T, KvError> {
        let began = Instant::now();
        let made = make.await;
        advance(TOOK).await;
        let mut times = self.times.lock().unwrap();
        times.push((began, Instant::now()));
        if times.len() == self.ends_with {
            drop(self.request.lock().unwrap().take());
        }
        made
    }
}

/// Moves a hundred records of u-1 while a request of `user` is in flight, until so many operations were made; gives when
/// each operation began and ended.
async fn moved_while(user: &str, ends_with: usize) -> Vec<(Instant, Instant)> {
    let world = World::new();
    for number in 0..100 {
        world.put("LOGS", &format!("trip:James:{number:04}"), &trip("x", "James", MID)).await;
    }
    let foreground = Foreground::default();
    let request = Mutex::new(Some(foreground.enter(user)));
    let slow = Arc::new(Slow { store: world.store.clone(), times: Mutex::default(), request, ends_with });
    let rekey = world.rekey_on(slow.clone()).giving_way_to(&foreground);
    let report = rekey.apply(&james(), bounds(), "jane").await.unwrap();
    assert_eq!((report.done, report.migrated), (true, 100));
    let times = std::mem::take(&mut *slow.times.lock().unwrap());
    assert!(times.len() > 10, "{} operations", times.len());
    times
}

/// The time between the end of each operation and the beginning of the next.
fn pauses(times: &[(Instant, Instant)]) -> Vec<Duration> {
    times.windows(2).map(|two| two[1].0.saturating_duration_since(two[0].1)).collect()
}

#[tokio::test(start_paused = true)]
async fn while_its_user_waits_a_run_makes_one_operation_at_a_time_and_rests_twenty_times_as_long() {
    let times = moved_while("u-1", usize::MAX).await;
    for pause in pauses(&times) {
        assert!((REST..REST + LATE).contains(&pause), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_rest_for_the_requests_of_others() {
    let times = moved_while("u-2", usize::MAX).await;
    assert!(pauses(&times).iter().all(Duration::is_zero), "{:?}", pauses(&times));
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_a_moment_after_the_last_request_of_its_user_has_ended() {
    let times = moved_while("u-1", 4).await;
    let pauses = pauses(&times);
    let (resting, after) = pauses.split_at(3);
    assert!(resting.iter().all(|pause| *pause >= REST), "{pauses:?}");
    let (first, later) = after.split_first().unwrap();
    assert!(!first.is_zero() && *first < REST / 3, "{pauses:?}");
    assert!(later.iter().all(Duration::is_zero), "{pauses:?}");
}
