//! A step that is done for each row of a relation, in waves, with a pause between and a bound for failures.
//!
//! Each subject's state is a row of `tidegate.subject`, written behind the fence: those that are done are passed over
//! when the step is resumed, those that failed or were cut off are done again.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_runbook::{Cohort, KeptValue};
use tidegate_store::postgres::{Session, TxOutcome, run_tx};
use tokio_postgres::types::Type;

use super::{Judged, Roster, failures, key, percent};
use crate::crash::{self, Site};
use crate::digest::Digest;
use crate::error::StepError;
use crate::job::Job;
use crate::lease;
use crate::outcome::{KeptColumn, Outcome};
use crate::values::{Relation, Values};
use crate::verdict::Verdict;

/// States of a subject, as they are stored.
const BEGUN: i16 = 1;
const DONE: i16 = 2;
const FAILED: i16 = 3;

/// What stands of a subject.
struct Standing {
    state: i16,
    judged: Judged,
}

/// The subject at hand.
pub(crate) struct AtHand<'v> {
    /// The step's values, with those of its row.
    pub(crate) values: &'v Values,
    /// Its place among all rows, from 0.
    pub(crate) index: usize,
    /// An attempt before this one began with it, and did not come to its end.
    pub(crate) begun: bool,
    /// What was kept of an attempt that failed.
    pub(crate) kept: &'v [KeptColumn],
}

/// One attempt at a step for each row.
pub(crate) struct Waves<'a> {
    session: &'a Session,
    job: Job<'a>,
    cohort: &'a Cohort,
    kept: &'a [KeptValue],
    roster: Roster<'a>,
}

