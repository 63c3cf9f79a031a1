//! SQL questions: asked in a transaction that is rolled back, or in a savepoint of a gate, and judged.

use std::time::Duration;

use tidegate_runbook::{EachAfter, Expectation, Over, SqlBody, SqlStatement};
use tidegate_store::postgres::{Answer, Failure, Session, quote_identifier};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::question::hush::hush;
use crate::question::{Answered, Reply};
use crate::sources::Places;
use crate::values::{Relation, RenderedSql, Value, ValueMissing, Values};
use crate::verdict::Verdict;

/// How long an `@attempt` waits for a lock.
const ATTEMPT_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A SQL question with all that it needs.
#[derive(Clone, Copy)]
pub(crate) struct SqlQuestion<'a> {
    /// Setup statements, then the judged one.
    pub(crate) body: &'a SqlBody,
    /// How the last answer is judged; empty for a record.
    pub(crate) expect: &'a [Expectation],
    /// Lifts READ ONLY.
    pub(crate) attempt: bool,
    /// Every statement after the setup is judged by itself.
    pub(crate) each: Option<EachAfter>,
    /// How much was looked at.
    pub(crate) over: Option<&'a Over>,
    /// Taken for the transaction only.
    pub(crate) role: Option<&'a str>,
    /// Every statement's one row is kept, not the last statement's rows.
    pub(crate) keep_all: bool,
    /// Whether types of columns can be asked for (not through a pooler).
    pub(crate) types: bool,
    /// Bounds each statement.
    pub(crate) statement_timeout: Duration,
    /// Bounds each wait for a lock.
    pub(crate) lock_timeout: Duration,
    /// Values to be put in.
    pub(crate) values: &'a Values,
    /// For places in messages.
    pub(crate) places: &'a Places,
}

/// Asks on a connection of its own: one snapshot, rolled back whatever happens.
pub(crate) async fn ask_alone(session: &Session, question: &SqlQuestion<'_>) -> Answered {
    let mode = if question.attempt { "READ WRITE" } else { "READ ONLY" };
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ {mode}; {}", question.bounds());
    if let Err(failure) = session.run(&begin).await {
        return Answered::unknown(describe(&failure, None, question.places));
    }
    let answered = ask(session, question).await;
    match session.run("ROLLBACK").await {
        Ok(_) => answered,
        Err(failure) if answered.verdict.holds() => {
            Answered::unknown(format!("the transaction could not be rolled back: {}", failure.message()))
        }
        Err(_) => answered,
    }
}

/// Asks on a snapshot that another transaction exported.
pub(crate) async fn ask_at_snapshot(
    session: &Session,
    snapshot: &str,
    question: &SqlQuestion<'_>,
) -> Answered {
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; {}",
        tidegate_store::postgres::quote_literal(snapshot),
        question.bounds()
    );
    if let Err(failure) = session.run(&begin).await {
        return Answered::unknown(describe(&failure, None, question.places));
    }
    let answered = ask(session, question).await;
    match session.run("ROLLBACK").await {
        Ok(_) => answered,
        Err(failure) => Answered::unknown(failure.message().to_owned()),
    }
}

/// Asks inside a gate's transaction, in a savepoint that is rolled back whatever happens.
///
/// # Errors
/// [`Failure`] if the savepoint itself could not be made or left: the gate must not go on.
pub(crate) async fn ask_in_gate(session: &Session, question: &SqlQuestion<'_>) -> Result<Answered, Failure> {
    let read_only = if question.attempt { "" } else { "SET LOCAL transaction_read_only = on;" };
    let begin = format!("SAVEPOINT tidegate_check; {read_only} {}", question.bounds());
    session.run(&begin).await?;
    let answered = ask(session, question).await;
    session.run("ROLLBACK TO SAVEPOINT tidegate_check; RELEASE SAVEPOINT tidegate_check").await?;
    Ok(answered)
}

impl SqlQuestion<'_> {
    fn bounds(&self) -> String {
        let lock = if self.attempt { self.lock_timeout.min(ATTEMPT_LOCK_TIMEOUT) } else { self.lock_timeout };
        format!(
            "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            self.statement_timeout.as_millis(),
            lock.as_millis()
        )
    }
}

