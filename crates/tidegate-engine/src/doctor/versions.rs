//! The version table against the page and the run.

use tidegate_store::postgres::Failure;

use crate::doctor::{Diagnosis, Patient};
use crate::event::Event;
use crate::program::is_done;
use crate::runner::drift_in;
use crate::versions::{VersionTable, Versioned};

pub(super) async fn examine(patient: &Patient<'_>, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    let Some(program) = patient.program else { return Ok(()) };
    let table = VersionTable::new(&program.runbook.versions);
    let applied = table.applied(patient.session).await?;
    let accepted: Vec<&str> = patient
        .history
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::DriftAccepted { subject, .. } => Some(subject.as_str()),
            _ => None,
        })
        .collect();
    for drift in drift_in(program, &table, &applied) {
        let code = if drift.subject.starts_with("checksum") { "version-checksum" } else { "version-gap" };
        let diagnosis = if accepted.contains(&drift.accepted_as.as_str()) {
            Diagnosis::note(code, drift.subject, format!("{}; it was accepted", drift.message))
        } else {
            Diagnosis::problem(code, drift.subject, drift.message).next(drift.next)
        };
        found.push(diagnosis);
    }
    let known: Vec<&str> = program
        .runbook
        .steps()
        .filter_map(|(_, step)| Versioned::of(step))
        .map(|versioned| table.id_of(versioned.version, versioned.name))
        .collect();
    let declared = &program.runbook.versions;
    for member in &applied {
        let before = declared.first.as_deref().is_some_and(|first| is_before(&member.id, first));
        let manual = declared.manual.iter().any(|version| table.id_of(version, version) == member.id);
        if known.contains(&member.id.as_str()) || manual || before {
            continue;
        }
        found.push(
            Diagnosis::problem(
                "version-unknown",
                format!("version {}", member.id),
                format!("{} holds version {}, which the page does not have", table.name(), member.id),
            )
            .next("Look whether a newer page made it; if it belongs to another's migrations, name it under `manual` in [versions]."),
        );
    }
    against_the_run(patient, &table, &applied, found);
    Ok(())
}

/// What the run says is done and the table does not hold, and the other way round.
fn against_the_run(
    patient: &Patient<'_>,
    table: &VersionTable,
    applied: &[crate::versions::AppliedVersion],
    found: &mut Vec<Diagnosis>,
) {
    let (Some(program), Some(state)) = (patient.program, &patient.state) else { return };
    for (_, step) in program.runbook.steps() {
        let Some(versioned) = Versioned::of(step) else { continue };
        let id = table.id_of(versioned.version, versioned.name);
        let stands = applied.iter().any(|member| member.id == id);
        match (stands, is_done(state, &step.id)) {
            (true, false) => found.push(
                Diagnosis::note(
                    "version-not-of-the-run",
                    format!("version {id}"),
                    format!("{} holds it and run {} did not apply it", table.name(), state.run),
                )
                .next(format!("`tidegate run` passes {} over as already applied", step.id)),
            ),
            (false, true) => found.push(
                Diagnosis::problem(
                    "version-lost",
                    format!("version {id}"),
                    format!(
                        "run {} completed {} and {} does not hold its version: the row was removed, or the store was restored",
                        state.run,
                        step.id,
                        table.name()
                    ),
                )
                .next("Look whether its objects exist. If they do, put the row back; if not, the store is an older copy: tidegate rollback, or tidegate abandon and a new run."),
            ),
            _ => {}
        }
    }
}

/// By number where both are numbers, else by text.
fn is_before(id: &str, first: &str) -> bool {
    match (id.parse::<u64>(), first.parse::<u64>()) {
        (Ok(id), Ok(first)) => id < first,
        _ => id < first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(is_before("7", "0008"));
        assert!(!is_before("10", "0008"));
        assert!(is_before("0007_a", "0008"));
    }
}
