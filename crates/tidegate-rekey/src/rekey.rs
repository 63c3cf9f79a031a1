//! What a caller can ask.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_store::kv::{Condition, Key, Kv, PAGE_MAX, UnixSecond, Written};

use crate::asking::Asking;
use crate::document::{key, put, read};
use crate::in_place::{InPlaceMemory, InPlaceOwners};
use crate::judging::Judging;
use crate::known::Known;
use crate::report::Refusals;
use crate::stream::Stream;
use crate::{Claims, Counts, Foreground, Plan, RekeyError, Report, State, Subject, Verdict};

/// While this key is in the journal's namespace, every apply ends within one batch and none begins.
pub const STOP_KEY: &str = "migration:stop";
/// How long a run that has died keeps others out.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(60);
/// Tries to write a key that others write too.
pub(crate) const WRITE_TRIES_MAX: usize = 8;

/// Moves the keys of one subject after the other, by one plan, in one store.
#[derive(Debug, Clone)]
pub struct Rekey {
    pub(crate) store: Asking,
    pub(crate) plan: Arc<Plan>,
    pub(crate) claims: Arc<dyn Claims>,
    pub(crate) lease_seconds: i64,
    memory: InPlaceMemory,
    pub(crate) foreground: Foreground,
}

/// What a pass found that writes nothing.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) counts: Counts,
    pub(crate) refusals: Refusals,
    /// Whether there is a quarantined record, or a settled one, that the journal does not know of.
    pub(crate) has_news: bool,
    /// Records in quarantine, by their hash.
    pub(crate) held: BTreeSet<String>,
}

impl Judgement {
    /// Whether nothing is to be copied, decided or mended.
    pub(crate) fn is_clear(&self) -> bool {
        self.counts.total().open() == 0
    }
}

impl Rekey {
    /// Moves keys in this store.
    ///
    /// # Errors
    /// [`RekeyError::StoreLacks`]; [`RekeyError::BadRule`].
    pub fn new(store: Kv, plan: Arc<Plan>, claims: Arc<dyn Claims>) -> Result<Self, RekeyError> {
        let properties = store.properties();
        let needed =
            [(properties.compare_and_set, "compare_and_set"), (properties.atomic_batches, "atomic_batches")];
        if let Some((_, lacks)) = needed.into_iter().find(|(has, _)| !has) {
            return Err(RekeyError::StoreLacks { store: format!("{store:?}"), lacks });
        }
        plan.check()?;
        let lease_seconds = i64::try_from(LEASE_DEFAULT.as_secs()).unwrap_or(i64::MAX);
        let memory = InPlaceMemory::default();
        Ok(Self {
            store: Asking(store),
            plan,
            claims,
            lease_seconds,
            memory,
            foreground: Foreground::default(),
        })
    }

    /// Shares what scans have read with others of the same store and plan.
    #[must_use]
    pub fn with_memory(mut self, memory: InPlaceMemory) -> Self {
        self.memory = memory;
        self
    }

    /// Gives way to these requests: while there are any of the user whose keys are at hand, batches are small, and between
    /// any two operations it rests, for at most a quarter of a second. A user's requests are entered under the id.
    #[must_use]
    pub fn giving_way_to(mut self, foreground: &Foreground) -> Self {
        self.foreground = foreground.clone();
        self
    }

    /// The same for one subject, to whose requests it gives way.
    pub(crate) fn for_subject(&self, subject: &Subject) -> Self {
        let store = Asking(self.foreground.gentle(Arc::clone(&self.store.0), &subject.id));
        Self { store, ..self.clone() }
    }

