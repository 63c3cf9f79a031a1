//! Copying: a worker takes a range, copies it in one transaction, and takes the next.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidegate_runbook::{Backfill, BackfillSource, SqlStatement};
use tidegate_store::postgres::{
    Failure, FailureKind, Session, TxOptions, TxOutcome, quote_identifier, run_tx,
};
use tokio_postgres::types::Type;

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::gate::placed;
use crate::job::Job;
use crate::lease;
use crate::observer::Progress;
use crate::question::sql::set;
use crate::verb::backfill::allot::{Allotment, Range};
use crate::verb::backfill::ground::{Ground, leave_role, take_role};
use crate::verb::backfill::in_the_way::InTheWay;
use crate::verb::backfill::key::Key;
use crate::verb::backfill::pace::Pace;
use crate::verb::backfill::refused;
use crate::verb::backfill::throttle::Throttled;
use crate::verb::flags;

/// How long a worker that has nothing to do waits for ranges that others may give back.
const IDLE_FOR: Duration = Duration::from_millis(5);

/// Attempts at a chunk that meets deadlocks or waits for locks in vain, before it is split or given up.
const ATTEMPTS: u32 = 20;

/// A range that is copied.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) after: Option<Key>,
    pub(super) upto: Key,
    pub(super) written: u64,
}

/// What became of a range.
enum Copied {
    /// It is copied, and so many rows were written.
    Whole(u64),
    /// These are to be copied instead; none, if its only row is refused.
    Not(Vec<Range>),
}

/// Copies ranges.
pub(super) struct Copier<'a> {
    pub(super) job: Job<'a>,
    pub(super) backfill: &'a Backfill,
    pub(super) ground: &'a Ground,
    pub(super) pace: &'a Pace,
    pub(super) in_the_way: &'a InTheWay,
    pub(super) throttled: &'a Rc<RefCell<Option<Throttled>>>,
}

impl Copier<'_> {
    /// Works until nothing is left or `stop` says so.
    pub(super) async fn work(
        &self,
        number: u32,
        allotment: &tokio::sync::Mutex<Allotment>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), StepError> {
        let session = self.job.doors.connect_home(&format!("{}/{number}", self.job.application())).await?;
        while !stop() {
            let slowed = self.throttled.borrow().is_some();
            if slowed && !self.pace.may_trickle(number) {
                tokio::time::sleep(IDLE_FOR).await;
                continue;
            }
            let taken = {
                let mut open = allotment.lock().await;
                let taken = open.take(&session, self.ground, self.pace.rows(slowed)).await?;
                if taken.is_none() && !open.is_at_work() {
                    break;
                }
                taken
            };
            let Some(range) = taken else {
                tokio::time::sleep(IDLE_FOR).await;
                continue;
            };
            let copied = self.copy_or_split(&session, &range).await?;
            let mut open = allotment.lock().await;
            match copied {
                Copied::Whole(written) => open.copied(self.ground, &range, written),
                Copied::Not(pieces) => open.give_back(pieces),
            }
        }
        session.close().await;
        Ok(())
    }

    /// Copies a range; gives the pieces to be copied instead where it is too much at once, or holds a row that is refused.
    async fn copy_or_split(&self, session: &Session, range: &Range) -> Result<Copied, StepError> {
        let hopeful = self.backfill.hopeful.as_ref().filter(|_| !self.in_the_way.expected());
        let (mut begun, mut outcome) = (Instant::now(), self.copy(session, range, hopeful).await);
        if hopeful.is_some() {
            match &outcome {
                TxOutcome::Committed(_) => self.in_the_way.met_none(),
                // Whatever the server refuses is refused, or done, in the page's own words.
                TxOutcome::RolledBack(error)
                    if error.server().is_some_and(|failure| !is_too_long(failure)) =>
                {
                    self.in_the_way.met();
                    (begun, outcome) = (Instant::now(), self.copy(session, range, None).await);
                }
                _ => {}
            }
        }
        let error = match outcome {
            TxOutcome::Committed(written) => {
                crash::point(Site::ChunkCommitted, self.job.step.id.as_str());
                self.pace.took(begun.elapsed(), written);
                return Ok(Copied::Whole(written));
            }
            // The note stands or falls with the copy: whoever goes on reads which.
            TxOutcome::Unknown(failure) => return Err(failure.into()),
            TxOutcome::RolledBack(error) => error,
        };
        let Some(failure) = error.server() else { return Err(error) };
        let too_long = is_too_long(failure);
        let refused = failure.sqlstate().is_some_and(refused::is_refusal);
        if !too_long && !refused {
            return Err(error);
        }
        self.pace.was_too_long();
        let rows = self.ground.count(session, range).await?;
        if rows > 1 {
            let half = u32::try_from(rows / 2).unwrap_or(u32::MAX);
            let Some(middle) =
                self.ground.nth_key(session, range, half).await?.filter(|key| *key != range.upto)
            else {
                return Err(error);
            };
            return Ok(Copied::Not(vec![
                Range { after: range.after.clone(), upto: middle.clone() },
                Range { after: Some(middle), upto: range.upto.clone() },
            ]));
        }
        if too_long {
            return Err(error);
        }
        refused::note(session, self.job, &self.ground.key_in(session, range).await?, &error).await?;
        Ok(Copied::Not(Vec::new()))
    }

    async fn copy(
        &self,
        session: &Session,
        range: &Range,
        hopeful: Option<&SqlStatement>,
    ) -> TxOutcome<u64, StepError> {
        let job = self.job;
        let options = TxOptions { attempts: ATTEMPTS, ..job.tx_options() };
        run_tx(session, job.step.id.as_str(), &options, async |session: &Session| {
            let begun = Instant::now();
            lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
            if let Some(mirrored) = &self.ground.flags {
                flags::must_still_mirror(session, mirrored).await?;
            }
            take_role(session, job).await?;
            if let Some(filling) = &self.ground.filling {
                filling.must_still_fire(session).await?;
            }
            let chunk = self.ground.chunk(range.after.as_ref(), &range.upto);
            let written = match hopeful {
                Some(hopeful) => write_hopefully(session, job, self.backfill, hopeful, &chunk).await?,
                None => write(session, job, self.backfill, &chunk).await?,
            };
            leave_role(session, job).await?;
            let (run, step) = (job.run(), job.step.id.as_str());
            let took_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
            session
                .execute_prepared(
                    include_str!("chunk_done.sql"),
                    &[
                        (&run, Type::UUID),
                        (&step, Type::TEXT),
                        (&range.after, Type::TEXT_ARRAY),
                        (&range.upto, Type::TEXT_ARRAY),
                        (&crate::journal::signed(written), Type::INT8),
                        (&took_ms, Type::INT8),
                    ],
                )
                .await?;
            crash::point(Site::ChunkWritten, step);
            Ok(written)
        })
        .await
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        Progress::Copying {
            step: self.job.step.id.clone(),
            rows_written: self.pace.written(),
            rows_per_second: self.pace.rate(),
            slowed: self.throttled.borrow().as_ref().map(ToString::to_string),
        }
    }
}