async fn ask(session: &Session, question: &SqlQuestion<'_>) -> Answered {
    if let Some(over) = question.over
        && let Err(answered) = examine(session, over, question).await
    {
        return answered;
    }
    if let Some(role) = question.role
        && let Err(failure) = session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await
    {
        let why = format!("role {role} could not be taken, so nothing was judged: {}", failure.message());
        return Answered::unknown(why);
    }
    if question.attempt
        && let Err(failure) = session.run("SET CONSTRAINTS ALL IMMEDIATE").await
    {
        return Answered::unknown(describe(&failure, None, question.places));
    }
    if let Some(each) = question.each {
        return ask_each(session, question, each).await;
    }
    if question.keep_all {
        return keep_all(session, question).await;
    }
    let Some((judged, setup)) = question.body.statements.split_last() else {
        return Answered::failed("the step has no statement".to_owned());
    };
    for statement in setup {
        if let Err(answered) = must_succeed(session, question, statement).await {
            return answered;
        }
    }
    judge_statement(session, question, judged).await
}

/// Every statement after the setup by itself, in a savepoint; the first that does not hold is the answer.
async fn ask_each(session: &Session, question: &SqlQuestion<'_>, each: EachAfter) -> Answered {
    let (setup, judged) =
        question.body.statements.split_at_checked(each.setup_statements).unwrap_or_default();
    for statement in setup {
        if let Err(answered) = must_succeed(session, question, statement).await {
            return answered;
        }
    }
    if judged.is_empty() {
        return Answered::unknown("there is no statement after the setup: nothing was examined".to_owned());
    }
    for statement in judged {
        if let Err(failure) = session.run("SAVEPOINT tidegate_each").await {
            return Answered::unknown(failure.message().to_owned());
        }
        let mut answered = judge_statement(session, question, statement).await;
        if let Err(failure) = session.run("ROLLBACK TO SAVEPOINT tidegate_each").await {
            return Answered::unknown(failure.message().to_owned());
        }
        if !answered.verdict.holds() {
            let place = question.places.describe(&statement.span);
            answered.verdict = match answered.verdict {
                Verdict::Pass => Verdict::Pass,
                Verdict::Fail(found) => Verdict::Fail(format!("{place}: {found}")),
                Verdict::Unknown(why) => Verdict::Unknown(format!("{place}: {why}")),
            };
            return answered;
        }
    }
    Answered::new(Verdict::Pass, Reply::None)
}

async fn keep_all(session: &Session, question: &SqlQuestion<'_>) -> Answered {
    let mut kept: Vec<(String, Value)> = Vec::new();
    for statement in &question.body.statements {
        let answer = match run(session, question, statement).await {
            Ok(answer) => answer,
            Err(answered) => return answered,
        };
        let [row] = answer.rows.as_slice() else {
            let found =
                format!("the statement returned {} rows; a record keeps exactly one", answer.rows.len());
            return Answered::failed(format!("{}: {found}", question.places.describe(&statement.span)));
        };
        for ((name, type_name), text) in answer.columns.iter().zip(row) {
            let value = Value { type_name: type_name.clone(), text: text.clone(), secret: false };
            kept.push((name.clone(), value));
        }
    }
    Answered::new(Verdict::Pass, Reply::Values(kept))
}

async fn judge_statement(
    session: &Session,
    question: &SqlQuestion<'_>,
    statement: &SqlStatement,
) -> Answered {
    let rendered = match render(session, question, statement).await {
        Ok(rendered) => rendered,
        Err(answered) => return answered,
    };
    let wants_error = question.expect.iter().any(|expect| matches!(expect, Expectation::Error { .. }));
    match answer_of(session, question, &rendered, !wants_error).await {
        Ok(relation) => {
            let verdict = Verdict::worst(question.expect.iter().map(|expect| judge_rows(expect, &relation)));
            Answered::new(verdict, Reply::Rows(relation))
        }
        Err(failure) => {
            let verdict = judge_failure(question, &failure, &rendered);
            Answered::new(verdict, Reply::None)
        }
    }
}

