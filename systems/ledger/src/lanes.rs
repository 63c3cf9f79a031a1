//! How a tenant's requests get to the database without getting into each other's way, or into another tenant's.
//!
//! A tenant's transactions follow each other by its lock in the database. More than a few sessions for one tenant would
//! only wait there, and another tenant would find none: each tenant has so many places, and those who wait do so here.
//!
//! Debits of one tenant that come while one is at the database go there together, in one transaction, as soon as that
//! one is back: one commit instead of many. Who comes alone waits for nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use crate::operations::{Ledger, LedgerError};
use crate::outcome::Outcome;

/// Debits that go to the database together, at most.
const TOGETHER_MAX: usize = 100;
/// Debits of one tenant that wait, at most.
const WAITING_MAX: usize = 10_000;
/// Statements of one tenant that are at the database at a time: one at work, one on its way.
const PLACES: usize = 2;
/// How long somebody waits for a place.
const PLACE_WAIT: Duration = Duration::from_secs(5);

type Answer = Result<Outcome, LedgerError>;

/// A debit that waits for others to come back.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) key: String,
    pub(crate) amount_micro: i64,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The lanes of one ledger: an entry for each tenant for which somebody asks right now.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    debits: Arc<Mutex<HashMap<Uuid, VecDeque<Waiting>>>>,
    places: Arc<Mutex<HashMap<Uuid, Arc<Semaphore>>>>,
    /// Places of each tenant.
    each: usize,
}

/// Where a debit finds itself.
#[derive(Debug)]
pub(crate) enum Lane {
    /// No other one of its tenant is at the database: it goes itself, and keeps this meanwhile.
    First(Turn),
    /// Another one is; whoever comes after it brings the answer.
    Behind(oneshot::Receiver<Answer>),
}

impl Lanes {
    /// Lanes to so many sessions. Where there are few, a tenant has one place, so that it never has all of them.
    pub(crate) fn to(sessions: usize) -> Lanes {
        let each = if sessions > PLACES { PLACES } else { 1 };
        Lanes { debits: Arc::default(), places: Arc::default(), each }
    }

    /// Lanes in which a tenant has one place, however many sessions there are.
    pub(crate) fn single() -> Lanes {
        Lanes { debits: Arc::default(), places: Arc::default(), each: 1 }
    }

    /// Puts a debit into its tenant's lane.
    ///
    /// # Errors
    /// [`LedgerError::Crowded`].
    pub(crate) fn join(
        &self,
        ledger: &Ledger,
        community: Uuid,
        key: &str,
        amount_micro: i64,
    ) -> Result<Lane, LedgerError> {
        let mut debits = hold(&self.debits);
        let Some(waiting) = debits.get_mut(&community) else {
            debits.insert(community, VecDeque::new());
            return Ok(Lane::First(Turn { ledger: ledger.clone(), community, is_over: false }));
        };
        if waiting.len() >= WAITING_MAX {
            return Err(LedgerError::Crowded);
        }
        let (answer, told) = oneshot::channel();
        waiting.push_back(Waiting { key: key.to_owned(), amount_micro, answer });
        Ok(Lane::Behind(told))
    }

    /// Those who go next, in the order in which they came. None: the lane is closed.
    fn next(&self, community: Uuid) -> Vec<Waiting> {
        let mut debits = hold(&self.debits);
        let Some(waiting) = debits.get_mut(&community) else { return Vec::new() };
        // Who has gone away meanwhile gets no answer, and nothing is done for it.
        waiting.retain(|one| !one.answer.is_closed());
        let many = waiting.len().min(TOGETHER_MAX);
        let next: Vec<Waiting> = waiting.drain(..many).collect();
        if next.is_empty() {
            debits.remove(&community);
        }
        next
    }

    /// One of a tenant's places at the database.
    ///
    /// # Errors
    /// [`LedgerError::Crowded`], where none became free in five seconds.
    pub(crate) async fn place(&self, community: Uuid) -> Result<Place, LedgerError> {
        let places = {
            let mut all = hold(&self.places);
            all.entry(community).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
        };
        let mut place = Place { lanes: self.clone(), community, places, permit: None };
        match tokio::time::timeout(PLACE_WAIT, place.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => {
                place.permit = Some(permit);
                Ok(place)
            }
            Ok(Err(_)) | Err(_) => Err(LedgerError::Crowded),
        }
    }

    /// Tenants for which something is kept here: none, once nobody asks.
    #[cfg(test)]
    fn kept(&self) -> usize {
        hold(&self.debits).len() + hold(&self.places).len()
    }
}

/// One of a tenant's places, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    lanes: Lanes,
    community: Uuid,
    places: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        let mut all = hold(&self.lanes.places);
        // The table and this: nobody else of this tenant is here. Who comes takes its part under the same lock.
        if Arc::strong_count(&self.places) == 2 {
            all.remove(&self.community);
        }
    }
}

