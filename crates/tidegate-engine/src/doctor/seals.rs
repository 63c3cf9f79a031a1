//! Seals: those that do not hold any more, and those that nobody needs any more.

use tidegate_store::postgres::{Failure, Row};
use uuid::Uuid;

use crate::doctor::{Diagnosis, Patient};
use crate::state::Phase;

pub(super) async fn examine(patient: &Patient<'_>, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    for row in patient.session.query(include_str!("seals/seals.sql"), &[]).await? {
        let table: Option<String> = row.get("table");
        match table {
            None => found.push(
                Diagnosis::problem(
                    "seal-table-gone",
                    row.get::<_, String>("name"),
                    "the table was sealed and is not there any more",
                )
                .next(format!(
                    "DELETE FROM tidegate.seal WHERE relation = {};",
                    row.get::<_, u32>("relation")
                )),
            ),
            Some(table) => examine_one(patient, &table, &row, found),
        }
    }
    for row in patient.session.query(include_str!("seals/orphans.sql"), &[]).await? {
        let table: String = row.get(0);
        found.push(
            Diagnosis::note(
                "seal-trigger-orphan",
                table.clone(),
                "a seal's trigger is there without a seal: it refuses nothing and costs a look with every write",
            )
            .next(drop_triggers(&table)),
        );
    }
    Ok(())
}

fn examine_one(patient: &Patient<'_>, table: &str, row: &Row, found: &mut Vec<Diagnosis>) {
    let (run, step): (Uuid, String) = (row.get("run"), row.get("step"));
    let by = format!("sealed by step {step} of run {run}");
    let enabled: Option<String> = row.get("enabled");
    match enabled.as_deref() {
        None => found.push(
            Diagnosis::problem(
                "seal-trigger-missing",
                table,
                format!("{by}; its trigger is not there, so writes pass"),
            )
            .next("Go back before the seal (`tidegate rollback`) and begin again: rows may have been written."),
        ),
        Some("D" | "R") => found.push(
            Diagnosis::problem(
                "seal-trigger-disabled",
                table,
                format!("{by}; its trigger is disabled, so writes pass"),
            )
            .next(format!("ALTER TABLE {table} ENABLE TRIGGER tidegate_seal;"))
            .next("Rows may have been written meanwhile: go back before the seal (`tidegate rollback`) and begin again."),
        ),
        Some(_) => {}
    }
    let lift = format!(
        "BEGIN; {} DELETE FROM tidegate.seal WHERE relation = {}; COMMIT;",
        drop_triggers(table),
        row.get::<_, u32>("relation")
    );
    let over = patient.history.state(run).ok().flatten().filter(|state| state.phase.is_final());
    let finished = over.as_ref().is_some_and(|state| matches!(state.phase, Phase::Finished {}));
    let over = over.map(|state| state.phase.word());
    if row.get::<_, bool>("expired") && over.is_some() {
        let what = format!("{by}, which is over; its time is over, too, and writes pass again");
        found.push(Diagnosis::note("seal-expired", table, what).next(lift));
    } else if row.get::<_, bool>("expired") {
        found.push(
            Diagnosis::problem(
                "seal-expired",
                table,
                format!("{by}; its time is over and writes pass again"),
            )
            .next(
                "Go back before the seal (`tidegate rollback`) and begin again: rows may have been written.",
            )
            .next(lift),
        );
    } else if let (Some(word), false) = (over, row.get::<_, bool>("retired")) {
        let what = format!("{by}, which is {word}; direct writes are still refused");
        // A finished run leaves what it replaced as it was sealed.
        let diagnosis = match finished {
            true => Diagnosis::note("seal-outlived-its-run", table, what),
            false => Diagnosis::problem("seal-outlived-its-run", table, what),
        };
        found.push(diagnosis.next(lift));
    }
}

/// `table` is quoted already.
fn drop_triggers(table: &str) -> String {
    format!(
        "DROP TRIGGER IF EXISTS tidegate_seal ON {table}; DROP TRIGGER IF EXISTS tidegate_seal_stray ON {table};"
    )
}
