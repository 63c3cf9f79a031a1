//! What a switch knows, and how that changes with what it hears.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_flags::Entered;

use crate::environment::Environment;
use crate::snapshot::Snapshot;

/// Whether flag tables are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Not at the last look: the environment rules.
    Absent,
    /// They are there, but the set has not been declared yet: the environment rules.
    Undeclared,
    /// They are there, and a row rules. They cannot go away again: the environment may be long out of date.
    Ruling,
}

/// Something that a switch hears.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// The row that rules, for a sign of life sent then, of which one that old stands in the database.
    Row { row: Entered, sent: Duration, age: Duration },
    /// There are no tables, or the set is not declared.
    Nothing { tables: Tables, sent: Duration },
    /// The database did not answer, or not so that it can be used.
    Failure(String),
    /// The instance is to end.
    Stop,
}

/// The right to serve requests, for a while after each sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    sent: Duration,
    until: Duration,
}

/// What a switch knows.
#[derive(Debug)]
pub(crate) struct State {
    environment: Environment,
    lease_for: Duration,
    tables: Tables,
    snapshot: Arc<Snapshot>,
    lease: Option<Lease>,
    /// How often the lease was lost.
    lapses: u64,
    /// Open requests by their epoch.
    in_flight: BTreeMap<u64, u64>,
    /// The environment has agreed with a row once, so that later moves do not contradict it.
    agreed: bool,
    contradiction: Option<String>,
    last_failure: Option<String>,
    stopping: bool,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotYet,
    LeaseLost { since: Duration },
    Stopping,
}

impl State {
    pub(crate) fn new(environment: Environment, lease_for: Duration) -> State {
        State {
            snapshot: Arc::new(Snapshot::of_environment(&environment)),
            environment,
            lease_for,
            tables: Tables::Absent,
            lease: None,
            lapses: 0,
            in_flight: BTreeMap::new(),
            agreed: false,
            contradiction: None,
            last_failure: None,
            stopping: false,
        }
    }

    /// Takes in what was heard at this time.
    pub(crate) fn hear(&mut self, heard: Heard, now: Duration) {
        match heard {
            Heard::Row { row, sent, age } => {
                self.compare(&row);
                self.tables = Tables::Ruling;
                // Answers may come late; an epoch never falls.
                if row.epoch > self.snapshot.epoch() {
                    self.snapshot = Arc::new(Snapshot::of_row(row));
                }
                self.renew(sent, self.lease_for.saturating_sub(age), now);
            }
            Heard::Nothing { .. } if self.tables == Tables::Ruling => {
                self.last_failure = Some(
                    "the flag set that ruled is no longer in the database; put it back, or start again to go by the \
                     environment"
                        .to_owned(),
                );
            }
            Heard::Nothing { tables, sent } => {
                self.tables = tables;
                self.renew(sent, self.lease_for, now);
            }
            Heard::Failure(why) => self.last_failure = Some(why),
            Heard::Stop => self.stopping = true,
        }
    }

    fn compare(&mut self, row: &Entered) {
        if self.agreed {
            return;
        }
        self.contradiction = self.environment.contradiction(row);
        self.agreed = self.contradiction.is_none();
    }

    fn renew(&mut self, sent: Duration, lasts: Duration, now: Duration) {
        // Lost meanwhile, if nobody has noticed: a stopped process hears its next sign before it looks at the clock.
        if self.lease.is_some_and(|lease| now >= lease.until) {
            self.lapses += 1;
        }
        let until = sent + lasts;
        if self.lease.is_none_or(|lease| until > lease.until) {
            self.lease = Some(Lease { sent, until });
        }
        self.last_failure = None;
    }

    /// Whether requests may be served at this time.
    pub(crate) fn may_serve(&self, now: Duration) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        self.holds_lease(now)
    }

    fn holds_lease(&self, now: Duration) -> Result<(), Refusal> {
        let lease = self.lease.ok_or(Refusal::NotYet)?;
        if now >= lease.until {
            return Err(Refusal::LeaseLost { since: now.saturating_sub(lease.sent) });
        }
        Ok(())
    }

    /// Lets a request in: what it goes by, and the count of lost leases it began under.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<(Arc<Snapshot>, u64), Refusal> {
        self.may_serve(now)?;
        *self.in_flight.entry(self.snapshot.epoch()).or_default() += 1;
        Ok((self.snapshot.clone(), self.lapses))
    }

    /// A request of this epoch has ended. True where that is news: an epoch has drained, or nothing is open any more.
    pub(crate) fn release(&mut self, epoch: u64) -> bool {
        let before = self.drained();
        if let Some(open) = self.in_flight.get_mut(&epoch) {
            *open -= 1;
            if *open == 0 {
                self.in_flight.remove(&epoch);
            }
        }
        self.drained() != before || self.is_over()
    }

    /// Whether the lease was held without a gap since a request began.
    pub(crate) fn held_since(&self, lapses: u64, now: Duration) -> bool {
        self.lapses == lapses && self.holds_lease(now).is_ok()
    }

    /// The epoch that new requests get.
    pub(crate) fn seen(&self) -> u64 {
        self.snapshot.epoch()
    }

    /// No open request has an older epoch than this.
    pub(crate) fn drained(&self) -> u64 {
        self.in_flight.keys().next().copied().unwrap_or_else(|| self.seen()).min(self.seen())
    }

    pub(crate) fn tables(&self) -> Tables {
        self.tables
    }

    /// A writer has found the tables before the next sign of life did.
    pub(crate) fn found_tables(&mut self) {
        if self.tables == Tables::Absent {
            self.tables = Tables::Undeclared;
        }
    }

    /// A writer has not found the tables that were there. False where they may not go away.
    pub(crate) fn lost_tables(&mut self) -> bool {
        if self.tables == Tables::Ruling {
            return false;
        }
        self.tables = Tables::Absent;
        true
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    pub(crate) fn contradiction(&self) -> Option<&str> {
        self.contradiction.as_deref()
    }

    pub(crate) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.values().sum()
    }

    /// The instance is ending, and no request is open any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stopping && self.in_flight.is_empty()
    }

    pub(crate) fn lapses(&self) -> u64 {
        self.lapses
    }
}

#[cfg(test)]
mod tests;
