//! `doctor`: what is wrong with a store and a run, and what would put it right.

use serde::Serialize;
use tidegate_engine::doctor::{Diagnosis, Severity, doctor};

use crate::arguments::DoctorArguments;
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::advice::with_page;
use crate::screen::{Screen, Tone};

/// `doctor --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    found: &'a [Diagnosis],
}

pub(crate) async fn perform(screen: &Screen, arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.page, &desk::sets(&arguments.sets)?)?;
    let found = doctor(Some(desk.program.clone()), desk.doors.clone()).await?;
    let problems = found.iter().filter(|one| one.severity == Severity::Problem).count();
    let exit_code = if problems == 0 { exit_code::DONE } else { exit_code::DRIFT };
    if screen.is_json() {
        screen.json(&Document { exit_code, found: &found });
    } else {
        screen.data(&text(&desk, &found, problems));
    }
    Ok(exit_code)
}

fn text(desk: &Desk, found: &[Diagnosis], problems: usize) -> String {
    let screen = &desk.screen;
    let mut text = String::new();
    for one in found {
        let (tone, word) = match one.severity {
            Severity::Problem => (Tone::Bad, "problem"),
            Severity::Note => (Tone::Faint, "note"),
        };
        text.push_str(&format!("{} {} [{}]\n", screen.paint(tone, word), one.subject, one.code));
        text.push_str(&format!("    {}\n", one.found.replace('\n', "\n    ")));
        for line in &one.next {
            let line = with_page(line, desk.page.as_deref()).replace('\n', "\n      ");
            text.push_str(&format!("    - {line}\n"));
        }
    }
    let sum = match (problems, found.len()) {
        (0, _) => screen.paint(Tone::Good, "Nothing is wrong."),
        (problems, _) => {
            screen.paint(Tone::Bad, &format!("{problems} to be put right; nothing was changed."))
        }
    };
    text.push_str(&format!("{sum}\n"));
    text
}
