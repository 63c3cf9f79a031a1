//! `seal`: direct writes to tables are refused from now on; cascades pass and are counted.

use std::collections::BTreeMap;

use tidegate_runbook::{Action, Seal};
use tidegate_store::postgres::{Session, quote_identifier};
use tokio_postgres::types::Type;

use crate::catalog::like_pattern;
use crate::error::StepError;
use crate::job::Job;
use crate::outcome::Outcome;

/// A table to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl Table {
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(seal: &Seal) -> String {
    let lasts = seal.lasts.map_or_else(
        || "until it is lifted".to_owned(),
        |lasts| format!("for at most {} s", lasts.as_secs()),
    );
    format!("refuse direct writes to {} {lasts}", seal.tables.join(", "))
}

/// Seals the tables inside a gate.
pub(crate) async fn perform(session: &Session, job: Job<'_>, seal: &Seal) -> Result<Outcome, StepError> {
    let mut tables = tables(session, &seal.tables).await?;
    // A statement trigger fires for the table that a statement names: each partition and child needs its own.
    for index in 0..tables.len() {
        let Some(table) = tables.get(index) else { continue };
        let oid = table.oid;
        for row in session.query(include_str!("seal/children.sql"), &[(&oid, Type::OID)]).await? {
            let child = Table { oid: row.get(0), schema: row.get(1), name: row.get(2) };
            if !tables.contains(&child) {
                tables.push(child);
            }
        }
    }
    for table in &tables {
        close(session, job, table, seal.lasts.map(|lasts| lasts.as_secs_f64())).await?;
    }
    let names: Vec<String> = tables.iter().map(Table::shown).collect();
    let count = u64::try_from(tables.len()).unwrap_or(u64::MAX);
    Ok(Outcome {
        summary: format!("sealed {count} tables"),
        figures: BTreeMap::from([("tables".to_owned(), count)]),
        texts: BTreeMap::from([("tables".to_owned(), names.join(", "))]),
        ..Outcome::default()
    })
}

/// Takes the seal off inside a gate.
pub(crate) async fn undo(session: &Session, job: Job<'_>) -> Result<Outcome, StepError> {
    let lifted = lift(session, job).await?;
    Ok(Outcome { summary: format!("lifted the seal of {lifted} tables"), ..Outcome::default() })
}

/// Refuses unless every table that the step sealed is still sealed, for long enough, and was not written through.
pub(crate) async fn must_stand(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let Action::Seal(_) = &job.step.action else { return Ok(()) };
    let (run, step) = (job.run(), job.step.id.as_str());
    let rows =
        session.query(include_str!("seal/standing.sql"), &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
    let standing: i64 = rows.first().map_or(0, |row| row.get(0));
    let wanted = job
        .state
        .steps
        .get(&job.step.id)
        .and_then(|state| state.outcome())
        .and_then(|outcome| outcome.figures.get("tables").copied())
        .unwrap_or(u64::MAX);
    if u64::try_from(standing).is_ok_and(|standing| standing >= wanted) {
        return Ok(());
    }
    Err(StepError::refused(
        format!("the seal {step} does not stand any more: {standing} of {wanted} tables are sealed"),
        "It expired or was lifted, so rows may have been written since. Go back before it and begin again.",
    ))
}

/// Refuses unless the step sealed this table, which is quoted and has its schema.
pub(crate) async fn must_cover(session: &Session, job: Job<'_>, table: &str) -> Result<(), StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let rows = session
        .query(
            "SELECT FROM tidegate.seal WHERE run = $1 AND step = $2 AND relation = $3::text::regclass",
            &[(&run, Type::UUID), (&step, Type::TEXT), (&table, Type::TEXT)],
        )
        .await?;
    if !rows.is_empty() {
        return Ok(());
    }
    Err(StepError::refused(
        format!("{step} does not seal {table}, so rows may be written while they are copied"),
        "Seal that table in it.",
    ))
}

/// The tables that the patterns name; each pattern must name at least one.
pub(crate) async fn tables(session: &Session, patterns: &[String]) -> Result<Vec<Table>, StepError> {
    let mut tables: Vec<Table> = Vec::new();
    for pattern in patterns {
        let bare = !pattern.contains('.');
        let (qualified, unqualified) =
            (like_pattern(pattern), like_pattern(&format!(".{pattern}")).split_off(1));
        let rows = session
            .query(
                include_str!("seal/tables.sql"),
                &[(&qualified, Type::TEXT), (&bare, Type::BOOL), (&unqualified, Type::TEXT)],
            )
            .await?;
        if rows.is_empty() {
            return Err(StepError::refused(
                format!("no table matches {pattern:?}"),
                "Correct the name in `tables`; write schema.table, or schema.* for all of a schema.",
            ));
        }
        for row in rows {
            let table = Table { oid: row.get(0), schema: row.get(1), name: row.get(2) };
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    Ok(tables)
}

/// Seals one table: the triggers, and the row that they read.
pub(crate) async fn close(
    session: &Session,
    job: Job<'_>,
    table: &Table,
    lasts_seconds: Option<f64>,
) -> Result<(), StepError> {
    let (quoted, shown) = (table.quoted(), table.shown());
    session.run(&include_str!("seal/triggers.sql").replace(":table", &quoted)).await?;
    let (run, step) = (job.run(), job.step.id.as_str());
    session
        .execute(
            include_str!("seal/close.sql"),
            &[
                (&table.oid, Type::OID),
                (&shown, Type::TEXT),
                (&run, Type::UUID),
                (&step, Type::TEXT),
                (&lasts_seconds, Type::FLOAT8),
            ],
        )
        .await?;
    Ok(())
}

/// Lifts every seal of this step; gives the number of tables.
pub(crate) async fn lift(session: &Session, job: Job<'_>) -> Result<usize, StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let rows =
        session.query(include_str!("seal/lift.sql"), &[(&run, Type::UUID), (&step, Type::TEXT)]).await?;
    for row in &rows {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let quoted = format!("{}.{}", quote_identifier(&schema), quote_identifier(&name));
        session
            .run(&format!(
                "DROP TRIGGER IF EXISTS tidegate_seal ON {quoted}; DROP TRIGGER IF EXISTS tidegate_seal_stray ON {quoted}"
            ))
            .await?;
    }
    Ok(rows.len())
}
