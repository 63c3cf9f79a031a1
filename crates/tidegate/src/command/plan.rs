//! `plan`, and `run` without `--apply`: the dry run.

use tidegate_engine::plan::dry_run;

use crate::arguments::{PageArguments, RunInput};
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::plan;
use crate::screen::Screen;

pub(crate) async fn perform(
    screen: &Screen,
    page: &PageArguments,
    input: &RunInput,
) -> Result<ExitCode, Failure> {
    let sets = desk::sets(&input.sets)?;
    let desk = Desk::open(screen, page, &sets)?;
    let options = desk::options(None, input, &sets)?;
    let dry = dry_run(desk.program.clone(), desk.doors.clone(), &options).await?;
    let exit_code = if !dry.drift.is_empty() {
        exit_code::DRIFT
    } else if dry.holds() {
        exit_code::DONE
    } else {
        exit_code::HALTED
    };
    if screen.is_json() {
        let runbook = desk.program.runbook.id.as_str();
        screen.json(&plan::Document { exit_code, runbook, holds: dry.holds(), dry: &dry });
    } else {
        screen.data(&plan::text(&desk, &dry));
    }
    Ok(exit_code)
}
