//! Moves of flag sets: are set and row declared, is what the move demands required, and does a move lead back?

use std::collections::{BTreeMap, BTreeSet};

use crate::action_toml::{FLAG_ROW, FLAG_SET};
use crate::diagnostic::{Diagnostic, Severity};
use crate::draft::{Draft, Drafts, Mention};
use crate::front::Front;
use crate::names::Name;
use crate::references::as_check;
use crate::runbook::FlagSet;
use crate::scope::{List, Named, Placed, Scope};
use crate::step::{Action, MoveFlags};
use crate::text::SourceText;

/// Checks what moves require, and every `@flags` step.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: &Front,
    drafts: &Drafts,
    scope: &Scope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for mention in &front.flag_requires {
        required(scope, mention, diagnostics);
    }
    if !front.flags_whole {
        return;
    }
    for placed in &scope.steps {
        if let Some(moved) = as_move(placed.draft) {
            step(page, front, scope, placed, moved, diagnostics);
        }
    }
    for set in &front.flags {
        follow(page, set, drafts, diagnostics);
    }
}

/// Warns of a step to which no move leads from the row of the step before it: of the stages, and of each way.
fn follow(page: &SourceText<'_>, set: &FlagSet, drafts: &Drafts, diagnostics: &mut Vec<Diagnostic>) {
    let moves = |draft: &Draft| as_move(draft).is_some_and(|moved| moved.set == set.name);
    // When a manual stage runs is not known, and so not where it finds or leaves the set.
    let manual = drafts.stages.iter().any(|stage| stage.stage.manual && stage.steps.iter().any(moves));
    let of_stages = drafts.stages.iter().filter(|_| !manual).flat_map(|stage| &stage.steps).collect();
    let of_ways = drafts.ways.iter().map(|way| way.steps.iter().collect());
    for list in std::iter::once::<Vec<&Draft>>(of_stages).chain(of_ways) {
        let mut before: Option<(&Name, &Draft)> = None;
        for draft in list.into_iter().filter(|draft| moves(draft)) {
            let Some(to) = as_move(draft).map(|moved| &moved.to) else { continue };
            if let Some((from, earlier)) = before
                && from != to
                && set.row(to).is_some()
                && set.moves_to(to).next().is_some()
                && !set.moves_to(to).any(|(row, _)| row == from)
            {
                let help = "declare the move, or write a step to each row that lies between";
                let message = format!("no move of the flag set `{}` leads from `{from}` to `{to}`", set.name);
                let place = page.span(draft.head.clone());
                diagnostics.push(Diagnostic {
                    severity: Severity::Warning,
                    ..Diagnostic::error("flag-move-undeclared", place, message, help)
                        .with_related(page.span(earlier.head.clone()), "the step before leaves it there")
                });
            }
            before = Some((to, draft));
        }
    }
}

/// The move that a draft is, if its body was read.
pub(crate) fn as_move(draft: &Draft) -> Option<&MoveFlags> {
    match draft.step.as_ref().map(|step| &step.action) {
        Some(Action::Flags(moved)) => Some(moved),
        _ => None,
    }
}

/// A name in the `requires` of a declared move.
fn required(scope: &Scope<'_>, mention: &Mention, diagnostics: &mut Vec<Diagnostic>) {
    let mut push = |code, message: String, help: String| {
        diagnostics.push(Diagnostic::error(code, mention.span.clone(), message, help));
    };
    let name = &mention.name;
    match scope.get(name).map(|entry| entry.named) {
        None => {
            push(
                "unknown-name",
                format!("a move requires `{name}`, which does not exist"),
                scope.nearest(name),
            );
        }
        Some(Named::Way) => push(
            "wrong-kind",
            format!("a move requires `{name}`, which is a way back"),
            "name a step or a stage".into(),
        ),
        Some(Named::Stage { steps: 0, .. }) => push(
            "stage-without-steps",
            format!("the stage `{name}` has no steps, so nothing is required"),
            "name a step, or a stage that has some".into(),
        ),
        Some(Named::Step(draft)) if as_check(draft).is_some_and(|check| check.only_unless) => push(
            "only-unless",
            format!("`{name}` is only evaluated for `@unless`"),
            "remove `@only unless` there, or require another check".into(),
        ),
        Some(Named::Step(_) | Named::Stage { .. }) => {}
    }
}

