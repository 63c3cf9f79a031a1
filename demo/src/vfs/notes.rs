//! What the devices were told, and what they received.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers that are kept word for word.
const WORDS_MAX: usize = 10;

/// A blob that was attached, and what it must read as.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    /// Its id.
    pub(crate) blob: String,
    /// What was staged.
    pub(crate) bytes: Vec<u8>,
}

/// What one user's devices know.
#[derive(Debug, Default)]
struct User {
    pushed: BTreeSet<String>,
    received: BTreeMap<String, u32>,
    attached: Vec<Attached>,
}

/// What all devices know.
#[derive(Debug, Default)]
struct Known {
    users: BTreeMap<usize, User>,
    /// Items of a page that did not come behind the ones before.
    out_of_order: u64,
    /// Requests that were told to come again while writes were frozen or tables were moved.
    held_back: u64,
    /// Requests whose answer did not come.
    unanswered: u64,
    /// Blobs that read otherwise than they were staged.
    changed_blobs: u64,
    requests: u64,
    slowest: Duration,
    /// Reconciled cursors that fell.
    fallen: u64,
    phases: BTreeMap<i32, Phase>,
    unexpected: u64,
    words: Vec<String>,
}

/// What became of requests while the schema was at one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    /// Answers, by what was asked.
    pub(crate) answered: BTreeMap<Endpoint, u64>,
    pub(crate) held_back: u64,
    pub(crate) unanswered: u64,
    pub(crate) unexpected: u64,
    pub(crate) slowest: Duration,
}

/// What a device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Push,
    Pull,
    Reconcile,
    Stage,
    Attach,
    Other,
}

impl Endpoint {
    /// Those that a migration must leave at work.
    pub(crate) const WATCHED: [Endpoint; 5] =
        [Endpoint::Push, Endpoint::Pull, Endpoint::Reconcile, Endpoint::Stage, Endpoint::Attach];

    /// By the path of a request.
    pub(crate) fn of(path: &str) -> Self {
        match path.split('?').next().unwrap_or_default() {
            "/v1/vfs/crdt/push" => Self::Push,
            "/v1/vfs/crdt/sync" => Self::Pull,
            "/v1/vfs/crdt/reconcile" => Self::Reconcile,
            "/v1/vfs/blobs/stage" => Self::Stage,
            path if path.ends_with("/attach") => Self::Attach,
            _ => Self::Other,
        }
    }
}

/// Everything that is noted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    known: Mutex<Known>,
    /// The version of the schema, as was last seen.
    version: AtomicI32,
}

/// What became of what was acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) operations: usize,
    pub(crate) lost: usize,
    pub(crate) twice: usize,
    pub(crate) out_of_order: u64,
    pub(crate) blobs: usize,
    pub(crate) changed_blobs: u64,
    pub(crate) requests: u64,
    pub(crate) held_back: u64,
    pub(crate) unanswered: u64,
    pub(crate) slowest: Duration,
    pub(crate) fallen: u64,
    pub(crate) phases: BTreeMap<i32, Phase>,
    pub(crate) unexpected: u64,
    pub(crate) words: Vec<String>,
}

impl Notes {
    /// The schema is at this version now.
    pub(crate) fn at_version(&self, version: i32) {
        self.version.store(version, Ordering::Relaxed);
    }

