//! `retire`: tables are sealed and moved to schema `tidegate_retired`; they look dropped and come back with one ALTER.

use std::collections::BTreeMap;

use tidegate_runbook::Retire;
use tidegate_store::postgres::{Session, quote_identifier};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::verb::seal;

/// Where retired tables are kept.
pub(crate) const SCHEMA: &str = "tidegate_retired";

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(retire: &Retire) -> String {
    format!("move {} to schema {SCHEMA}, sealed; rows are kept", retire.tables.join(", "))
}

/// Retires the tables inside a gate.
pub(crate) async fn perform(session: &Session, job: Job<'_>, retire: &Retire) -> Result<Outcome, StepError> {
    let tables = seal::tables(session, &retire.tables).await?;
    session.run(&format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}")).await?;
    let mut moved = Vec::new();
    for table in &tables {
        session.run(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.quoted())).await?;
        let qualified = format!("{SCHEMA}.{}", quote_identifier(&table.name));
        let taken = session.query("SELECT to_regclass($1) IS NOT NULL", &[(&qualified, Type::TEXT)]).await?;
        if taken.first().is_some_and(|row| row.get(0)) {
            return Err(StepError::refused(
                format!("{qualified} is there already, from an earlier retirement"),
                "Drop or rename it first, if it is needed no longer.",
            ));
        }
        seal::close(session, job, table, None).await?;
        session.run(&format!("ALTER TABLE {} SET SCHEMA {SCHEMA}", table.quoted())).await?;
        moved.push(format!("{}.{}", table.schema, table.name));
    }
    if let Some(version) = &retire.version {
        let name = job.step.id.as_str();
        job.versions.add(session, version, name, &retire.checksum, job.run()).await?;
    }
    Ok(Outcome {
        summary: format!("retired {}", moved.join(", ")),
        figures: BTreeMap::from([("tables".to_owned(), u64::try_from(moved.len()).unwrap_or(0))]),
        texts: BTreeMap::from([("tables".to_owned(), moved.join(","))]),
        ..Outcome::default()
    })
}

/// Brings the tables back inside a gate.
pub(crate) async fn undo(session: &Session, job: Job<'_>, retire: &Retire) -> Result<Outcome, StepError> {
    let moved = job
        .state
        .steps
        .get(&job.step.id)
        .and_then(|state| state.outcome())
        .and_then(|outcome| outcome.texts.get("tables").cloned())
        .unwrap_or_default();
    for table in moved.split(',').filter(|table| !table.is_empty()) {
        let (schema, name) = table.split_once('.').unwrap_or(("public", table));
        session
            .run(&format!(
                "ALTER TABLE {SCHEMA}.{} SET SCHEMA {}",
                quote_identifier(name),
                quote_identifier(schema)
            ))
            .await?;
    }
    seal::lift(session, job).await?;
    if let Some(version) = &retire.version
        && job.versions.exists(session).await?
    {
        job.versions.remove(session, version, job.step.id.as_str()).await?;
    }
    Ok(Outcome { summary: format!("brought back {moved}"), ..Outcome::default() })
}
