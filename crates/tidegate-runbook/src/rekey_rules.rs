//! What a rekey names: its plan, and the dry run that it is held to.

use crate::action_rekey::{HELD_TO, PLAN};
use crate::diagnostic::Diagnostic;
use crate::front::Front;
use crate::scope::{Named, Placed, Scope};
use crate::step::{Action, MoveKeys, RekeyMode};
use crate::text::SourceText;

/// Checks every rekey.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: &Front,
    scope: &Scope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for placed in &scope.steps {
        if let Some(Action::Rekey(moved)) = placed.draft.step.as_ref().map(|step| &step.action) {
            if front.flags_whole {
                plan(page, front, placed, moved, diagnostics);
            }
            held_to(scope, placed, moved, diagnostics);
        }
    }
}

fn plan(
    page: &SourceText<'_>,
    front: &Front,
    placed: &Placed<'_>,
    moved: &MoveKeys,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if front.rekeys.iter().any(|plan| plan.name == moved.plan) {
        return;
    }
    let known: Vec<&str> = front.rekeys.iter().map(|plan| plan.name.as_str()).collect();
    let help = if known.is_empty() {
        format!("declare `[rekey.{}]` in the `@runbook` block", moved.plan)
    } else {
        format!("declare `[rekey.{}]`, or write one of: {}", moved.plan, known.join(", "))
    };
    let head = page.span(placed.draft.head.clone());
    let place = placed.draft.mentioned(PLAN).next().map_or(head, |mention| mention.span.clone());
    let message = format!("there is no plan `{}`", moved.plan);
    diagnostics.push(Diagnostic::error("unknown-rekey-plan", place, message, help));
}

fn held_to(scope: &Scope<'_>, placed: &Placed<'_>, moved: &MoveKeys, diagnostics: &mut Vec<Diagnostic>) {
    let Some(mention) = placed.draft.mentioned(HELD_TO).next() else { return };
    let mut refuse = |code, message: String, help: String| {
        diagnostics.push(Diagnostic::error(code, mention.span.clone(), message, help));
    };
    let name = &mention.name;
    let Some(entry) = scope.get(name) else {
        refuse("unknown-name", format!("there is no step `{name}`"), scope.nearest(name));
        return;
    };
    let action = match entry.named {
        Named::Step(draft) => draft.step.as_ref().map(|step| &step.action),
        Named::Stage { .. } | Named::Way => None,
    };
    let is_dry = matches!(
        action,
        Some(Action::Rekey(dry)) if dry.mode == RekeyMode::Dry && dry.plan == moved.plan
    );
    if !is_dry {
        let message = format!("`{name}` is no dry run of the plan `{}`", moved.plan);
        refuse("wrong-kind", message, "name a `@rekey` with `mode = \"dry\"` and the same plan".into());
    } else if entry.list != placed.list || entry.index >= placed.index {
        let message = format!("the dry run `{name}` does not stand above this step");
        refuse("name-later", message, "move it above".into());
    }
}
