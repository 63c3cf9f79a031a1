//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

use crate::Error;

/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks at a condition until it answers `Some`, at most for `bound`.
///
/// # Errors
/// [`Error::Timeout`] naming `what` when the bound has passed.
pub async fn eventually<T, F, Fut>(what: &str, bound: Duration, mut look: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if started.elapsed() >= bound {
            return Err(Error::Timeout { what: what.to_owned(), bound, seen: String::new() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