/// Forgets what became of the subjects when the step was done before: it is to be done anew.
pub(crate) async fn forget(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    fenced(session, job, "forget_subjects", async |session| {
        let (run, step) = (job.run(), job.step.id.as_str());
        let sql = "DELETE FROM tidegate.subject WHERE run = $1 AND step = $2";
        session.execute(sql, &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
        Ok(())
    })
    .await
}

impl<'a> Waves<'a> {
    /// An attempt. `kept` are the names of what is kept of each subject.
    ///
    /// # Errors
    /// Whatever is wrong with the rows.
    pub(crate) fn new(
        session: &'a Session,
        job: Job<'a>,
        cohort: &'a Cohort,
        kept: &'a [KeptValue],
    ) -> Result<Self, StepError> {
        let roster = Roster::new(job.values, cohort, kept)?;
        Ok(Self { session, job, cohort, kept, roster })
    }

    /// Looks at every row before anything is done for the first.
    pub(crate) fn must_all(
        &self,
        mut must: impl FnMut(AtHand<'_>) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let mut values = self.job.values.clone();
        for (index, row) in self.roster.rows().iter().enumerate() {
            self.roster.put(row, &mut values);
            must(AtHand { values: &values, index, begun: false, kept: &[] })?;
        }
        Ok(())
    }

    /// Does it for every subject that is not done; gives what the step keeps, a row for each.
    ///
    /// # Errors
    /// [`StepError::NotHolding`] when more than the bound have failed after a wave: the others stay as they are. What
    /// `deed` answers as an error ends all of it at once; the subject at hand is done again.
    pub(crate) async fn perform(
        &self,
        deed: impl AsyncFnMut(AtHand<'_>) -> Result<Judged, StepError>,
        tell: impl Fn(String),
    ) -> Result<(Outcome, Relation), StepError> {
        self.lay_out().await?;
        let judged = self.waves(deed, tell).await?;
        let failed = judged.iter().filter(|judged| judged.failed.is_some()).count();
        let summary = match (judged.len(), failed) {
            (all, 0) => format!("done for all {all}"),
            (all, failed) => format!("done for {} of {all}; {failed} failed", all - failed),
        };
        let figure = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let figures = [("subjects", judged.len()), ("failed", failed)];
        let figures = figures.map(|(name, count)| (name.to_owned(), figure(count))).into();
        let rows = self.roster.rows().iter().zip(&judged);
        let failed = rows.filter_map(|(row, judged)| Some((row.as_slice(), judged.failed.as_deref()?)));
        let notices =
            Some(failures(failed)).filter(|said| !said.is_empty()).map(|said| format!("failed: {said}"));
        let kept = self.roster.kept(&judged, self.kept);
        let notices = notices.into_iter().collect();
        // The bound may be another than when the run began.
        let bound = ("max_failure_rate".to_owned(), self.cohort.max_failure_rate.to_string());
        Ok((Outcome { summary, figures, notices, texts: [bound].into(), ..Outcome::default() }, kept))
    }

    /// Notes the subjects that are not noted yet.
    async fn lay_out(&self) -> Result<(), StepError> {
        let mut digests: Vec<Vec<u8>> = Vec::new();
        let mut cells: Vec<String> = Vec::new();
        for row in self.roster.rows() {
            let (digest, text) = key(row);
            digests.push(digest.0.to_vec());
            cells.push(text);
        }
        let (run, step) = (self.job.run(), self.job.step.id.as_str());
        fenced(self.session, self.job, "lay_out_subjects", async |session| {
            session
                .execute(
                    include_str!("lay_out.sql"),
                    &[
                        (&run, Type::UUID),
                        (&step, Type::TEXT),
                        (&digests, Type::BYTEA_ARRAY),
                        (&cells, Type::TEXT_ARRAY),
                    ],
                )
                .await?;
            Ok(())
        })
        .await
    }

    async fn waves(
        &self,
        mut deed: impl AsyncFnMut(AtHand<'_>) -> Result<Judged, StepError>,
        tell: impl Fn(String),
    ) -> Result<Vec<Judged>, StepError> {
        let mut standing = self.standing().await?;
        let mut values = self.job.values.clone();
        let rows = self.roster.rows();
        let size = usize::try_from(self.cohort.wave).unwrap_or(1).max(1);
        let waves = rows.len().div_ceil(size);
        for (number, wave) in rows.chunks(size).enumerate() {
            let states = |standing: &BTreeMap<Digest, Standing>| -> Vec<i16> {
                wave.iter().map(|row| standing.get(&key(row).0).map_or(0, |found| found.state)).collect()
            };
            let found = states(&standing);
            if found.iter().all(|state| *state == DONE) {
                continue;
            }
            if number > 0 && found.iter().all(|state| *state == 0) {
                self.pause(number, waves, &tell).await?;
            }
            for (index, row) in wave.iter().enumerate() {
                let (digest, _) = key(row);
                if standing.get(&digest).is_some_and(|found| found.state == DONE) {
                    continue;
                }
                let ordinal = number * size + index;
                let failed = standing.values().filter(|found| found.state == FAILED).count();
                tell(format!(
                    "wave {} of {waves}: {} of {}, {failed} failed",
                    number + 1,
                    ordinal + 1,
                    rows.len()
                ));
                self.note(digest, BEGUN, None, &[]).await?;
                self.roster.put(row, &mut values);
                let before = standing.get(&digest);
                let begun = before.is_some_and(|found| found.state == BEGUN);
                let kept = before.map_or(&[][..], |found| &found.judged.kept);
                let judged = deed(AtHand { values: &values, index: ordinal, begun, kept }).await?;
                crash::point(Site::CommandDone, self.job.step.id.as_str());
                let state = if judged.failed.is_none() { DONE } else { FAILED };
                self.note(digest, state, judged.failed.as_deref(), &judged.kept).await?;
                crash::point(Site::SubjectNoted, self.job.step.id.as_str());
                standing.insert(digest, Standing { state, judged });
            }
            self.bound(number, waves, &standing)?;
        }
        let missing = || StepError::refused("a subject was lost from the journal", "Run `tidegate doctor`.");
        rows.iter()
            .map(|row| standing.remove(&key(row).0).map(|found| found.judged).ok_or_else(missing))
            .collect()
    }

    /// Refuses to begin another wave when more have failed than may.
    fn bound(
        &self,
        number: usize,
        waves: usize,
        standing: &BTreeMap<Digest, Standing>,
    ) -> Result<(), StepError> {
        let judged = |state: &i16| [DONE, FAILED].contains(state);
        let of = standing.values().filter(|found| judged(&found.state)).count();
        let rows = self.roster.rows().iter();
        let failed: Vec<(&[Option<String>], &str)> = rows
            .filter_map(|row| {
                let found = standing.get(&key(row).0).filter(|found| found.state == FAILED)?;
                Some((row.as_slice(), found.judged.failed.as_deref().unwrap_or("failed")))
            })
            .collect();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if !self.cohort.max_failure_rate.is_exceeded_by(count(failed.len()), count(of)) {
            return Ok(());
        }
        let found = format!(
            "wave {} of {waves} ended with {} of {of} failed, {}, and at most {} may: {}; those that are done stay done, and a resumed step does the others",
            number + 1,
            failed.len(),
            percent(failed.len(), of),
            self.cohort.max_failure_rate,
            failures(failed.into_iter()),
        );
        Err(StepError::not_holding(self.job.program, self.job.step, Verdict::Fail(found)))
    }

    /// Waits until the pause since the last subject is over.
    async fn pause(&self, number: usize, waves: usize, tell: impl Fn(String)) -> Result<(), StepError> {
        let pause = self.cohort.between_waves;
        if pause.is_zero() {
            return Ok(());
        }
        let (run, step) = (self.job.run(), self.job.step.id.as_str());
        let rows =
            self.session.query(include_str!("since.sql"), &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
        let since = rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or(0);
        let left = pause.saturating_sub(Duration::from_millis(u64::try_from(since).unwrap_or(0)));
        if !left.is_zero() {
            tell(format!("wave {number} of {waves} is done; the next begins in {} s", left.as_secs()));
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    async fn standing(&self) -> Result<BTreeMap<Digest, Standing>, StepError> {
        let (run, step) = (self.job.run(), self.job.step.id.as_str());
        let sql = "SELECT subject, state, detail, kept FROM tidegate.subject WHERE run = $1 AND step = $2";
        let rows = self.session.query(sql, &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
        let mut standing = BTreeMap::new();
        for row in rows {
            let kept: Vec<KeptColumn> = serde_json::from_str(row.get("kept")).unwrap_or_default();
            let judged = Judged { failed: row.get("detail"), kept };
            if let Some(digest) = Digest::from_bytes(row.get("subject")) {
                standing.insert(digest, Standing { state: row.get("state"), judged });
            }
        }
        Ok(standing)
    }

    async fn note(
        &self,
        subject: Digest,
        state: i16,
        detail: Option<&str>,
        kept: &[KeptColumn],
    ) -> Result<(), StepError> {
        let (run, step) = (self.job.run(), self.job.step.id.as_str());
        let subject = subject.0.to_vec();
        let kept = serde_json::to_string(kept).unwrap_or_else(|_| "[]".to_owned());
        fenced(self.session, self.job, "note_subject", async |session| {
            session
                .execute(
                    include_str!("note.sql"),
                    &[
                        (&run, Type::UUID),
                        (&step, Type::TEXT),
                        (&subject, Type::BYTEA),
                        (&state, Type::INT2),
                        (&detail, Type::TEXT),
                        (&kept, Type::TEXT),
                    ],
                )
                .await?;
            Ok(())
        })
        .await
    }
}

async fn fenced(
    session: &Session,
    job: Job<'_>,
    name: &'static str,
    body: impl AsyncFn(&Session) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let done = run_tx(session, name, &job.tx_options(), async |session: &Session| {
        lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        body(session).await
    })
    .await;
    match done {
        TxOutcome::Committed(()) => Ok(()),
        TxOutcome::RolledBack(error) => Err(error),
        TxOutcome::Unknown(failure) => Err(failure.into()),
    }
}
