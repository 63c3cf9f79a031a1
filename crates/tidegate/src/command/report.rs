//! `report`: what happened, under each block of the page; and the bundle that proves it elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tidegate_engine::history::History;
use tidegate_engine::report::{Report, report};
use tidegate_engine::{bundle, plan_store};
use tidegate_store::postgres::Session;
use uuid::Uuid;

use crate::arguments::ReportArguments;
use crate::command::status::run_of;
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::Screen;

/// `report --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    #[serde(flatten)]
    report: &'a Report,
}

pub(crate) async fn perform(screen: &Screen, arguments: &ReportArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.page, &BTreeMap::new())?;
    let home = desk.home("report").await?;
    let history = History::read(&home).await?;
    let no_run =
        || Failure::usage("there is no run to report on", "Start one: tidegate run --apply --actor NAME");
    let state = run_of(&history, arguments.run.as_deref())?.ok_or_else(no_run)?;
    // The page as the run followed it; the page on the desk may have changed since.
    let stored = plan_store::load(&home, state.plan).await?;
    let program = stored.as_ref().unwrap_or(&desk.program);
    let report = report(&history, state.run, Some(program))?.ok_or_else(no_run)?;
    if let Some(path) = &arguments.bundle {
        write_bundle(screen, &home, state.run, path).await?;
    }
    home.close().await;
    if screen.is_json() {
        screen.json(&Document { exit_code: exit_code::DONE, report: &report });
    } else if arguments.bundle.is_none() {
        screen.data(&report.to_markdown());
    }
    Ok(exit_code::DONE)
}

async fn write_bundle(screen: &Screen, home: &Session, run: Uuid, path: &Path) -> Result<(), Failure> {
    let bundle = bundle::make(home, run).await?;
    let text = bundle
        .to_text()
        .map_err(|error| Failure::internal(format!("the bundle cannot be written as JSON: {error}")))?;
    std::fs::write(path, text).map_err(|error| {
        Failure::usage(
            format!("the bundle cannot be written to {}: {error}", path.display()),
            "Name a file that can be written.",
        )
    })?;
    screen.talk(&format!("The bundle of run {run} is in {}; its head is {}.", path.display(), bundle.head));
    Ok(())
}
