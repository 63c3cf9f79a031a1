//! Names that steps and ways mention: do they exist, are they of the right kind, and do they stand where they must?

use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts, Mention};
use crate::front::Front;
use crate::scope::{Entry, List, Named, Placed, Scope};
use crate::step::{Action, Check, Question};
use crate::text::SourceText;
use crate::vocabulary::Verb;

/// Checks every mention of every step and way.
pub(crate) fn check(
    page: &SourceText<'_>,
    drafts: &Drafts,
    scope: &Scope<'_>,
    front: Option<&Front>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for placed in &scope.steps {
        let mut checker = Checker { page, scope, placed, diagnostics };
        checker.mentions();
        checker.step();
    }
    for way in &drafts.ways {
        for mention in &way.mentions {
            way_mention(scope, mention, diagnostics);
        }
        way_direction(scope, &way.mentions, diagnostics);
    }
    only_unless_is_used(page, scope, diagnostics);
    let needed = front.and_then(|front| {
        let name = front.needs_run.as_ref()?.stage.as_ref()?;
        Some(Mention { word: "stage", name: name.clone(), span: front.needs_stage.clone()? })
    });
    if let Some(mention) = needed {
        way_mention(scope, &mention, diagnostics);
    }
}

/// The property or key of a mention, as the page writes it.
fn shown(mention: &Mention) -> String {
    let is_key = mention.word == "backup";
    if is_key { format!("`{}`", mention.word) } else { format!("`@{}`", mention.word) }
}

/// Whether the step's outcome is committed with its effect.
fn has_gate(draft: &Draft) -> bool {
    let of_keys = matches!(draft.step.as_ref().map(|step| &step.action), Some(Action::RestoreKeys(_)));
    draft.verb.has_gate() && !of_keys
}

/// The check that a draft is, if its body was read.
pub(crate) fn as_check(draft: &Draft) -> Option<&Check> {
    match draft.step.as_ref().map(|step| &step.action) {
        Some(Action::Check(check)) => Some(check),
        _ => None,
    }
}

struct Checker<'c, 'd> {
    page: &'c SourceText<'c>,
    scope: &'c Scope<'d>,
    placed: &'c Placed<'d>,
    diagnostics: &'c mut Vec<Diagnostic>,
}

impl<'c, 'd> Checker<'c, 'd> {
    fn push(&mut self, code: &'static str, mention: &Mention, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::error(code, mention.span.clone(), message, help));
    }

    fn mentions(&mut self) {
        for mention in &self.placed.draft.mentions {
            match mention.word {
                "requires" => self.requires(mention),
                "ensures" => self.ensures(mention),
                "unless" => self.unless(mention),
                "conserves" => self.conserves(mention),
                "at" => self.at(mention),
                "from" => self.watch_place(mention, true),
                "until" => self.watch_place(mention, false),
                "backup" => self.backup(mention),
                "after" => self.after(mention),
                // Stores and logins are looked up where stores are.
                _ => {}
            }
        }
    }

    /// The entry of a mention that can be seen from this step: of its own list, or of a stage.
    fn visible(&mut self, mention: &Mention) -> Option<&'c Entry<'d>> {
        let scope = self.scope;
        let Some(entry) = scope.get(&mention.name) else {
            let help = self.scope.nearest(&mention.name);
            self.diagnostics.push(Diagnostic::error(
                "unknown-name",
                mention.span.clone(),
                format!("{} names `{}`, which does not exist", shown(mention), mention.name),
                help,
            ));
            return None;
        };
        if let Named::Way = entry.named {
            let message = format!("`{}` is a way back, not a step or stage", mention.name);
            self.push("wrong-kind", mention, message, "name a step or a stage");
            return None;
        }
        if entry.list != self.placed.list && entry.list != List::Stages {
            let message = format!("`{}` belongs to a way back that is not under way here", mention.name);
            self.push("name-elsewhere", mention, message, "name a step of the stages or of this way");
            return None;
        }
        Some(entry)
    }

