//! What a backfill works on: source, key, target, lock; and what must be so before the first chunk.

use tidegate_runbook::{Action, Backfill, BackfillSource};
use tidegate_store::postgres::{Session, TxOutcome, quote_identifier, run_tx};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::gate::placed;
use crate::job::Job;
use crate::question::sql::set;
use crate::reads::{self, QueryPlan};
use crate::verb::backfill::allot::Range;
use crate::verb::backfill::chunk::Done;
use crate::verb::backfill::filling::Filling;
use crate::verb::backfill::key::{Key, KeyColumns};
use crate::verb::{flags, seal};

/// Rows in which counts with and without the lock are compared before the first chunk.
const ROWS_COUNTED: u32 = 1_000;

/// What a backfill works on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The source, quoted and with its schema.
    pub(super) source: String,
    pub(super) key: KeyColumns,
    /// The target, quoted and with its schema.
    pub(super) target: String,
    /// `FOR SHARE`, `FOR NO KEY UPDATE`, or nothing where a seal keeps writers out.
    pub(super) lock: &'static str,
    /// The flag set whose barrier every chunk enters, so that no move straddles one.
    pub(super) flags: Option<flags::Mirrored>,
    /// Triggers that fill rows which are written meanwhile.
    pub(super) filling: Option<Filling>,
}

impl Ground {
    /// Finds it, and refuses what does not commute with the application's writes.
    pub(crate) async fn find(
        session: &Session,
        job: Job<'_>,
        backfill: &Backfill,
    ) -> Result<Self, StepError> {
        let BackfillSource::Table(table) = &backfill.source else {
            return Err(StepError::refused("a repair has no source table", "This is a defect of tidegate."));
        };
        let source = reads::table(session, table).await?.ok_or_else(|| {
            StepError::refused(
                format!("there is no table {table}"),
                "Correct `@source`, or run what makes the table first.",
            )
        })?;
        must_show_all_rows(session, &source, job.step.role.as_deref()).await?;
        let key = KeyColumns::find(session, &source, &backfill.key).await?;
        let sealed = match backfill.after.as_ref().and_then(|after| job.program.step(after)) {
            Some(after) if matches!(after.action, Action::Seal(_)) => {
                seal::must_stand(session, job.for_step(after)).await?;
                seal::must_cover(session, job.for_step(after), &source).await?;
                true
            }
            _ => false,
        };
        let flags = match backfill.after.as_ref().and_then(|after| job.program.step(after)) {
            Some(after) if matches!(after.action, Action::Flags(_)) => {
                Some(flags::must_mirror(session, job.for_step(after), &source).await?)
            }
            _ => None,
        };
        let filling = match backfill.after.as_ref().and_then(|after| job.program.step(after)) {
            Some(after) if matches!(after.action, Action::Migrate(_)) => {
                Some(Filling::find(session, job, after, &source).await?)
            }
            _ => None,
        };
        let target = target(session, job, backfill, &source).await?;
        if filling.is_some() && target != source {
            return Err(StepError::refused(
                format!("a trigger fills {source}, and the statement writes {target}"),
                "Fill the columns in place, or name a `@flags` step that mirrors writes in `@after`.",
            ));
        }
        let lock = match (sealed, source == target) {
            (_, true) => "FOR NO KEY UPDATE",
            (true, false) => "",
            (false, false) => "FOR SHARE",
        };
        let ground = Self { source, key, target, lock, flags, filling };
        ground.lock_must_see_what_a_read_sees(session, job).await?;
        Ok(ground)
    }

    /// The greatest key that is there now; `None` if there is no row.
    pub(super) async fn greatest_key(&self, session: &Session) -> Result<Option<Key>, StepError> {
        let sql = format!(
            "SELECT {} FROM {} AS s ORDER BY {} LIMIT 1",
            self.key.texts(),
            self.source,
            self.key.descending()
        );
        let rows = session.run(&sql).await?.pop().unwrap_or_default().rows;
        Ok(rows.first().and_then(|row| self.key.read(row)))
    }

