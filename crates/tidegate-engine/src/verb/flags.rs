//! `flags`: a flag set moves to another of its rows, and every instance of the application has seen it.
//!
//! The move is one transaction under the closed barrier: no write straddles it. It is journaled with it, so that a next
//! attempt only waits for the instances. The step is done when the epoch is drained.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_flags::{Blocker, Current, FlagsError, Move, Row, Side, Stage};
use tidegate_runbook::{Action, FlagSet, MoveFlags, Name};
use tidegate_store::postgres::{Session, TxOptions};

use crate::error::StepError;
use crate::event::Event;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::program::Program;

/// How long the first attempts wait for the barrier: whoever writes meanwhile waits behind it.
const BARRIER_TIMEOUT: Duration = Duration::from_millis(100);

/// After so many attempts the next ones wait twice as long, up to the page's `lock_timeout`.
const BARRIER_ATTEMPTS_ALIKE: u32 = 10;

/// A wait between two attempts is at most this long, and half of it on average.
const BARRIER_BACKOFF: Duration = Duration::from_millis(200);

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(flags: &MoveFlags) -> String {
    format!("move flag set {} to {}, and wait until every instance has", flags.set, flags.to)
}

/// The set as the page declares it, for the database.
pub(crate) fn declared(program: &Program, name: &Name) -> Result<tidegate_flags::FlagSet, StepError> {
    let set = program.runbook.flag_set(name).ok_or_else(|| {
        StepError::refused(format!("the page declares no flag set {name}"), "Declare it under `[flags]`.")
    })?;
    Ok(tidegate_flags::FlagSet {
        name: set.name.to_string(),
        columns: set.columns.iter().map(ToString::to_string).collect(),
        rows: set.rows.iter().map(row).collect(),
        moves: moves(set),
        initial: set.initial.to_string(),
    })
}

fn row(row: &tidegate_runbook::FlagRow) -> Row {
    let lock_first = match row.lock_first {
        tidegate_runbook::Side::Old => Side::Old,
        tidegate_runbook::Side::New => Side::New,
    };
    Row { name: row.name.to_string(), values: row.values.clone(), lock_first }
}

fn moves(set: &FlagSet) -> Vec<Move> {
    let mut moves = Vec::new();
    for declared in &set.moves {
        let (from, to) = (declared.from.to_string(), declared.to.to_string());
        if declared.back {
            moves.push(Move { from: to.clone(), to: from.clone() });
        }
        moves.push(Move { from, to });
    }
    moves
}

/// Whether a row of a set mirrors writes.
pub(crate) fn mirrors(program: &Program, set: &Name, row: &str) -> bool {
    let stage = declared(program, set).ok().and_then(|declared| declared.stage(row));
    stage.is_some_and(|stage| stage.mirror.is_some())
}

/// Who moves, as the set remembers it: a next attempt knows its own move by it.
pub(crate) fn mover(job: Job<'_>, undo: bool) -> String {
    let back = if undo { "/undo" } else { "" };
    format!("{}/{}{back}", job.run(), job.step.id)
}

/// How the transaction of a move is run.
pub(crate) fn tx_options(job: Job<'_>) -> TxOptions {
    let attempts = job.statement_timeout().as_millis() / (BARRIER_TIMEOUT + BARRIER_BACKOFF / 2).as_millis();
    TxOptions {
        lock_timeout: Some(BARRIER_TIMEOUT),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX).max(1),
        backoff_max: BARRIER_BACKOFF,
        ..job.tx_options()
    }
}

/// How long an attempt waits for the barrier. Where writes last long one after the other, a short wait never comes to an
/// end.
pub(crate) fn barrier_timeout(job: Job<'_>, attempts_before: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts_before / BARRIER_ATTEMPTS_ALIKE);
    let most = job.program.runbook.limits.lock_timeout.max(BARRIER_TIMEOUT);
    BARRIER_TIMEOUT.saturating_mul(doubled).min(most)
}

/// Puts the tables, the set and its grants there, in the caller's transaction.
pub(crate) async fn prepare(session: &Session, job: Job<'_>, set: &Name) -> Result<Current, StepError> {
    tidegate_flags::install(session).await?;
    let current = tidegate_flags::declare(session, &declared(job.program, set)?).await?;
    let roles = job.program.runbook.flag_set(set).map(|set| set.grant.as_slice()).unwrap_or_default();
    for role in roles {
        tidegate_flags::grant(session, set.as_str(), role).await?;
    }
    Ok(current)
}