    /// Reports a mention of something that does not stand above this step.
    fn demand_earlier(&mut self, mention: &Mention, entry_list: List, entry_index: usize) {
        if entry_list == self.placed.list && entry_index >= self.placed.index {
            let what = if entry_index == self.placed.index { "this very step" } else { "something below" };
            let message = format!("`@{}` names `{}`, which is {what}", mention.word, mention.name);
            self.push(
                "name-later",
                mention,
                message,
                "document order is the order of the run: move one of the two; only `@ensures`, `@until`, `@unless` and `@at` look ahead",
            );
        }
    }

    fn requires(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let (list, index, named) = (entry.list, entry.index, entry.named);
        match named {
            Named::Stage { steps: 0, .. } => {
                let message = format!("the stage `{}` has no steps, so nothing is required", mention.name);
                self.push("stage-without-steps", mention, message, "name a step, or a stage that has some");
            }
            Named::Step(draft) if as_check(draft).is_some_and(|check| check.only_unless) => {
                let message = format!("`{}` is only evaluated for `@unless`", mention.name);
                self.push(
                    "only-unless",
                    mention,
                    message,
                    "remove `@only unless` there, or require another check",
                );
            }
            _ => self.demand_earlier(mention, list, index),
        }
    }

    fn ensures(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let (list, index, named) = (entry.list, entry.index, entry.named);
        let Named::Step(draft) = named else {
            let message = format!("`{}` is a stage; `@ensures` takes checks", mention.name);
            self.push("wrong-kind", mention, message, "name the checks one by one");
            return;
        };
        if draft.verb != Verb::Check {
            let message =
                format!("`{}` is a `@{}`; `@ensures` takes checks", mention.name, draft.verb.name());
            self.push("wrong-kind", mention, message, "name a check");
            return;
        }
        if as_check(draft).is_some_and(|check| check.only_unless) {
            let message = format!("`{}` is only evaluated for `@unless`", mention.name);
            self.push("only-unless", mention, message, "remove `@only unless` there, or name another check");
        }
        if as_check(draft).is_some_and(|check| check.within.is_some()) {
            let message = format!(
                "the check `{}` waits until it holds, and this step would be held open",
                mention.name
            );
            let help = "let it stand on its own below, or remove its `@within`";
            self.push("ensures-waits", mention, message, help);
        }
        if list != self.placed.list || index < self.placed.index {
            let message = format!("the check `{}` does not stand below this step", mention.name);
            self.push(
                "ensures-above",
                mention,
                message,
                "move the check below: it is evaluated in this step's gate and again in its own place",
            );
        }
        let store = |draft: &Draft| draft.step.as_ref().and_then(|step| step.store.clone());
        let elsewhere = store(draft).is_some() && store(draft) != store(self.placed.draft);
        let apart = elsewhere
            || as_check(draft).is_some_and(|check| !matches!(check.question, Question::Sql(_)))
            || draft
                .step
                .as_ref()
                .is_some_and(|step| step.login.is_some() || step.via != crate::step::Via::Direct);
        if apart && has_gate(self.placed.draft) {
            let message = format!(
                "the check `{}` needs another connection, which would wait for this step's own locks",
                mention.name
            );
            self.push(
                "ensures-apart",
                mention,
                message,
                "ensure a check in sql without `@login` and `@via`, and let this one stand on its own",
            );
        }
    }

    fn unless(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        if !matches!(entry.named, Named::Step(draft) if draft.verb == Verb::Check) {
            let message = format!("`{}` is no check", mention.name);
            self.push("wrong-kind", mention, message, "name a check that holds once this step is done");
        }
    }

    fn conserves(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let (list, index, named) = (entry.list, entry.index, entry.named);
        let keeps_values = |draft: &Draft| match draft.step.as_ref().map(|step| &step.action) {
            Some(Action::Record(record)) => matches!(record.question, Question::Sql(_)) && !record.rows,
            Some(_) => false,
            None => draft.verb == Verb::Record,
        };
        if matches!(named, Named::Step(draft) if keeps_values(draft)) {
            self.demand_earlier(mention, list, index);
        } else {
            let message = format!("`{}` is no record of values in sql", mention.name);
            self.push("wrong-kind", mention, message, "name a `@record` in sql without `@rows`");
        }
    }

