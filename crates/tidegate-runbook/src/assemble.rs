//! Drafts and the `@runbook` block become a [`Runbook`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest::Parts;
use crate::draft::{Draft, Drafts};
use crate::front::Front;
use crate::names::Name;
use crate::runbook::{
    Address, FlagSet, ProseBlock, RekeyForm, RekeyPlan, Runbook, Side, Stage, Store, VersionKey, Way,
};
use crate::source::SourcePath;
use crate::step::{Action, BackfillSource, Check, Command, Deed, Question, Step};
use crate::value::{Parameter, TextPiece, TextTemplate};
use crate::value_rules::ScriptValues;

/// Puts the runbook together. Steps that could not be read are left out; the caller has findings about them.
pub(crate) fn runbook(
    front: Front,
    id: Name,
    title: Option<String>,
    page: SourcePath,
    drafts: Drafts,
    mut scripts: ScriptValues,
    not_steps: Vec<ProseBlock>,
) -> Runbook {
    let keys = keys_of_comparisons(&drafts);
    let mut steps_of = |drafts: Vec<Draft>| -> Vec<Step> {
        let mut steps: Vec<Step> = drafts.into_iter().filter_map(|draft| draft.step).collect();
        for step in &mut steps {
            if let Action::Rekey(moved) = &step.action
                && let Some(plan) = front.rekeys.iter().find(|plan| plan.name == moved.plan)
            {
                // A step does what its plan says: another plan is another step.
                let mut parts = Parts::default();
                parts.add(step.meaning).add(rekey(plan));
                step.meaning = parts.finish();
                continue;
            }
            let script = match &mut step.action {
                Action::Check(Check { question: Question::Sh(script), .. })
                | Action::Command(Command { deed: Deed::Sh(script), .. }) => script,
                Action::Backfill(backfill) => {
                    if let BackfillSource::Differences(kept) = &backfill.source {
                        backfill.key = keys.get(&kept.step).cloned().unwrap_or_default();
                    }
                    continue;
                }
                _ => continue,
            };
            script.values = scripts.remove(&step.id).unwrap_or_default();
        }
        steps
    };
    let mut stages = Vec::new();
    for draft in drafts.stages {
        stages.push(Stage { steps: steps_of(draft.steps), ..draft.stage });
    }
    let mut ways = Vec::new();
    for draft in drafts.ways {
        ways.push(Way { steps: steps_of(draft.steps), ..draft.way });
    }
    let mut runbook = Runbook {
        title: title.unwrap_or_else(|| id.to_string()),
        id,
        page,
        stores: front.stores,
        parameters: front.parameters,
        flags: front.flags,
        rekeys: front.rekeys,
        versions: front.versions,
        limits: front.limits,
        contacts: front.contacts,
        on_halt: front.on_halt,
        protect: front.protect,
        repeatable: front.repeatable,
        needs_run: front.needs_run,
        stages,
        ways,
        not_steps,
        meaning: [0; 32],
    };
    runbook.meaning = meaning(&runbook);
    runbook
}

/// The key of every comparison, for the backfills whose source its differences are.
fn keys_of_comparisons(drafts: &Drafts) -> BTreeMap<Name, Vec<String>> {
    let of_stages = drafts.stages.iter().flat_map(|stage| &stage.steps);
    let of_ways = drafts.ways.iter().flat_map(|way| &way.steps);
    let steps = of_stages.chain(of_ways).filter_map(|draft| draft.step.as_ref());
    let keys = steps.filter_map(|step| match &step.action {
        Action::Compare(compare) => Some((step.id.clone(), compare.key.clone())),
        _ => None,
    });
    keys.collect()
}

/// Everything that changes what a run does. Titles, contacts and prose do not.
fn meaning(runbook: &Runbook) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add("tidegate runbook 1").add(runbook.id.as_str());
    parts.list(runbook.stores.iter().map(store));
    parts.list(runbook.parameters.iter().map(parameter));
    parts.add(versions(runbook)).add(limits(runbook));
    parts.list(&runbook.on_halt).list(&runbook.protect).add([u8::from(runbook.repeatable)]);
    match &runbook.needs_run {
        None => parts.add([0]),
        Some(needs) => {
            parts.add([1]).maybe(needs.stage.as_ref().map(Name::as_str));
            parts.maybe(needs.not_older_than.map(millis))
        }
    };
    parts.list(runbook.stages.iter().map(stage));
    parts.list(runbook.ways.iter().map(way));
    // A page without flag sets means what it meant before there were any.
    if !runbook.flags.is_empty() {
        parts.add("flags").list(runbook.flags.iter().map(flag_set));
    }
    if !runbook.rekeys.is_empty() {
        parts.add("rekeys").list(runbook.rekeys.iter().map(rekey));
    }
    parts.finish()
}

