//! `backfill`: one statement, run for one chunk of the source after the other, each in a transaction of its own.
//!
//! A chunk's rows, their copy and the note that the chunk is done are one commit, behind the fence. Whatever ends the
//! process, the next attempt reads which ranges are done and copies the others.

mod allot;
mod chunk;
mod filling;
mod ground;
mod in_the_way;
mod key;
mod pace;
mod positions;
mod refused;
mod throttle;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tidegate_runbook::{Backfill, BackfillSource};
use tidegate_store::postgres::{Session, TxOutcome, run_tx};
use tokio_postgres::types::Type;

use crate::digest::Digest;
use crate::error::StepError;
use crate::job::Job;
use crate::knobs::Knobs;
use crate::lease;
use crate::observer::Progress;
use crate::outcome::Outcome;

use allot::Allotment;
use chunk::Copier;
use ground::Ground;
pub(crate) use ground::triggers;
use in_the_way::InTheWay;
use pace::Pace;
use throttle::Throttled;

/// How often it is told how far the copy is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(backfill: &Backfill) -> String {
    match &backfill.source {
        BackfillSource::Table(table) => format!(
            "copy {table} in chunks of about {} ms, {} at a time",
            backfill.target.as_millis(),
            backfill.workers
        ),
        BackfillSource::Differences(differences) => format!("repair the rows of {differences}"),
    }
}

/// How the copying ended.
pub(crate) enum Ended {
    /// Every range is done.
    Complete(Box<Outcome>),
    /// Something waits for the runner: a request, a knob.
    Yielded,
}

/// What the copying needs from the runner.
pub(crate) struct Surroundings<'a> {
    /// Whether somebody waits for the runner.
    pub(crate) wanted: &'a dyn Fn() -> bool,
    /// Tells a waiting person.
    pub(crate) tell: &'a dyn Fn(Progress),
    /// What was turned while the step was at work.
    pub(crate) knobs: Knobs,
}

/// Copies what is not yet copied.
pub(crate) async fn perform(
    job: Job<'_>,
    backfill: &Backfill,
    around: &Surroundings<'_>,
) -> Result<Ended, StepError> {
    let scout = job.doors.connect_home(&job.application()).await?;
    let ground = Ground::find(&scout, job, backfill).await?;
    let upto = begin(&scout, job, &ground).await?;
    refused::forget(&scout, job).await?;
    let done = chunk::done(&scout, job).await?;
    let Some(upto) = upto else {
        scout.close().await;
        let outcome = Outcome { summary: "the source is empty".to_owned(), ..Outcome::default() };
        return Ok(Ended::Complete(Box::new(outcome)));
    };
    let allotment = Allotment::new(&scout, &ground, done, upto).await?;
    let pace = Pace::new(backfill, around.knobs.clone());
    let throttled: Rc<RefCell<Option<Throttled>>> =
        Rc::new(RefCell::new(throttle::before_the_first_look(backfill)));
    let stopping = Cell::new(false);
    let in_the_way = InTheWay::new();
    let copier = Copier {
        job,
        backfill,
        ground: &ground,
        pace: &pace,
        in_the_way: &in_the_way,
        throttled: &throttled,
    };
    let allotment = tokio::sync::Mutex::new(allotment);
    let copied = async {
        let workers = (0..pace.workers()).map(|number| {
            let (copier, allotment, stopping) = (&copier, &allotment, &stopping);
            async move {
                let ended = copier.work(number, allotment, &|| stopping.get() || (around.wanted)()).await;
                if ended.is_err() {
                    stopping.set(true);
                }
                ended
            }
        });
        futures_util::future::join_all(workers).await.into_iter().collect::<Result<Vec<()>, StepError>>()
    };
    let told = async {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            (around.tell)(copier.progress());
        }
    };
    let watched = throttle::watch(&scout, job, backfill, &ground, &throttled);
    let ended = tokio::select! {
        biased;
        ended = copied => ended,
        () = told => Ok(Vec::new()),
        failed = watched => Err(failed),
    };
    ended?;
    let left = allotment.into_inner().is_left();
    let outcome = if left { None } else { Some(outcome(&scout, job, &ground).await?) };
    scout.close().await;
    match outcome {
        None => Ok(Ended::Yielded),
        Some(outcome) => Ok(Ended::Complete(Box::new(outcome))),
    }
}