/// What the page demands of the move from one row to another must be among what the step requires.
pub(crate) fn must_demand(job: Job<'_>, set: &Name, from: &str, to: &str) -> Result<(), StepError> {
    let declared = job.program.runbook.flag_set(set);
    let Some(demands) = declared.and_then(|set| {
        set.moves.iter().find(|known| known.from.as_str() == from && known.to.as_str() == to)
    }) else {
        return Ok(());
    };
    let required = job.program.expand(&job.step.requires);
    let lacking: Vec<&str> = demands
        .requires
        .iter()
        .filter(|name| {
            let steps = job.program.expand(std::slice::from_ref(name));
            !steps.iter().all(|step| required.iter().any(|known| known.id == step.id))
        })
        .map(Name::as_str)
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(StepError::refused(
        format!("{set} may move from {from} to {to} only with {}", lacking.join(", ")),
        format!("Name them in `@requires` of {}.", job.step.id),
    ))
}

/// Moves the set, inside a gate whose barrier is closed.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    set: &Name,
    to: &str,
    undo: bool,
) -> Result<Outcome, StepError> {
    let declared = declared(job.program, set)?;
    let before = current(session, set).await?;
    if !undo {
        must_demand(job, set, &before.row, to)?;
    }
    let after = tidegate_flags::move_to(session, &declared, to, &mover(job, undo)).await?;
    Ok(outcome(set, &before.row, &after))
}

/// What is journaled of a move.
pub(crate) fn outcome(set: &Name, from: &str, now: &Current) -> Outcome {
    let values: Vec<String> =
        now.columns.iter().zip(&now.values).map(|(column, value)| format!("{column}={value}")).collect();
    Outcome {
        summary: format!("{set} is at {} ({})", now.row, values.join(", ")),
        already: false,
        figures: BTreeMap::from([("epoch".to_owned(), now.epoch)]),
        texts: BTreeMap::from([
            ("set".to_owned(), set.to_string()),
            ("from".to_owned(), from.to_owned()),
            ("to".to_owned(), now.row.clone()),
        ]),
        ..Outcome::default()
    }
}

/// The event of a move that an outcome tells.
pub(crate) fn moved(program: &Program, step: &Name, set: &Name, outcome: &Outcome) -> Event {
    let text = |name: &str| outcome.texts.get(name).cloned().unwrap_or_default();
    let to = text("to");
    Event::FlagsMoved {
        step: step.clone(),
        set: set.clone(),
        from: text("from"),
        mirrors: mirrors(program, set, &to),
        to,
        epoch: outcome.figures.get("epoch").copied().unwrap_or(0),
    }
}

/// The row that rules.
pub(crate) async fn current(session: &Session, set: &Name) -> Result<Current, StepError> {
    let current = tidegate_flags::current(session, set.as_str()).await?;
    Ok(current.ok_or_else(|| FlagsError::UnknownSet { set: set.to_string() })?)
}

/// Who has not seen or not drained an epoch.
pub(crate) async fn undrained(
    session: &Session,
    set: &FlagSet,
    epoch: u64,
) -> Result<Vec<Blocker>, StepError> {
    Ok(tidegate_flags::undrained(session, set.name.as_str(), epoch, set.lost_after).await?)
}

/// What a backup notes of the page's flag sets: each with the row that rules.
pub(crate) async fn noted(session: &Session, program: &Program) -> Result<Vec<(String, String)>, StepError> {
    let mut noted = Vec::new();
    if !tidegate_flags::is_installed(session).await? {
        return Ok(noted);
    }
    for set in &program.runbook.flags {
        if let Some(current) = tidegate_flags::current(session, set.name.as_str()).await? {
            noted.push((note(&set.name), current.row));
        }
    }
    Ok(noted)
}

fn note(set: &Name) -> String {
    format!("flags.{set}")
}

/// Puts each flag set back to the row that it had at a backup, under a new epoch; one that was not there then, to the row
/// that it begins in. In the caller's transaction, whose first deed it is: the barriers stay closed to its end.
pub(crate) async fn put_back(
    session: &Session,
    job: Job<'_>,
    backup: &Outcome,
) -> Result<Vec<Event>, StepError> {
    let mut events = Vec::new();
    if !tidegate_flags::is_installed(session).await? {
        return Ok(events);
    }
    for set in &job.program.runbook.flags {
        let Some(before) = tidegate_flags::current(session, set.name.as_str()).await? else { continue };
        let to = backup.texts.get(&note(&set.name)).map_or(set.initial.as_str(), String::as_str);
        let declared = declared(job.program, &set.name)?;
        let row = declared.row(to).ok_or_else(|| {
            StepError::refused(
                format!(
                    "flag set {} was at {to} when the backup was taken, and the page has no such row",
                    set.name
                ),
                "Declare the row as it was.",
            )
        })?;
        let after = tidegate_flags::set_row(session, set.name.as_str(), row, &mover(job, false)).await?;
        let outcome = outcome(&set.name, &before.row, &after);
        events.push(moved(job.program, &job.step.id, &set.name, &outcome));
    }
    Ok(events)
}

