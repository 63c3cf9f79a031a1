//! The report as Markdown: to be read by an auditor, and to stay readable as plain text.

use std::fmt::Write as _;

use crate::advice::followed_by;
use crate::event::{Back, LossLine, Person};
use crate::moment::{moment, precise};
use crate::outcome::Outcome;
use crate::report::{Course, Happened, Report, Section, StepReport, What};
use crate::state::Phase;

/// Most values, objects or notices listed of one outcome; the JSON form has all.
const LISTED_MAX: usize = 40;

/// Writes the document.
pub(super) fn write(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    let _ = writeln!(text, "\n## Course of the run\n");
    for turn in &report.course {
        bullet(&mut text, 0, &format!("{} (event {}): {}", precise(turn.at), turn.event, course(&turn.what)));
    }
    for section in &report.sections {
        write_section(&mut text, section);
    }
    let _ = writeln!(
        text,
        "\n## Journal\n\nWhen this was written the journal ended at event {} with the hash\n\n`{}`\n\nKeep it elsewhere: \
         `tidegate audit verify --head HASH` then proves that nothing up to that event was changed.",
        report.head_event, report.head
    );
    text
}

fn head(text: &mut String, report: &Report) {
    let _ = writeln!(text, "# Report: {}\n", line(&report.title));
    let _ = writeln!(text, "| | |\n|---|---|");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    };
    row("run", format!("`{}`", report.run));
    row("runbook", format!("`{}`", report.runbook));
    if let Some(page) = &report.page {
        row("page", format!("`{}`", page.0));
    }
    row("texts", format!("`{}`", report.plan));
    row("state", phase(&report.phase));
    row("started", moment(report.started_at));
    row("ended", report.ended_at.map_or_else(|| "not ended".to_owned(), moment));
    row("started by", person(&report.by));
    let server =
        report.bound_to.system_identifier.map_or(String::new(), |server| format!(" on server {server}"));
    row("store", format!("database {}{server}", report.bound_to.database));
    row("tidegate", report.program.clone());
    if let Some(digest) = &report.needs_run {
        row("evidence of the run before", format!("`{digest}`"));
    }
    if !report.parameters.is_empty() {
        let _ = writeln!(text, "\n## Parameters\n\n| name | value |\n|---|---|");
        for (name, value) in &report.parameters {
            let _ = writeln!(text, "| {name} | {} |", cell(value));
        }
    }
}

fn write_section(text: &mut String, section: &Section) {
    let kind = match (section.way, section.manual) {
        (true, _) => "Way",
        (false, true) => "Manual stage",
        (false, false) => "Stage",
    };
    let _ = writeln!(text, "\n## {kind} `{}`: {}", section.id, line(&section.title));
    if let Some(seconds) = section.hold_served_seconds {
        let _ = writeln!(text, "\nOf its hold {seconds} s were served under watch.");
    }
    for step in &section.steps {
        write_step(text, step);
    }
}

fn write_step(text: &mut String, step: &StepReport) {
    let _ = writeln!(text, "\n### {} `{}`\n", step.verb, step.id);
    let _ = writeln!(text, "{}\n", line(&step.what));
    if step.happened.is_empty() {
        bullet(text, 0, "not run");
    }
    for happened in &step.happened {
        write_happened(text, happened);
    }
}

fn write_happened(text: &mut String, happened: &Happened) {
    let stamp = format!("{} (event {}): ", precise(happened.at), happened.event);
    let mut say = |what: String| bullet(text, 0, &format!("{stamp}{what}"));
    match &happened.what {
        What::Started { attempt } => say(format!("attempt {attempt} began")),
        What::Done { attempt, outcome } => {
            say(format!("**done** at attempt {attempt} in {} ms: {}", outcome.took_ms, outcome.summary));
            write_outcome(text, outcome);
        }
        What::Failed { attempt, unknown, message, sqlstate } => {
            let verdict = if *unknown { "unknown" } else { "failed" };
            let code = sqlstate.as_ref().map_or(String::new(), |code| format!(" (SQLSTATE {code})"));
            say(format!("**{verdict}** at attempt {attempt}{code}: {message}"));
        }
        What::Rechecked { holds: true, .. } => say("evaluated again: holds".to_owned()),
        What::Rechecked { holds: false, message } => {
            say(format!("evaluated again: **does not hold**: {message}"));
        }
        What::FlagsMoved { set, from, to, epoch } => {
            say(format!("moved {set} from {from} to {to}, epoch {epoch}"));
        }
        What::KnobTurned { knob, value, by } => say(format!("{} turned {knob} to {value}", by.actor)),
        What::SessionEnded { session } => say(format!("ended {session}")),
        What::Approved { by, head } => {
            say(format!("approved by {}, who was shown head `{}`", person(by), head.short()));
        }
        What::WatchOpened {} => say("the watch began to look".to_owned()),
        What::WatchTripped { message, action } => say(format!("**tripped** ({action}): {message}")),
        What::WatchClosed { looks, longest_gap_ms } => {
            say(format!("the watch ended after {looks} looks, at most {longest_gap_ms} ms apart"));
        }
        What::Undone { loss } => {
            say(format!("**undone**; {}", lost(loss)));
        }
        What::Adopted { outcome, by, reason } => {
            let what = format!("**adopted** by {}: {}", person(by), outcome.summary);
            say(followed_by(&what, &format!("Reason: {reason}")));
            write_outcome(text, outcome);
        }
    }
}

