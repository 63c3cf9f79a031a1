//! Steps written in toml.

use toml::de::DeTable;

use crate::action_keys;
use crate::action_sql::version;
use crate::diagnostic::Diagnostic;
use crate::digest::{self, Parts};
use crate::draft::{Handing, Mention};
use crate::front::is_object_pattern;
use crate::step::{Action, Backup, Evict, MoveFlags, Restore, Retire, Seal};
use crate::step_reader::Reader;
use crate::store_table::is_environment_name;
use crate::template::{self, TemplateSink};
use crate::toml_table::{self, Spelt, TomlTable};
use crate::value::TextTemplate;

/// Most sessions that one step may end.
const AT_MOST_MAX: u64 = 100_000;

/// Most tables that one step may name.
const TABLES_MAX: usize = 1_000;

/// Runs `read` over the body's table, then reports keys that nobody asked for.
pub(crate) fn with_table<T>(
    reader: &mut Reader<'_, '_>,
    read: impl FnOnce(&mut Reader<'_, '_>, &mut TomlTable<'_, '_>) -> Option<T>,
) -> Option<T> {
    let (table, whole): (DeTable<'_>, bool) =
        toml_table::parse(reader.page, reader.block.body.clone(), reader.diagnostics);
    reader.bodies.push(toml_table::digest(&table));
    let what = format!("`@{}`", reader.verb.name());
    let place = reader.page.span(reader.block.head.clone());
    let mut table = TomlTable::new(reader.page, reader.block.body.start, what, place, &table);
    if !whole {
        return None;
    }
    let outcome = read(reader, &mut table);
    table.finish(reader.diagnostics);
    outcome
}

/// `backup`
pub(crate) fn backup(reader: &mut Reader<'_, '_>) -> Option<Action> {
    with_table(reader, |reader, table| {
        if table.has("namespaces") {
            return action_keys::backup(reader, table);
        }
        let file = file(reader, table);
        let tables = names_of_tables(table, true, reader);
        let bytes_max = table.integer("bytes_max", 1, u64::MAX, reader.diagnostics);
        let rehearse = waived("rehearse", "why no rehearsal is needed", reader, table);
        let bytes_max = bytes_max.map(|(bytes, _)| bytes);
        Some(Action::Backup(Backup { file: file?, tables, rehearse, bytes_max }))
    })
}

/// The file that a backup is written to.
pub(crate) fn file(reader: &mut Reader<'_, '_>, table: &mut TomlTable<'_, '_>) -> Option<TextTemplate> {
    let file = table.text("file", reader.diagnostics);
    if !table.has("file") {
        table.missing("file", "\"/var/backups/before.dump\"", reader.diagnostics);
    }
    let file = file?;
    if file.text.strip_prefix('$').is_some_and(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        is_environment_name(&name)
    }) {
        reader.diagnostics.push(Diagnostic::error(
            "environment-not-here",
            file.span.clone(),
            format!("{:?} is not read from the environment here", file.text),
            "declare a parameter of type path with `env`, and write {{parameter}}",
        ));
    }
    Some(template(reader, &file))
}

/// A text of the table with its values.
pub(crate) fn template(reader: &mut Reader<'_, '_>, spelt: &Spelt) -> TextTemplate {
    let mut sink = TemplateSink { uses: &mut reader.uses, diagnostics: reader.diagnostics };
    template::parse(&spelt.text, |_| spelt.span.clone(), Handing::InText, &mut sink)
}

/// `key = { waived = "why" }`: the reason, if there is one.
pub(crate) fn waived(
    key: &'static str,
    why: &str,
    reader: &mut Reader<'_, '_>,
    table: &mut TomlTable<'_, '_>,
) -> Result<(), String> {
    let mut waived = Ok(());
    if let Some(mut inner) = table.table(key, reader.diagnostics) {
        match inner.text("waived", reader.diagnostics) {
            Some(reason) if !reason.text.trim().is_empty() => waived = Err(reason.text),
            _ => inner.missing("waived", &format!("\"{why}\""), reader.diagnostics),
        }
        inner.finish(reader.diagnostics);
    }
    waived
}

/// `restore`
pub(crate) fn restore(reader: &mut Reader<'_, '_>) -> Option<Action> {
    with_table(reader, |reader, table| {
        let backup = table.name("backup", reader.diagnostics);
        if !table.has("backup") {
            table.missing("backup", "\"the_backup_step\"", reader.diagnostics);
        }
        let backup = backup.map(|(backup, span)| {
            reader.mentions.push(Mention { word: "backup", name: backup.clone(), span });
            backup
        });
        if table.has("mode") {
            return action_keys::restore(reader, table, backup?);
        }
        Some(Action::Restore(Restore { backup: backup? }))
    })
}

/// `seal`
pub(crate) fn seal(reader: &mut Reader<'_, '_>) -> Option<Action> {
    with_table(reader, |reader, table| {
        let tables = names_of_tables(table, true, reader);
        need_tables(table, &tables, reader);
        let lasts = table.duration("for", reader.diagnostics);
        Some(Action::Seal(Seal { tables, lasts }))
    })
}

