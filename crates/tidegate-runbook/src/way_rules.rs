//! What leads back from each stage, and what follows from that.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts, WayDraft};
use crate::flag_rules;
use crate::front::Front;
use crate::names::Name;
use crate::scope::{List, Named, Placed, Scope};
use crate::step::{Action, OnTrip, RekeyMode};
use crate::text::SourceText;
use crate::vocabulary::Verb;

/// Checks that every stage has a way back or says that it has none, and that no watch promises a rollback which a
/// person would have to decide.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: Option<&Front>,
    drafts: &Drafts,
    scope: &Scope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let front = front.filter(|front| front.flags_whole);
    let one_way = front.map(|front| flag_rules::without_way_back(front, drafts)).unwrap_or_default();
    let has_inverse = |draft: &Draft| has_inverse(draft, &one_way);
    for stage in &drafts.stages {
        let stuck = stage.steps.iter().find(|draft| !has_inverse(draft));
        let Some(stuck) = stuck.filter(|_| !stage.stage.no_return) else { continue };
        let covering: Vec<&WayDraft> = covering(drafts, &stage.stage.id).collect();
        if covering.iter().any(|way| !holds(way, Verb::Restore)) {
            continue;
        }
        let id = stuck.id.as_ref().map_or("this step", Name::as_str);
        let leads = if covering.is_empty() { "nothing leads" } else { "only a restore leads" };
        let (why, give) = if stuck.verb == Verb::Flags {
            ("moves flags, and no move back is declared", "declare the move back (`back = true`)")
        } else if stuck.verb == Verb::Rekey {
            ("has no inverse", "say what leads back")
        } else {
            ("has no inverse", "give the step an `@undo`")
        };
        let message = format!("{leads} back from the stage `{}`: `{id}` {why}", stage.stage.id);
        diagnostics.push(
            Diagnostic::error(
                "no-way-back",
                page.span(stuck.head.clone()),
                message,
                format!(
                    "{give}, write a way back without a restore that covers the stage, or say `no_return = true` in its `@stage`"
                ),
            )
            .with_related(stage.stage.span.clone(), "the stage"),
        );
    }
    for placed in &scope.steps {
        watch(page, drafts, scope, placed, &has_inverse, diagnostics);
    }
}

/// Whether the program knows what undoes a step, or there is nothing to undo.
fn has_inverse(draft: &Draft, one_way: &BTreeSet<&Name>) -> bool {
    match (&draft.verb, draft.step.as_ref().map(|step| &step.action)) {
        (Verb::Command, _) => false,
        (Verb::Flags, _) => draft.id.as_ref().is_none_or(|id| !one_way.contains(id)),
        (Verb::Migrate, Some(Action::Migrate(migrate))) => migrate.undo.is_some(),
        (Verb::Rekey, Some(Action::Rekey(moved))) => moved.mode == RekeyMode::Dry,
        // An unread body has been reported; a restore outside a way, too.
        _ => true,
    }
}

fn covering<'d>(drafts: &'d Drafts, stage: &'d Name) -> impl Iterator<Item = &'d WayDraft> {
    drafts.ways.iter().filter(move |way| way.way.from.contains(stage))
}

fn holds(way: &WayDraft, verb: Verb) -> bool {
    way.steps.iter().any(|draft| draft.verb == verb)
}

/// `@on-trip rollback` must lead back by itself.
fn watch(
    page: &SourceText<'_>,
    drafts: &Drafts,
    scope: &Scope<'_>,
    placed: &Placed<'_>,
    has_inverse: &dyn Fn(&Draft) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(Action::Watch(watch)) = placed.draft.step.as_ref().map(|step| &step.action) else { return };
    if watch.on_trip != OnTrip::Rollback {
        return;
    }
    let mut refuse = |message: String| {
        diagnostics.push(Diagnostic::error(
            "rollback-needs-person",
            page.span(placed.draft.head.clone()),
            message,
            "write `@on-trip halt`, or give every step under the watch an inverse",
        ));
    };
    if placed.list != List::Stages {
        refuse("a watch in a way back cannot lead back from it".to_owned());
        return;
    }
    let stage_at = |index: usize| {
        scope
            .steps
            .iter()
            .find(|step| step.list == List::Stages && step.index == index)
            .map(|step| step.stage)
    };
    let stage_of = |name: &Name, last: bool| match scope.get(name).map(|entry| (entry.named, entry.index)) {
        Some((Named::Stage { first, .. }, index)) => stage_at(if last { index } else { first }),
        Some((Named::Step(_) | Named::Way, index)) => stage_at(index),
        None => None,
    };
    let from = watch.from.as_ref().and_then(|name| stage_of(name, false)).unwrap_or(placed.stage);
    let until = watch.until.as_ref().and_then(|name| stage_of(name, true)).unwrap_or(placed.stage);
    for stage in drafts.stages.iter().take(until.max(from) + 1).skip(from) {
        let id = &stage.stage.id;
        if stage.stage.no_return {
            refuse(format!("the watch covers the stage `{id}`, from which there is no return"));
            return;
        }
        if stage.steps.iter().all(has_inverse) {
            continue;
        }
        let by_itself =
            covering(drafts, id).any(|way| !holds(way, Verb::Restore) && !holds(way, Verb::Confirm));
        if !by_itself {
            refuse(format!("what leads back from the stage `{id}` contains a restore or a confirm"));
            return;
        }
    }
}
