//! Asking again what a run asked: the read-only steps of its completed stages, against the store as it is now.
//!
//! Nothing is journaled and no lease is needed. Checks with `@attempt` are asked, too: what they attempt is rolled back,
//! as it was in the run. A check that described the state before a later change may rightly fail now.

use std::rc::Rc;

use serde::Serialize;
use tidegate_runbook::{Action, Name, Step};
use tidegate_store::postgres::Session;

use crate::doors::Doors;
use crate::history::History;
use crate::job::Job;
use crate::kept;
use crate::outcome::Outcome;
use crate::program::{Program, is_at_a_backup, is_done};
use crate::question::{Answered, Reply};
use crate::setup::{OpenError, Options};
use crate::state::RunState;
use crate::values::{Relation, Values};
use crate::verdict::Verdict;
use crate::versions::VersionTable;

/// Most rows of a difference told.
const ROWS_TOLD: usize = 5;

/// One read-only step asked again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecheckLine {
    /// The stage.
    pub stage: Name,
    /// The step.
    pub step: Name,
    /// Its verb.
    pub verb: &'static str,
    /// What was found.
    pub finding: Rechecked,
}

/// What was found now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Rechecked {
    /// A check or watch that holds.
    Holds {},
    /// A record whose answer is what the run kept.
    Same {},
    /// A record whose answer is another one.
    Differs {
        /// One line for each value or row.
        differences: Vec<String>,
    },
    /// A check or watch that does not hold.
    Fails {
        /// What was found.
        found: String,
    },
    /// It could not be told.
    Unknown {
        /// Why.
        why: String,
    },
    /// It was not asked.
    NotAsked {
        /// Why.
        why: &'static str,
    },
}

impl Rechecked {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn holds(&self) -> bool {
        !matches!(self, Self::Fails { .. } | Self::Unknown { .. })
    }
}

/// Asks again. `stage`: that one only; it must be complete.
///
/// # Errors
/// [`OpenError`] if there is no run, the page is not the run's, the stage is not complete, or the store cannot be asked.
pub async fn recheck(
    program: Rc<Program>,
    doors: Rc<Doors>,
    options: &Options,
    stage: Option<Name>,
) -> Result<Vec<RecheckLine>, OpenError> {
    let home = doors.connect_home("tidegate/recheck").await?;
    let state = run_of(&program, &home).await?;
    let declared = &program.runbook.parameters;
    let mut values = crate::parameters::resolve_for(
        declared,
        &options.sets,
        &|name| doors.environment(name),
        &state.parameters,
    )
    .map_err(OpenError::Parameters)?;
    let wanted = wanted(&program, &state, stage.as_ref())?;
    kept::restore(&mut values, &program.runbook, &state, &home).await?;
    let versions = VersionTable::new(&program.runbook.versions);
    let again =
        Again { program: &program, doors: &doors, values: &values, state: &state, versions: &versions };
    let mut lines = Vec::new();
    for (stage, step) in wanted {
        let Some(finding) = again.ask(step, &home).await? else { continue };
        lines.push(RecheckLine { stage, step: step.id.clone(), verb: step.action.verb(), finding });
    }
    home.close().await;
    Ok(lines)
}

/// The newest run, if it follows this page.
async fn run_of(program: &Program, home: &Session) -> Result<RunState, OpenError> {
    let runbook = &program.runbook.id;
    let state = History::read(home).await?.newest()?;
    let state = state.filter(|state| state.runbook == *runbook);
    let state = state.ok_or_else(|| OpenError::NoRun { runbook: runbook.clone() })?;
    if state.meaning != program.meaning() {
        return Err(OpenError::Drift {
            message: format!("the page changed meaning since run {} was started", state.run),
            next: "Give the page as it was, so that the same questions are asked.".to_owned(),
        });
    }
    Ok(state)
}

/// The steps to ask, with their stages, in document order.
fn wanted<'a>(
    program: &'a Program,
    state: &RunState,
    only: Option<&Name>,
) -> Result<Vec<(Name, &'a Step)>, OpenError> {
    let complete = |stage: &tidegate_runbook::Stage| {
        let mut steps = program.runnable(stage).peekable();
        steps.peek().is_some() && steps.all(|step| is_done(state, &step.id))
    };
    if let Some(name) = only {
        let stage = program.runbook.stage(name).ok_or_else(|| OpenError::Refused {
            message: format!("the page has no stage {name}"),
            next: "`tidegate status` lists the stages.".to_owned(),
        })?;
        if !complete(stage) {
            return Err(OpenError::Refused {
                message: format!("stage {name} is not complete in run {}", state.run),
                next: "Recheck asks what was asked: run the stage first, or look with `tidegate plan`."
                    .to_owned(),
            });
        }
    }
    Ok(program
        .runbook
        .stages
        .iter()
        .filter(|stage| only.is_none_or(|only| stage.id == *only) && complete(stage))
        .flat_map(|stage| stage.steps.iter().map(|step| (stage.id.clone(), step)))
        .collect())
}