fn judge_rows(expect: &Expectation, relation: &Relation) -> Verdict {
    let single = || match relation.rows.as_slice() {
        [] => Err(Verdict::Unknown("no row came back, so there is nothing to judge".to_owned())),
        [row] => match row.as_slice() {
            [Some(text)] => Ok(text.as_str()),
            [None] => Err(Verdict::Unknown("the value is NULL, so there is nothing to judge".to_owned())),
            cells => Err(Verdict::Fail(format!("{} columns came back where one is expected", cells.len()))),
        },
        rows => Err(Verdict::Fail(format!("{} rows came back where one is expected", rows.len()))),
    };
    match expect {
        Expectation::Zero => match single() {
            Err(verdict) => verdict,
            Ok(text) if is_zero(text) => Verdict::Pass,
            Ok(text) => Verdict::Fail(format!("{text} where 0 is expected")),
        },
        Expectation::True => match single() {
            Err(verdict) => verdict,
            Ok("t") => Verdict::Pass,
            Ok("f") => Verdict::Fail("false where true is expected".to_owned()),
            Ok(text) => Verdict::Fail(format!("{text} where a boolean is expected")),
        },
        Expectation::Empty if relation.rows.is_empty() => Verdict::Pass,
        Expectation::Empty => {
            let count = relation.rows.len();
            let noun = if count == 1 { "row" } else { "rows" };
            Verdict::Fail(format!(
                "{count} {noun} where none is expected; the first: {}",
                first_row(relation)
            ))
        }
        Expectation::Error { sqlstate, .. } => {
            Verdict::Fail(format!("the statement succeeded where error {sqlstate} is expected"))
        }
        Expectation::Status(_) | Expectation::Json { .. } | Expectation::Exit(_) => {
            Verdict::Fail(format!("`{expect}` does not fit a sql step"))
        }
    }
}

fn judge_failure(question: &SqlQuestion<'_>, failure: &Failure, rendered: &RenderedSql) -> Verdict {
    let found = describe(failure, Some(rendered), question.places);
    let mut expected = question.expect.iter().filter_map(|expect| match expect {
        Expectation::Error { sqlstate, message } => Some((sqlstate, message)),
        _ => None,
    });
    if let Some((sqlstate, message)) = expected.next() {
        if failure.sqlstate() == Some(sqlstate.as_str()) {
            return match message {
                Some(text) if !failure.message().contains(text.as_str()) => {
                    Verdict::Fail(format!("{found}; its text lacks {text:?}"))
                }
                _ => Verdict::Pass,
            };
        }
        if !failure.is_unknown_verdict() {
            return Verdict::Fail(format!("{found}, where error {sqlstate} is expected"));
        }
    }
    if failure.is_unknown_verdict() { Verdict::Unknown(found) } else { Verdict::Fail(found) }
}

async fn must_succeed(
    session: &Session,
    question: &SqlQuestion<'_>,
    statement: &SqlStatement,
) -> Result<(), Answered> {
    let rendered = render(session, question, statement).await?;
    session.run(&rendered.text).await.map_err(|failure| {
        let found =
            format!("a setup statement failed: {}", describe(&failure, Some(&rendered), question.places));
        Answered::of_failure(found, &failure)
    })?;
    Ok(())
}

/// Runs a statement that must succeed and gives its rows with types.
async fn run(
    session: &Session,
    question: &SqlQuestion<'_>,
    statement: &SqlStatement,
) -> Result<Relation, Answered> {
    let rendered = render(session, question, statement).await?;
    answer_of(session, question, &rendered, true).await.map_err(|failure| {
        Answered::of_failure(describe(&failure, Some(&rendered), question.places), &failure)
    })
}

async fn answer_of(
    session: &Session,
    question: &SqlQuestion<'_>,
    rendered: &RenderedSql,
    with_types: bool,
) -> Result<Relation, Failure> {
    let types = if with_types && question.types {
        session.describe(&rendered.text).await?.into_iter().map(|(_, type_name)| type_name).collect()
    } else {
        Vec::new()
    };
    let answer = session.run(&rendered.text).await?.pop().unwrap_or_default();
    Ok(relation(answer, types))
}

fn relation(answer: Answer, types: Vec<String>) -> Relation {
    let mut types = types.into_iter();
    let columns = answer
        .columns
        .into_iter()
        .map(|name| (name, types.next().unwrap_or_else(|| "text".to_owned())))
        .collect();
    Relation { columns, rows: answer.rows }
}

async fn render(
    session: &Session,
    question: &SqlQuestion<'_>,
    statement: &SqlStatement,
) -> Result<RenderedSql, Answered> {
    let rendered = question
        .values
        .sql(statement)
        .map_err(|missing: ValueMissing| Answered::unknown(missing.to_string()))?;
    set(session, &rendered).await.map_err(|error| match error {
        StepError::Refused { message, next } => {
            Answered::unknown(crate::advice::followed_by(&message, &next))
        }
        other => Answered::unknown(crate::advice::message(&other)),
    })?;
    Ok(rendered)
}

/// Makes the transaction-local settings that a rendered statement reads its values from.
///
/// # Errors
/// [`StepError`] if the server refused or did not answer, or would write a secret into its log.
pub(crate) async fn set(session: &Session, rendered: &RenderedSql) -> Result<(), StepError> {
    if rendered.holds_secret {
        hush(session).await?;
    }
    for (name, value) in &rendered.settings {
        session.query("SELECT set_config($1, $2, true)", &[(name, Type::TEXT), (value, Type::TEXT)]).await?;
    }
    Ok(())
}

