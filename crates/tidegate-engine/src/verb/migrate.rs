//! `migrate`: a versioned change in one gate transaction.

use std::collections::BTreeMap;

use tidegate_runbook::{Effect, Migrate, ObjectName, SqlBody};
use tidegate_store::postgres::{Session, Type, quote_identifier};
use tokio_postgres::types::ToSql;

use crate::error::StepError;
use crate::gate::placed;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::question::sql::set;

mod definition;

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(migrate: &Migrate) -> String {
    let mut commands: Vec<(String, usize)> = Vec::new();
    for statement in &migrate.body.statements {
        let command = &statement.effect.command;
        match commands.iter_mut().find(|(known, _)| known == command) {
            Some((_, count)) => *count += 1,
            None => commands.push((command.clone(), 1)),
        }
    }
    let commands: Vec<String> =
        commands.into_iter().map(|(command, count)| format!("{count} {command}")).collect();
    let version = migrate.version.as_ref().map_or(String::new(), |version| format!(" as version {version}"));
    let way = match (migrate.outside_transaction, &migrate.undo) {
        (true, _) => ", outside a transaction",
        (false, Some(_)) => ", in one transaction, with undo",
        (false, None) => ", in one transaction, without undo",
    };
    format!("apply {}{version}: {}{way}", migrate.name, commands.join(", "))
}

/// Does the statements inside the gate and adds the version.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    migrate: &Migrate,
) -> Result<Outcome, StepError> {
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    let rows = statements(session, job, &migrate.body).await?;
    if job.step.role.is_some() {
        session.run("RESET ROLE").await?;
    }
    add_version(session, job, migrate).await?;
    let count = migrate.body.statements.len();
    let figures = BTreeMap::from([
        ("statements".to_owned(), u64::try_from(count).unwrap_or(u64::MAX)),
        ("rows".to_owned(), rows),
    ]);
    Ok(Outcome { summary: format!("applied {}", migrate.name), figures, ..Outcome::default() })
}

/// Adds the version, if the step has one.
pub(crate) async fn add_version(session: &Session, job: Job<'_>, migrate: &Migrate) -> Result<(), StepError> {
    if let Some(version) = &migrate.version {
        job.versions.add(session, version, &migrate.name, &migrate.checksum, job.run()).await?;
    }
    Ok(())
}

/// Runs the one statement that cannot run in a transaction, on the given connection of its own.
///
/// # Idempotence
/// At least once. What an attempt that was cut off left behind is looked at by catalog first: an invalid index that
/// nobody builds any more is dropped, one that is being built halts the step, a valid one with the step's definition, or
/// made since an attempt that was cut off began, is the step's effect. Any other is refused: a name proves nothing.
pub(crate) async fn perform_outside(
    session: &Session,
    job: Job<'_>,
    migrate: &Migrate,
    cut_off: bool,
) -> Result<Outcome, StepError> {
    let milliseconds = job.statement_timeout().as_millis();
    session.run(&format!("SET statement_timeout = {milliseconds}")).await?;
    let mut found_valid = false;
    for statement in &migrate.body.statements {
        let wanted = job.values.sql(statement)?.text;
        for index in &statement.effect.creates {
            match leftover(session, index).await? {
                Leftover::None => {}
                Leftover::Building => {
                    return Err(StepError::refused(
                        format!("index {index} is still being built by another session"),
                        "Wait until it is complete (pg_stat_progress_create_index), then run again.",
                    ));
                }
                Leftover::Invalid => {
                    session.run(&format!("DROP INDEX CONCURRENTLY {}", quoted(index))).await?;
                }
                Leftover::Valid(stands) => {
                    if !definition::is_same(&stands, &wanted)
                        && !made_by(session, job, cut_off, index).await?
                    {
                        return Err(StepError::refused(
                            format!(
                                "index {index} is there already and is not what the step makes: {stands}"
                            ),
                            format!(
                                "Look at it. If it is not needed: DROP INDEX CONCURRENTLY {}; then run again.",
                                quoted(index)
                            ),
                        ));
                    }
                    found_valid = true;
                }
            }
        }
    }
    let mut summary = format!("applied {}", migrate.name);
    if found_valid {
        summary = format!("{}: the index was complete, by definition", migrate.name);
    } else {
        for statement in &migrate.body.statements {
            let rendered = job.values.sql(statement)?;
            session.run(&rendered.text).await.map_err(|failure| placed(job, failure, &rendered))?;
        }
    }
    for index in migrate.body.statements.iter().flat_map(|statement| &statement.effect.creates) {
        if matches!(leftover(session, index).await?, Leftover::Invalid | Leftover::Building) {
            return Err(StepError::refused(
                format!("index {index} was built and is invalid"),
                "Look for duplicate or unsuitable rows, then run again: the invalid index is dropped first.",
            ));
        }
    }
    Ok(Outcome { summary, ..Outcome::default() })
}

