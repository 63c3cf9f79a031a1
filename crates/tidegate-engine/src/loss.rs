//! The loss statement: what going back would lose, exactly, under the lock.

use tidegate_store::postgres::{Session, ToSql, Type, quote_identifier};

use crate::error::StepError;
use crate::event::LossLine;
use crate::journal::{signed, unsigned};
use crate::outcome::{MadeObject, Outcome};

mod rehearsed;

pub(crate) use rehearsed::{is_rehearsed, of_undo, of_way_step};

/// Rows of others in the tables and columns that a step made. Lines with nothing to lose are left out.
///
/// Row security never hides a row from the count: where it would, the table is counted with the force lifted in a
/// savepoint that is rolled back.
///
/// # Errors
/// [`StepError`] if a table cannot be counted: then nothing may be undone.
///
/// # Locks
/// ACCESS SHARE on the tables; ACCESS EXCLUSIVE for a moment where row security is forced on the owner.
pub(crate) async fn of_step(
    session: &Session,
    step: &tidegate_runbook::Name,
    outcome: &Outcome,
) -> Result<Vec<LossLine>, StepError> {
    let mut lines = Vec::new();
    for object in &outcome.made {
        let Some(counted) = counted(session, object).await? else { continue };
        // Nobody could write into a table before it was made; an older row may hold a new column's default.
        let ended_below = outcome.ended_below.filter(|_| counted.column.is_some());
        let others = Others { counted, transaction: outcome.transaction, ended_below, begun_before: None };
        let (rows, newest) = others.count(session).await?;
        if rows > 0 {
            lines.push(LossLine { step: step.clone(), table: others.counted.shown, rows, newest });
        }
    }
    Ok(lines)
}

/// Something whose rows can be lost.
struct Counted {
    oid: u32,
    /// Quoted.
    table: String,
    /// As a person reads it.
    shown: String,
    /// Quoted; rows with a value in it count.
    column: Option<String>,
}

async fn counted(session: &Session, object: &MadeObject) -> Result<Option<Counted>, StepError> {
    let is_column = object.kind == "table column";
    if object.catalog != "pg_class" || !(is_column || object.kind == "table") {
        return Ok(None);
    }
    let rows = session
        .query(include_str!("loss/named.sql"), &[(&object.oid, Type::OID), (&object.sub, Type::INT4)])
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (schema, table): (String, String) = (row.get(0), row.get(1));
    let column: Option<String> = row.get(2);
    if is_column && column.is_none() {
        return Ok(None);
    }
    let shown = match &column {
        Some(column) => format!("{schema}.{table}.{column}"),
        None => format!("{schema}.{table}"),
    };
    Ok(Some(Counted {
        oid: object.oid,
        table: format!("{}.{}", quote_identifier(&schema), quote_identifier(&table)),
        shown,
        column: column.map(|column| quote_identifier(&column)),
    }))
}

/// Rows that others than the step's own transaction wrote.
struct Others {
    counted: Counted,
    transaction: Option<u64>,
    /// Rows of transactions below it were there before.
    ended_below: Option<u64>,
    /// Rows of transactions from this one on are left out.
    begun_before: Option<u64>,
}

impl Others {
    async fn count(&self, session: &Session) -> Result<(u64, Option<String>), StepError> {
        session.run("SAVEPOINT tidegate_loss; SET LOCAL row_security = off").await?;
        let mut counted = self.ask(session).await;
        if let Err(StepError::Server { failure, .. }) = &counted
            && failure.sqlstate() == Some("42501")
        {
            session.run("ROLLBACK TO SAVEPOINT tidegate_loss").await?;
            let lifted = format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", self.counted.table);
            session.run(&format!("{lifted}; SET LOCAL row_security = off")).await?;
            counted = self.ask(session).await;
        }
        let counted = counted?;
        session.run("ROLLBACK TO SAVEPOINT tidegate_loss; RELEASE SAVEPOINT tidegate_loss").await?;
        Ok(counted)
    }

    async fn ask(&self, session: &Session) -> Result<(u64, Option<String>), StepError> {
        let clock =
            session.query(include_str!("loss/clock_column.sql"), &[(&self.counted.oid, Type::OID)]).await?;
        let newest = clock.first().map_or_else(
            || "NULL".to_owned(),
            |row| format!("max(t.{})::text", quote_identifier(&row.get::<_, String>(0))),
        );
        let with_value = self
            .counted
            .column
            .as_ref()
            .map_or_else(|| "true".to_owned(), |column| format!("t.{column} IS NOT NULL"));
        let sql = include_str!("loss/rows_of_others.sql")
            .replace(":newest", &newest)
            .replace(":table", &self.counted.table)
            .replace(":with_value", &with_value);
        let (own, ended_below) = (self.transaction.map(signed), self.ended_below.map(signed));
        let begun_before = self.begun_before.map(signed);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&own, Type::INT8), (&ended_below, Type::INT8), (&begun_before, Type::INT8)];
        let rows = session.query(&sql, &parameters).await?;
        Ok(rows.first().map_or((0, None), |row| (unsigned(row.get(0)), row.get(1))))
    }
}

/// The figures as `--accept-loss` repeats them: `table=rows`, comma between.
#[must_use]
pub fn figures(lines: &[LossLine]) -> String {
    let mut parts: Vec<String> = lines.iter().map(|line| format!("{}={}", line.table, line.rows)).collect();
    parts.sort();
    parts.join(",")
}

/// Whether what was typed repeats the figures; order and spaces do not matter.
#[must_use]
pub fn repeats(typed: &str, lines: &[LossLine]) -> bool {
    let mut parts: Vec<&str> = typed.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    parts.join(",") == figures(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: &str, rows: u64) -> LossLine {
        let step = tidegate_runbook::Name::parse("s").unwrap();
        LossLine { step, table: table.to_owned(), rows, newest: None }
    }

    #[test]
    fn figures_are_repeated_in_any_order_and_never_by_chance() {
        let lines = [line("public.b", 2), line("public.a", 10)];
        assert_eq!(figures(&lines), "public.a=10,public.b=2");
        assert!(repeats("public.b=2, public.a=10", &lines));
        assert!(!repeats("public.a=10", &lines));
        assert!(!repeats("public.a=10,public.b=20", &lines));
        assert!(repeats("", &[]));
    }
}
