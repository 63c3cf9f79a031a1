//! `[rekey.<name>]`: which keys are moved from names to ids, and what in their values follows.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::kv_text::is_namespace;
use crate::names::Name;
use crate::runbook::{RekeyForm, RekeyPlan, RekeyRule};
use crate::source::Span;
use crate::toml_table::{Spelt, TomlTable};

/// Most plans of one page, and rules of one plan.
const PLANS_MAX: usize = 20;
const RULES_MAX: usize = 32;

/// Every plan.
pub(crate) fn read(runbook: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<RekeyPlan> {
    let mut plans = Vec::new();
    for (position, (name, table)) in runbook.tables("rekey", diagnostics).into_iter().enumerate() {
        if position == PLANS_MAX {
            let message = format!("more than {PLANS_MAX} plans are declared");
            diagnostics.push(Diagnostic::error("toml-value", name.span, message, "make two pages of it"));
            break;
        }
        let read = Name::parse(&name.text).map_err(|error| {
            let help = "name the plan with lower-case letters, digits and underscores";
            let place = name.span.clone();
            diagnostics.push(Diagnostic::error("id-malformed", place, error.to_string(), help));
        });
        plans.extend(plan(read.ok(), &name, table, diagnostics));
    }
    plans
}

fn plan(
    name: Option<Name>,
    spelt: &Spelt,
    mut table: TomlTable<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<RekeyPlan> {
    let journal = namespace(&mut table, "journal", "\"migrations\"", diagnostics);
    if !table.has("rules") {
        let example = "[{ name = \"trips\", namespace = \"logs\", many = \"trip:\" }]";
        table.missing("rules", example, diagnostics);
    }
    let mut rules: Vec<RekeyRule> = Vec::new();
    let (mut whole, mut names) = (true, BTreeSet::new());
    for (position, inner) in table.list_of_tables("rules", diagnostics).into_iter().enumerate() {
        let place = inner.place().clone();
        if position == RULES_MAX {
            let message = format!("a plan has more than {RULES_MAX} rules");
            diagnostics.push(Diagnostic::error("toml-value", place, message, "make two plans of it"));
            break;
        }
        let Some(rule) = rule(inner, diagnostics) else {
            whole = false;
            continue;
        };
        contradictions(&rule, &rules, &place, diagnostics);
        if !names.insert(rule.name.clone()) {
            let message = format!("two rules are named {:?}", rule.name);
            diagnostics.push(Diagnostic::error("toml-value", place, message, "name each rule differently"));
        }
        rules.push(rule);
    }
    if rules.is_empty() && whole && table.has("rules") {
        let place = table.place().clone();
        let message = "`rules` has no rule, so nothing would be moved";
        diagnostics.push(Diagnostic::error("toml-value", place, message, "declare at least one"));
    }
    table.finish(diagnostics);
    Some(RekeyPlan { name: name?, journal: journal?, rules, span: spelt.span.clone() })
}

/// What no move could follow.
fn contradictions(rule: &RekeyRule, before: &[RekeyRule], place: &Span, diagnostics: &mut Vec<Diagnostic>) {
    let mut refuse = |message: String, help: &str| {
        diagnostics.push(Diagnostic::error("toml-value", place.clone(), message, help));
    };
    let nested = |other: &&RekeyRule| {
        let (mine, others) = (rule.prefix(), other.prefix());
        other.namespace == rule.namespace && (mine.starts_with(others) || others.starts_with(mine))
    };
    if let Some(other) = before.iter().find(nested) {
        let message = format!(
            "the keys of `{}` and of `{}` begin alike, so one could be the other's",
            rule.name, other.name
        );
        refuse(message, "let neither prefix be the beginning of the other");
    }
    if rule.opaque && rule.has_pointers() {
        refuse(
            format!("`{}` is opaque, so no pointer leads into its values", rule.name),
            "leave one of them out",
        );
    }
    if matches!(rule.form, RekeyForm::InPlace(_)) {
        if rule.proof.is_empty() {
            refuse(
                format!("`{}` is in place, and nothing says whose a record is", rule.name),
                "write `proof = [\"/userId\"]`",
            );
        } else if rule.proof.iter().any(|pointer| !rule.owner.contains(pointer)) {
            refuse(
                format!("`{}` would name the old owner for ever: a `proof` is not in `owner`", rule.name),
                "name each pointer of `proof` in `owner`, too",
            );
        }
    }
}

fn rule(mut table: TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<RekeyRule> {
    let name = namespace(&mut table, "name", "\"trips\"", diagnostics);
    let namespace = namespace(&mut table, "namespace", "\"logs\"", diagnostics);
    let form = form(&mut table, diagnostics);
    let mut pointers = |key| {
        let texts = table.texts(key, diagnostics);
        texts.into_iter().filter_map(|spelt| pointer(spelt, diagnostics)).collect::<Vec<String>>()
    };
    let (owner, proof, keys) = (pointers("owner"), pointers("proof"), pointers("keys"));
    let (metadata_keys, clock) = (pointers("metadata_keys"), pointers("clock"));
    let opaque = table.boolean("opaque", diagnostics);
    table.finish(diagnostics);
    let (name, namespace, form) = (name?, namespace?, form?);
    Some(RekeyRule { name, namespace, form, owner, proof, keys, metadata_keys, clock, opaque })
}

/// A text of letters, digits, `_` and `-`.
fn namespace(
    table: &mut TomlTable<'_, '_>,
    key: &'static str,
    example: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    if !table.has(key) {
        table.missing(key, example, diagnostics);
    }
    let spelt = table.text(key, diagnostics)?;
    if is_namespace(&spelt.text) {
        return Some(spelt.text);
    }
    let message = format!("{:?} cannot be the `{key}`", spelt.text);
    let help = "write letters, digits, `_` and `-`, at most 64";
    diagnostics.push(Diagnostic::error("toml-value", spelt.span, message, help));
    None
}

/// One of `many`, `one` and `in_place`.
fn form(table: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Option<RekeyForm> {
    let read = [
        table.text("many", diagnostics),
        table.text("one", diagnostics),
        table.text("in_place", diagnostics),
    ];
    let suffix = table.text("suffix", diagnostics);
    let given = read.iter().flatten().count();
    let [many, one, in_place] = read.map(|spelt| spelt.map(|spelt| spelt.text));
    let place = table.place().clone();
    let mut refuse = |message: &str, help: &str| {
        diagnostics.push(Diagnostic::error("toml-value", place.clone(), message, help));
    };
    if given != 1 {
        refuse(
            "a rule has one form of key",
            "write `many = \"trip:\"` (trip:NAME:…), `one = \"settings:\"` (settings:NAME) or \
             `in_place = \"trash:\"` (the name stands in the value)",
        );
        return None;
    }
    if suffix.is_some() && one.is_none() {
        refuse("only a rule with `one` has a `suffix`", "remove it");
    }
    let suffix = suffix.map(|spelt| spelt.text).unwrap_or_default();
    let form = many
        .map(RekeyForm::Many)
        .or(one.map(|prefix| RekeyForm::One { prefix, suffix }))
        .or(in_place.map(RekeyForm::InPlace))?;
    let (RekeyForm::Many(prefix) | RekeyForm::One { prefix, .. } | RekeyForm::InPlace(prefix)) = &form;
    if prefix.is_empty() {
        refuse(
            "the keys of a rule begin with nothing",
            "write what stands before the name, such as \"trip:\"",
        );
        return None;
    }
    Some(form)
}

fn pointer(spelt: Spelt, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    let escaped = |after: &str| after.starts_with(['0', '1']);
    if spelt.text.starts_with('/') && spelt.text.split('~').skip(1).all(escaped) {
        return Some(spelt.text);
    }
    let message = format!("{:?} is no pointer into JSON", spelt.text);
    diagnostics.push(Diagnostic::error(
        "toml-value",
        spelt.span,
        message,
        "write `/field` or `/outer/inner`",
    ));
    None
}
