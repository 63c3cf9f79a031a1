//! How many streams of events are open, in all and of each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams that one instance keeps open.
const STREAMS_MAX: usize = 1_000;
/// Those of one user.
const STREAMS_OF_USER_MAX: usize = 8;

/// The streams that are open, by users.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamPlaces(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_users: HashMap<String, usize>,
}

/// The place of one stream. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    places: StreamPlaces,
    user: String,
}

impl StreamPlaces {
    /// A place for one more stream of a user's; `None`: there is none.
    pub(crate) fn take(&self, user: &str) -> Option<StreamPlace> {
        let mut open = self.open();
        let of_user = open.of_users.get(user).copied().unwrap_or_default();
        if open.all >= STREAMS_MAX || of_user >= STREAMS_OF_USER_MAX {
            return None;
        }
        open.all += 1;
        open.of_users.insert(user.to_owned(), of_user + 1);
        Some(StreamPlace { places: self.clone(), user: user.to_owned() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Counts are whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.places.open();
        open.all = open.all.saturating_sub(1);
        let left = open.of_users.get(&self.user).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            open.of_users.remove(&self.user);
        } else {
            open.of_users.insert(self.user.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_eight_and_all_have_a_thousand() {
        let places = StreamPlaces::default();
        let mut of_ada: Vec<StreamPlace> = std::iter::from_fn(|| places.take("ada")).collect();
        assert_eq!(of_ada.len(), STREAMS_OF_USER_MAX);
        of_ada.pop();
        let others: Vec<StreamPlace> =
            (0..2 * STREAMS_MAX).filter_map(|n| places.take(&n.to_string())).collect();
        assert_eq!(of_ada.len() + others.len(), STREAMS_MAX);
        drop((of_ada, others));
        assert!(places.open().of_users.is_empty());
        assert_eq!(places.open().all, 0);
    }
}