fn is_too_long(failure: &Failure) -> bool {
    matches!(failure.kind(), FailureKind::Cancelled | FailureKind::LockTimeout)
}

/// Runs the body over `chunk`.
async fn write(session: &Session, job: Job<'_>, backfill: &Backfill, chunk: &str) -> Result<u64, StepError> {
    let rendered = job.values.sql_with(&backfill.body, &[], &[chunk])?;
    set(session, &rendered).await?;
    let answers = session.run(&rendered.text).await.map_err(|failure| placed(job, failure, &rendered))?;
    Ok(answers.iter().map(|answer| answer.affected).sum())
}

/// Runs the body over `chunk` without the words that skip rows which are there already; fails if there are any.
///
/// The server plans the body as it stands before: it then holds the target's lock, and has found the unique index that
/// those words name, without which rows that are there would be doubled instead.
async fn write_hopefully(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
    hopeful: &SqlStatement,
    chunk: &str,
) -> Result<u64, StepError> {
    let rendered = job.values.sql_with(&backfill.body, &[], &[chunk])?;
    let hopeful = job.values.sql_with(hopeful, &[], &[chunk])?;
    set(session, &rendered).await?;
    let answers = session.run(&format!("EXPLAIN {}; {}", rendered.text, hopeful.text)).await?;
    Ok(answers.last().map_or(0, |answer| answer.affected))
}

/// Runs the body over differences that a comparison kept.
pub(super) async fn repair(session: &Session, job: Job<'_>, backfill: &Backfill) -> Result<u64, StepError> {
    let BackfillSource::Differences(differences) = &backfill.source else { return Ok(0) };
    take_role(session, job).await?;
    let chunk = format!("chunk AS (SELECT * FROM {})", quote_identifier(&differences.to_string()));
    let rendered = job.values.sql_with(&backfill.body, &[differences], &[&chunk])?;
    set(session, &rendered).await?;
    let answers = session.run(&rendered.text).await.map_err(|failure| placed(job, failure, &rendered))?;
    leave_role(session, job).await?;
    Ok(answers.iter().map(|answer| answer.affected).sum())
}

/// The chunks that are done, in no order.
pub(super) async fn done(session: &Session, job: Job<'_>) -> Result<Vec<Done>, StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let rows = session
        .query(
            "SELECT after_key, upto_key, written FROM tidegate.chunk WHERE run = $1 AND step = $2 ORDER BY id",
            &[(&run, Type::UUID), (&step, Type::TEXT)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Done {
            after: row.get(0),
            upto: row.get(1),
            written: crate::journal::unsigned(row.get(2)),
        })
        .collect())
}
