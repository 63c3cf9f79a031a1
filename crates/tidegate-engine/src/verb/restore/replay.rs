//! Replaying a dump over a connection of our own, in the transaction that it stands in.

use std::path::Path;

use tidegate_store::postgres::{FailureKind, Session};
use tokio_postgres::types::{ToSql, Type};

use super::script::{Next, Script};
use crate::error::StepError;
use crate::job::Job;
use crate::verb::backup::tools::{self, Tools};

/// Longest piece of a statement shown in a message, in characters.
const STATEMENT_CHARACTERS_MAX: usize = 200;

/// A verified dump, ready to be replayed.
pub(super) struct Archive<'a> {
    pub(super) tools: &'a Tools,
    pub(super) file: &'a Path,
    pub(super) list: &'a Path,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    pub(super) tables: u64,
    pub(super) rows: u64,
}

/// The session's settings as they are outside of any transaction of ours.
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Reads them.
    pub(super) async fn read(session: &Session) -> Result<Self, StepError> {
        let rows = session.query(include_str!("settings.sql"), &[]).await?;
        Ok(Self(rows.iter().map(|row| (row.get(0), row.get(1))).collect()))
    }

    /// Sets back what a script has changed for the session, so that nothing of it outlives the transaction.
    pub(super) async fn put_back(&self, session: &Session) -> Result<(), StepError> {
        let (names, values): (Vec<&str>, Vec<&str>) =
            self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).unzip();
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&names, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)];
        session.query(include_str!("put_settings_back.sql"), &parameters).await?;
        Ok(())
    }
}

impl Archive<'_> {
    /// Definitions, rows, and what stands on the rows, in this order.
    pub(super) async fn replay(&self, session: &Session, job: Job<'_>) -> Result<Replayed, StepError> {
        // The server reads a whole script before it obeys the first line of it.
        session.run("SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'").await?;
        self.definitions(session, job, "pre-data").await?;
        let replayed = self.rows(session, job).await?;
        self.definitions(session, job, "post-data").await?;
        Ok(replayed)
    }

    async fn definitions(&self, session: &Session, job: Job<'_>, section: &str) -> Result<(), StepError> {
        let script = self.script(job, section)?.definitions().await?;
        session.run(&script).await.map_err(|failure| {
            let at = failure.position().map_or(String::new(), |position| excerpt(&script, position));
            explain(&at, failure)
        })?;
        Ok(())
    }

    async fn rows(&self, session: &Session, job: Job<'_>) -> Result<Replayed, StepError> {
        let mut script = self.script(job, "data")?;
        let mut replayed = Replayed::default();
        loop {
            match script.next().await? {
                Next::End => return Ok(replayed),
                Next::Statement(statement) => {
                    session.run(&statement).await.map_err(|failure| explain(&cut(&statement), failure))?;
                }
                Next::Copy(statement) => {
                    let copied = session.copy_in_from(&statement, async || script.rows().await).await;
                    replayed.rows += copied.map_err(|error| match error {
                        StepError::Server { failure, .. } => explain(&cut(&statement), failure),
                        other => other,
                    })?;
                    replayed.tables += 1;
                }
            }
        }
    }

    fn script(&self, job: Job<'_>, section: &str) -> Result<Script, StepError> {
        let argv = vec![
            self.tools.restore.clone(),
            format!("--use-list={}", self.list.display()),
            format!("--section={section}"),
            "--file=-".to_owned(),
            self.file.display().to_string(),
        ];
        let environment = vec![("LC_ALL".to_owned(), "C".to_owned())];
        Script::start("pg_restore", &tools::invocation(argv, environment, tools::timeout(job)))
    }
}

fn explain(statement: &str, failure: tidegate_store::postgres::Failure) -> StepError {
    let shown = if statement.is_empty() { String::new() } else { format!(" at: {statement}") };
    if failure.kind() == FailureKind::PermissionDenied {
        return StepError::refused(
            format!("the dump cannot be replayed by this role: {failure}{shown}"),
            "Nothing was changed. Restore as a superuser, or give this role membership in every owner that the dump names.",
        );
    }
    StepError::Server { message: format!("the dump cannot be replayed: {failure}{shown}"), failure }
}

/// The statement's beginning at a position counted in characters from 1.
fn excerpt(script: &str, position: u32) -> String {
    let skipped = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    cut(&script.chars().skip(skipped).take(STATEMENT_CHARACTERS_MAX).collect::<String>())
}

fn cut(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(STATEMENT_CHARACTERS_MAX).collect()
}
