//! What a rekey names: its plan, and the dry run that it is held to. And restores of what it moved.

use std::collections::BTreeSet;

use crate::action_rekey::{HELD_TO, PLAN};
use crate::diagnostic::Diagnostic;
use crate::front::Front;
use crate::scope::{Named, Placed, Scope};
use crate::source::Span;
use crate::step::{Action, BackupKeys, MoveKeys, RekeyMode, RestoreKeys};
use crate::text::SourceText;
use crate::value::{TextPiece, TextTemplate};

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
        if let Some((step, Action::RestoreKeys(restore))) =
            placed.draft.step.as_ref().map(|step| (step, &step.action))
            && let Some(Named::Step(draft)) = scope.get(&restore.backup).map(|entry| entry.named)
            && let Some(Action::BackupKeys(backup)) = draft.step.as_ref().map(|step| &step.action)
        {
            let head = page.span(placed.draft.head.clone());
            let moved = scope.steps.iter().filter_map(|placed| placed.draft.step.as_ref());
            let moved = moved.filter(|moved| moved.store == step.store);
            let plans = moved.filter_map(|moved| match &moved.action {
                Action::Rekey(moved) if moved.mode != RekeyMode::Dry => Some(&moved.plan),
                _ => None,
            });
            let journals: BTreeSet<&str> = plans
                .filter_map(|name| front.rekeys.iter().find(|plan| plan.name == *name))
                .map(|plan| plan.journal.as_str())
                .collect();
            restored(restore, backup, &journals, &head, diagnostics);
        }
    }
}

/// A restore takes namespaces that the backup has, and what a move keeps of its own comes back with what it moved.
fn restored(
    restore: &RestoreKeys,
    backup: &BackupKeys,
    journals: &BTreeSet<&str>,
    head: &Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut refuse = |code, message: String, help: String| {
        diagnostics.push(Diagnostic::error(code, head.clone(), message, help));
    };
    if let Some(absent) = restore.namespaces.iter().find(|name| !backup.namespaces.contains(name)) {
        refuse(
            "toml-value",
            format!("the backup `{}` has no namespace `{absent}`", restore.backup),
            format!("it has: {}", backup.namespaces.join(", ")),
        );
    }
    for journal in journals {
        let named = |names: &[String]| names.iter().any(|name| name == journal);
        let begins = |text: &TextTemplate| matches!(text.pieces.first(), Some(TextPiece::Text(text)) if text.starts_with(JOURNAL_PREFIX));
        let is_back = named(&backup.namespaces)
            && backup.prefix.is_none()
            && (restore.namespaces.is_empty() || named(&restore.namespaces))
            && (restore.keys.is_empty() && restore.prefixes.is_empty()
                || restore.prefixes.iter().any(begins));
        if !is_back {
            refuse(
                "restore-without-journal",
                format!(
                    "what the move of keys keeps of its own in `{journal}` would stay, so a next move would copy nothing again"
                ),
                format!(
                    "let backup and restore have the namespace `{journal}` whole, or at least the prefix `{JOURNAL_PREFIX}` and the id"
                ),
            );
        }
    }
}

/// What all keys of a move's own begin with.
const JOURNAL_PREFIX: &str = "migration:";

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