/// What stands where an index is to be made.
enum Leftover {
    None,
    Building,
    Invalid,
    /// With PostgreSQL's text of it.
    Valid(String),
}

async fn leftover(session: &Session, index: &ObjectName) -> Result<Leftover, StepError> {
    let name = quoted(index);
    let rows = session.query(include_str!("migrate/index_state.sql"), &[(&name, Type::TEXT)]).await?;
    Ok(match rows.first() {
        None => Leftover::None,
        Some(row) if row.get::<_, bool>("valid") => Leftover::Valid(row.get("definition")),
        Some(row) if row.get::<_, bool>("building") => Leftover::Building,
        Some(_) => Leftover::Invalid,
    })
}

/// Whether the index was made after the attempt of this step that was cut off had begun.
async fn made_by(
    session: &Session,
    job: Job<'_>,
    cut_off: bool,
    index: &ObjectName,
) -> Result<bool, StepError> {
    if !cut_off || job.store() != job.doors.home() {
        return Ok(false);
    }
    let (name, run, step) = (quoted(index), job.run(), job.step.id.as_str());
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&name, Type::TEXT), (&run, Type::UUID), (&step, Type::TEXT)];
    let rows = session.query(include_str!("migrate/made_since.sql"), &parameters).await?;
    Ok(rows.first().is_some_and(|row| row.get("newer")))
}

fn quoted(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&name.name)),
        None => quote_identifier(&name.name),
    }
}

/// Runs the body's statements in order; gives the rows they changed.
pub(crate) async fn statements(session: &Session, job: Job<'_>, body: &SqlBody) -> Result<u64, StepError> {
    let mut rows = 0_u64;
    for statement in &body.statements {
        let rendered = job.values.sql(statement)?;
        set(session, &rendered).await?;
        let answers = session.run(&rendered.text).await.map_err(|failure| placed(job, failure, &rendered))?;
        if !counts_rows(&statement.effect) {
            continue;
        }
        rows = answers.iter().fold(rows, |rows, answer| rows.saturating_add(answer.affected));
    }
    Ok(rows)
}

fn counts_rows(effect: &Effect) -> bool {
    matches!(effect.command.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE")
}

/// Takes the statements back inside the gate and removes the version.
pub(crate) async fn undo(session: &Session, job: Job<'_>, migrate: &Migrate) -> Result<Outcome, StepError> {
    let Some(undo) = &migrate.undo else {
        return Err(StepError::refused(
            format!("{} has no `-- @undo`", job.step.id),
            "Take a written way back: `tidegate rollback --way NAME`.",
        ));
    };
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    statements(session, job, undo).await?;
    if job.step.role.is_some() {
        session.run("RESET ROLE").await?;
    }
    if let Some(version) = &migrate.version
        && job.versions.exists(session).await?
    {
        job.versions.remove(session, version, &migrate.name).await?;
    }
    Ok(Outcome { summary: format!("undid {}", migrate.name), ..Outcome::default() })
}