/// A flag set that mirrors writes while a backfill copies.
#[derive(Debug)]
pub(crate) struct Mirrored {
    set: String,
    lock_first: Side,
}

/// Refuses unless the set that the flags step moved mirrors now, is drained, and locks the source's side first.
pub(crate) async fn must_mirror(
    session: &Session,
    job: Job<'_>,
    source: &str,
) -> Result<Mirrored, StepError> {
    let Action::Flags(flags) = &job.step.action else {
        return Err(StepError::refused(
            format!("{} moves no flags", job.step.id),
            "This is a defect of tidegate.",
        ));
    };
    let current = current(session, &flags.set).await?;
    let stage = must_mirror_by(&flags.set, &current)?;
    let known = job.state.flags.get(&flags.set);
    if !known.is_some_and(|known| known.drained.is_some() && known.epoch == current.epoch) {
        return Err(StepError::refused(
            format!(
                "flag set {} is at epoch {}, which this run has not seen drained",
                flags.set, current.epoch
            ),
            format!("Somebody else moved it. Go back before {} and run again.", job.step.id),
        ));
    }
    if let Some(side) = side_of(job, &flags.set, source)
        && side != stage.lock_first
    {
        return Err(StepError::refused(
            format!(
                "{source} is of the {} side, and in row {} a dual write locks the {} side first: a row that is deleted meanwhile would come back",
                side.name(),
                current.row,
                stage.lock_first.name()
            ),
            format!(
                "Move {} to a row whose `lock_first` is {:?} before this backfill.",
                flags.set,
                side.name()
            ),
        ));
    }
    Ok(Mirrored { set: flags.set.to_string(), lock_first: stage.lock_first })
}

fn must_mirror_by(set: &Name, current: &Current) -> Result<Stage, StepError> {
    current.stage().filter(|stage| stage.mirror.is_some()).ok_or_else(|| {
        StepError::refused(
            format!(
                "row {} of flag set {set} does not mirror writes: what is written meanwhile would be lost",
                current.row
            ),
            "Move the set to a row that mirrors first, or seal the source.",
        )
    })
}

/// Which side of the set the page says that a table is of.
fn side_of(job: Job<'_>, set: &Name, table: &str) -> Option<Side> {
    let declared = job.program.runbook.flag_set(set)?;
    let plain = table.replace('"', "");
    let bare = plain.split_once('.').map_or(plain.as_str(), |(_, name)| name);
    let among = |patterns: &[String]| {
        patterns.iter().any(|pattern| {
            let subject = if pattern.contains('.') { plain.as_str() } else { bare };
            matches_pattern(pattern, subject)
        })
    };
    if among(&declared.old) {
        Some(Side::Old)
    } else if among(&declared.new) {
        Some(Side::New)
    } else {
        None
    }
}

/// `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches_pattern(tail, rest))
        }),
    }
}

/// Enters the barrier in a chunk's transaction, so that no move straddles it, and refuses if the set mirrors no more.
pub(crate) async fn must_still_mirror(session: &Session, mirrored: &Mirrored) -> Result<(), StepError> {
    let entered = tidegate_flags::enter(session, &mirrored.set).await?;
    let stage = entered.and_then(|entered| entered.stage());
    if stage.is_some_and(|stage| stage.mirror.is_some() && stage.lock_first == mirrored.lock_first) {
        return Ok(());
    }
    Err(StepError::refused(
        format!("flag set {} was moved while rows were copied, and mirrors no more", mirrored.set),
        "Go back before the move that made it mirror, and run again from there.",
    ))
}

/// Refuses an undo whose move is not declared.
pub(crate) fn must_lead_back(job: Job<'_>, set: &Name, from: &str, to: &str) -> Result<(), StepError> {
    let declared = declared(job.program, set)?;
    if declared.moves_from(from).contains(&to) {
        return Ok(());
    }
    Err(StepError::refused(
        format!("flag set {set} may not move back from {from} to {to}"),
        "Take a written way back, or declare the move with `back = true`.",
    ))
}

impl From<FlagsError> for StepError {
    fn from(error: FlagsError) -> Self {
        match error {
            FlagsError::Store(failure) => failure.into(),
            other => Self::refused(
                other.to_string(),
                "Look at where the set stands with `tidegate status`, and at its declaration under `[flags]`.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches_pattern("platform_*", "platform_books") && matches_pattern("*", "x"));
        assert!(matches_pattern("a*c*e", "abcde") && !matches_pattern("a*c", "abd"));
        assert!(!matches_pattern("platform_*", "accounts"));
    }
}
