//! Rules over a parsed runbook: what its SQL would do, judged before anything runs.
//!
//! Errors of our own rules cannot be waived. Warnings can, with `@waive rule reason` in their step.

mod backfill;
mod body;
mod destructive;
mod effects;
mod opaque;
mod secrets;
mod squawk;
mod transactions;
mod values;

use crate::diagnostic::{Diagnostic, Severity};
use crate::runbook::Runbook;
use crate::source::Span;
use crate::step::{Step, Waiver};
use body::Scope;

/// Judges every step and adds what it finds to `diagnostics`. Runs last, because waivers also cover warnings that stand
/// there already.
pub(crate) fn lint(runbook: &Runbook, diagnostics: &mut Vec<Diagnostic>) {
    for scope in body::scopes(runbook) {
        let mut found = Vec::new();
        destructive::judge(&scope, &mut found);
        transactions::judge(&scope, &mut found);
        opaque::judge(&scope, &mut found);
        effects::judge(&scope, &mut found);
        backfill::judge(&scope, &mut found);
        values::judge(&scope, &mut found);
        secrets::judge(&scope, &mut found);
        squawk::judge(&scope, &mut found);
        apply_waivers(&scope, found, diagnostics);
    }
    secrets::judge_stages(runbook, diagnostics);
}

/// Adds `found` without what the step waives, drops waived warnings of other rules, and names waivers that met nothing.
fn apply_waivers(scope: &Scope<'_>, found: Vec<Diagnostic>, diagnostics: &mut Vec<Diagnostic>) {
    let step = scope.step;
    let mut used = vec![false; step.waivers.len()];
    let mut waived = |finding: &Diagnostic| {
        let index = step.waivers.iter().position(|waiver| covers(waiver, finding));
        if let Some(met) = index.and_then(|index| used.get_mut(index)) {
            *met = true;
        }
        index.is_some()
    };
    diagnostics
        .retain(|finding| !(finding.span.as_ref().is_some_and(|span| inside(span, step)) && waived(finding)));
    diagnostics.extend(found.into_iter().filter(|finding| !waived(finding)));
    for (waiver, _) in step.waivers.iter().zip(used).filter(|(_, used)| !used) {
        diagnostics.push(Diagnostic {
            code: "unused-waiver",
            severity: Severity::Warning,
            message: format!("the waiver of {:?} meets no warning in this step", waiver.rule),
            span: Some(step.head.clone()),
            related: None,
            help: "remove it, or write the warning's code as `check` prints it; errors cannot be waived"
                .to_owned(),
        });
    }
}

fn covers(waiver: &Waiver, finding: &Diagnostic) -> bool {
    let code = finding.code;
    finding.severity == Severity::Warning
        && (waiver.rule == code || code.strip_prefix("squawk-").is_some_and(|rule| rule == waiver.rule))
}

fn inside(span: &Span, step: &Step) -> bool {
    span.path == step.span.path
        && step.span.range.start <= span.range.start
        && span.range.end <= step.span.range.end
}

/// A warning at `span`.
fn warning(
    code: &'static str,
    span: Span,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message, help) }
}

#[cfg(test)]
mod rule_tests;