struct Again<'a> {
    program: &'a Program,
    doors: &'a Doors,
    values: &'a Values,
    state: &'a RunState,
    versions: &'a VersionTable,
}

impl Again<'_> {
    /// `None` for a step that asks nothing.
    async fn ask(&self, step: &Step, home: &Session) -> Result<Option<Rechecked>, OpenError> {
        match &step.action {
            Action::Check(check) if check.only_unless => return Ok(None),
            Action::Record(_) | Action::Check(_) | Action::Compare(_) | Action::Watch(_) => {}
            _ => return Ok(None),
        }
        if is_at_a_backup(step) {
            let why = "it was taken on the snapshot of its backup";
            return Ok(Some(Rechecked::NotAsked { why }));
        }
        let outcome = self.state.steps.get(&step.id).and_then(|known| known.outcome());
        if outcome.is_some_and(|outcome| outcome.already) {
            return Ok(Some(Rechecked::NotAsked { why: "the run passed it over" }));
        }
        let job = Job {
            program: self.program,
            doors: self.doors,
            values: self.values,
            state: self.state,
            versions: self.versions,
            epoch: 0,
            step,
            attempt: 1,
        };
        let Answered { verdict, reply, .. } = crate::evaluate::ask(job).await;
        Ok(Some(match (verdict, &step.action, outcome) {
            (Verdict::Fail(found), ..) => Rechecked::Fails { found },
            (Verdict::Unknown(why), ..) => Rechecked::Unknown { why },
            (Verdict::Pass, Action::Record(_), Some(outcome)) => {
                let differences = compare(&reply, outcome, home).await?;
                match differences {
                    None => Rechecked::NotAsked { why: "the rows that it kept were deleted" },
                    Some(differences) if differences.is_empty() => Rechecked::Same {},
                    Some(differences) => Rechecked::Differs { differences },
                }
            }
            (Verdict::Pass, ..) => Rechecked::Holds {},
        }))
    }
}

/// How the answer differs from what was kept; `None` if that is gone.
async fn compare(reply: &Reply, outcome: &Outcome, home: &Session) -> Result<Option<Vec<String>>, OpenError> {
    let shown = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), ToOwned::to_owned);
    match reply {
        Reply::Rows(now) if outcome.rows.is_some() => {
            let Some(kept) = &outcome.rows else { return Ok(None) };
            Ok(kept::rows(home, kept).await?.map(|was| compare_rows(&was, now)))
        }
        Reply::Values(now) => Ok(Some(
            now.iter()
                .filter_map(|(name, value)| {
                    let was = outcome.values.iter().find(|kept| kept.name == *name)?;
                    let (was, is) = (was.text.as_deref(), value.text.as_deref());
                    (was != is).then(|| format!("{name} was {} and is {}", shown(was), shown(is)))
                })
                .collect(),
        )),
        Reply::Rows(_) | Reply::Compared(_) | Reply::None => Ok(Some(Vec::new())),
    }
}

/// Rows are compared as sets with counts: a record without ORDER BY has no order.
fn compare_rows(was: &Relation, now: &Relation) -> Vec<String> {
    let mut counts: std::collections::BTreeMap<&Vec<Option<String>>, i64> = Default::default();
    for row in &was.rows {
        *counts.entry(row).or_default() -= 1;
    }
    for row in &now.rows {
        *counts.entry(row).or_default() += 1;
    }
    let shown = |row: &[Option<String>]| {
        row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(", ")
    };
    let changed: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(row, count)| format!("{}: ({})", if *count > 0 { "new" } else { "gone" }, shown(row)))
        .collect();
    let more = changed.len().saturating_sub(ROWS_TOLD);
    let mut lines: Vec<String> = changed.into_iter().take(ROWS_TOLD).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_without_order_and_with_counts() {
        let relation = |rows: &[&str]| Relation {
            columns: vec![("a".to_owned(), "text".to_owned())],
            rows: rows.iter().map(|cell| vec![Some((*cell).to_owned())]).collect(),
        };
        assert_eq!(compare_rows(&relation(&["x", "y"]), &relation(&["y", "x"])), Vec::<String>::new());
        let lines = compare_rows(&relation(&["x", "x"]), &relation(&["x", "z"]));
        assert_eq!(lines, ["gone: (x)", "new: (z)"]);
    }
}
