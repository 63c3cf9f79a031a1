//! What may interrupt a step: a lost lease, a watch, a person.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tidegate_runbook::Name;
use tokio::sync::Notify;

/// Something that a running step must make way for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Another runner holds the lease, or no sign of life could be given for as long as it lasts.
    LeaseLost(String),
    /// A watch failed too often.
    Tripped {
        /// Which.
        watch: Name,
        /// What it saw.
        message: String,
    },
    /// A watch had no answer for too long.
    Unanswered {
        /// Which.
        watch: Name,
        /// Why.
        message: String,
    },
    /// A person wants the run to stop.
    Stop {
        /// Who and how.
        by: String,
    },
}

/// Stops a runner from within its own process, as `tidegate stop` does from another.
#[derive(Clone, Debug)]
pub struct StopHandle(pub(crate) Signals);

impl StopHandle {
    /// Stops the running step and halts the run. `by` completes the sentence "Stopped by …".
    pub fn stop(&self, by: &str) {
        self.0.give(Signal::Stop { by: by.to_owned() });
    }
}

/// Most signals kept; more of the same say nothing new.
const SIGNALS_MAX: usize = 64;

/// Signals that were given and not yet taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    queue: Rc<RefCell<VecDeque<Signal>>>,
    /// Those that no running step makes way for.
    notes: Rc<RefCell<VecDeque<Signal>>>,
    given: Rc<Notify>,
}

impl Signals {
    /// Gives a signal.
    pub(crate) fn give(&self, signal: Signal) {
        let mut queue = self.queue.borrow_mut();
        if !queue.contains(&signal) && queue.len() < SIGNALS_MAX {
            queue.push_back(signal);
        }
        self.given.notify_waiters();
        self.given.notify_one();
    }

    /// Gives a signal that is followed between steps only.
    pub(crate) fn note(&self, signal: Signal) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&signal) && notes.len() < SIGNALS_MAX {
            notes.push_back(signal);
        }
    }

    /// Takes the oldest signal that was only noted.
    pub(crate) fn take_note(&self) -> Option<Signal> {
        self.notes.borrow_mut().pop_front()
    }

    /// Takes the oldest signal, a lost lease before all others.
    pub(crate) fn take(&self) -> Option<Signal> {
        let mut queue = self.queue.borrow_mut();
        let lost = queue.iter().position(|signal| matches!(signal, Signal::LeaseLost(_)));
        lost.and_then(|index| queue.remove(index)).or_else(|| queue.pop_front())
    }

    /// Waits until there is a signal, without taking it.
    pub(crate) async fn wait(&self) {
        loop {
            let notified = self.given.notified();
            if !self.queue.borrow().is_empty() {
                return;
            }
            notified.await;
        }
    }
}