fn step(
    page: &SourceText<'_>,
    front: &Front,
    scope: &Scope<'_>,
    placed: &Placed<'_>,
    moved: &MoveFlags,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let head = page.span(placed.draft.head.clone());
    let place =
        |word| placed.draft.mentioned(word).next().map_or(head.clone(), |mention| mention.span.clone());
    let Some(set) = front.flags.iter().find(|set| set.name == moved.set) else {
        let known: Vec<&str> = front.flags.iter().map(|set| set.name.as_str()).collect();
        let help = if known.is_empty() {
            format!("declare `[flags.{}]` in the `@runbook` block", moved.set)
        } else {
            format!("declare `[flags.{}]`, or write one of: {}", moved.set, known.join(", "))
        };
        let message = format!("there is no flag set `{}`", moved.set);
        diagnostics.push(Diagnostic::error("unknown-flag-set", place(FLAG_SET), message, help));
        return;
    };
    if set.row(&moved.to).is_none() {
        let known: Vec<&str> = set.rows.iter().map(|row| row.name.as_str()).collect();
        diagnostics.push(
            Diagnostic::error(
                "unknown-flag-row",
                place(FLAG_ROW),
                format!("the flag set `{}` has no row `{}`", set.name, moved.to),
                format!("known here: {}", known.join(", ")),
            )
            .with_related(set.span.clone(), "the set"),
        );
        return;
    }
    let mut leading = set.moves_to(&moved.to);
    let Some((from, demanded)) = leading.next() else {
        diagnostics.push(
            Diagnostic::error(
                "flag-row-unreached",
                place(FLAG_ROW),
                format!("no move of the flag set `{}` leads to `{}`", set.name, moved.to),
                "declare the move in `moves`, with what it requires",
            )
            .with_related(set.span.clone(), "the set"),
        );
        return;
    };
    if leading.next().is_some() {
        // Which of the moves is taken, and so what is demanded, shows when the row is known.
        return;
    }
    let lacking: Vec<&str> =
        demanded.iter().filter(|name| !covers(scope, placed.draft, name)).map(Name::as_str).collect();
    if !lacking.is_empty() {
        diagnostics.push(
            Diagnostic::error(
                "flag-move-requires",
                head.clone(),
                format!(
                    "the move from `{from}` to `{}` requires {}, and this step does not",
                    moved.to,
                    lacking.join(", ")
                ),
                format!("add `# @requires {}`", lacking.join(" ")),
            )
            .with_related(set.span.clone(), "the set"),
        );
    }
}

/// Whether the step requires `name`: by itself, by its stage, or, if it is a stage, by each of its steps.
fn covers(scope: &Scope<'_>, draft: &Draft, name: &Name) -> bool {
    if draft.mentioned("requires").any(|mention| &mention.name == name) {
        return true;
    }
    // A name that means nothing has been reported.
    let Some(entry) = scope.get(name) else { return true };
    let ranges: Vec<(List, usize, usize)> = draft
        .mentioned("requires")
        .filter_map(|mention| scope.get(&mention.name))
        .map(|required| match required.named {
            Named::Stage { first, .. } => (required.list, first, required.index),
            Named::Step(_) | Named::Way => (required.list, required.index, required.index),
        })
        .collect();
    let required = |index: usize| {
        ranges.iter().any(|(list, first, last)| *list == entry.list && (*first..=*last).contains(&index))
    };
    match entry.named {
        Named::Stage { first, steps } => steps == 0 || (first..=entry.index).all(required),
        Named::Step(_) => required(entry.index),
        Named::Way => true,
    }
}

/// The `@flags` steps of stages whose move has no declared move back.
///
/// The row before a step is that of the step on the same set before it, if a move leads from there, else any row from
/// which one does.
pub(crate) fn without_way_back<'d>(front: &Front, drafts: &'d Drafts) -> BTreeSet<&'d Name> {
    let mut stuck = BTreeSet::new();
    let mut rows: BTreeMap<&Name, &Name> = front.flags.iter().map(|set| (&set.name, &set.initial)).collect();
    for stage in &drafts.stages {
        let before_stage = rows.clone();
        for draft in &stage.steps {
            let (Some(moved), Some(id)) = (as_move(draft), &draft.id) else { continue };
            let Some(set) = front.flags.iter().find(|set| set.name == moved.set) else { continue };
            let before = rows.insert(&set.name, &moved.to);
            if !leads_back(set, before, &moved.to) {
                stuck.insert(id);
            }
        }
        // Whether and when a manual stage runs is not known.
        if stage.stage.manual {
            rows = before_stage;
        }
    }
    stuck
}

fn leads_back(set: &FlagSet, before: Option<&Name>, to: &Name) -> bool {
    let back = |from: &Name| set.moves_to(from).any(|(row, _)| row == to);
    let taken = before.filter(|before| set.moves_to(to).any(|(from, _)| from == *before));
    match taken {
        Some(before) => back(before),
        None => set.moves_to(to).all(|(from, _)| back(from)),
    }
}
