//! Moves of keys from names to ids, written in toml.

use crate::action_toml::{template, with_table};
use crate::cohort;
use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, Mention, ValueUse};
use crate::names::Name;
use crate::step::{Action, MoveKeys, RekeyMode};
use crate::step_reader::Reader;
use crate::toml_table::TomlTable;
use crate::value::{TextTemplate, ValueRef};

/// The words under which a rekey mentions its plan and its dry run.
pub(crate) const PLAN: &str = "plan";
pub(crate) const HELD_TO: &str = "held_to";

/// Records of a batch and batches of a subject: where the page does not say, and at most.
const BATCH: usize = 500;
const ITERATIONS: usize = 50;
const BATCH_MAX: u64 = 500;
const ITERATIONS_MAX: u64 = 10_000;
/// Most names of one subject.
const NAMES_MAX: usize = 16;

/// `rekey`
pub(crate) fn rekey(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let cohort = cohort::read(reader);
    if !reader.block.has("for-each") {
        reader.diagnostics.push(Diagnostic::error(
            "for-each-missing",
            reader.page.span(reader.block.head.clone()),
            "`@rekey` does not say whose keys are moved",
            "add `# @for-each record`: a record with a row for each subject",
        ));
    }
    with_table(reader, |reader, table| {
        let plan = mentioned(PLAN, "\"trips\"", reader, table);
        let mode = mode(reader, table);
        let id = text("id", "\"{{each.id}}\"", reader, table);
        let names = names(reader, table);
        let claims = claims(reader, table);
        let (plan, mode, id) = (plan?, mode?, id?);
        Some(Action::Rekey(MoveKeys { plan, mode, id, names, claims: claims?, cohort: cohort? }))
    })
}

fn mentioned(
    word: &'static str,
    example: &str,
    reader: &mut Reader<'_, '_>,
    table: &mut TomlTable<'_, '_>,
) -> Option<Name> {
    if !table.has(word) {
        table.missing(word, example, reader.diagnostics);
    }
    let (name, span) = table.name(word, reader.diagnostics)?;
    reader.mentions.push(Mention { word, name: name.clone(), span });
    Some(name)
}

fn mode(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Option<RekeyMode> {
    if !table.has("mode") {
        table.missing("mode", "\"dry\"", reader.diagnostics);
    }
    let spelt = table.text("mode", reader.diagnostics)?;
    match spelt.text.as_str() {
        "dry" => Some(RekeyMode::Dry),
        "apply" => {
            let held_to = table.has(HELD_TO).then(|| mentioned(HELD_TO, "", reader, table)).flatten();
            let mut bound = |key, most, default| {
                let given = table.integer(key, 1, most, reader.diagnostics);
                given.and_then(|(number, _)| usize::try_from(number).ok()).unwrap_or(default)
            };
            let batch = bound("batch", BATCH_MAX, BATCH);
            let iterations = bound("iterations", ITERATIONS_MAX, ITERATIONS);
            Some(RekeyMode::Apply { held_to, batch, iterations })
        }
        other => {
            let message = format!("{other:?} is no mode of a rekey");
            let help = "write \"dry\" (it counts) or \"apply\" (it copies)";
            reader.diagnostics.push(Diagnostic::error("toml-value", spelt.span, message, help));
            None
        }
    }
}

fn text(
    key: &'static str,
    example: &str,
    reader: &mut Reader<'_, '_>,
    table: &mut TomlTable<'_, '_>,
) -> Option<TextTemplate> {
    if !table.has(key) {
        table.missing(key, example, reader.diagnostics);
    }
    let spelt = table.text(key, reader.diagnostics)?;
    Some(template(reader, &spelt))
}

fn names(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Vec<TextTemplate> {
    if !table.has("names") {
        table.missing("names", "[\"{{each.name}}\"]", reader.diagnostics);
    }
    let named = table.has("names");
    let spelt = table.texts("names", reader.diagnostics);
    if named && spelt.is_empty() {
        let message = "`names` has no name, so no key would be found";
        let place = table.place().clone();
        let help = "write `names = [\"{{each.name}}\"]`";
        reader.diagnostics.push(Diagnostic::error("toml-value", place, message, help));
    }
    if let Some(beyond) = spelt.get(NAMES_MAX) {
        let message = format!("a subject has more than {NAMES_MAX} names");
        let help = "move the keys of some names in another step";
        reader.diagnostics.push(Diagnostic::error("toml-value", beyond.span.clone(), message, help));
    }
    spelt.iter().map(|spelt| template(reader, spelt)).collect()
}

/// The record of who has which name.
fn claims(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Option<Name> {
    if !table.has("claims") {
        table.missing("claims", "\"everybody\"", reader.diagnostics);
    }
    let (name, span) = table.name("claims", reader.diagnostics)?;
    let value = ValueRef { root: name.clone(), field: None };
    reader.uses.push(ValueUse { value, span, handing: Handing::Relation(None) });
    Some(name)
}
