//! How a user's pushes get to the database together.
//!
//! A user's pushes follow each other by a lock in the database. Those that come while one of them is there wait here,
//! and go in one transaction as soon as it is back: one commit instead of many. Who comes alone waits for nobody, and
//! users do not wait for each other.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_store::postgres::Pool;
use tokio::sync::oneshot;
use vfs_core::PushRequest;
use vfs_core::push::OPERATIONS_MAX;

use super::push::{Told, push};
use crate::db::Trouble;

/// Operations that go to the database together, where a single push has no more: as long a transaction as there was
/// before.
const OPERATIONS_TOGETHER_MAX: usize = OPERATIONS_MAX;
/// Pushes that go together, however small.
const TOGETHER_MAX: usize = 16;

type Answer = Result<Told, Trouble>;

/// A push that waits for its turn.
#[derive(Debug)]
struct Waiting {
    request: PushRequest,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    fn tell(self, answer: Answer) {
        // Who has gone away pushes it again, and is told that it was applied.
        let _gone = self.answer.send(answer);
    }
}

/// The lanes of one instance: an entry for each user who pushes right now.
#[derive(Debug, Clone, Default)]
pub struct Lanes(Arc<Mutex<HashMap<String, VecDeque<Waiting>>>>);

impl Lanes {
    /// Pushes, together with what else the same user pushes meanwhile.
    ///
    /// What was begun is brought to its end, whether or not somebody waits for the answer.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn push(&self, pool: &Pool, user: &str, request: PushRequest) -> Answer {
        let (answer, told) = oneshot::channel();
        let waiting = Waiting { request, answer };
        let is_first = {
            let mut lanes = self.hold();
            match lanes.get_mut(user) {
                Some(lane) => {
                    lane.push_back(waiting);
                    false
                }
                None => {
                    lanes.insert(user.to_owned(), VecDeque::from([waiting]));
                    true
                }
            }
        };
        if is_first {
            let (lanes, pool, user) = (self.clone(), pool.clone(), user.to_owned());
            let turn = Turn { lanes, pool, user, is_over: false };
            tokio::spawn(turn.go());
        }
        told.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// Pushes that wait for one of the same user to come back.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let still = |lane: &VecDeque<Waiting>| lane.iter().filter(|one| !one.answer.is_closed()).count();
        self.hold().values().map(still).sum()
    }

    fn hold(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who go next, in the order in which they came. None: the lane is closed.
    fn next(&self, user: &str) -> Vec<Waiting> {
        let mut lanes = self.hold();
        let Some(lane) = lanes.get_mut(user) else { return Vec::new() };
        // Who has gone away meanwhile gets no answer, and nothing is done for it.
        lane.retain(|one| !one.answer.is_closed());
        let mut operations = 0;
        let fits = |one: &&Waiting| {
            operations += one.request.operations.len();
            operations <= OPERATIONS_TOGETHER_MAX
        };
        let many = lane.iter().take(TOGETHER_MAX).take_while(fits).count().max(1).min(lane.len());
        let next: Vec<Waiting> = lane.drain(..many).collect();
        if next.is_empty() {
            lanes.remove(user);
        }
        next
    }
}

/// Goes with what waits in a user's lane until nothing does.
struct Turn {
    lanes: Lanes,
    pool: Pool,
    user: String,
    is_over: bool,
}

impl Turn {
    async fn go(mut self) {
        loop {
            let together = self.lanes.next(&self.user);
            if together.is_empty() {
                self.is_over = true;
                return;
            }
            self.take(together).await;
        }
    }

    async fn take(&self, together: Vec<Waiting>) {
        let requests: Vec<&PushRequest> = together.iter().map(|one| &one.request).collect();
        match push(&self.pool, &self.user, &requests).await {
            Ok(told) => {
                for (one, told) in together.into_iter().zip(told) {
                    one.tell(Ok(told));
                }
            }
            // Nothing was applied. The database may have refused all of them for what one of them holds.
            Err(trouble) if together.len() > 1 && is_about_data(&trouble) => {
                for one in together {
                    let alone = push(&self.pool, &self.user, &[&one.request]).await;
                    let told = alone.map(|told| told.into_iter().next());
                    one.tell(told.and_then(|told| told.ok_or_else(unanswered)));
                }
            }
            Err(trouble) => {
                for one in together {
                    one.tell(Err(trouble.copied()));
                }
            }
        }
    }
}

/// However a turn ends: whoever still waits is told so, and the next push begins a new one.
impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.lanes.hold().remove(&self.user);
        }
    }
}

/// Whether a value was refused, and not the moment: SQLSTATE classes of data, of constraints and of limits.
fn is_about_data(trouble: &Trouble) -> bool {
    trouble.sqlstate().is_some_and(|state| ["22", "23", "54"].iter().any(|class| state.starts_with(class)))
}

fn unanswered() -> Trouble {
    Trouble::Broken("a push was left without an answer".to_owned())
}
