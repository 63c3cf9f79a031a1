//! Flag sets that are not where the run left them, instances that contradict them, and rows that a copy's target refused.

use tidegate_flags::{Blocker, FlagsError};
use tidegate_store::postgres::Failure;

use crate::doctor::{Diagnosis, Patient};

/// Flag sets against the newest run, and what their instances say.
pub(super) async fn examine_flags(patient: &Patient<'_>, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    let Some(program) = patient.program else { return Ok(()) };
    if !told(tidegate_flags::is_installed(patient.session).await)?.unwrap_or(false) {
        return Ok(());
    }
    for set in &program.runbook.flags {
        let name = set.name.as_str();
        let Some(current) = told(tidegate_flags::current(patient.session, name).await)?.flatten() else {
            continue;
        };
        let subject = format!("flag set {name}");
        let known = patient.state.as_ref().and_then(|state| state.flags.get(&set.name));
        if let Some(known) = known.filter(|known| known.epoch != current.epoch) {
            let by = current.moved_by.as_deref().unwrap_or("nobody that is known");
            let there = format!(
                "it is at {} (epoch {}), and the run left it at {} (epoch {}); moved by {by}",
                current.row, current.epoch, known.row, known.epoch
            );
            found.push(
                Diagnosis::problem("flags-moved-by-others", subject.clone(), there)
                    .next("No comparison of this run counts for it any more. Go back before the step that moved it, and run again from there."),
            );
        }
        if !set.rows.iter().any(|row| row.name.as_str() == current.row) {
            let there = format!("it is at {}, which the page does not declare", current.row);
            found.push(Diagnosis::problem("flags-row-unknown", subject.clone(), there).next(
                "Declare the row as it is in the database, or move away from it with the page that has it.",
            ));
        }
        let blockers = tidegate_flags::undrained(patient.session, name, current.epoch, set.lost_after).await;
        for blocker in told(blockers)?.unwrap_or_default() {
            let code = match &blocker {
                Blocker::Override { .. } => "flags-contradicted",
                Blocker::Behind { .. } => "flags-not-drained",
                Blocker::Unheard { .. } => continue,
            };
            found.push(
                Diagnosis::problem(code, subject.clone(), blocker.to_string())
                    .next("Every further move waits for it. Start it again with an environment that fits the row, or end it."),
            );
        }
    }
    Ok(())
}

/// Rows that a backfill's target refused, and that nobody has put right.
pub(super) async fn examine_refused(
    patient: &Patient<'_>,
    found: &mut Vec<Diagnosis>,
) -> Result<(), Failure> {
    let rows = match patient.session.query(include_str!("refused.sql"), &[]).await {
        Ok(rows) => rows,
        // A journal of the first format knows no copies.
        Err(failure) if failure.sqlstate() == Some("42P01") => return Ok(()),
        Err(failure) => return Err(failure),
    };
    for row in rows {
        let (step, count, newest): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
        found.push(
            Diagnosis::problem(
                "rows-refused",
                format!("step {step}"),
                format!("its target refused {count} rows; the newest: {newest}"),
            )
            .next(format!("List them: SELECT * FROM tidegate.refused WHERE step = '{step}'"))
            .next("Correct them, and run again: only they are tried again."),
        );
    }
    Ok(())
}

/// What cannot be said because the role may not ask, or the set is not there, is no finding.
fn told<T>(answer: Result<T, FlagsError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(FlagsError::Store(failure)) if failure.sqlstate() != Some("42501") => Err(failure),
        Err(_) => Ok(None),
    }
}
