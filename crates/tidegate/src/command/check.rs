//! `check`: a page, without asking any store.

use tidegate_runbook::{Diagnostic, Runbook, Severity, parse};

use crate::arguments::CheckArguments;
use crate::desk::not_a_runbook;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::page;
use crate::render::{check, diagnostics};
use crate::screen::Screen;

pub(crate) fn perform(screen: &Screen, arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let sources = page::read(&arguments.page)?;
    let parsed = parse(&sources);
    let refused = match &parsed.runbook {
        None => Some(not_a_runbook(&arguments.page, &parsed.diagnostics)),
        Some(runbook) if arguments.strict => strictly(runbook, &parsed.diagnostics),
        Some(_) => None,
    };
    if screen.is_json() {
        screen.json(&check::Document {
            exit_code: refused.as_ref().map_or(exit_code::DONE, |failure| failure.code),
            page: sources.page.to_string(),
            runbook: parsed.runbook.as_ref().map(|runbook| check::contents(runbook, &sources)),
            diagnostics: diagnostics::json(&sources, &parsed.diagnostics),
        });
        return Ok(refused.map_or(exit_code::DONE, |failure| failure.code));
    }
    if !parsed.diagnostics.is_empty() {
        screen.talk(&diagnostics::text(screen, &sources, &parsed.diagnostics));
    }
    if let Some(runbook) = &parsed.runbook {
        screen.data(&check::text(screen, runbook, &sources));
    }
    refused.map_or(Ok(exit_code::DONE), Err)
}

/// What `--strict` refuses beyond errors.
fn strictly(runbook: &Runbook, found: &[Diagnostic]) -> Option<Failure> {
    let unmarked = runbook.not_steps.iter().filter(|block| !block.example).count();
    let warnings = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).count();
    if unmarked == 0 && warnings == 0 {
        return None;
    }
    Some(Failure {
        code: exit_code::USAGE,
        kind: "page",
        message: format!("--strict: {unmarked} blocks that are no steps, {warnings} warnings"),
        next: vec![
            "Give each block `@verb id`, or mark it `@example`; mend each warning, or waive it with a reason."
                .to_owned(),
        ],
    })
}