    /// The source's rows of a range, as the relation `chunk`.
    pub(super) fn chunk(&self, after: Option<&Key>, upto: &Key) -> String {
        // Rows that nothing locks are the same however often they are read: they need not be laid aside.
        let how = if self.lock.is_empty() { "" } else { "MATERIALIZED " };
        format!(
            "chunk AS {how}(SELECT s.* FROM {} AS s WHERE {} ORDER BY {} {})",
            self.source,
            self.key.range(after, upto),
            self.key.list(),
            self.lock
        )
    }

    /// The key of the `rows`-th row of a range; `None` if it has fewer.
    pub(super) async fn nth_key(
        &self,
        session: &Session,
        range: &Range,
        rows: u32,
    ) -> Result<Option<Key>, StepError> {
        let sql = format!(
            "SELECT {} FROM {} AS s WHERE {} ORDER BY {} OFFSET {} LIMIT 1",
            self.key.texts(),
            self.source,
            self.key.range(range.after.as_ref(), &range.upto),
            self.key.list(),
            rows.saturating_sub(1)
        );
        let rows = session.run(&sql).await?.pop().unwrap_or_default().rows;
        Ok(rows.first().and_then(|row| self.key.read(row)))
    }

    /// Whether the triggers that fill what is written still stand, at the end of a copy.
    pub(super) async fn must_still_be_filled(
        &self,
        session: &Session,
        job: Job<'_>,
    ) -> Result<(), StepError> {
        let Some(filling) = &self.filling else { return Ok(()) };
        let looked = run_tx(session, "triggers", &job.tx_options(), async |session: &Session| {
            take_role(session, job).await?;
            filling.must_still_fire(session).await
        })
        .await;
        match looked {
            TxOutcome::Committed(()) => Ok(()),
            TxOutcome::RolledBack(error) => Err(error),
            TxOutcome::Unknown(failure) => Err(failure.into()),
        }
    }

