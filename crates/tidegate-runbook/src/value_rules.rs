//! Values that steps ask for: declared, recorded above, and handed over in a way that keeps secrets secret.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cohort::EACH;
use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts, Handing, ValueUse};
use crate::front::Front;
use crate::kv::KvBody;
use crate::names::Name;
use crate::scope::{List, Named, Placed, Scope};
use crate::source::Span;
use crate::sql::DifferencePart;
use crate::step::{Action, Check, Command, Compare, CompareMode, Deed, KeptValue, Question, Record, Script};
use crate::text::SourceText;
use crate::value::{ParameterType, ValueRef};

/// The values of every script, by the step's id.
pub(crate) type ScriptValues = BTreeMap<Name, Vec<(String, ValueRef)>>;

/// Checks every value that a step or stage asks for, and finds those of scripts.
pub(crate) fn check(
    page: &SourceText<'_>,
    front: &Front,
    drafts: &Drafts,
    scope: &Scope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> ScriptValues {
    let mut values = Values { page, front, scope, earliest: earliest(scope), diagnostics };
    let mut scripts = ScriptValues::new();
    for placed in &scope.steps {
        for used in &placed.draft.uses {
            if used.value.root.as_str() == EACH && used.value.field.is_some() {
                values.subject(used, placed.draft);
                continue;
            }
            values.value(used, placed);
        }
        if let (Some(script), Some(id)) = (script_of(placed.draft), &placed.draft.id) {
            let found = values.script(script, placed);
            scripts.insert(id.clone(), found);
        }
    }
    let mut index = 0;
    for stage in &drafts.stages {
        index += stage.steps.len();
        for used in &stage.uses {
            values.hold(used, index);
        }
    }
    scripts
}

/// The script of a step in sh.
pub(crate) fn script_of(draft: &Draft) -> Option<&Script> {
    match draft.step.as_ref().map(|step| &step.action) {
        Some(Action::Check(Check { question: Question::Sh(script), .. })) => Some(script),
        Some(Action::Command(Command { deed: Deed::Sh(script), .. })) => Some(script),
        _ => None,
    }
}

/// Where a check is evaluated first: in the gate of a step that ensures it, or for an `@unless`.
///
/// By the check's id: its list's position, and the step that evaluates it.
fn earliest<'s>(scope: &'s Scope<'_>) -> BTreeMap<&'s Name, (usize, &'s Placed<'s>)> {
    let mut earliest: BTreeMap<&Name, (usize, &Placed<'_>)> = BTreeMap::new();
    for placed in &scope.steps {
        let named = placed.draft.mentioned("ensures").chain(placed.draft.mentioned("unless"));
        for mention in named {
            let same_list = scope.get(&mention.name).is_some_and(|entry| entry.list == placed.list);
            if same_list && earliest.get(&mention.name).is_none_or(|(index, _)| placed.index < *index) {
                earliest.insert(&mention.name, (placed.index, placed));
            }
        }
    }
    earliest
}

struct Values<'v, 'd> {
    page: &'v SourceText<'v>,
    front: &'v Front,
    scope: &'v Scope<'d>,
    earliest: BTreeMap<&'v Name, (usize, &'v Placed<'v>)>,
    diagnostics: &'v mut Vec<Diagnostic>,
}

impl Values<'_, '_> {
    fn push(&mut self, code: &'static str, span: &Span, message: String, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(code, span.clone(), message, help));
    }

    fn value(&mut self, used: &ValueUse, placed: &Placed<'_>) {
        let first = placed.draft.id.as_ref().and_then(|id| self.earliest.get(id)).map(|(index, _)| *index);
        let before = first.map_or(placed.index, |first| first.min(placed.index));
        self.resolve(used, placed.list, before, before < placed.index);
    }

    /// `each.column`: which columns there are is known when the record has run.
    fn subject(&mut self, used: &ValueUse, draft: &Draft) {
        let Some(step) = &draft.step else { return };
        if step.action.cohort().is_none() {
            let message = format!("`{}` is a column of the row at hand, and this step has none", used.value);
            self.push("unknown-value", &used.span, message, "add `# @for-each record`");
        }
    }

    fn hold(&mut self, used: &ValueUse, index: usize) {
        if used.value.field.is_none() {
            let parameter = self.front.parameters.iter().find(|known| known.name == used.value.root);
            if parameter.is_some_and(|known| known.kind != ParameterType::Duration) {
                let message = format!("`{}` is no parameter of type duration", used.value);
                self.push("value-kind", &used.span, message, "hold for a span of time");
                return;
            }
        }
        self.resolve(used, List::Stages, index, false);
    }

    fn resolve(&mut self, used: &ValueUse, list: List, before: usize, evaluated_early: bool) {
        let ValueRef { root, field } = &used.value;
        match field {
            None if !matches!(used.handing, Handing::Relation(_)) => self.parameter(used),
            Some(field) if root.as_str() == "run" => {
                if !matches!(field.as_str(), "id" | "started") {
                    let message = format!("a run has no value `{field}`");
                    self.push("unknown-value", &used.span, message, "known are run.id and run.started");
                }
            }
            field => self.step_value(used, field.as_ref(), list, before, evaluated_early),
        }
    }

    fn parameter(&mut self, used: &ValueUse) {
        let name = &used.value.root;
        let Some(parameter) = self.front.parameters.iter().find(|known| &known.name == name) else {
            if !self.front.whole {
                return;
            }
            let help = match self.scope.get(name).map(|entry| entry.named) {
                Some(Named::Step(_)) => {
                    format!("`{name}` is a step: write `{name}.column` for one of its values")
                }
                _ => format!("declare `{name} = {{ type = \"…\" }}` under `[parameters]`"),
            };
            self.push("unknown-value", &used.span, format!("there is no parameter `{name}`"), help);
            return;
        };
        if parameter.secret && used.handing == Handing::InPath {
            let message =
                format!("the secret `{name}` would stand in the path of a request, which servers log");
            let help = "send it in a header or in the body";
            self.push("secret-in-path", &used.span, message, help);
        }
    }

    fn step_value(
        &mut self,
        used: &ValueUse,
        field: Option<&Name>,
        list: List,
        before: usize,
        evaluated_early: bool,
    ) {
        let root = &used.value.root;
        let Some(entry) = self.scope.get(root) else {
            let help = self.scope.nearest(root);
            self.push("unknown-value", &used.span, format!("there is no step `{root}`"), help);
            return;
        };
        let Named::Step(draft) = entry.named else {
            let message = format!("`{root}` is no step, so it keeps no values");
            self.push("value-kind", &used.span, message, "name a record");
            return;
        };
        let part = match used.handing {
            Handing::Relation(part) => part,
            Handing::Bound | Handing::InPath | Handing::InText => None,
        };
        if let Err((message, help)) = keeps(draft, field, part) {
            self.push("value-kind", &used.span, format!("`{root}` {message}"), help);
            return;
        }
        if entry.list != list && entry.list != List::Stages {
            let message = format!("`{root}` belongs to a way back that is not under way here");
            self.push("name-elsewhere", &used.span, message, "use a record of the stages or of this way");
            return;
        }
        let taken_at = snapshot_of(draft)
            .and_then(|backup| self.scope.get(backup))
            .filter(|backup| backup.list == entry.list)
            .map_or(entry.index, |backup| backup.index.max(entry.index));
        if entry.list == list && taken_at >= before {
            let why = if evaluated_early {
                "this check is evaluated earlier, for an `@ensures` or `@unless` that stands above the record"
            } else {
                "it is recorded below, or at a backup below"
            };
            let message = format!("`{root}` has no value yet: {why}");
            self.push("value-later", &used.span, message, "move the record up");
        }
    }

    /// Finds the values that a script reads as `$TG_…`.
    fn script(&mut self, script: &Script, placed: &Placed<'_>) -> Vec<(String, ValueRef)> {
        let mut found: Vec<(String, ValueRef)> = Vec::new();
        let Some(step) = &placed.draft.step else { return found };
        let block = self.page.slice(step.span.range.clone());
        for (name, range) in variables(&script.text) {
            if found.iter().any(|(known, _)| known == name) {
                continue;
            }
            // The script's text may have other line ends than the page: look the name up in the page itself.
            let place = block.find(name).map_or(step.head.range.clone(), |at| {
                let start = step.span.range.start + at;
                start..start + range.len()
            });
            let span = self.page.span(place);
            match self.meant(name).as_slice() {
                [value] => {
                    found.push((name.to_owned(), value.clone()));
                    let used = ValueUse { value: value.clone(), span, handing: Handing::InText };
                    self.value(&used, placed);
                }
                [] => {
                    if self.front.whole {
                        let help =
                            "declare the parameter, or write TG_ and the step's id and column in upper case";
                        self.push("unknown-value", &span, format!("{name} stands for no value"), help);
                    }
                }
                [first, second, ..] => {
                    let message = format!("{name} may mean `{first}` or `{second}`");
                    self.push("value-ambiguous", &span, message, "rename the parameter or the step");
                }
            }
        }
        found
    }

    /// Everything that `TG_A_B` may stand for: the parameter `a_b`, or the value `b` of the step `a`.
    fn meant(&self, variable: &str) -> Vec<ValueRef> {
        let Some(name) = variable.strip_prefix(PREFIX) else { return Vec::new() };
        if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Vec::new();
        }
        let name = name.to_ascii_lowercase();
        let parameter = Name::parse(&name)
            .ok()
            .filter(|name| self.front.parameters.iter().any(|known| &known.name == name))
            .map(|root| ValueRef { root, field: None });
        let of_steps = name.match_indices('_').filter_map(|(at, _)| {
            let root = Name::parse(name.get(..at)?).ok()?;
            let field = Name::parse(name.get(at + 1..)?).ok()?;
            let keeps_it = match self.scope.get(&root).map(|entry| entry.named) {
                Some(Named::Step(draft)) => keeps(draft, Some(&field), None).is_ok(),
                _ => root.as_str() == "run" && matches!(field.as_str(), "id" | "started"),
            };
            keeps_it.then_some(ValueRef { root, field: Some(field) })
        });
        parameter.into_iter().chain(of_steps).collect()
    }
}

/// What values in a script's environment begin with.
const PREFIX: &str = "TG_";

/// Every `$TG_…` and `${TG_…` of a script: the variable's name and its place in the script.
fn variables(script: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    script.match_indices(PREFIX).filter_map(|(at, _)| {
        let before = script.get(..at)?;
        if !before.ends_with('$') && !before.ends_with("${") {
            return None;
        }
        let rest = script.get(at..)?;
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some((rest.get(..length)?, at..at + length))
    })
}

/// The backup at whose snapshot a record is taken.
fn snapshot_of(draft: &Draft) -> Option<&Name> {
    match draft.step.as_ref().map(|step| &step.action) {
        Some(Action::Record(record)) => record.at.as_ref(),
        _ => None,
    }
}

/// Whether a step keeps such a value: a field, or with `None` a relation, whole or of one kind of differences.
fn keeps(draft: &Draft, field: Option<&Name>, part: Option<DifferencePart>) -> Result<(), (String, String)> {
    // A step whose body could not be read has been reported for that.
    let Some(step) = &draft.step else { return Ok(()) };
    if let Action::Compare(compare) = &step.action {
        return keeps_differences(compare, field, part);
    }
    if let (Some(_), None) = (step.action.cohort(), part) {
        return match field {
            None => Ok(()),
            Some(_) => Err((
                "keeps a row for each of its subjects, not single values".into(),
                "write `:{id}` in FROM".into(),
            )),
        };
    }
    if let Some(part) = part {
        return Err((
            format!("is a `@{}`, which keeps no {} rows", draft.verb.name(), part.word()),
            "name a `@compare` with `@expect differences`; a record's relation is written `:{id}`".into(),
        ));
    }
    let kept: &[KeptValue] = match (&step.action, field) {
        (Action::Record(Record { question: Question::Kv(body), rows: false, .. }), Some(field)) => {
            return keeps_named(body, field);
        }
        (Action::Record(Record { question: Question::Sql(_) | Question::Kv(_), rows, .. }), field) => {
            return match (rows, field) {
                (true, None) | (false, Some(_)) => Ok(()),
                (true, Some(_)) => Err((
                    "records a relation, not single values".into(),
                    "write `:{id}` in FROM, or record single values".into(),
                )),
                (false, None) => Err((
                    "records single values, not a relation".into(),
                    "write `:id.column`, or let the record keep rows: `@rows` in sql, a `list` in kv".into(),
                )),
            };
        }
        (Action::Record(record), Some(_)) => &record.values,
        (Action::Check(check), Some(_)) => &check.values,
        (Action::Command(command), Some(_)) => &command.values,
        _ => &[],
    };
    match field {
        Some(field) if kept.iter().any(|value| &value.name == field) => Ok(()),
        Some(field) if !kept.is_empty() => {
            let known: Vec<&str> = kept.iter().map(|value| value.name.as_str()).collect();
            Err((format!("keeps no value `{field}`"), format!("known: {}", known.join(", "))))
        }
        _ => Err((
            format!("is a `@{}` that keeps no such value", draft.verb.name()),
            "use a record in sql or kv, or `@value name /pointer` in http".into(),
        )),
    }
}

/// Whether a record in kv keeps a value of this name.
fn keeps_named(body: &KvBody, field: &Name) -> Result<(), (String, String)> {
    let names: Vec<&str> =
        body.answers().filter_map(|statement| statement.name.as_ref()).map(Name::as_str).collect();
    if names.contains(&field.as_str()) {
        return Ok(());
    }
    Err((format!("keeps no value `{field}`"), format!("known: {}", names.join(", "))))
}

/// Whether a comparison keeps this kind of differences.
fn keeps_differences(
    compare: &Compare,
    field: Option<&Name>,
    part: Option<DifferencePart>,
) -> Result<(), (String, String)> {
    let (None, Some(part)) = (field, part) else {
        let message = "is a comparison, which keeps differences of three kinds, and no values".into();
        return Err((message, "write `:{id.missing}`, `:{id.extra}` or `:{id.differing}` in FROM".into()));
    };
    if !compare.expect_differences {
        let message = "is a comparison that holds only without differences, so it keeps none".into();
        return Err((message, "add `-- @expect differences` to it".into()));
    }
    if compare.mode == CompareMode::Contained && part == DifferencePart::Extra {
        let message = "has the mode `contained`, in which no row is extra".into();
        return Err((message, "compare with `@mode equal`, or use what is missing or differs".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_scripts_are_found() {
        let script = "curl \"$TG_URL/${TG_A_B:-x}\" TG_NOT '$TG_Q'";
        let names: Vec<&str> = variables(script).map(|(name, _)| name).collect();
        assert_eq!(names, ["TG_URL", "TG_A_B", "TG_Q"]);
    }
}
