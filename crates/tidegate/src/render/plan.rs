//! The dry run as a table.

use serde::Serialize;
use tidegate_engine::plan::{DryRun, Finding};

use crate::desk::Desk;
use crate::exit_code::ExitCode;
use crate::render::table::table;
use crate::screen::{Screen, Tone};

/// `plan --json`
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    /// The exit code.
    pub(crate) exit_code: ExitCode,
    /// The runbook.
    pub(crate) runbook: &'a str,
    /// Whether nothing would stop the run right now.
    pub(crate) holds: bool,
    /// The rest.
    #[serde(flatten)]
    pub(crate) dry: &'a DryRun,
}

/// The dry run for people.
pub(crate) fn text(desk: &Desk, dry: &DryRun) -> String {
    let screen = &desk.screen;
    let runbook = &desk.program.runbook;
    let run = match &dry.run {
        Some(run) => format!("goes on with run {run}"),
        None => "would start a new run".to_owned(),
    };
    let mut text = format!(
        "{}: {} ({})\nDry run: nothing is changed; `run --apply` {run}.\n",
        screen.paint(Tone::Strong, runbook.id.as_str()),
        runbook.title,
        runbook.page
    );
    for stage in &runbook.stages {
        let lines = dry.lines.iter().filter(|line| line.stage == stage.id);
        let rows: Vec<Vec<String>> = lines
            .map(|line| {
                let (word, tone, detail) = words(&line.finding);
                let what = if detail.is_empty() { line.what.clone() } else { detail };
                vec![screen.paint(tone, &word), line.verb.to_owned(), line.step.to_string(), one_line(&what)]
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let manual = if stage.manual { " (manual: runs with --stage)" } else { "" };
        text.push_str(&format!(
            "\n{} {}{manual}\n",
            screen.paint(Tone::Strong, stage.id.as_str()),
            stage.title
        ));
        text.push_str(&table(2, &rows));
    }
    if !dry.drift.is_empty() {
        text.push_str(&format!("\n{}\n", screen.paint(Tone::Bad, "Drift")));
        for finding in &dry.drift {
            text.push_str(&format!("  {finding}\n"));
        }
    }
    if !dry.lacking.is_empty() {
        text.push_str(&format!("\n{}\n", screen.paint(Tone::Bad, "Lacking")));
        let rows: Vec<Vec<String>> = dry
            .lacking
            .iter()
            .map(|one| vec![one.place.clone(), one.step.to_string(), one_line(&one.found)])
            .collect();
        text.push_str(&table(2, &rows));
    }
    text.push_str(&format!("\n{}\n", verdict(screen, dry)));
    text
}

fn verdict(screen: &Screen, dry: &DryRun) -> String {
    let count = |wanted: fn(&Finding) -> bool| dry.lines.iter().filter(|line| wanted(&line.finding)).count();
    let pass = count(|finding| matches!(finding, Finding::Pass {}));
    let fail = count(|finding| matches!(finding, Finding::Fail { .. }));
    let unknown = count(|finding| matches!(finding, Finding::Unknown { .. }));
    let later = count(|finding| matches!(finding, Finding::NotYet { .. }));
    let head = if dry.holds() {
        screen.paint(Tone::Good, "Nothing stands in the way.")
    } else {
        screen.paint(Tone::Bad, "The run would halt.")
    };
    format!("{head} {pass} pass, {fail} fail, {unknown} unknown, {later} can only be told later.")
}

fn words(finding: &Finding) -> (String, Tone, String) {
    let plain = |word: &str, tone, detail: &str| (word.to_owned(), tone, detail.to_owned());
    match finding {
        Finding::Pass {} => plain("pass", Tone::Good, ""),
        Finding::Fail { found } => plain("FAIL", Tone::Bad, found),
        Finding::Unknown { why } => plain("UNKNOWN", Tone::Bad, why),
        Finding::NotYet { needs } => (format!("not yet: needs {needs}"), Tone::Faint, String::new()),
        Finding::NotAsked { why } => plain("not asked", Tone::Faint, why),
        Finding::Would {} => plain("would", Tone::Strong, ""),
        Finding::Done {} => plain("done", Tone::Good, ""),
        Finding::Manual {} => plain("manual", Tone::Faint, ""),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
