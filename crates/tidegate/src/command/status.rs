//! `status`: where the run stands, who works on it, what to do next.

use std::collections::BTreeMap;

use tidegate_engine::history::History;
use tidegate_engine::lease::{self, LeaseInfo};
use tidegate_engine::left::{self, LeftTable};
use tidegate_engine::state::RunState;
use tidegate_store::postgres::Session;
use uuid::Uuid;

use crate::arguments::StatusArguments;
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::advice::with_page;
use crate::render::failure::steps;
use crate::render::status::{Document, Standing};
use crate::screen::Screen;

pub(crate) async fn perform(screen: &Screen, arguments: &StatusArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.page, &BTreeMap::new())?;
    let home = desk.home("status").await?;
    let history = History::read(&home).await?;
    let lease = holder(&home, &history).await?;
    let newest = history.newest()?;
    let left = left::tables(&home, &desk.program, newest.as_ref()).await?;
    home.close().await;
    let state = run_of(&history, arguments.run.as_deref())?;
    show(&desk, &history, state.as_ref(), &lease, &left);
    Ok(exit_code::DONE)
}

fn show(desk: &Desk, history: &History, state: Option<&RunState>, lease: &LeaseInfo, left: &[LeftTable]) {
    let holder = lease.holder.as_ref();
    let standing = state.map(|state| Standing::new(desk, history, state, holder, left));
    let start = with_page("Start one: tidegate run --apply --actor NAME", desk.page.as_deref());
    if !desk.screen.is_json() {
        let none = || {
            format!(
                "There was never a run of any page in this database.\n{}",
                steps(std::slice::from_ref(&start))
            )
        };
        desk.screen.data(&standing.as_ref().map_or_else(none, Standing::text));
        return;
    }
    let (steps_done, steps_total) = standing.as_ref().map_or((0, 0), Standing::progress);
    desk.screen.json(&Document {
        exit_code: exit_code::DONE,
        runbook: desk.program.runbook.id.as_str(),
        head: history.head.into(),
        holder,
        run: state,
        phase: state.map(|state| state.phase.word()),
        steps_done,
        steps_total,
        left,
        next: standing.as_ref().map_or_else(|| vec![start], Standing::next),
    });
}

/// Who holds the lease. Without a journal there is none to hold.
pub(crate) async fn holder(home: &Session, history: &History) -> Result<LeaseInfo, Failure> {
    if history.records.is_empty() {
        return Ok(LeaseInfo { epoch: 0, holder: None });
    }
    Ok(lease::read(home).await?)
}

/// The newest run, or the one whose id begins so.
pub(crate) fn run_of(history: &History, id: Option<&str>) -> Result<Option<RunState>, Failure> {
    let Some(id) = id else { return Ok(history.newest()?) };
    let run = find(history, id)?;
    Ok(history.state(run)?)
}

/// The run whose id begins so.
pub(crate) fn find(history: &History, id: &str) -> Result<Uuid, Failure> {
    let wanted = id.to_lowercase();
    let runs = history.runs();
    let found: Vec<Uuid> = runs
        .iter()
        .copied()
        .filter(|run| run.to_string().starts_with(&wanted) && !wanted.is_empty())
        .collect();
    match found.as_slice() {
        [run] => Ok(*run),
        [] => Err(Failure::usage(
            format!("--run {id}: the journal has no such run"),
            format!("It has: {}.", runs.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ")),
        )),
        several => Err(Failure::usage(
            format!("--run {id}: {} runs begin so", several.len()),
            "Give more of its digits.",
        )),
    }
}
