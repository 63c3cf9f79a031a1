//! An apply from its first look to its last listing.

use std::collections::HashMap;

use tidegate_store::kv::{Change, Condition, Write};

use crate::document::key;
use crate::draft::DRAFT_RECORDS_MAX;
use crate::in_place::InPlaceOwners;
use crate::rekey::{Judgement, timestamp};
use crate::report::Refusals;
use crate::run::Run;
use crate::writer::{Committed, Writer};
use crate::{Bounds, Counts, Rekey, RekeyError, Report, State, Stopped, Subject};

/// Passes of one run: a second listing that finds new legacy records starts another one.
const PASSES_MAX: usize = 3;

impl Rekey {
    /// Copies the records of a subject to their new keys. No legacy key is removed or changed.
    ///
    /// Each batch is written whole or not at all, with what it relied on as its conditions: a run that dies anywhere
    /// leaves nothing half done, and the next one goes on behind the last batch. `actor` stands in the lease.
    ///
    /// # Errors
    /// [`RekeyError::Held`], [`RekeyError::BadBounds`], [`RekeyError::Store`] and others; what was written before stays.
    ///
    /// # Idempotence
    /// For a subject that is done and has no new legacy records, only the state's `lastRun` is written.
    pub async fn apply(&self, subject: &Subject, bounds: Bounds, actor: &str) -> Result<Report, RekeyError> {
        subject.check()?;
        bounds.check()?;
        self.for_subject(subject).apply_in(subject, &bounds, actor, None).await
    }

    /// As [`Rekey::apply`], by a scan that others share. Records in place that are written after the scan are found by
    /// the next run.
    ///
    /// # Errors
    /// As [`Rekey::apply`].
    pub async fn apply_with(
        &self,
        subject: &Subject,
        bounds: Bounds,
        actor: &str,
        in_place: &InPlaceOwners,
    ) -> Result<Report, RekeyError> {
        subject.check()?;
        bounds.check()?;
        self.for_subject(subject).apply_in(subject, &bounds, actor, Some(in_place)).await
    }

    async fn apply_in(
        &self,
        subject: &Subject,
        bounds: &Bounds,
        actor: &str,
        shared: Option<&InPlaceOwners>,
    ) -> Result<Report, RekeyError> {
        if bounds.held_to.is_some() {
            // Numbers that change while somebody else copies say nothing.
            self.must_be_free(&subject.id).await?;
        }
        let in_place = self.in_place(shared).await?;
        let known = self.known(&subject.id).await?;
        let is_done = known.state.as_ref().is_some_and(|(state, _)| state.done);
        if self.is_stopped().await? {
            let mut report = self.report(subject, &in_place, Judgement::default(), false, is_done);
            report.stopped = Some(Stopped::KillSwitch);
            return Ok(report);
        }
        if bounds.held_to.is_some() || is_done {
            let judgement = self.judgement(subject, &known, &in_place, false).await?;
            let differences = bounds.held_to.as_ref().map(|held_to| held_to.differences(&judgement.counts));
            if let Some(differences) = differences.filter(|differences| !differences.is_empty()) {
                let mut report = self.report(subject, &in_place, judgement, false, is_done);
                report.migrated = 0;
                report.stopped = Some(Stopped::HeldTo { differences });
                return Ok(report);
            }
            if is_done && judgement.is_clear() && !judgement.has_news {
                let state = self.write_state(&subject.id, |state| state.dry_run = false).await?;
                let mut report = self.report(subject, &in_place, judgement, false, true);
                if let Some(done) = state.done_by(actor) {
                    report.total = done.clone();
                }
                return Ok(report);
            }
        }
        let lease = self.take_lease(&subject.id, actor).await?;
        // Only now: whoever had the lease before may have written until then.
        let known = self.known(&subject.id).await?;
        let now = timestamp(self.store.now().await?);
        let (mut state, state_version) = match &known.state {
            Some((state, version)) => (state.clone(), Some(*version)),
            None => (State::new(now), None),
        };
        let cursors = known.cursors.clone();
        state.begin(actor, !cursors.is_empty());
        state.done = false;
        let mut run = Run {
            rekey: self,
            subject,
            actor,
            bounds,
            in_place,
            known,
            writer: Writer { rekey: self, subject, lease, state, state_version },
            counts: Counts::default(),
            refusals: Refusals::default(),
            forced: Vec::new(),
            iterations: 0,
            spent: 0,
            last_key: None,
        };
        let report = run.finish(&cursors, shared).await;
        if report.is_err() {
            // A store that cannot be asked keeps the lease until it ends by itself.
            if let Err(error) = self.give_back(&run.writer.lease).await {
                tracing::warn!(subject = %subject.id, %error, "a failed run could not give its lease back");
            }
        }
        report
    }
}