    fn at(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let store = |draft: &Draft| draft.step.as_ref().and_then(|step| step.store.clone());
        let mine = store(self.placed.draft);
        let is_backup = matches!(
            entry.named,
            Named::Step(draft) if draft.verb == Verb::Backup && (mine.is_none() || store(draft) == mine)
        );
        if !is_backup || entry.list != self.placed.list {
            let message = format!(
                "`@at` names `{}`, which is no backup of this step's store among its neighbours",
                mention.name
            );
            self.push("wrong-kind", mention, message, "name a `@backup`; it may stand below");
        }
    }

    fn backup(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let store = |draft: &Draft| draft.step.as_ref().and_then(|step| step.store.clone());
        match entry.named {
            Named::Step(draft) if draft.verb == Verb::Backup => {
                let (backed, mine) = (store(draft), store(self.placed.draft));
                if let (Some(backed), Some(mine)) = (backed, mine)
                    && backed != mine
                {
                    let message = format!(
                        "`{}` is a backup of store `{backed}`, and this step restores `{mine}`",
                        mention.name
                    );
                    self.push("wrong-kind", mention, message, "name a backup of the same store");
                }
            }
            _ => {
                let message = format!("`{}` is no backup", mention.name);
                self.push("wrong-kind", mention, message, "name the `@backup` step that is to be restored");
            }
        }
    }

    fn after(&mut self, mention: &Mention) {
        let Some(entry) = self.visible(mention) else { return };
        let (list, index, named) = (entry.list, entry.index, entry.named);
        if matches!(named, Named::Step(draft) if matches!(draft.verb, Verb::Flags | Verb::Seal | Verb::Migrate))
        {
            self.demand_earlier(mention, list, index);
        } else {
            let message = format!("`{}` neither mirrors writes nor stops them", mention.name);
            self.push(
                "wrong-kind",
                mention,
                message,
                "name the `@flags` step that mirrors writes, the `@seal` of the source, or the `@migrate` that makes a trigger which fills its columns",
            );
        }
    }

    fn watch_place(&mut self, mention: &Mention, from: bool) {
        let Some(entry) = self.visible(mention) else { return };
        let (list, index, named) = (entry.list, entry.index, entry.named);
        if list != self.placed.list {
            let message = format!("`{}` does not stand in the way that this watch belongs to", mention.name);
            self.push("name-elsewhere", mention, message, "name a step of this way");
            return;
        }
        if let Named::Stage { steps: 0, .. } = named {
            let message = format!("the stage `{}` has no steps", mention.name);
            self.push("stage-without-steps", mention, message, "name a step, or a stage that has some");
            return;
        }
        let first = match named {
            Named::Stage { first, .. } => first,
            Named::Step(_) | Named::Way => index,
        };
        if from {
            self.demand_earlier(mention, list, first);
            return;
        }
        let opened = self.placed.draft.mentioned("from").next().and_then(|from| self.scope.get(&from.name));
        let opens = opened.map_or(self.placed.index, |entry| match entry.named {
            Named::Stage { first, .. } => first,
            Named::Step(_) | Named::Way => entry.index,
        });
        if index < opens {
            let message = format!("the watch would end at `{}` before it begins", mention.name);
            self.push(
                "until-before-from",
                mention,
                message,
                "name something below the place where it begins",
            );
        }
    }

