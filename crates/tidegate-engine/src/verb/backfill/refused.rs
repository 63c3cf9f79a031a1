//! Rows that the target refuses: found by halving their chunk, listed, and in the way of completion.

use tidegate_store::postgres::{Session, TxOutcome, run_tx};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::job::Job;
use crate::lease;
use crate::verb::backfill::key::Key;

/// More refused rows than this, and the copy stops at once.
const REFUSED_MAX: i64 = 1_000;

/// Refused rows that a halt names.
const LISTED: i64 = 10;

/// Whether an SQLSTATE speaks of the row, so that others may pass: bad data, a broken constraint, a trigger's own word.
pub(super) fn is_refusal(sqlstate: &str) -> bool {
    ["21", "22", "23", "P0"].iter().any(|class| sqlstate.starts_with(class))
}

/// Forgets what an earlier attempt noted: its rows are tried again.
pub(super) async fn forget(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let sql = "DELETE FROM tidegate.refused WHERE run = $1 AND step = $2 AND EXISTS (SELECT FROM tidegate.lease WHERE id AND epoch = $3)";
    let epoch = crate::journal::signed(job.epoch);
    session.execute(sql, &[(&run, Type::UUID), (&step, Type::TEXT), (&epoch, Type::INT8)]).await?;
    Ok(())
}

/// Notes a row. Its range stays open, so that the next attempt tries it again.
pub(super) async fn note(
    session: &Session,
    job: Job<'_>,
    key: &Key,
    error: &StepError,
) -> Result<(), StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    // The server's first line alone: its detail quotes the row.
    let message = error.server().map_or_else(|| error.to_string(), |failure| failure.message().to_owned());
    let sqlstate = error.sqlstate().unwrap_or_default();
    let noted = run_tx(session, "refused", &job.tx_options(), async |session: &Session| {
        lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        let rows = session
            .query(
                include_str!("refused.sql"),
                &[
                    (&run, Type::UUID),
                    (&step, Type::TEXT),
                    (key, Type::TEXT_ARRAY),
                    (&sqlstate, Type::TEXT),
                    (&message, Type::TEXT),
                ],
            )
            .await?;
        Ok::<i64, StepError>(rows.first().map_or(0, |row| row.get(0)))
    })
    .await;
    match noted {
        TxOutcome::Committed(count) if count >= REFUSED_MAX => must_be_none(session, job).await,
        TxOutcome::Committed(_) => Ok(()),
        TxOutcome::RolledBack(error) => Err(error),
        TxOutcome::Unknown(failure) => Err(failure.into()),
    }
}

/// Refuses to go on while rows are refused, and names them.
pub(super) async fn must_be_none(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let (run, step) = (job.run(), job.step.id.as_str());
    let rows = session
        .query(
            include_str!("refused_listed.sql"),
            &[(&run, Type::UUID), (&step, Type::TEXT), (&LISTED, Type::INT8)],
        )
        .await?;
    let Some(first) = rows.first() else { return Ok(()) };
    let count: i64 = first.get("count");
    let listed: Vec<String> = rows
        .iter()
        .map(|row| {
            format!("{}: {}", row.get::<_, Vec<String>>("key").join(", "), row.get::<_, String>("message"))
        })
        .collect();
    let more = if count > LISTED { format!("; and {} others", count - LISTED) } else { String::new() };
    Err(StepError::refused(
        format!("the target refused {count} rows; all others are copied. {}{more}", listed.join("; ")),
        format!(
            "Correct those rows, or the statement, and run again: only they are tried again. All of them: SELECT * FROM tidegate.refused WHERE step = '{step}'."
        ),
    ))
}