impl Run<'_> {
    async fn finish(
        &mut self,
        cursors: &HashMap<String, crate::document::Cursor>,
        shared: Option<&InPlaceOwners>,
    ) -> Result<Report, RekeyError> {
        let mut stopped = self.pass(cursors, true).await?;
        let mut listing = None;
        for pass in 2..=PASSES_MAX + 1 {
            if stopped.is_some() {
                break;
            }
            let in_place = self.rekey.in_place(shared).await?;
            let seen = self.rekey.judgement(self.subject, &self.known, &in_place, true).await?;
            let is_new = seen.counts.total().migrated > 0 && self.forced.is_empty();
            listing = Some(seen);
            if !is_new || pass > PASSES_MAX {
                break;
            }
            self.in_place = in_place;
            stopped = self.pass(&HashMap::new(), false).await?;
        }
        self.end(stopped, listing).await
    }

    /// Writes the last state and gives the lease back.
    async fn end(
        &mut self,
        mut stopped: Option<Stopped>,
        listing: Option<Judgement>,
    ) -> Result<Report, RekeyError> {
        let rekey = self.rekey;
        let finished = listing.filter(|_| stopped.is_none());
        let mut refusals = std::mem::take(&mut self.refusals);
        let mut state = self.writer.state.clone();
        let mut writes = Vec::new();
        let delete = |key| {
            let namespace = rekey.plan.journal.clone();
            Write { namespace, key, change: Change::Delete, condition: Condition::Always }
        };
        match finished {
            Some(seen) => {
                state.done = seen.is_clear() && self.forced.is_empty();
                state.sum_up(&seen.counts);
                refusals = seen.refusals;
                let mut errors = 0;
                for (list, refusal) in &self.forced {
                    if !refusals.errors.contains(refusal) {
                        errors += 1;
                        refusals.push(*list, refusal.clone());
                    }
                }
                state.errors += errors;
                for rule in &rekey.plan.rules {
                    let spellings = if rule.is_in_place() { 1 } else { self.subject.spellings.len() };
                    for number in 0..spellings {
                        writes
                            .push(delete(key(&self.subject.id, &format!("cursor:{}:{number}", rule.name))?));
                    }
                }
                // Records that are gone, or somebody's by now, are in quarantine no longer. A decided one stays beside
                // its decision. What does not fit here goes at the end of the next run.
                let gone =
                    self.known.held.keys().filter(|hash| {
                        !seen.held.contains(*hash) && !self.known.decisions.contains_key(*hash)
                    });
                for hash in gone.take(DRAFT_RECORDS_MAX - 100) {
                    writes.push(delete(key(&self.subject.id, &format!("quarantine:{hash}"))?));
                }
            }
            None => {
                let listed = |list: &Vec<_>| u64::try_from(list.len()).unwrap_or(u64::MAX);
                state.errors = listed(&refusals.errors);
                state.conflicts = listed(&refusals.conflicts);
                state.quarantined = listed(&refusals.quarantined);
            }
        }
        let done = state.done;
        if stopped != Some(Stopped::LeaseLost) {
            let now = rekey.store.now().await?;
            match self.writer.commit(writes, state, false, Some(now)).await? {
                Committed::Done | Committed::Contended => {}
                Committed::Rejected(error) => return Err(error.into()),
                Committed::Stopped(lost) => stopped = Some(lost),
            }
        }
        let judgement =
            Judgement { counts: std::mem::take(&mut self.counts), refusals, ..Judgement::default() };
        let mut report =
            rekey.report(self.subject, &self.in_place, judgement, false, done && stopped.is_none());
        report.iterations = self.iterations;
        if let Some(done) = self.writer.state.done_by(self.actor) {
            report.total = done.clone();
        }
        if stopped.is_some() {
            report.cursor = self.last_key.take();
        }
        report.stopped = stopped;
        tracing::info!(
            subject = %report.subject, done = report.done, migrated = report.migrated,
            iterations = report.iterations, stopped = ?report.stopped, "keys were moved"
        );
        Ok(report)
    }
}
