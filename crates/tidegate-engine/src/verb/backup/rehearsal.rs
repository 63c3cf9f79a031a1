//! Restoring a dump into the scratch database and holding it against what the snapshot saw.

use tidegate_runbook::{Name, Step};
use tidegate_store::postgres::{Session, quote_identifier};

use super::dump::Dumped;
use super::scratch::{Found, Scratch};
use super::snapshot::{self, Counted};
use super::tools::{self, Tools};
use crate::crash::{self, Site};
use crate::error::StepError;
use crate::job::Job;
use crate::outcome::{KeptColumn, Outcome};

/// Most differences that a message lists.
const DIFFERENCES_MAX: usize = 10;

/// What must be found again in the scratch database.
pub(super) struct Seen<'a> {
    pub(super) counted: &'a [Counted],
    pub(super) steps: &'a [&'a Step],
    pub(super) kept: &'a [(Name, Outcome)],
    /// Some tables only: what hangs on others is left out.
    pub(super) partial: bool,
}

/// Rehearses, and says how. The scratch database is left as it was found, also when the dump is refused.
pub(super) async fn rehearse(
    job: Job<'_>,
    tools: &Tools,
    dumped: &Dumped,
    seen: &Seen<'_>,
) -> Result<String, StepError> {
    let scratch = Found::look(job).await?.make_ready(job).await?;
    let rehearsed = restore_and_compare(job, tools, dumped, seen, &scratch).await;
    if rehearsed.is_ok() {
        crash::point(Site::RehearsalCompared, job.step.id.as_str());
    }
    let put_away = scratch.put_away(job).await;
    let said = rehearsed?;
    put_away?;
    Ok(said)
}

async fn restore_and_compare(
    job: Job<'_>,
    tools: &Tools,
    dumped: &Dumped,
    seen: &Seen<'_>,
    scratch: &Scratch,
) -> Result<String, StepError> {
    if seen.partial {
        make_schemas(&scratch.session, seen.counted).await?;
    }
    restore(job, tools, dumped, scratch, &["pre-data", "data"]).await?;
    crash::point(Site::RehearsalStarted, job.step.id.as_str());
    if !seen.partial {
        restore(job, tools, dumped, scratch, &["post-data"]).await?;
    }
    if !scratch.superuser {
        lift_forced_row_security(&scratch.session).await?;
    }
    let (differences, passed_over) = differences(job, scratch, seen).await?;
    if differences.is_empty() {
        return Ok(said(scratch, seen, &passed_over));
    }
    let count = differences.len();
    let shown = differences.into_iter().take(DIFFERENCES_MAX).collect::<Vec<_>>().join("; ");
    Err(StepError::refused(
        format!("the restored dump differs from the snapshot in {count} places: {shown}"),
        "The dump is not good and was removed. Run again; if it happens again, look for damage in the database or on the disk.",
    ))
}

fn said(scratch: &Scratch, seen: &Seen<'_>, passed_over: &[&Name]) -> String {
    let mut said = "yes".to_owned();
    if !scratch.superuser {
        said.push_str(", without owners and grants, for login scratch is no superuser");
    }
    if seen.partial {
        said.push_str(", without keys, indexes and triggers, for some tables only were backed up");
    }
    if !passed_over.is_empty() {
        let names: Vec<&str> = passed_over.iter().map(|name| name.as_str()).collect();
        said.push_str(&format!("; not compared, for they take a role: {}", names.join(", ")));
    }
    said
}

async fn restore(
    job: Job<'_>,
    tools: &Tools,
    dumped: &Dumped,
    scratch: &Scratch,
    sections: &[&str],
) -> Result<(), StepError> {
    let access = tools::access(&scratch.address, job)?;
    // As a connection string, so that no name is taken for one.
    let database = scratch.address.database().replace('\\', "\\\\").replace('\'', "\\'");
    let mut argv = vec![
        tools.restore.clone(),
        "--exit-on-error".to_owned(),
        "--no-password".to_owned(),
        "--no-subscriptions".to_owned(),
        format!("--use-list={}", dumped.named.list.display()),
        format!("--dbname=dbname='{database}'"),
    ];
    argv.extend(sections.iter().map(|section| format!("--section={section}")));
    if !scratch.superuser {
        argv.extend(["--no-owner".to_owned(), "--no-privileges".to_owned()]);
    }
    argv.push(dumped.named.file.display().to_string());
    let finished = tools::run(argv, tools::environment(&access), tools::timeout(job)).await;
    let finished = finished.map_err(|failure| tools::did_not_end("the rehearsal's pg_restore", &failure))?;
    tools::must_have_succeeded("the rehearsal's pg_restore", &finished)
}

/// A partial dump names schemas and does not make them.
async fn make_schemas(session: &Session, counted: &[Counted]) -> Result<(), StepError> {
    for table in counted {
        session.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(&table.schema))).await?;
    }
    Ok(())
}

/// The scratch database is thrown away: here the owner may see every row.
async fn lift_forced_row_security(session: &Session) -> Result<(), StepError> {
    let rows = session.query(include_str!("forced_tables.sql"), &[]).await?;
    for row in rows {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let table = format!("{}.{}", quote_identifier(&schema), quote_identifier(&name));
        session.run(&format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")).await?;
    }
    Ok(())
}

/// What differs, and the records that could not be asked again.
async fn differences<'a>(
    job: Job<'_>,
    scratch: &Scratch,
    seen: &Seen<'a>,
) -> Result<(Vec<String>, Vec<&'a Name>), StepError> {
    let mut differences = Vec::new();
    scratch.session.run("SET row_security = off; SET statement_timeout = 0").await?;
    for table in seen.counted {
        let restored = snapshot::count(&scratch.session, &table.quoted()).await?;
        if restored != table.rows {
            differences.push(format!("{} has {restored} rows, not {}", table.quoted(), table.rows));
        }
    }
    let mut passed_over = Vec::new();
    for (step, (name, outcome)) in seen.steps.iter().zip(seen.kept) {
        if step.role.is_some() && !scratch.superuser || seen.partial {
            passed_over.push(name);
            continue;
        }
        let again = snapshot::record_again(&scratch.session, job.for_step(step)).await?;
        differences.extend(differing(name, &outcome.values, &again));
    }
    Ok((differences, passed_over))
}

fn differing(record: &Name, kept: &[KeptColumn], again: &[KeptColumn]) -> Vec<String> {
    let shown = |text: Option<&KeptColumn>| {
        text.map_or("nothing", |column| column.text.as_deref().unwrap_or("NULL")).to_owned()
    };
    (0..kept.len().max(again.len()))
        .filter_map(|at| {
            let (was, is) = (kept.get(at), again.get(at));
            let same = was.map(|column| (&column.name, &column.text))
                == is.map(|column| (&column.name, &column.text));
            let name = was.or(is).map_or("", |column| &*column.name);
            (!same).then(|| format!("{record}.{name} is {}, not {}", shown(is), shown(was)))
        })
        .collect()
}
