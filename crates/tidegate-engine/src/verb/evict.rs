//! `evict`: ends sessions of this database. Never walsenders, other databases, or our own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidegate_runbook::Evict;
use tidegate_store::postgres::Session;
use tokio_postgres::types::Type;

use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::Event;
use crate::job::Job;
use crate::journal::signed;
use crate::outcome::Outcome;

/// How long an ended session may take to be gone, in milliseconds.
const GONE_WITHIN_MS: i64 = 5_000;

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(evict: &Evict) -> String {
    let mut which = Vec::new();
    for (word, names) in
        [("role", &evict.roles), ("application", &evict.applications), ("state", &evict.states)]
    {
        if !names.is_empty() {
            which.push(format!("{word} {}", names.join(" or ")));
        }
    }
    if let Some(older) = evict.older_than {
        which.push(format!("unchanged for {} s", older.as_secs()));
    }
    format!("end at most {} sessions: {}", evict.at_most, which.join(", "))
}

/// Ends the sessions; each is an event in `ended`, also if a later one cannot be ended.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    evict: &Evict,
    ended: &RefCell<Vec<Event>>,
) -> Result<Outcome, StepError> {
    let any = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    let (roles, applications, states) = (any(&evict.roles), any(&evict.applications), any(&evict.states));
    let older = evict.older_than.map(|older| older.as_secs_f64());
    let rows = session
        .query(
            include_str!("evict/matching.sql"),
            &[
                (&roles, Type::TEXT_ARRAY),
                (&applications, Type::TEXT_ARRAY),
                (&states, Type::TEXT_ARRAY),
                (&older, Type::FLOAT8),
            ],
        )
        .await?;
    let at_most = usize::try_from(evict.at_most).unwrap_or(usize::MAX);
    if rows.len() > at_most {
        return Err(StepError::refused(
            format!("{} sessions match and at most {at_most} may be ended; none was", rows.len()),
            "Narrow the step, or raise `at_most` if that many are meant.",
        ));
    }
    // Of sessions of others a role may see that they are there, and no more: they would silently be passed over.
    let hidden = session
        .query(
            include_str!("evict/hidden.sql"),
            &[(&roles, Type::TEXT_ARRAY), (&applications, Type::TEXT_ARRAY)],
        )
        .await?;
    if let Some(hidden) = hidden.first().map(|row| row.get::<_, i64>(0)).filter(|hidden| *hidden > 0) {
        return Err(StepError::refused(
            format!("{hidden} more sessions may match, and this role may not look at them; none was ended"),
            "Grant it pg_read_all_stats and pg_signal_backend, or use a login that has them.",
        ));
    }
    let epoch = signed(job.epoch);
    let mut left = Vec::new();
    for row in &rows {
        let pid: i32 = row.get(0);
        let told = session
            .query(
                include_str!("evict/end.sql"),
                &[(&pid, Type::INT4), (&GONE_WITHIN_MS, Type::INT8), (&epoch, Type::INT8)],
            )
            .await?;
        let Some(told) = told.first() else { return Err(StepError::Fenced) };
        if !told.get::<_, bool>(0) {
            left.push(pid.to_string());
            continue;
        }
        ended.borrow_mut().push(Event::SessionEnded {
            step: job.step.id.clone(),
            pid,
            role: row.get(1),
            application: row.get(2),
            state: row.get(3),
        });
    }
    crash::point(Site::SessionsEnded, job.step.id.as_str());
    if !left.is_empty() {
        return Err(StepError::refused(
            format!("sessions {} did not end within {GONE_WITHIN_MS} ms", left.join(", ")),
            "Look at them with `tidegate sessions`, then run again.",
        ));
    }
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let outcome = Outcome {
        summary: format!("ended {count} sessions"),
        figures: BTreeMap::from([("sessions".to_owned(), count)]),
        ..Outcome::default()
    };
    Ok(outcome)
}
