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
        must_stand_alone(session, table).await?;
        // A seal of an earlier step stays that step's, also when this one is undone.
        if !is_sealed(session, table).await? {
            seal::close(session, job, table, None).await?;
        }
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
        texts: BTreeMap::from([
            ("tables".to_owned(), moved.join(",")),
            ("moved".to_owned(), places(&tables)),
        ]),
        ..Outcome::default()
    })
}

/// Refuses a table whose rows stand in others: those would stay where they are.
async fn must_stand_alone(session: &Session, table: &seal::Table) -> Result<(), StepError> {
    let rows = session
        .query(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = $1)",
            &[(&table.oid, Type::OID)],
        )
        .await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    Err(StepError::refused(
        format!(
            "{}.{} has partitions or children, which would stay readable and writable",
            table.schema, table.name
        ),
        "Name the partitions in `tables`, detached, or drop the table with a `migrate` step.",
    ))
}

async fn is_sealed(session: &Session, table: &seal::Table) -> Result<bool, StepError> {
    let rows = session
        .query("SELECT EXISTS (SELECT 1 FROM tidegate.seal WHERE relation = $1)", &[(&table.oid, Type::OID)])
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Schema and name of each table as it stood, as JSON: names may hold dots and commas.
fn places(tables: &[seal::Table]) -> String {
    let places: Vec<(&str, &str)> =
        tables.iter().map(|table| (table.schema.as_str(), table.name.as_str())).collect();
    serde_json::to_string(&places).unwrap_or_default()
}

/// Locks what will be retired, so that what is checked of it under the lock still holds when it is moved.
///
/// # Locks
/// ACCESS EXCLUSIVE on every table that the patterns name.
pub(crate) async fn lock(session: &Session, patterns: &[String]) -> Result<(), StepError> {
    if patterns.is_empty() {
        return Ok(());
    }
    for table in seal::tables(session, patterns).await? {
        session.run(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.quoted())).await?;
    }
    Ok(())
}

/// Brings the tables back inside a gate.
pub(crate) async fn undo(session: &Session, job: Job<'_>, retire: &Retire) -> Result<Outcome, StepError> {
    let known = job.state.steps.get(&job.step.id).and_then(|state| state.outcome());
    let moved = known.and_then(|outcome| outcome.texts.get("moved"));
    let Some(places) = moved.and_then(|moved| serde_json::from_str::<Vec<(String, String)>>(moved).ok())
    else {
        return Err(StepError::refused(
            format!("the outcome of {} does not say where its tables stood", job.step.id),
            format!("Move them back by hand: ALTER TABLE {SCHEMA}.NAME SET SCHEMA NAME."),
        ));
    };
    for (schema, name) in &places {
        session
            .run(&format!(
                "ALTER TABLE {SCHEMA}.{} SET SCHEMA {}",
                quote_identifier(name),
                quote_identifier(schema)
            ))
            .await?;
    }
    let moved: Vec<String> = places.iter().map(|(schema, name)| format!("{schema}.{name}")).collect();
    seal::lift(session, job).await?;
    if let Some(version) = &retire.version
        && job.versions.exists(session).await?
    {
        job.versions.remove(session, version, job.step.id.as_str()).await?;
    }
    Ok(Outcome { summary: format!("brought back {}", moved.join(", ")), ..Outcome::default() })
}