/// `retire`
pub(crate) fn retire(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let version = version(reader);
    with_table(reader, |reader, table| {
        let tables = names_of_tables(table, false, reader);
        need_tables(table, &tables, reader);
        let mut parts = Parts::default();
        parts.add("retire").list(&tables);
        let checksum = digest::hex(&parts.finish());
        Some(Action::Retire(Retire { version, tables, checksum }))
    })
}

/// `evict`
pub(crate) fn evict(reader: &mut Reader<'_, '_>) -> Option<Action> {
    with_table(reader, |reader, table| {
        let roles = plain(table.texts("roles", reader.diagnostics));
        let applications = plain(table.texts("applications", reader.diagnostics));
        let states = table.texts("states", reader.diagnostics);
        for state in &states {
            if !SESSION_STATES.contains(&state.text.as_str()) {
                reader.diagnostics.push(Diagnostic::error(
                    "toml-value",
                    state.span.clone(),
                    format!("{:?} is no state of a session", state.text),
                    format!("known to PostgreSQL: {}", SESSION_STATES.join(", ")),
                ));
            }
        }
        let states = plain(states);
        let older_than = table.duration("older_than", reader.diagnostics);
        let at_most = table.integer("at_most", 1, AT_MOST_MAX, reader.diagnostics);
        if !table.has("at_most") {
            table.missing("at_most", "20", reader.diagnostics);
        }
        let unfiltered =
            [!table.has("roles"), !table.has("applications"), !table.has("states"), !table.has("older_than")];
        if unfiltered.into_iter().all(|absent| absent) {
            reader.diagnostics.push(Diagnostic::error(
                "evict-everybody",
                table.place().clone(),
                "this would end every session of the database",
                "say whose: `roles`, `applications`, `states` or `older_than`",
            ));
        }
        let at_most = u32::try_from(at_most?.0).ok()?;
        Some(Action::Evict(Evict { roles, applications, states, older_than, at_most }))
    })
}

/// `flags`
pub(crate) fn flags(reader: &mut Reader<'_, '_>) -> Option<Action> {
    with_table(reader, |reader, table| {
        let set = table.name("set", reader.diagnostics);
        if !table.has("set") {
            table.missing("set", "\"orders\"", reader.diagnostics);
        }
        let to = table.name("to", reader.diagnostics);
        if !table.has("to") {
            table.missing("to", "\"mirrored\"", reader.diagnostics);
        }
        let ((set, set_span), (to, to_span)) = (set?, to?);
        reader.mentions.push(Mention { word: FLAG_SET, name: set.clone(), span: set_span });
        reader.mentions.push(Mention { word: FLAG_ROW, name: to.clone(), span: to_span });
        Some(Action::Flags(MoveFlags { set, to }))
    })
}

/// The words under which a flags step mentions what `[flags]` declares.
pub(crate) const FLAG_SET: &str = "set";
pub(crate) const FLAG_ROW: &str = "to";

/// The values of `pg_stat_activity.state`.
const SESSION_STATES: [&str; 6] = [
    "active",
    "idle",
    "idle in transaction",
    "idle in transaction (aborted)",
    "fastpath function call",
    "disabled",
];

fn plain(texts: Vec<Spelt>) -> Vec<String> {
    texts.into_iter().map(|spelt| spelt.text).collect()
}

fn need_tables(table: &mut TomlTable<'_, '_>, tables: &[String], reader: &mut Reader<'_, '_>) {
    if !table.has("tables") {
        table.missing("tables", "[\"public.orders\"]", reader.diagnostics);
    } else if tables.is_empty() {
        reader.diagnostics.push(Diagnostic::error(
            "toml-value",
            table.place().clone(),
            "`tables` names no table",
            "name at least one",
        ));
    }
}

fn names_of_tables(
    table: &mut TomlTable<'_, '_>,
    patterns: bool,
    reader: &mut Reader<'_, '_>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for spelt in table.texts("tables", reader.diagnostics) {
        let is_pattern = spelt.text.contains('*');
        if !is_object_pattern(&spelt.text) || is_pattern && !patterns {
            let help = if patterns {
                "write `table`, `schema.table` or `schema.*`"
            } else {
                "write `table` or `schema.table`"
            };
            reader.diagnostics.push(Diagnostic::error(
                "pattern-malformed",
                spelt.span,
                format!("{:?} names no table", spelt.text),
                help,
            ));
        } else if names.contains(&spelt.text) || names.len() == TABLES_MAX {
            reader.diagnostics.push(Diagnostic::error(
                "toml-value",
                spelt.span,
                format!("{:?} stands there twice, or more than {TABLES_MAX} tables are named", spelt.text),
                "name each table once",
            ));
        } else {
            names.push(spelt.text);
        }
    }
    names
}
