//! The one snapshot that a dump, the records beside it and the row counts all see.

use std::collections::BTreeSet;

use tidegate_runbook::{Action, Name, Question, Record, Step};
use tidegate_store::postgres::{Address, Session, quote_identifier};
use tokio_postgres::types::Type;

use crate::doors::Entrance;
use crate::error::StepError;
use crate::job::Job;
use crate::outcome::{KeptColumn, Outcome};
use crate::question::sql::{SqlQuestion, ask_alone, ask_at_snapshot};
use crate::question::{Answered, Reply};

/// The login that dumps, where the store declares one.
const DUMP: &str = "dump";

/// A transaction that keeps a snapshot open for others.
pub(crate) struct Snapshot {
    /// The transaction's connection.
    pub(crate) session: Session,
    /// What others open it by.
    pub(crate) exported: String,
    /// What it sees, as `pg_snapshot` prints it.
    pub(crate) sees: String,
    /// Whether there is a schema `public`, which `pg_dump` takes for granted.
    pub(crate) public: bool,
}

/// A dumped table and its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The schema.
    pub(crate) schema: String,
    /// The table.
    pub(crate) name: String,
    /// Rows in the table itself, not in those that inherit from it.
    pub(crate) rows: u64,
}

impl Counted {
    /// Schema and table as SQL.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

/// The entrance that dumps: login `dump`, or the store's own address.
pub(crate) fn entrance(job: Job<'_>) -> Result<Entrance, StepError> {
    let store = job.doors.store(job.store())?;
    let declared = store.logins.iter().find(|(name, _)| name.as_str() == DUMP);
    Ok(declared.map_or(Entrance::Direct, |(name, _)| Entrance::Login(name.clone())))
}

/// The address that dumps.
pub(crate) fn address(job: Job<'_>) -> Result<Address, StepError> {
    Ok(job.doors.address(job.store(), &entrance(job)?)?)
}

/// A connection as the login that dumps.
pub(crate) async fn connect(job: Job<'_>) -> Result<Session, StepError> {
    Ok(job.doors.connect(job.store(), &entrance(job)?, &job.application()).await?)
}

impl Snapshot {
    /// Opens the snapshot and exports it.
    pub(crate) async fn open(job: Job<'_>) -> Result<Self, StepError> {
        let session = connect(job).await?;
        session
            .run(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL row_security = off",
            )
            .await?;
        let rows = session.query(include_str!("open_snapshot.sql"), &[]).await?;
        let row = rows.first().ok_or_else(|| {
            StepError::refused("the server exported no snapshot", "Look at the server's log, then run again.")
        })?;
        let (exported, sees, public) = (row.get(0), row.get(1), row.get(2));
        Ok(Self { session, exported, sees, public })
    }

    /// Evaluates the records that stand `@at` the backup.
    pub(crate) async fn records(
        &self,
        job: Job<'_>,
        records: &[&Step],
    ) -> Result<Vec<(Name, Outcome)>, StepError> {
        let mut kept = Vec::with_capacity(records.len());
        if records.is_empty() {
            return Ok(kept);
        }
        let session = connect(job).await?;
        for step in records {
            let begun = jiff::Timestamp::now();
            let question = SqlQuestion { types: true, ..question(job.for_step(step))? };
            let answered = ask_at_snapshot(&session, &self.exported, &question).await;
            let values = values(job.for_step(step), answered)?;
            let outcome = Outcome {
                summary: format!("kept {} values, seen by backup {}", values.len(), job.step.id),
                took_ms: crate::gate::milliseconds_since(begun),
                values,
                ..Outcome::default()
            };
            kept.push((step.id.clone(), outcome));
        }
        session.close().await;
        Ok(kept)
    }

    /// Triggers whose functions stand in schema `tidegate`, which is not part of a dump.
    pub(crate) async fn seal_triggers(&self) -> Result<BTreeSet<u32>, StepError> {
        let rows = self.session.query(include_str!("seal_triggers.sql"), &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Counts the rows of these tables; members of extensions are passed over, for they are dumped in part.
    pub(crate) async fn count(&self, tables: &[u32]) -> Result<Vec<Counted>, StepError> {
        let rows = self.session.query(include_str!("table_names.sql"), &[(&tables, Type::OID_ARRAY)]).await?;
        let mut counted = Vec::with_capacity(rows.len());
        for row in rows {
            let (schema, name): (String, String) = (row.get(0), row.get(1));
            let mut table = Counted { schema, name, rows: 0 };
            table.rows = count(&self.session, &table.quoted()).await?;
            counted.push(table);
        }
        Ok(counted)
    }
}

/// Rows of a quoted table, those that inherit from it left out.
pub(crate) async fn count(session: &Session, table: &str) -> Result<u64, StepError> {
    let rows = session.query(&format!("SELECT count(*) FROM ONLY {table}"), &[]).await?;
    Ok(rows.first().map_or(0, |row| crate::journal::unsigned(row.get(0))))
}

/// Evaluates a record in another database.
pub(crate) async fn record_again(session: &Session, job: Job<'_>) -> Result<Vec<KeptColumn>, StepError> {
    let answered = ask_alone(session, &question(job)?).await;
    values(job, answered)
}

fn question(job: Job<'_>) -> Result<SqlQuestion<'_>, StepError> {
    let Action::Record(Record { question: Question::Sql(body), rows: false, .. }) = &job.step.action else {
        return Err(StepError::refused(
            format!("record {} cannot be taken at a backup", job.step.id),
            "Only a sql record that keeps one row of values can stand `@at` a backup.",
        ));
    };
    Ok(SqlQuestion { keep_all: true, ..job.question(body, &[]) })
}

fn values(job: Job<'_>, answered: Answered) -> Result<Vec<KeptColumn>, StepError> {
    match (answered.verdict, answered.reply) {
        (crate::verdict::Verdict::Pass, Reply::Values(values)) => Ok(values
            .into_iter()
            .map(|(name, value)| KeptColumn { name, type_name: value.type_name, text: value.text })
            .collect()),
        (crate::verdict::Verdict::Pass, Reply::None | Reply::Rows(_) | Reply::Compared(_)) => Ok(Vec::new()),
        (verdict, _) => Err(StepError::not_holding(job.program, job.step, verdict)),
    }
}
