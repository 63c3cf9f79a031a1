//! `recheck`: the checks and records of completed stages, asked again.

use serde::Serialize;
use tidegate_engine::recheck::{RecheckLine, Rechecked, recheck};

use crate::arguments::RecheckArguments;
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::render::table::table;
use crate::screen::{Screen, Tone};

/// `recheck --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    lines: &'a [RecheckLine],
}

pub(crate) async fn perform(screen: &Screen, arguments: &RecheckArguments) -> Result<ExitCode, Failure> {
    let stage = arguments.stage.as_deref().map(|stage| desk::name("--stage", stage)).transpose()?;
    let sets = desk::sets(&arguments.input.sets)?;
    let desk = Desk::open(screen, &arguments.page, &sets)?;
    let options = desk::options(None, &arguments.input, &sets)?;
    let lines = recheck(desk.program.clone(), desk.doors.clone(), &options, stage).await?;
    let holds = lines.iter().all(|line| line.finding.holds());
    let exit_code = if holds { exit_code::DONE } else { exit_code::HALTED };
    if screen.is_json() {
        screen.json(&Document { exit_code, lines: &lines });
    } else {
        screen.data(&text(screen, &lines, holds));
    }
    Ok(exit_code)
}

fn text(screen: &Screen, lines: &[RecheckLine], holds: bool) -> String {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let (tone, word, detail) = words(&line.finding);
            vec![
                screen.paint(tone, word),
                line.stage.to_string(),
                line.verb.to_owned(),
                line.step.to_string(),
                detail.split_whitespace().collect::<Vec<_>>().join(" "),
            ]
        })
        .collect();
    let sum = match (lines.is_empty(), holds) {
        (true, _) => "No stage is complete yet: there is nothing to ask again.".to_owned(),
        (false, true) => screen.paint(Tone::Good, "Everything that was asked again holds."),
        (false, false) => screen.paint(Tone::Bad, "Not everything holds any more. Nothing was changed."),
    };
    format!("{}{sum}\n", table(0, &rows))
}

fn words(finding: &Rechecked) -> (Tone, &'static str, String) {
    match finding {
        Rechecked::Holds {} => (Tone::Good, "holds", String::new()),
        Rechecked::Same {} => (Tone::Good, "same", String::new()),
        Rechecked::Differs { differences } => (Tone::Careful, "differs", differences.join("; ")),
        Rechecked::Fails { found } => (Tone::Bad, "FAILS", found.clone()),
        Rechecked::Unknown { why } => (Tone::Bad, "UNKNOWN", why.clone()),
        Rechecked::NotAsked { why } => (Tone::Faint, "not asked", (*why).to_owned()),
    }
}