/// Fixes the end of the copy, once: rows above it come by mirrored writes, or do not come at all.
async fn begin(session: &Session, job: Job<'_>, ground: &Ground) -> Result<Option<Vec<String>>, StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let meaning = job.step.meaning.as_slice();
    let known = session
        .query(
            "SELECT upto_key, meaning = $3 FROM tidegate.backfill WHERE run = $1 AND step = $2",
            &[(&run, Type::UUID), (&step, Type::TEXT), (&meaning, Type::BYTEA)],
        )
        .await?;
    match known.first() {
        Some(row) if row.get(1) => return Ok(row.get(0)),
        // The page was amended: what was copied is not what the step copies now.
        Some(_) => begin_anew(session, job).await?,
        None => {}
    }
    let upto = ground.greatest_key(session).await?;
    let source = ground.source_shown();
    session
        .execute(
            include_str!("backfill/begin.sql"),
            &[
                (&run, Type::UUID),
                (&step, Type::TEXT),
                (&source, Type::TEXT),
                (&upto, Type::TEXT_ARRAY),
                (&crate::journal::signed(job.epoch), Type::INT8),
                (&meaning, Type::BYTEA),
            ],
        )
        .await?;
    Ok(upto)
}

/// Forgets what a step of another meaning copied.
async fn begin_anew(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let forgotten = run_tx(session, "begin anew", &job.tx_options(), async |session: &Session| {
        lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        forget(session, run, step).await
    })
    .await;
    match forgotten {
        TxOutcome::Committed(()) => Ok(()),
        TxOutcome::RolledBack(error) => Err(error),
        TxOutcome::Unknown(failure) => Err(failure.into()),
    }
}

async fn forget(session: &Session, run: uuid::Uuid, step: &str) -> Result<(), StepError> {
    for sql in [
        "DELETE FROM tidegate.chunk WHERE run = $1 AND step = $2",
        "DELETE FROM tidegate.refused WHERE run = $1 AND step = $2",
        "DELETE FROM tidegate.backfill WHERE run = $1 AND step = $2",
    ] {
        session.execute(sql, &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
    }
    Ok(())
}

/// Count, range and hash of what was copied; refuses while rows are refused.
async fn outcome(session: &Session, job: Job<'_>, ground: &Ground) -> Result<Outcome, StepError> {
    refused::must_be_none(session, job).await?;
    ground.must_still_be_filled(session, job).await?;
    let chunks = chunk::done(session, job).await?;
    let written: u64 = chunks.iter().map(|chunk| chunk.written).sum();
    let shown = |key: Option<&Vec<String>>| key.map_or("the beginning".to_owned(), |key| key.join(", "));
    let ranges =
        serde_json::to_string(&chunks.iter().map(|chunk| (&chunk.after, &chunk.upto)).collect::<Vec<_>>())
            .unwrap_or_default();
    let last = chunks.last().map(|chunk| &chunk.upto);
    Ok(Outcome {
        summary: format!("wrote {written} rows in {} chunks", chunks.len()),
        figures: BTreeMap::from([
            ("rows_written".to_owned(), written),
            ("chunks".to_owned(), u64::try_from(chunks.len()).unwrap_or(u64::MAX)),
        ]),
        texts: BTreeMap::from([
            ("source".to_owned(), ground.source_shown()),
            ("target".to_owned(), ground.target_shown()),
            ("upto".to_owned(), shown(last)),
            ("ranges".to_owned(), Digest::of(ranges.as_bytes()).to_string()),
        ]),
        ..Outcome::default()
    })
}

/// The statement over differences that a comparison kept: all at once, inside a gate.
pub(crate) async fn repair(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
) -> Result<Outcome, StepError> {
    let written = chunk::repair(session, job, backfill).await?;
    Ok(Outcome {
        summary: format!("repaired {written} rows"),
        figures: BTreeMap::from([("rows_written".to_owned(), written)]),
        ..Outcome::default()
    })
}

/// Adds the version of a copy that is complete, inside a gate.
pub(crate) async fn add_version(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
) -> Result<(), StepError> {
    if let Some(version) = &backfill.version {
        job.versions.add(session, version, &backfill.name, &backfill.checksum, job.run()).await?;
    }
    Ok(())
}

/// Forgets what was copied, inside a gate. The rows stay in the target: nobody relies on them while the source has the
/// authority, and copying again writes the same.
pub(crate) async fn undo(session: &Session, job: Job<'_>, backfill: &Backfill) -> Result<Outcome, StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    forget(session, run, step).await?;
    if let Some(version) = &backfill.version
        && job.versions.exists(session).await?
    {
        job.versions.remove(session, version, &backfill.name).await?;
    }
    Ok(Outcome { summary: "forgot what was copied; the rows stay".to_owned(), ..Outcome::default() })
}