fn rekey(plan: &RekeyPlan) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(plan.name.as_str()).add(&plan.journal);
    parts.list(plan.rules.iter().map(|rule| {
        let mut parts = Parts::default();
        parts.add(&rule.name).add(&rule.namespace);
        match &rule.form {
            RekeyForm::Many(prefix) => parts.add([0]).add(prefix),
            RekeyForm::One { prefix, suffix } => parts.add([1]).add(prefix).add(suffix),
            RekeyForm::InPlace(prefix) => parts.add([2]).add(prefix),
        };
        parts.list(&rule.owner).list(&rule.proof).list(&rule.keys);
        parts.list(&rule.metadata_keys).list(&rule.clock).add([u8::from(rule.opaque)]);
        parts.finish()
    }));
    parts.finish()
}

fn flag_set(set: &FlagSet) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(set.name.as_str()).list(set.columns.iter().map(Name::as_str)).add(set.initial.as_str());
    parts.list(set.rows.iter().map(|row| {
        let mut parts = Parts::default();
        parts.add(row.name.as_str()).list(row.values.iter().map(|value| [u8::from(*value)]));
        parts.add([u8::from(row.lock_first == Side::New)]);
        parts.finish()
    }));
    parts.list(set.moves.iter().map(|step| {
        let mut parts = Parts::default();
        parts.add(step.from.as_str()).add(step.to.as_str()).list(step.requires.iter().map(Name::as_str));
        parts.add([u8::from(step.back)]);
        parts.finish()
    }));
    parts.list(&set.old).list(&set.new).list(&set.grant);
    parts.finish()
}

fn millis(duration: Duration) -> [u8; 16] {
    duration.as_millis().to_be_bytes()
}

fn address(address: &Address) -> [u8; 32] {
    let mut parts = Parts::default();
    match address {
        Address::Literal(url) => parts.add([0]).add(url),
        Address::Environment(name) => parts.add([1]).add(name),
    };
    parts.finish()
}

fn store(store: &Store) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(store.name.as_str()).add(store.kind.name()).add(address(&store.url));
    parts.maybe(store.pooled.as_ref().map(address));
    parts.list(store.logins.iter().map(|(name, _)| name.as_str()));
    parts.list(store.logins.iter().map(|(_, url)| address(url)));
    parts.maybe(store.database.as_ref()).maybe(store.system_identifier.map(u64::to_be_bytes));
    parts.add([u8::from(store.home)]);
    parts.finish()
}

fn parameter(parameter: &Parameter) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(parameter.name.as_str()).add(parameter.kind.name()).add([u8::from(parameter.secret)]);
    parts.maybe(parameter.env.as_ref()).maybe(parameter.default.as_ref()).list(&parameter.allowed);
    parts.finish()
}

fn versions(runbook: &Runbook) -> [u8; 32] {
    let versions = &runbook.versions;
    let mut parts = Parts::default();
    parts.maybe(versions.first.as_ref()).list(&versions.manual);
    match &versions.adopted {
        None => parts.add([0]),
        Some(adopted) => {
            parts.add([1]).add(&adopted.table).add(&adopted.id);
            parts.maybe(adopted.checksum.as_ref()).maybe(adopted.applied_at.as_ref());
            parts.maybe(adopted.baseline.as_ref());
            // A page that does not say it means what it meant before the word was there.
            if adopted.keeps == VersionKey::Number {
                parts.add([2]);
            }
            &mut parts
        }
    };
    parts.finish()
}

fn limits(runbook: &Runbook) -> [u8; 32] {
    let limits = &runbook.limits;
    let mut parts = Parts::default();
    let spans =
        [limits.lock_timeout, limits.statement_timeout, limits.gate_max, limits.hold_attended, limits.lease];
    parts.list(spans.map(millis)).add(limits.lock_attempts.to_be_bytes());
    parts.finish()
}

fn template(template: &TextTemplate) -> [u8; 32] {
    let mut parts = Parts::default();
    for piece in &template.pieces {
        match piece {
            TextPiece::Text(text) => parts.add([0]).add(text),
            TextPiece::Value(value) => parts.add([1]).add(value.to_string()),
        };
    }
    parts.finish()
}

fn stage(stage: &Stage) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(stage.id.as_str()).add([u8::from(stage.manual), u8::from(stage.no_return)]);
    parts.maybe(stage.hold.as_ref().map(template)).list(&stage.protect);
    parts.list(stage.steps.iter().map(|step| step.meaning));
    parts.finish()
}

fn way(way: &Way) -> [u8; 32] {
    let mut parts = Parts::default();
    parts.add(way.id.as_str()).list(way.from.iter().map(Name::as_str));
    parts.maybe(way.to.as_ref().map(Name::as_str)).list(way.ensures.iter().map(Name::as_str));
    parts.list(&way.protect).list(way.steps.iter().map(|step| step.meaning));
    parts.finish()
}
