//! Backups and restores of key-value stores, written in toml.

use crate::action_toml::{file, template, waived};
use crate::diagnostic::Diagnostic;
use crate::kv_text::is_namespace;
use crate::names::Name;
use crate::step::{Action, BackupKeys, RestoreKeys, RestoreMode};
use crate::step_reader::Reader;
use crate::toml_table::TomlTable;
use crate::value::TextTemplate;

/// Most namespaces, keys or prefixes of one step.
const LISTED_MAX: usize = 100;

/// `backup` with `namespaces`.
pub(crate) fn backup(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Option<Action> {
    let file = file(reader, table);
    let namespaces = namespaces(reader, table);
    if namespaces.is_empty() {
        reader.diagnostics.push(Diagnostic::error(
            "toml-value",
            table.place().clone(),
            "`namespaces` names no namespace",
            "name those whose keys are copied",
        ));
    }
    let prefix = table.text("prefix", reader.diagnostics).map(|spelt| template(reader, &spelt));
    let rehearse = waived("rehearse", "why no rehearsal is needed", reader, table);
    let one_moment = waived("one_moment", "why keys of different moments will do", reader, table);
    Some(Action::BackupKeys(BackupKeys { file: file?, namespaces, prefix, rehearse, one_moment }))
}

/// `restore` with a `mode`.
pub(crate) fn restore(
    reader: &mut Reader<'_, '_>,
    table: &mut TomlTable<'_, '_>,
    backup: Name,
) -> Option<Action> {
    let spelt = table.text("mode", reader.diagnostics);
    let mode = match spelt.as_ref().map(|spelt| spelt.text.as_str()) {
        Some("exact") => Some(RestoreMode::Exact),
        Some("missing") => Some(RestoreMode::MissingOnly),
        _ => None,
    };
    if let (Some(spelt), None) = (&spelt, mode) {
        reader.diagnostics.push(Diagnostic::error(
            "toml-value",
            spelt.span.clone(),
            format!("{:?} is no mode of a restore", spelt.text),
            "write \"exact\" (what was written since is lost) or \"missing\" (it stays)",
        ));
    }
    let namespaces = namespaces(reader, table);
    let keys = templates("keys", reader, table);
    let prefixes = templates("prefixes", reader, table);
    Some(Action::RestoreKeys(RestoreKeys { backup, mode: mode?, namespaces, keys, prefixes }))
}

fn namespaces(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for spelt in table.texts("namespaces", reader.diagnostics) {
        if !is_namespace(&spelt.text) {
            reader.diagnostics.push(Diagnostic::error(
                "toml-value",
                spelt.span,
                format!("{:?} cannot be a namespace", spelt.text),
                "write letters, digits, `_` and `-`, at most 64",
            ));
        } else if names.contains(&spelt.text) || names.len() == LISTED_MAX {
            reader.diagnostics.push(Diagnostic::error(
                "toml-value",
                spelt.span,
                format!(
                    "{:?} stands there twice, or more than {LISTED_MAX} namespaces are named",
                    spelt.text
                ),
                "name each once",
            ));
        } else {
            names.push(spelt.text);
        }
    }
    names
}

fn templates(
    key: &'static str,
    reader: &mut Reader<'_, '_>,
    table: &mut TomlTable<'_, '_>,
) -> Vec<TextTemplate> {
    let mut read = Vec::new();
    for spelt in table.texts(key, reader.diagnostics) {
        if spelt.text.is_empty() || read.len() == LISTED_MAX {
            reader.diagnostics.push(Diagnostic::error(
                "toml-value",
                spelt.span,
                format!("`{key}` has an empty text, which would mean all keys, or more than {LISTED_MAX}"),
                format!("leave `{key}` out if all keys are meant"),
            ));
        } else {
            read.push(template(reader, &spelt));
        }
    }
    read
}