    /// Keeps others out for this long after a run has died, instead of [`LEASE_DEFAULT`]; whole seconds, at least one.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease_seconds = i64::try_from(lease.as_secs()).unwrap_or(i64::MAX).clamp(1, 86_400);
        self
    }

    /// Counts the legacy keys of a subject: `scanned` only. Keys that differ only in the case of the name count once.
    /// Nothing is written, and nobody is asked who else claims the names.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn owned(&self, subject: &Subject) -> Result<Counts, RekeyError> {
        subject.check()?;
        let in_place = self.in_place(None).await?;
        self.owned_in(subject, &in_place).await
    }

    /// As [`Rekey::owned`], by a scan that others share.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn owned_with(
        &self,
        subject: &Subject,
        in_place: &InPlaceOwners,
    ) -> Result<Counts, RekeyError> {
        subject.check()?;
        self.owned_in(subject, in_place).await
    }

    async fn owned_in(&self, subject: &Subject, in_place: &InPlaceOwners) -> Result<Counts, RekeyError> {
        let known = Known::default();
        let mut stream = Stream::new(&self.plan, subject, &known, &HashMap::new(), in_place);
        let (mut counts, mut seen) = (Counts::default(), BTreeSet::new());
        loop {
            let items = stream.take(&self.store, &self.plan, PAGE_MAX).await?;
            if items.is_empty() {
                return Ok(counts);
            }
            for item in items {
                let Some(rule) = self.plan.rules.get(item.rule) else { continue };
                // A single record was not listed: whether it is there must be asked.
                let is_there = item.version.is_some()
                    || rule.is_in_place()
                    || self.store.get(&rule.namespace, &item.key).await?.is_some();
                let rest = item.key.as_str().strip_prefix(&rule.keys_of(&item.spelling)).unwrap_or_default();
                let name = item.spelling.to_lowercase();
                let record = if rule.is_in_place() { item.key.to_string() } else { rest.to_owned() };
                if is_there && seen.insert((item.rule, name, record)) {
                    counts.of(&rule.name).scanned += 1;
                }
            }
        }
    }

    /// Reads whose the records are that are kept in place, once for many subjects.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn scan_in_place(&self) -> Result<InPlaceOwners, RekeyError> {
        InPlaceOwners::scan(&self.store, &self.plan, &self.memory).await
    }

    pub(crate) async fn in_place(&self, given: Option<&InPlaceOwners>) -> Result<InPlaceOwners, RekeyError> {
        match given {
            Some(given) => Ok(given.clone()),
            None => self.scan_in_place().await,
        }
    }

    /// Judges every record and writes only the subject's state: when it ran, its numbers, and that it was dry. A
    /// former `done` and `migrated` stay.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn dry(&self, subject: &Subject) -> Result<Report, RekeyError> {
        subject.check()?;
        self.dry_with(subject, &self.in_place(None).await?).await
    }

    /// As [`Rekey::dry`], by a scan that others share.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn dry_with(&self, subject: &Subject, in_place: &InPlaceOwners) -> Result<Report, RekeyError> {
        subject.check()?;
        let gentle = self.for_subject(subject);
        let known = gentle.known(&subject.id).await?;
        let judgement = gentle.judgement(subject, &known, in_place, false).await?;
        let former = self
            .write_state(&subject.id, |state| {
                state.dry_run = true;
                state.stats = judgement.counts.clone();
                state.sum_up(&judgement.counts);
            })
            .await?;
        let done = former.done && judgement.is_clear();
        Ok(self.report(subject, in_place, judgement, true, done))
    }

    /// Judges every record and writes nothing; gives the numbers of a dry run, by a scan that others share.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn count_with(
        &self,
        subject: &Subject,
        in_place: &InPlaceOwners,
    ) -> Result<Counts, RekeyError> {
        subject.check()?;
        let gentle = self.for_subject(subject);
        let known = gentle.known(&subject.id).await?;
        Ok(gentle.judgement(subject, &known, in_place, false).await?.counts)
    }

    /// What a next apply would still copy, or stumble on: `migrated`, `conflicts`, `quarantined`, `failed`, and their
    /// sum as `scanned`. Nothing is written.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn remaining(&self, subject: &Subject) -> Result<Counts, RekeyError> {
        subject.check()?;
        self.remaining_with(subject, &self.in_place(None).await?).await
    }

    /// As [`Rekey::remaining`], by a scan that others share.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn remaining_with(
        &self,
        subject: &Subject,
        in_place: &InPlaceOwners,
    ) -> Result<Counts, RekeyError> {
        let counts = self.count_with(subject, in_place).await?;
        let mut open = Counts::default();
        for (name, counts) in counts.0 {
            if counts.open() > 0 {
                let of = open.of(&name);
                (of.migrated, of.conflicts) = (counts.migrated, counts.conflicts);
                (of.quarantined, of.failed) = (counts.quarantined, counts.failed);
                of.scanned = of.open();
            }
        }
        Ok(open)
    }

    /// Where a subject's migration stands; none: nothing ever ran.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn state(&self, id: &str) -> Result<Option<State>, RekeyError> {
        let at = key(id, "state")?;
        let entry = self.store.get(&self.plan.journal, &at).await?;
        entry.map(|entry| read(&at, &entry)).transpose()
    }

    pub(crate) async fn known(&self, id: &str) -> Result<Known, RekeyError> {
        Known::load(&self.store, &self.plan.journal, id).await
    }

    /// Judges every record. With `only_open`, records that the ledger has settled are passed over unread.
    pub(crate) async fn judgement(
        &self,
        subject: &Subject,
        known: &Known,
        in_place: &InPlaceOwners,
        only_open: bool,
    ) -> Result<Judgement, RekeyError> {
        let mut stream = Stream::new(&self.plan, subject, known, &HashMap::new(), in_place);
        let mut judging = Judging::new(&self.store, &self.plan, &*self.claims, subject, true);
        let mut judgement = Judgement::default();
        loop {
            let at_once = if only_open { PAGE_MAX } else { judging.page() };
            let mut items = stream.take(&self.store, &self.plan, at_once).await?;
            if items.is_empty() {
                return Ok(judgement);
            }
            if only_open {
                items.retain(|item| {
                    let rule = self.plan.rules.get(item.rule);
                    let settled = rule.and_then(|rule| known.ledger.version(&rule.namespace, &item.key));
                    item.version.is_none() || settled != item.version
                });
                // Beyond the page that is known to be small enough, they come with the next one.
                let rest = items.split_off(judging.page().min(items.len()));
                stream.put_back(rest);
                if items.is_empty() {
                    continue;
                }
            }
            let (judged, unread) = judging.judge(known, items).await?;
            stream.put_back(unread);
            for judged in judged {
                let Some(rule) = self.plan.rules.get(judged.item.rule) else { continue };
                if matches!(judged.verdict, Verdict::NotOurs) {
                    continue;
                }
                *judgement.counts.of(&rule.name) += judged.counts();
                judgement.has_news |= judged.settles(rule);
                if matches!(judged.verdict, Verdict::Quarantine(_)) {
                    let hash = crate::known::hash_of(&rule.namespace, &judged.item.key);
                    judgement.has_news |= !known.held.contains_key(&hash);
                    judgement.held.insert(hash);
                }
                if let Some((list, refusal)) = judged.refusal(rule) {
                    judgement.refusals.push(list, refusal);
                }
            }
        }
    }

    pub(crate) fn report(
        &self,
        subject: &Subject,
        in_place: &InPlaceOwners,
        judgement: Judgement,
        dry_run: bool,
        done: bool,
    ) -> Report {
        let Judgement { counts, refusals, .. } = judgement;
        let Refusals { conflicts, quarantined, errors, more } = refusals;
        Report {
            subject: subject.id.clone(),
            dry_run,
            done,
            stopped: None,
            iterations: 0,
            migrated: counts.total().migrated,
            total: counts.clone(),
            counts,
            conflicts,
            quarantined,
            errors,
            more,
            unattributed: in_place.unattributed(&subject.spellings),
            cursor: None,
        }
    }

    /// Changes the state beside whoever else does; answers what it now is.
    pub(crate) async fn write_state(
        &self,
        id: &str,
        change: impl Fn(&mut State),
    ) -> Result<State, RekeyError> {
        let at = key(id, "state")?;
        for _try in 0..WRITE_TRIES_MAX {
            let now = timestamp(self.store.now().await?);
            let found = self.store.get(&self.plan.journal, &at).await?;
            let condition =
                found.as_ref().map_or(Condition::Absent, |entry| Condition::Version(entry.version));
            let mut state = match &found {
                Some(entry) => read(&at, entry)?,
                None => State::new(now),
            };
            state.last_run = now;
            change(&mut state);
            let write = put(&self.plan.journal, at.clone(), &state, condition)?;
            if let Written::Done(_) = self.store.0.write(write).await? {
                return Ok(state);
            }
        }
        Err(RekeyError::Contended { key: at.to_string(), tries: WRITE_TRIES_MAX })
    }

    /// Whether all migration is stopped.
    pub(crate) async fn is_stopped(&self) -> Result<bool, RekeyError> {
        let stop = Key::new(STOP_KEY)?;
        Ok(self.store.get(&self.plan.journal, &stop).await?.is_some())
    }
}

/// A second as a time to be read by people; out of range: the range's end.
pub(crate) fn timestamp(second: UnixSecond) -> Timestamp {
    Timestamp::from_second(second.0).unwrap_or(Timestamp::MAX)
}