    fn phase<'a>(&self, known: &'a mut Known) -> &'a mut Phase {
        known.phases.entry(self.version.load(Ordering::Relaxed)).or_default()
    }

    /// A reconciled cursor that is behind one from before.
    pub(crate) fn cursor_fell(&self) {
        self.known().fallen += 1;
    }

    /// Operations that were acknowledged to a user.
    pub(crate) fn pushed(&self, user: usize, ids: impl IntoIterator<Item = String>) {
        self.known().users.entry(user).or_default().pushed.extend(ids);
    }

    /// An operation that a user's reading device received.
    pub(crate) fn received(&self, user: usize, id: &str) {
        *self.known().users.entry(user).or_default().received.entry(id.to_owned()).or_default() += 1;
    }

    /// An item that did not come behind the one before.
    pub(crate) fn out_of_order(&self) {
        self.known().out_of_order += 1;
    }

    /// A blob whose attachment was acknowledged.
    pub(crate) fn attached(&self, user: usize, attached: Attached) {
        self.known().users.entry(user).or_default().attached.push(attached);
    }

    /// A blob that read otherwise than it was staged.
    pub(crate) fn changed_blob(&self) {
        self.known().changed_blobs += 1;
    }

    /// A request that was answered.
    pub(crate) fn answered(&self, endpoint: Endpoint, took: Duration) {
        let mut known = self.known();
        known.requests += 1;
        known.slowest = known.slowest.max(took);
        let phase = self.phase(&mut known);
        *phase.answered.entry(endpoint).or_default() += 1;
        phase.slowest = phase.slowest.max(took);
    }

    /// A request that was told to come again.
    pub(crate) fn held_back(&self) {
        let mut known = self.known();
        known.held_back += 1;
        self.phase(&mut known).held_back += 1;
    }

    /// A request whose answer did not come.
    pub(crate) fn unanswered(&self) {
        let mut known = self.known();
        known.unanswered += 1;
        self.phase(&mut known).unanswered += 1;
    }

    /// An answer that should not have come.
    pub(crate) fn unexpected(&self, words: String) {
        let mut known = self.known();
        known.unexpected += 1;
        self.phase(&mut known).unexpected += 1;
        if known.words.len() < WORDS_MAX {
            known.words.push(words);
        }
    }

    /// What each user attached.
    pub(crate) fn blobs(&self) -> Vec<(usize, Attached)> {
        let known = self.known();
        let of = |(user, known): (&usize, &User)| {
            known.attached.iter().map(|attached| (*user, attached.clone())).collect::<Vec<_>>()
        };
        known.users.iter().flat_map(of).collect()
    }

    /// How many operations were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.known().users.values().map(|user| user.pushed.len()).sum()
    }

    /// What became of everything.
    pub(crate) fn verdict(&self) -> Verdict {
        let known = self.known();
        let mut verdict = Verdict {
            out_of_order: known.out_of_order,
            changed_blobs: known.changed_blobs,
            requests: known.requests,
            held_back: known.held_back,
            unanswered: known.unanswered,
            slowest: known.slowest,
            fallen: known.fallen,
            phases: known.phases.clone(),
            unexpected: known.unexpected,
            words: known.words.clone(),
            ..Verdict::default()
        };
        for user in known.users.values() {
            verdict.operations += user.pushed.len();
            verdict.lost += user.pushed.iter().filter(|id| !user.received.contains_key(*id)).count();
            verdict.twice += user.received.values().filter(|times| **times > 1).count();
            verdict.blobs += user.attached.len();
        }
        verdict
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_and_not_received_is_lost_and_what_came_again_is_told() {
        let notes = Notes::default();
        notes.pushed(1, ["a", "b", "c"].map(str::to_owned));
        for id in ["a", "c", "c", "of somebody else's"] {
            notes.received(1, id);
        }
        notes.received(2, "b");
        let verdict = notes.verdict();
        assert_eq!((verdict.operations, verdict.lost, verdict.twice), (3, 1, 1));
    }

    #[test]
    fn requests_count_for_the_version_at_which_they_were_answered() {
        let notes = Notes::default();
        notes.at_version(23);
        notes.answered(Endpoint::of("/v1/vfs/crdt/push"), Duration::from_millis(2));
        notes.at_version(24);
        notes.answered(Endpoint::of("/v1/vfs/crdt/sync?limit=5"), Duration::from_millis(7));
        notes.answered(Endpoint::of("/v1/vfs/blobs/stage/s/attach"), Duration::from_millis(5));
        notes.held_back();
        notes.unexpected("what".to_owned());
        let phases = notes.verdict().phases;
        assert_eq!(phases[&23].answered, BTreeMap::from([(Endpoint::Push, 1)]));
        assert_eq!(phases[&24].answered, BTreeMap::from([(Endpoint::Pull, 1), (Endpoint::Attach, 1)]));
        assert_eq!((phases[&23].unexpected, phases[&24].unexpected), (0, 1));
        assert_eq!((phases[&24].held_back, phases[&24].slowest), (1, Duration::from_millis(7)));
    }
}