async fn examine(session: &Session, over: &Over, question: &SqlQuestion<'_>) -> Result<(), Answered> {
    let examined = match over {
        Over::Value(name) => {
            question.values.get(name).map_err(|missing| Answered::unknown(missing.to_string()))?.text.clone()
        }
        Over::Sql(body) => {
            let Some((judged, setup)) = body.statements.split_last() else {
                return Err(Answered::unknown("`@over` has no statement".to_owned()));
            };
            for statement in setup {
                must_succeed(session, question, statement).await?;
            }
            let relation = run(session, question, judged).await?;
            match relation.rows.as_slice() {
                [] => None,
                [row] if row.len() == 1 => row.first().cloned().flatten(),
                rows => Some(rows.len().to_string()),
            }
        }
    };
    match examined.as_deref() {
        None => Err(Answered::unknown("nothing was examined: `@over` found nothing".to_owned())),
        Some(text) if is_zero(text) => {
            Err(Answered::unknown("nothing was examined: `@over` counted 0".to_owned()))
        }
        Some(_) => Ok(()),
    }
}

/// Zero in any of the number types' text outputs.
fn is_zero(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    !digits.is_empty() && digits.contains('0') && digits.chars().all(|c| c == '0' || c == '.')
}

/// Longest piece of a row shown in a message, in characters.
const ROW_CHARACTERS_MAX: usize = 200;

fn first_row(relation: &Relation) -> String {
    let cells: Vec<String> = relation
        .columns
        .iter()
        .zip(relation.rows.first().into_iter().flatten())
        .map(|((name, _), text)| format!("{name}={}", text.as_deref().unwrap_or("NULL")))
        .collect();
    cells.join(", ").chars().take(ROW_CHARACTERS_MAX).collect()
}

/// What the server said, with SQLSTATE and place in the page.
#[must_use]
pub(crate) fn describe(failure: &Failure, rendered: Option<&RenderedSql>, places: &Places) -> String {
    let code = failure.sqlstate().map_or(String::new(), |code| format!(" (SQLSTATE {code})"));
    let place = rendered
        .zip(failure.position())
        .and_then(|(rendered, position)| {
            let offset = rendered.source_offset(usize::try_from(position).ok()?.saturating_sub(1))?;
            places.describe_offset(rendered.path.as_ref()?, offset)
        })
        .map_or(String::new(), |place| format!(" at {place}"));
    format!("{}{code}{place}", failure.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[Option<&str>]]) -> Relation {
        Relation {
            columns: vec![("a".into(), "text".into()); cells.first().map_or(1, |row| row.len())],
            rows: cells.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect(),
        }
    }

    #[test]
    fn zero_and_true_want_one_row_and_one_column() {
        assert_eq!(judge_rows(&Expectation::Zero, &rows(&[&[Some("0")]])), Verdict::Pass);
        assert_eq!(judge_rows(&Expectation::Zero, &rows(&[&[Some("0.00")]])), Verdict::Pass);
        assert!(matches!(judge_rows(&Expectation::Zero, &rows(&[&[Some("1")]])), Verdict::Fail(_)));
        assert!(matches!(judge_rows(&Expectation::Zero, &rows(&[&[Some("")]])), Verdict::Fail(_)));
        assert!(judge_rows(&Expectation::Zero, &rows(&[&[None]])).is_unknown());
        assert!(judge_rows(&Expectation::Zero, &rows(&[])).is_unknown());
        let two = rows(&[&[Some("0")], &[Some("0")]]);
        assert!(matches!(judge_rows(&Expectation::Zero, &two), Verdict::Fail(_)));
        let wide = rows(&[&[Some("0"), Some("0")]]);
        assert!(matches!(judge_rows(&Expectation::True, &wide), Verdict::Fail(_)));
        assert_eq!(judge_rows(&Expectation::True, &rows(&[&[Some("t")]])), Verdict::Pass);
    }

    #[test]
    fn empty_shows_the_first_row() {
        assert_eq!(judge_rows(&Expectation::Empty, &rows(&[])), Verdict::Pass);
        let Verdict::Fail(found) = judge_rows(&Expectation::Empty, &rows(&[&[Some("x")]])) else {
            panic!("a row came back");
        };
        assert!(found.contains("a=x"), "{found}");
    }
}
