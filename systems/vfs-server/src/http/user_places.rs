//! How many long answers of a kind are open, in all and of each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one kind, by users.
#[derive(Debug, Clone)]
pub(crate) struct UserPlaces {
    all_max: usize,
    of_user_max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_users: HashMap<String, usize>,
}

/// One place. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct UserPlace {
    places: UserPlaces,
    user: String,
}

impl UserPlaces {
    /// So many on one instance, and so many of one user.
    pub(crate) fn new(all_max: usize, of_user_max: usize) -> UserPlaces {
        UserPlaces { all_max, of_user_max, open: Arc::default() }
    }

    /// Another place for a user; `None`: there is none.
    pub(crate) fn take(&self, user: &str) -> Option<UserPlace> {
        let mut open = self.open();
        let of_user = open.of_users.get(user).copied().unwrap_or_default();
        if open.all >= self.all_max || of_user >= self.of_user_max {
            return None;
        }
        open.all += 1;
        open.of_users.insert(user.to_owned(), of_user + 1);
        Some(UserPlace { places: self.clone(), user: user.to_owned() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Counts are whole whoever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserPlace {
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
    fn a_user_has_some_of_all_and_they_are_free_again() {
        let places = UserPlaces::new(100, 8);
        let mut of_ada: Vec<UserPlace> = std::iter::from_fn(|| places.take("ada")).collect();
        assert_eq!(of_ada.len(), 8);
        of_ada.pop();
        let others: Vec<UserPlace> = (0..200).filter_map(|n| places.take(&n.to_string())).collect();
        assert_eq!(of_ada.len() + others.len(), 100);
        drop((of_ada, others));
        assert!(places.open().of_users.is_empty());
        assert_eq!(places.open().all, 0);
    }
}
