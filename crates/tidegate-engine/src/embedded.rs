//! A page that a program carries in itself, and runs to its end: the same lease, journal and version table as any
//! runbook's. For a service whose own commands migrate and verify.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::doors::Doors;
use crate::ending::Ending;
use crate::event::{Event, EventRecord};
use crate::observer::{Ask, Asking, Observer, Progress};
use crate::outcome::Outcome;
use crate::program::Program;
use crate::runner::{Opened, Purpose, Runner};
use crate::setup::{OpenError, Options};
use tidegate_runbook::{FileContent, Runbook, Severity, SourcePath, Sources, parse};

/// Exit code where the page stopped, or is none.
pub const FAILED: u8 = 1;
/// Exit code where another runner, or an open run, stands in the way.
pub const HELD: u8 = 4;

/// A page and the files that it names.
#[derive(Debug)]
pub struct Page {
    /// The page's name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Paths as the page writes them, and what is there.
    pub files: Vec<(String, String)>,
}

/// Why a page did not come to its end.
#[derive(Debug)]
pub struct Stopped {
    /// The exit code.
    pub code: u8,
    /// The sentence for a person.
    pub why: String,
}

/// What a page's steps came to, as far as it got.
#[derive(Debug, Default)]
pub struct Seen {
    /// The steps that are done, in order.
    pub done: Vec<(String, Outcome)>,
}

impl Observer for Seen {
    fn event(&mut self, record: &EventRecord) {
        if let Event::StepDone { step, outcome, .. } = &record.event {
            self.done.push((step.to_string(), outcome.clone()));
        }
    }

    fn progress(&mut self, progress: Progress) {
        tracing::debug!(?progress, "a step goes on");
    }

    fn ask(&mut self, _: &Ask) -> Asking {
        // These pages confirm nothing.
        Box::pin(async { None })
    }
}

/// A page that was read and found good.
#[derive(Debug)]
pub struct Checked {
    /// What it says.
    pub runbook: Runbook,
    sources: Sources,
}

/// Reads a page.
///
/// # Errors
/// What is wrong with it.
pub fn check(page: Page) -> Result<Checked, Stopped> {
    let files = page.files.into_iter();
    let sources = Sources {
        page: SourcePath(page.name.to_owned()),
        page_bytes: page.text.into_bytes(),
        files: files.map(|(path, text)| (SourcePath(path), FileContent::Bytes(text.into_bytes()))).collect(),
    };
    let parsed = parse(&sources);
    if let Some(runbook) = parsed.runbook {
        return Ok(Checked { runbook, sources });
    }
    let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|found| format!("{found:?}")).collect();
    Err(Stopped { code: FAILED, why: format!("{} is no runbook: {}", page.name, errors.join("; ")) })
}

/// Runs a page to its end. What was seen stands in `seen`, also when it did not get there. What the page names of the
/// environment is read by `env`.
///
/// # Errors
/// Why it did not get there.
pub async fn run(
    checked: Checked,
    actor: String,
    env: fn(&str) -> Option<String>,
    seen: &Rc<RefCell<Seen>>,
) -> Result<(), Stopped> {
    let stopped = |code: u8, why: String| Stopped { code, why };
    let Checked { runbook, sources } = checked;
    let Some(doors) = Doors::new(&runbook, Box::new(env)) else {
        return Err(stopped(FAILED, "the page has no home store".to_owned()));
    };
    let options = Options {
        actor,
        sets: BTreeMap::new(),
        evidence: None,
        without_evidence: None,
        again: true,
        head: None,
        memory: None,
    };
    let observer: Rc<RefCell<dyn Observer>> = seen.clone();
    let program = Rc::new(Program::new(runbook, sources));
    let opened = Runner::open(program, Rc::new(doors), &options, Purpose::Run, observer).await;
    let Opened { mut runner, .. } = opened.map_err(|error| {
        let held = matches!(error, OpenError::Held(_) | OpenError::Raced(_) | OpenError::Refused { .. });
        stopped(if held { HELD } else { FAILED }, with_next(&error))
    })?;
    let ending = runner.forward().await;
    runner.close().await;
    match ending {
        Ending::Done { .. } => Ok(()),
        Ending::Halted { message, .. }
        | Ending::InDoubt { message, .. }
        | Ending::Drift { message, .. }
        | Ending::LeaseLost { message } => Err(stopped(FAILED, message)),
        Ending::Waiting { .. } | Ending::RolledBack { .. } => {
            Err(stopped(FAILED, "the run waits for somebody; see `tidegate status`".to_owned()))
        }
    }
}

/// The error, and what to do about it where it says so.
fn with_next(error: &OpenError) -> String {
    match error {
        OpenError::Drift { message, next } | OpenError::Refused { message, next } => {
            crate::advice::followed_by(message, next)
        }
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            text
        }
    }
}

/// Who runs the page: what `variable` says, else the system's user, else the program.
#[must_use]
pub fn actor(variable: &str, program: &str) -> String {
    [variable, "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| program.to_owned())
}
