//! Migrations that are there in part, and invalid indexes.

use std::collections::BTreeSet;

use tidegate_runbook::{Action, Migrate, SqlPiece};
use tidegate_store::postgres::Failure;

use crate::decide::Presence;
use crate::doctor::{Diagnosis, Patient};
use crate::program::is_done;
use crate::state::StepState;
use crate::versions::{VersionTable, Versioned};

/// Migrations that are not complete and whose objects exist, wholly or in part.
pub(super) async fn examine_migrations(
    patient: &Patient<'_>,
    found: &mut Vec<Diagnosis>,
) -> Result<(), Failure> {
    let Some(program) = patient.program else { return Ok(()) };
    let table = VersionTable::new(&program.runbook.versions);
    let applied = table.applied(patient.session).await?;
    let is_complete = |step: &tidegate_runbook::Step| {
        let by_version = Versioned::of(step)
            .is_some_and(|v| applied.iter().any(|known| known.id == table.id_of(v.version, v.name)));
        by_version || patient.state.as_ref().is_some_and(|state| is_done(state, &step.id))
    };
    let mut rightful = BTreeSet::new();
    for (_, step) in program.runbook.steps().filter(|(_, step)| is_complete(step)) {
        if let Action::Migrate(migrate) = &step.action {
            rightful.extend(created(migrate));
        }
    }
    for (_, step) in program.runbook.steps().filter(|(_, step)| !is_complete(step)) {
        let Action::Migrate(migrate) = &step.action else { continue };
        let mut presence = Presence::of(patient.session, migrate).await?;
        presence.there.retain(|object| !rightful.contains(object) && !is_shared(object));
        if presence.there.is_empty() {
            continue;
        }
        let begun = patient
            .state
            .as_ref()
            .is_some_and(|state| matches!(state.steps.get(&step.id), Some(StepState::Started { .. })));
        let (code, how_much) = if presence.missing.is_empty() {
            ("migration-objects-exist", "all")
        } else {
            ("migration-partly-applied", "some")
        };
        let missing = if presence.missing.is_empty() {
            String::new()
        } else {
            format!("; missing: {}", presence.missing.join(", "))
        };
        let why = if begun { "it was begun and its end is not known" } else { "it is not complete" };
        let mut diagnosis = Diagnosis::problem(
            code,
            format!("step {}", step.id),
            format!("{why}, and {how_much} of what it makes exists: {}{missing}", presence.there.join(", ")),
        );
        diagnosis = diagnosis.next(match undo_text(migrate) {
            Some(undo) => format!("A: take away what exists, then `tidegate run`:\n{undo}"),
            None => {
                "A: remove by hand what exists (the step has no `-- @undo`), then `tidegate run`".to_owned()
            }
        });
        let first = if presence.missing.is_empty() { "" } else { "make what is missing, then " };
        diagnosis = diagnosis.next(format!(
            "B: if what exists is right, {first}tidegate adopt {} --actor NAME --reason WHY",
            step.id
        ));
        found.push(diagnosis);
    }
    Ok(())
}

/// Kinds that others may have made with good reason, and that a body passes over when they exist.
fn is_shared(object: &str) -> bool {
    object.starts_with("schema ") || object.starts_with("extension ")
}

fn created(migrate: &Migrate) -> impl Iterator<Item = String> {
    migrate
        .body
        .statements
        .iter()
        .flat_map(|statement| &statement.effect.creates)
        .map(|object| format!("{} {object}", object.kind))
}

/// The undo's statements, if no value of the run stands in them.
fn undo_text(migrate: &Migrate) -> Option<String> {
    let undo = migrate.undo.as_ref()?;
    let mut text = String::from("BEGIN;\n");
    for statement in &undo.statements {
        for piece in &statement.pieces {
            match piece {
                SqlPiece::Text(piece) => text.push_str(piece),
                SqlPiece::Bind(value) | SqlPiece::Literal(value) | SqlPiece::Identifier(value) => {
                    text.push_str(&format!(":{value}"));
                }
                SqlPiece::Relation(name) => text.push_str(&format!(":{{{name}}}")),
            }
        }
        text = format!("{};\n", text.trim_end().trim_end_matches(';'));
    }
    text.push_str("COMMIT;");
    Some(text)
}

/// Indexes that a failed build left, and that nobody builds now.
pub(super) async fn examine_indexes(
    patient: &Patient<'_>,
    found: &mut Vec<Diagnosis>,
) -> Result<(), Failure> {
    for row in patient.session.query(include_str!("objects/invalid_indexes.sql"), &[]).await? {
        let (index, table): (String, String) = (row.get(0), row.get(1));
        found.push(
            Diagnosis::problem(
                "index-invalid",
                index.clone(),
                format!("the index on {table} is invalid: it is kept up by every write and used by no query"),
            )
            .next(format!("DROP INDEX CONCURRENTLY {index};"))
            .next("If a step builds it, `tidegate run` drops and builds it anew."),
        );
    }
    Ok(())
}
