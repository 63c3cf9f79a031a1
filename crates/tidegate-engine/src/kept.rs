//! Values and rows that the completed steps of a run kept, read back for the steps after them.

use tidegate_runbook::{Action, Name, RelationRef, Runbook, ValueRef};
use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::Type;

use crate::digest::Digest;
use crate::outcome::{KeptRows, Outcome};
use crate::state::RunState;
use crate::values::{Relation, Value, Values};
use crate::verb;

/// Puts in what the run itself is named by and what its completed steps kept.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer. Evidence that was deleted is left out: whoever needs it says so.
pub(crate) async fn restore(
    values: &mut Values,
    runbook: &Runbook,
    state: &RunState,
    session: &Session,
) -> Result<(), Failure> {
    of_run(values, state);
    for (name, step) in &state.steps {
        let Some(outcome) = step.outcome() else { continue };
        of_step(values, name, outcome);
        if let Some(kept) = &outcome.rows
            && let Some(relation) = rows(session, kept).await?
        {
            of_rows(values, runbook, name, relation);
        }
    }
    Ok(())
}

/// The rows that a step kept; those of a comparison taken apart into its kinds of differences.
pub(crate) fn of_rows(values: &mut Values, runbook: &Runbook, step: &Name, relation: Relation) {
    match runbook.step(step).map(|step| &step.action) {
        Some(Action::Compare(compare)) => {
            for (name, relation) in verb::compare::split(step, &relation, compare.key.len()) {
                values.set_relation(name, relation);
            }
        }
        _ => values.set_relation(RelationRef { step: step.clone(), part: None }, relation),
    }
}

/// `run.id` and `run.started`.
fn of_run(values: &mut Values, state: &RunState) {
    let started = state.started_at.strftime("%Y%m%dT%H%M%SZ").to_string();
    for (field, type_name, text) in
        [("id", "uuid", state.run.to_string()), ("started", "timestamp with time zone", started)]
    {
        if let (Ok(root), Ok(field)) = (Name::parse("run"), Name::parse(field)) {
            let value = Value { type_name: type_name.to_owned(), text: Some(text), secret: false };
            values.set(ValueRef { root, field: Some(field) }, value);
        }
    }
}

/// The columns that one outcome kept.
pub(crate) fn of_step(values: &mut Values, step: &Name, outcome: &Outcome) {
    for kept in &outcome.values {
        if let Ok(field) = Name::parse(&kept.name) {
            let value = Value { type_name: kept.type_name.clone(), text: kept.text.clone(), secret: false };
            values.set(ValueRef { root: step.clone(), field: Some(field) }, value);
        }
    }
}

/// The rows of that digest; `None` if they were deleted or are not what they were.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub(crate) async fn rows(session: &Session, kept: &KeptRows) -> Result<Option<Relation>, Failure> {
    let found = session
        .query(
            "SELECT body FROM tidegate.evidence WHERE digest = $1",
            &[(&kept.digest.0.as_slice(), Type::BYTEA)],
        )
        .await?;
    Ok(found
        .first()
        .map(|row| row.get::<_, String>(0))
        .filter(|body| Digest::of(body.as_bytes()) == kept.digest)
        .and_then(|body| serde_json::from_str(&body).ok()))
}
