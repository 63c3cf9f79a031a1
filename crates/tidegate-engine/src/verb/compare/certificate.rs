//! Whether what a comparison found still holds, so that a step may rely on it.
//!
//! Nothing may have been written since, or only by writers that write both sides: every table that was read is sealed since
//! before the comparison; or, for a move of flags, the set has mirrored writes and been drained since before it. Else the
//! comparison is simply made again, behind the gate's locks: a short one always, a long one where nobody waits for them.

use std::time::Duration;

use tidegate_runbook::{Action, Compare, CompareMode, Step};
use tidegate_store::postgres::Session;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::job::Job;
use crate::state::StepState;
use crate::verdict::Verdict;

/// Refuses the job's step unless the comparison holds under the gate's locks, for which others may wait.
pub(crate) async fn must_hold(
    session: &Session,
    job: Job<'_>,
    step: &Step,
    compare: &Compare,
    others_wait: bool,
) -> Result<(), StepError> {
    let Some(StepState::Done { outcome, seq, .. }) = job.state.steps.get(&step.id) else {
        return Err(StepError::refused(format!("{} is not complete in this run", step.id), "Run it first."));
    };
    let reads: Vec<&str> =
        outcome.texts.get("reads").map(|reads| reads.split(", ").collect()).unwrap_or_default();
    let at = outcome.texts.get("compared_at").map_or("", String::as_str);
    let why_not_sealed = match broken_seal(session, job, compare, &reads, at).await? {
        None => return Ok(()),
        Some(why) => why,
    };
    let why_not_mirrored = match broken_mirror(session, job, *seq).await? {
        None => return Ok(()),
        Some(why) => why,
    };
    let limit = job.program.runbook.limits.gate_max;
    let took = Duration::from_millis(outcome.took_ms);
    if took < limit || !others_wait {
        let again = super::ask_in_gate(session, job.for_step(step), compare).await?;
        return match again.verdict {
            Verdict::Pass => Ok(()),
            verdict => Err(StepError::not_holding(job.program, step, verdict)),
        };
    }
    Err(StepError::refused(
        format!(
            "what {} found may not hold any more: {why_not_sealed}; {why_not_mirrored}; and it took {} ms, too long to be made again while writers wait (`gate_max` is {} ms)",
            step.id,
            took.as_millis(),
            limit.as_millis()
        ),
        "Seal the tables before it, or mirror writes and wait until that is drained; then run the comparison again.",
    ))
}

/// `None` if every table that was read has been sealed since before, and nothing came through that would break it.
async fn broken_seal(
    session: &Session,
    job: Job<'_>,
    compare: &Compare,
    reads: &[&str],
    at: &str,
) -> Result<Option<String>, StepError> {
    let (run, strict) = (job.run(), compare.mode == CompareMode::Equal);
    let rows = session
        .query(
            include_str!("sealed.sql"),
            &[(&reads, Type::TEXT_ARRAY), (&run, Type::UUID), (&at, Type::TEXT), (&strict, Type::BOOL)],
        )
        .await?;
    let open: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(match (reads.is_empty(), open.is_empty()) {
        (true, _) => Some("it read no table".to_owned()),
        (false, true) => None,
        (false, false) => Some(format!("not sealed since before it: {}", open.join(", "))),
    })
}

/// `None` if the set that the step moves has mirrored since before the comparison began.
async fn broken_mirror(session: &Session, job: Job<'_>, compared: u64) -> Result<Option<String>, StepError> {
    let Action::Flags(flags) = &job.step.action else {
        return Ok(Some("mirrored writes count for a move of flags only".to_owned()));
    };
    let set = &flags.set;
    let Some(known) = job.state.flags.get(set) else {
        return Ok(Some(format!("this run has not moved {set}")));
    };
    if known.drained.is_none_or(|drained| drained >= compared) {
        return Ok(Some(format!("{set} has not mirrored, drained, since before it")));
    }
    let current = crate::verb::flags::current(session, set).await?;
    if current.epoch != known.epoch {
        return Ok(Some(format!("{set} was moved by somebody else")));
    }
    let open = tidegate_flags::outbox_open(session, set.as_str()).await?;
    Ok((open > 0).then(|| format!("{open} writes are not mirrored yet")))
}