    /// How many rows a range has.
    pub(super) async fn count(&self, session: &Session, range: &Range) -> Result<u64, StepError> {
        let condition = self.key.range(range.after.as_ref(), &range.upto);
        let answers =
            session.run(&format!("SELECT count(*) FROM {} AS s WHERE {condition}", self.source)).await?;
        let count = answers.last().and_then(|answer| answer.single().flatten());
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The key of a range's only row; its end, if the row is gone.
    pub(super) async fn key_in(&self, session: &Session, range: &Range) -> Result<Key, StepError> {
        Ok(self.nth_key(session, range, 1).await?.unwrap_or_else(|| range.upto.clone()))
    }

    /// Chunks in the order of the source's key.
    pub(super) async fn in_order(&self, session: &Session, done: Vec<Done>) -> Result<Vec<Done>, StepError> {
        if done.len() < 2 {
            return Ok(done);
        }
        let ends: Vec<&Key> = done.iter().map(|chunk| &chunk.upto).collect();
        let ends = serde_json::to_string(&ends).unwrap_or_default();
        let rows = session.run(&self.key.ordering(&self.source, &ends)).await?.pop().unwrap_or_default().rows;
        let mut done: Vec<Option<Done>> = done.into_iter().map(Some).collect();
        let place =
            |row: &Vec<Option<String>>| row.first()?.as_deref()?.parse::<usize>().ok()?.checked_sub(1);
        let places: Vec<usize> = rows.iter().filter_map(place).collect();
        Ok(places.into_iter().filter_map(|place| done.get_mut(place)?.take()).collect())
    }

    /// Unquoted, for people.
    pub(super) fn source_shown(&self) -> String {
        self.source.replace('"', "")
    }

    /// Unquoted, for people.
    pub(super) fn target_shown(&self) -> String {
        self.target.replace('"', "")
    }

    /// A lock that sees fewer rows than a read copies nothing and says so to nobody.
    async fn lock_must_see_what_a_read_sees(&self, session: &Session, job: Job<'_>) -> Result<(), StepError> {
        if self.lock.is_empty() {
            return Ok(());
        }
        let sample = format!(
            "SELECT {} FROM {} AS s ORDER BY {} LIMIT {ROWS_COUNTED}",
            self.key.list(),
            self.source,
            self.key.list()
        );
        let sql = format!(
            "SELECT (SELECT count(*) FROM ({sample}) AS seen), (SELECT count(*) FROM ({sample} {}) AS locked)",
            self.lock
        );
        let counted = run_tx(session, "count under lock", &job.tx_options(), async |session: &Session| {
            take_role(session, job).await?;
            let rows = session.run(&sql).await?.pop().unwrap_or_default().rows;
            Ok::<_, StepError>(rows.into_iter().next().unwrap_or_default())
        })
        .await;
        let counted = match counted {
            TxOutcome::Committed(counted) => counted,
            TxOutcome::RolledBack(error) => return Err(error),
            TxOutcome::Unknown(failure) => return Err(failure.into()),
        };
        match counted.as_slice() {
            [Some(seen), Some(locked)] if seen == locked => Ok(()),
            [seen, locked] => Err(StepError::refused(
                format!(
                    "of the first rows of {}, {} are read and {} can be locked: the others would not be copied",
                    self.source_shown(),
                    seen.as_deref().unwrap_or("?"),
                    locked.as_deref().unwrap_or("?")
                ),
                "Policies for UPDATE hide rows from the lock. Copy as a role with BYPASSRLS, or as the owner.",
            )),
            _ => Err(StepError::refused("the rows could not be counted", "Look at the server's log.")),
        }
    }
}

/// Takes the step's role for the transaction.
pub(super) async fn take_role(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    Ok(())
}

/// Gives the step's role back, so that the engine's own statements run as the engine.
pub(super) async fn leave_role(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    if job.step.role.is_some() {
        session.run("RESET ROLE").await?;
    }
    Ok(())
}

async fn must_show_all_rows(session: &Session, source: &str, role: Option<&str>) -> Result<(), StepError> {
    let rows = session
        .query(include_str!("row_security.sql"), &[(&source, Type::TEXT), (&role, Type::TEXT)])
        .await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    Err(StepError::refused(
        format!("row security hides rows of {source} from this role, so they would not be copied"),
        "Copy as a role with BYPASSRLS, or as the owner of a table without FORCE ROW LEVEL SECURITY.",
    ))
}

/// The table that the body writes, by the server's plan for it.
async fn target(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
    source: &str,
) -> Result<String, StepError> {
    let empty = format!("chunk AS MATERIALIZED (SELECT * FROM {source} WHERE false)");
    let rendered = job.values.sql_with(&backfill.body, &[], &[&empty])?;
    let planned = run_tx(session, "plan", &job.tx_options(), async |session: &Session| {
        set(session, &rendered).await?;
        QueryPlan::of(session, &rendered.text).await.map_err(|failure| placed(job, failure, &rendered))
    })
    .await;
    let plan = match planned {
        TxOutcome::Committed(plan) => plan,
        TxOutcome::RolledBack(error) => return Err(error),
        TxOutcome::Unknown(failure) => return Err(failure.into()),
    };
    plan.written().ok_or_else(|| {
        StepError::refused(
            "the statement writes no table",
            "A backfill's statement is an INSERT, UPDATE, DELETE or MERGE.",
        )
    })
}

/// Triggers that the target of a backfill fires, for `plan`: the target as the statement names it.
pub(crate) async fn triggers(session: &Session, backfill: &Backfill) -> Result<Vec<String>, StepError> {
    let mut fired = Vec::new();
    for written in &backfill.body.effect.writes {
        let Some(name) = reads::qualified(session, written).await? else { continue };
        let rows = session.query(include_str!("triggers.sql"), &[(&name, Type::TEXT)]).await?;
        fired.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(fired)
}