    /// What a verb demands of its place and company.
    fn step(&mut self) {
        let draft = self.placed.draft;
        let head = self.page.span(draft.head.clone());
        if draft.verb == Verb::Restore && self.placed.list == List::Stages {
            self.diagnostics.push(Diagnostic::error(
                "restore-outside-way",
                head.clone(),
                "a restore may only stand in a way back",
                "move it to a `###` section with `@way` under `## Rollback`",
            ));
        }
        if draft.verb == Verb::Evict {
            let confirmed = draft.mentioned("requires").any(|mention| {
                let entry = self.scope.get(&mention.name);
                entry.is_none_or(
                    |entry| matches!(entry.named, Named::Step(step) if step.verb == Verb::Confirm),
                )
            });
            if !confirmed {
                self.diagnostics.push(Diagnostic::error(
                    "evict-unconfirmed",
                    head.clone(),
                    "nobody confirms that these sessions may be ended",
                    "add a `@confirm` above and name it in `@requires`",
                ));
            }
        }
        let version = match draft.step.as_ref().map(|step| &step.action) {
            Some(Action::Migrate(migrate)) => migrate.version.as_ref(),
            Some(Action::Retire(retire)) => retire.version.as_ref(),
            Some(Action::Backfill(backfill)) => backfill.version.as_ref(),
            _ => None,
        };
        if version.is_some() && self.placed.list != List::Stages {
            self.diagnostics.push(Diagnostic::error(
                "version-in-way",
                head,
                "a step of a way back carries a version",
                "remove `@version`: a way takes versions back, it adds none",
            ));
        }
    }
}

/// A mention that must be a stage.
fn way_mention(scope: &Scope<'_>, mention: &Mention, diagnostics: &mut Vec<Diagnostic>) {
    match scope.get(&mention.name).map(|entry| entry.named) {
        None => diagnostics.push(Diagnostic::error(
            "unknown-name",
            mention.span.clone(),
            format!("`{}` names `{}`, which does not exist", mention.word, mention.name),
            scope.nearest(&mention.name),
        )),
        Some(Named::Stage { steps: 0, .. }) if mention.word == "ensures" => {
            diagnostics.push(Diagnostic::error(
                "stage-without-steps",
                mention.span.clone(),
                format!("the stage `{}` has no steps, so nothing is ensured", mention.name),
                "name a stage that has some",
            ));
        }
        Some(Named::Stage { .. }) => {}
        Some(Named::Step(_) | Named::Way) => diagnostics.push(Diagnostic::error(
            "wrong-kind",
            mention.span.clone(),
            format!("`{}` is no stage", mention.name),
            "name a stage by its `@stage` id or by its heading's slug",
        )),
    }
}

/// `to` must stand above everything in `from`.
fn way_direction(scope: &Scope<'_>, mentions: &[Mention], diagnostics: &mut Vec<Diagnostic>) {
    let place = |mention: &Mention| {
        scope.get(&mention.name).filter(|entry| matches!(entry.named, Named::Stage { .. }))
    };
    let Some(to) = mentions.iter().find(|mention| mention.word == "to") else { return };
    let Some(to_entry) = place(to) else { return };
    for from in mentions.iter().filter(|mention| mention.word == "from") {
        if place(from).is_some_and(|entry| entry.span.range.start <= to_entry.span.range.start) {
            diagnostics.push(
                Diagnostic::error(
                    "way-forward",
                    to.span.clone(),
                    format!("the way leads to `{}`, which does not stand above `{}`", to.name, from.name),
                    "`to` names the stage after which everything is undone: it stands above all of `from`",
                )
                .with_related(from.span.clone(), "leads back from here"),
            );
        }
    }
}

fn only_unless_is_used(page: &SourceText<'_>, scope: &Scope<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let used: std::collections::BTreeSet<&crate::names::Name> = scope
        .steps
        .iter()
        .flat_map(|placed| placed.draft.mentioned("unless"))
        .map(|mention| &mention.name)
        .collect();
    for placed in &scope.steps {
        let Some(id) = &placed.draft.id else { continue };
        if as_check(placed.draft).is_some_and(|check| check.only_unless) && !used.contains(id) {
            diagnostics.push(Diagnostic::error(
                "only-unless-unused",
                page.span(placed.draft.head.clone()),
                format!("no `@unless` names `{id}`, so it is never evaluated"),
                "name it in an `@unless`, or remove `@only unless`",
            ));
        }
    }
}
