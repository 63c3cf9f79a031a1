//! What runs leave behind: retired tables, databases of rehearsals.

use tidegate_store::postgres::Failure;

use crate::doctor::{Diagnosis, Patient};

pub(super) async fn examine(patient: &Patient<'_>, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    for row in patient.session.query(include_str!("leftovers/retired.sql"), &[]).await? {
        let (table, bytes): (String, i64) = (row.get(0), row.get(1));
        found.push(
            Diagnosis::note(
                "retired-table",
                table.clone(),
                format!("a retired table is kept with its rows, {bytes} bytes"),
            )
            .next("tidegate rollback brings it back, while its run can be taken back")
            .next(format!("DROP TABLE {table}; -- for good: only when nothing needs its rows any more")),
        );
    }
    for row in patient.session.query(include_str!("leftovers/rehearsals.sql"), &[]).await? {
        let (database, comment): (String, String) = (row.get(0), row.get(1));
        found.push(
            Diagnosis::problem(
                "rehearsal-database",
                database.clone(),
                format!("a database made for a rehearsal is still there ({comment})"),
            )
            .next("If that run is at work, wait for it; the next rehearsal removes it, too.")
            .next(format!("DROP DATABASE {database};")),
        );
    }
    Ok(())
}