/// The lead of a tenant's lane. When it is dropped, however that comes, those who wait go.
#[derive(Debug)]
pub(crate) struct Turn {
    ledger: Ledger,
    community: Uuid,
    is_over: bool,
}

impl Turn {
    fn next(&mut self) -> Vec<Waiting> {
        let next = self.ledger.lanes().next(self.community);
        self.is_over = next.is_empty();
        next
    }

    /// Takes those to the database who wait, until nobody does.
    async fn lead(mut self, mut next: Vec<Waiting>) {
        while !next.is_empty() {
            self.ledger.debit_together(self.community, next).await;
            // Who was answered and asks again at once goes along.
            tokio::task::yield_now().await;
            next = self.next();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let next = self.next();
        if next.is_empty() {
            return;
        }
        let turn = Turn { ledger: self.ledger.clone(), community: self.community, is_over: false };
        // Without a runtime the program ends: dropped, they hear that nobody knows.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(turn.lead(next)));
        }
    }
}

/// What is behind a lock. Nobody panics while they hold it, and what it guards is whole at every step.
fn hold<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// A ledger whose database nobody reaches, with so many sessions.
    fn lost_with(sessions: &str) -> Ledger {
        let get = |name: &str| match name {
            "DATABASE_URL" => Some("postgresql://nobody@127.0.0.1:1/none".to_owned()),
            "DATABASE_POOL_MAX" => Some(sessions.to_owned()),
            _ => None,
        };
        Ledger::open(&Config::read(&get).unwrap()).unwrap()
    }

    fn lost() -> Ledger {
        lost_with("10")
    }

    fn behind(ledger: &Ledger, community: Uuid, key: &str) -> oneshot::Receiver<Answer> {
        match ledger.lanes().join(ledger, community, key, 1).unwrap() {
            Lane::Behind(told) => told,
            Lane::First(_) => panic!("somebody is there already"),
        }
    }

    fn first(ledger: &Ledger, community: Uuid) -> Turn {
        match ledger.lanes().join(ledger, community, "first", 1).unwrap() {
            Lane::First(turn) => turn,
            Lane::Behind(_) => panic!("nobody is there"),
        }
    }

    #[tokio::test]
    async fn who_stands_behind_one_that_gives_up_is_told_and_nothing_stays() {
        let (ledger, community) = (lost(), Uuid::from_u128(1));
        let turn = first(&ledger, community);
        let waiting: Vec<_> = ["a", "b", "c"].map(|key| behind(&ledger, community, key)).into();
        // Another tenant has a lane of its own.
        let other = first(&ledger, Uuid::from_u128(2));
        drop(turn);
        for told in waiting {
            let error = told.await.unwrap().unwrap_err();
            assert!(matches!(error, LedgerError::Pool(_)), "each is told what happened: {error}");
        }
        drop(other);
        testkit::eventually("the lanes are closed", Duration::from_secs(10), async || {
            (ledger.lanes().kept() == 0).then_some(())
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn who_went_away_is_not_debited_and_too_many_are_refused() {
        let (ledger, community) = (lost(), Uuid::from_u128(1));
        let _turn = first(&ledger, community);
        let gone = behind(&ledger, community, "gone");
        let stays = behind(&ledger, community, "stays");
        drop(gone);
        let next = ledger.lanes().next(community);
        assert_eq!(next.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["stays"]);
        drop((next, stays));
        let all: Vec<_> =
            (0..WAITING_MAX).map(|number| behind(&ledger, community, &number.to_string())).collect();
        let refused = ledger.lanes().join(&ledger, community, "one more", 1).unwrap_err();
        assert!(matches!(refused, LedgerError::Crowded));
        assert_eq!(ledger.lanes().next(community).len(), TOGETHER_MAX);
        drop(all);
        assert!(ledger.lanes().next(community).is_empty());
    }

    #[tokio::test]
    async fn a_tenant_has_so_many_places_and_no_more() {
        let (ledger, community) = (lost(), Uuid::from_u128(1));
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(ledger.lanes().place(community).await.unwrap());
        }
        let third_ledger = ledger.clone();
        let mut third = Box::pin(async move { third_ledger.lanes().place(community).await });
        assert!(futures_util::poll!(&mut third).is_pending());
        let _other = ledger.lanes().place(Uuid::from_u128(2)).await.unwrap();
        places.pop();
        places.push(third.await.unwrap());
        drop(places);
        assert_eq!(ledger.lanes().kept(), 1, "the other tenant's alone");
    }

    #[tokio::test]
    async fn a_tenant_never_has_all_of_few_sessions() {
        for (sessions, places) in [("1", 1), ("2", 1), ("3", 2), ("10", 2)] {
            let (ledger, community) = (lost_with(sessions), Uuid::from_u128(1));
            let mut taken = Vec::new();
            for _ in 0..places {
                taken.push(ledger.lanes().place(community).await.unwrap());
            }
            let mut further = Box::pin(ledger.lanes().place(community));
            assert!(futures_util::poll!(&mut further).is_pending(), "{sessions} sessions");
        }
    }
}
