//! The ways back, with what each would undo and lose.

use serde::Serialize;
use tidegate_engine::error::StepError;
use tidegate_engine::event::{Back, LossLine};
use tidegate_engine::runner::{BackPlan, Runner};
use tidegate_runbook::Name;
use uuid::Uuid;

use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::render::advice::with_page;
use crate::render::loss;
use crate::screen::Tone;

/// One way back, and what was found of it.
pub(crate) struct WayBack {
    /// What it is, for people.
    pub(crate) about: String,
    /// Its plan, or why it does not lead back from here.
    pub(crate) found: Result<BackPlan, StepError>,
}

#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    run: Uuid,
    ways: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
enum Line<'a> {
    Fits {
        about: &'a str,
        back: &'a Back,
        order: &'a [Name],
        loss: &'a [LossLine],
        figures: String,
        command: String,
    },
    Refused {
        about: &'a str,
        message: String,
        next: Vec<String>,
    },
}

/// The command that takes a way, its loss accepted.
pub(crate) fn command(plan: &BackPlan) -> String {
    let which = match &plan.back {
        Back::Undo { to } => format!("--to {} --undo", to.as_ref().map_or("start", Name::as_str)),
        Back::Way { way, .. } => format!("--way {way}"),
    };
    let word = if plan.loss.is_empty() {
        "--apply".to_owned()
    } else {
        format!("--accept-loss '{}'", plan.figures())
    };
    format!("tidegate rollback {which} {word} --actor NAME")
}

/// Shows every way; nothing is taken. The exit code says whether any fits.
pub(crate) fn show(desk: &Desk, runner: &Runner, ways: &[WayBack]) -> ExitCode {
    let exit_code =
        if ways.iter().any(|way| way.found.is_ok()) { exit_code::DONE } else { exit_code::HALTED };
    let command = |plan: &BackPlan| with_page(&command(plan), desk.page.as_deref());
    if desk.screen.is_json() {
        let ways = ways
            .iter()
            .map(|way| match &way.found {
                Ok(plan) => Line::Fits {
                    about: &way.about,
                    back: &plan.back,
                    order: &plan.order,
                    loss: &plan.loss,
                    figures: plan.figures(),
                    command: command(plan),
                },
                Err(error) => {
                    let (message, next) = refusal(error);
                    Line::Refused { about: &way.about, message, next }
                }
            })
            .collect();
        desk.screen.json(&Document { exit_code, run: runner.state().run, ways });
        return exit_code;
    }
    let mut text = format!(
        "Ways back for run {} ({}). Nothing is undone by this look.\n",
        runner.state().run,
        runner.state().phase.word()
    );
    for way in ways {
        text.push_str(&format!("\n{}\n", desk.screen.paint(Tone::Strong, &way.about)));
        match &way.found {
            Ok(plan) => text.push_str(&plan_text(plan, &command(plan))),
            Err(error) => {
                let (message, next) = refusal(error);
                text.push_str(&format!("  does not lead back from here: {message}\n"));
                for line in next {
                    text.push_str(&format!("  {}\n", with_page(&line, desk.page.as_deref())));
                }
            }
        }
    }
    desk.screen.data(&text);
    exit_code
}

fn plan_text(plan: &BackPlan, command: &str) -> String {
    let order: Vec<&str> = plan.order.iter().map(Name::as_str).collect();
    let verb = match plan.back {
        Back::Undo { .. } => "undoes",
        Back::Way { .. } => "runs",
    };
    let order = if order.is_empty() { "nothing".to_owned() } else { order.join(", ") };
    format!(
        "  {verb}, in this order: {order}\n  would lose:\n{}  to do it: {command}\n",
        loss::text(&plan.loss)
    )
}

fn refusal(error: &StepError) -> (String, Vec<String>) {
    let message = tidegate_engine::advice::message(error);
    match error {
        StepError::Refused { next, .. } => (message, vec![next.clone()]),
        _ => (message, Vec::new()),
    }
}

/// The text with its first letter in capital.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().collect::<String>() + characters.as_str())
}