fn write_outcome(text: &mut String, outcome: &Outcome) {
    if outcome.already {
        bullet(text, 1, "its effect was there before");
    }
    if !outcome.figures.is_empty() {
        let figures: Vec<String> =
            outcome.figures.iter().map(|(name, count)| format!("{name} {count}")).collect();
        bullet(text, 1, &format!("figures: {}", figures.join(", ")));
    }
    list(
        text,
        "",
        outcome.values.iter().map(|kept| match &kept.text {
            Some(value) => format!("`{}` = {} ({})", kept.name, value, kept.type_name),
            None => format!("`{}` is NULL ({})", kept.name, kept.type_name),
        }),
    );
    list(text, "", outcome.texts.iter().map(|(name, value)| format!("{name}: {value}")));
    if let Some(rows) = &outcome.rows {
        bullet(text, 1, &format!("kept {} rows as evidence `{}`", rows.count, rows.digest));
    }
    list(text, "made ", outcome.made.iter().map(|object| format!("{} `{}`", object.kind, object.identity)));
    if !outcome.held.is_empty() {
        let held: Vec<String> = outcome.held.iter().map(|check| format!("`{check}`")).collect();
        bullet(text, 1, &format!("held in its transaction: {}", held.join(", ")));
    }
    if let Some(transaction) = outcome.transaction {
        bullet(text, 1, &format!("transaction {transaction}"));
    }
    list(text, "notice: ", outcome.notices.iter().cloned());
}

fn list(text: &mut String, before: &str, items: impl ExactSizeIterator<Item = String>) {
    let more = items.len().saturating_sub(LISTED_MAX);
    for item in items.take(LISTED_MAX) {
        bullet(text, 1, &format!("{before}{item}"));
    }
    if more > 0 {
        bullet(text, 1, &format!("and {more} more"));
    }
}

fn course(what: &Course) -> String {
    match what {
        Course::Started {} => "the run began".to_owned(),
        Course::Resumed { by, ended_backends: 0 } => format!("taken up by {}", person(by)),
        Course::Resumed { by, ended_backends } => {
            format!("taken up by {}, {ended_backends} backends of the runner before were ended", person(by))
        }
        Course::Halted { step, reason, message } => {
            let at = step.as_ref().map_or(String::new(), |step| format!(" at `{step}`"));
            let reason = serde_json::to_value(reason)
                .ok()
                .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
                .unwrap_or_default();
            format!("**halted**{at} ({reason}): {message}")
        }
        Course::Waiting { on } => format!("waits for {on}"),
        Course::Request { what, refused: None } => format!("followed a request: {what}"),
        Course::Request { what, refused: Some(why) } => format!("refused a request: {what}: {why}"),
        Course::Amended { changed, plan, by, reason } => {
            let changed: Vec<String> = changed.iter().map(|step| format!("`{step}`")).collect();
            let changed = if changed.is_empty() { "no step".to_owned() } else { changed.join(", ") };
            format!(
                "**amended** by {}: {changed} changed, texts `{}`. Reason: {reason}",
                person(by),
                plan.short()
            )
        }
        Course::DriftAccepted { subject, by, reason } => {
            let what = format!("**drift accepted** by {}: {subject}", person(by));
            followed_by(&what, &format!("Reason: {reason}"))
        }
        Course::RollbackStarted { back, order, loss, by } => {
            let back = match back {
                Back::Undo { to: Some(stage) } => format!("to the state after `{stage}`"),
                Back::Undo { to: None } => "to the start".to_owned(),
                Back::Way { way, .. } => format!("along way `{way}`"),
            };
            let order: Vec<String> = order.iter().map(|step| format!("`{step}`")).collect();
            let order = if order.is_empty() { "no step to undo".to_owned() } else { order.join(", ") };
            format!("**went back** {back}, by {}: {order}; {}", person(by), lost(loss))
        }
        Course::RollbackEnded { at: Some(stage) } => {
            format!("the way back ended at the state after `{stage}`")
        }
        Course::RollbackEnded { at: None } => "the way back ended at the start".to_owned(),
        Course::Finished {} => "**finished**: all stages are complete".to_owned(),
        Course::Abandoned { by, reason } => format!("**given up** by {}. Reason: {reason}", person(by)),
    }
}

fn lost(loss: &[LossLine]) -> String {
    if loss.is_empty() {
        return "nothing was lost".to_owned();
    }
    let lines: Vec<String> = loss
        .iter()
        .map(|line| {
            let newest = line.newest.as_ref().map_or(String::new(), |at| format!(", the newest of {at}"));
            format!("{} rows of {}{newest}", line.rows, line.table)
        })
        .collect();
    format!("lost: {}", lines.join("; "))
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Halted { message, .. } => format!("halted: {message}"),
        Phase::Abandoned { reason } => format!("abandoned: {reason}"),
        other => other.word().to_owned(),
    }
}

fn person(by: &Person) -> String {
    format!("{} (user {} on {}, database role {})", by.actor, by.os_user, by.host, by.db_role)
}

/// An item of a list; further lines of `what` stay inside it.
fn bullet(text: &mut String, depth: usize, what: &str) {
    let indent = "  ".repeat(depth);
    let mut lines = what.lines();
    let _ = writeln!(text, "{indent}- {}", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(text, "{indent}  {line}");
    }
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}
