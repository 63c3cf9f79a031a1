//! `[flags.<set>]`: the switches that an application reads, their legal rows, and the moves between them.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Severity};
use crate::draft::Mention;
use crate::front::is_object_pattern;
use crate::names::Name;
use crate::runbook::{FlagMove, FlagRow, FlagSet, Side};
use crate::source::Span;
use crate::toml_table::{Switch, TomlTable};

/// Most sets of one page, and most of everything that a set declares.
const SETS_MAX: usize = 100;
const COLUMNS_MAX: usize = 32;
const ROWS_MAX: usize = 200;
const MOVES_MAX: usize = 1_000;
const ROLES_MAX: usize = 100;
const TABLES_MAX: usize = 1_000;

/// An instance that was silent for so long is gone, where the page says nothing.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// PostgreSQL cuts names at this many bytes.
const ROLE_BYTES_MAX: usize = 63;

/// Every set, and the steps and stages that moves require.
pub(crate) fn read(
    runbook: &mut TomlTable<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<FlagSet>, Vec<Mention>) {
    let mut sets = Vec::new();
    let mut mentions = Vec::new();
    for (position, (name, table)) in runbook.tables("flags", diagnostics).into_iter().enumerate() {
        if position == SETS_MAX {
            too_many(&name.span, "flag sets", SETS_MAX, diagnostics);
            break;
        }
        let name_read = Name::parse(&name.text).map_err(|error| {
            diagnostics.push(Diagnostic::error(
                "id-malformed",
                name.span.clone(),
                error.to_string(),
                "name the flag set with lower-case letters, digits and underscores",
            ));
        });
        let set = read_set(name_read.ok(), &name.span, table, &mut mentions, diagnostics);
        sets.extend(set);
    }
    (sets, mentions)
}

fn read_set(
    name: Option<Name>,
    span: &Span,
    mut table: TomlTable<'_, '_>,
    mentions: &mut Vec<Mention>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<FlagSet> {
    let found = diagnostics.len();
    let columns = read_columns(&mut table, diagnostics);
    let columns_read = diagnostics.len() == found;
    let rows = read_rows(&mut table, columns_read.then_some(columns.len()), diagnostics);
    let rows_read = diagnostics.len() == found;
    equal_rows(&rows, diagnostics);
    let known = |name: &Name| rows.iter().any(|(row, _)| &row.name == name);
    let initial = match table.name("initial", diagnostics) {
        Some((initial, place)) if rows_read && !known(&initial) => {
            unknown_row(&initial, &place, &rows, diagnostics);
            None
        }
        Some((initial, _)) => Some(initial),
        None => rows.first().map(|(row, _)| row.name.clone()),
    };
    let moves = read_moves(&mut table, rows_read.then_some(rows.as_slice()), mentions, diagnostics);
    let old = read_side_tables(&mut table, "old", &[], diagnostics);
    let new = read_side_tables(&mut table, "new", &old, diagnostics);
    let lost_after = table.duration("lost_after", diagnostics).unwrap_or(LOST_AFTER);
    let grant = read_grant(&mut table, diagnostics);
    table.finish(diagnostics);
    let set = FlagSet {
        name: name?,
        columns,
        rows: rows.iter().map(|(row, _)| row.clone()).collect(),
        initial: initial?,
        moves,
        old,
        new,
        lost_after,
        grant,
        span: span.clone(),
    };
    if diagnostics.len() == found {
        unreached_rows(&set, &rows, diagnostics);
    }
    Some(set)
}

fn read_columns(table: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Name> {
    let mut columns: Vec<Name> = Vec::new();
    if !table.has("columns") {
        table.missing("columns", "[\"reads\", \"writes\", \"dual\"]", diagnostics);
        return columns;
    }
    for (column, span) in table.names("columns", diagnostics) {
        if columns.contains(&column) {
            let message = format!("the column `{column}` stands there twice");
            diagnostics.push(Diagnostic::error("toml-value", span, message, "name each column once"));
        } else if columns.len() == COLUMNS_MAX {
            too_many(&span, "columns", COLUMNS_MAX, diagnostics);
            break;
        } else {
            columns.push(column);
        }
    }
    if columns.is_empty() {
        let message = "`columns` names no column, so no row says anything";
        let place = table.place().clone();
        diagnostics.push(Diagnostic::error("toml-value", place, message, "name at least one"));
    }
    columns
}

/// `name = [true, false]` or `name = { values = [true, false], lock_first = "new" }`, in the order of the page.
fn read_rows(
    table: &mut TomlTable<'_, '_>,
    width: Option<usize>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(FlagRow, Span)> {
    let mut rows: Vec<(FlagRow, Span)> = Vec::new();
    if !table.has("rows") {
        table.missing("rows", "{ before = [false], after = [true] }", diagnostics);
        return rows;
    }
    let Some(declared) = table.table("rows", diagnostics) else { return rows };
    for (name, switch) in declared.switches(diagnostics) {
        if rows.len() == ROWS_MAX {
            too_many(&name.span, "rows", ROWS_MAX, diagnostics);
            break;
        }
        let mut lock_first = Side::default();
        let values = match switch {
            Switch::Truths(values) => values,
            Switch::Table(mut inner) => {
                lock_first = read_side(&mut inner, diagnostics);
                let values = inner.booleans("values", diagnostics);
                if !inner.has("values") {
                    inner.missing("values", "[true, false]", diagnostics);
                }
                inner.finish(diagnostics);
                values
            }
        };
        let id = match Name::parse(&name.text) {
            Ok(id) => id,
            Err(error) => {
                diagnostics.push(Diagnostic::error(
                    "id-malformed",
                    name.span,
                    error.to_string(),
                    "name the row with lower-case letters, digits and underscores",
                ));
                continue;
            }
        };
        let Some(values) = values else { continue };
        if let Some(width) = width.filter(|width| *width != values.len()) {
            diagnostics.push(Diagnostic::error(
                "flag-row-width",
                name.span,
                format!(
                    "the row `{id}` does not fit the columns: it has {} where {width} belong",
                    values.len()
                ),
                "write one true or false for each of `columns`, in their order",
            ));
            continue;
        }
        rows.push((FlagRow { name: id, values, lock_first }, name.span));
    }
    if rows.is_empty() && declared.is_empty() {
        let place = declared.place().clone();
        let message = "the set has no row, so it can stand nowhere";
        diagnostics.push(Diagnostic::error("toml-value", place, message, "declare at least one row"));
    }
    rows
}

fn read_side(table: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Side {
    let Some(spelt) = table.text("lock_first", diagnostics) else { return Side::default() };
    match spelt.text.as_str() {
        "old" => Side::Old,
        "new" => Side::New,
        other => {
            let message = format!("{other:?} is no side");
            diagnostics.push(Diagnostic::error(
                "toml-value",
                spelt.span,
                message,
                "write \"old\" or \"new\"",
            ));
            Side::default()
        }
    }
}

/// Two rows that no application could tell apart.
fn equal_rows(rows: &[(FlagRow, Span)], diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<(&[bool], bool), &(FlagRow, Span)> = BTreeMap::new();
    for row in rows {
        let meaning = (row.0.values.as_slice(), row.0.lock_first == Side::New);
        match seen.get(&meaning) {
            None => {
                seen.insert(meaning, row);
            }
            Some(first) => diagnostics.push(
                Diagnostic::error(
                    "flag-rows-equal",
                    row.1.clone(),
                    format!("the row `{}` says what `{}` says", row.0.name, first.0.name),
                    "keep one of them, or tell them apart by a value or by `lock_first`",
                )
                .with_related(first.1.clone(), "the other"),
            ),
        }
    }
}

/// `moves = [{ from, to, requires, back }]`. Without rows to compare with, names of rows are taken as they are.
fn read_moves(
    table: &mut TomlTable<'_, '_>,
    rows: Option<&[(FlagRow, Span)]>,
    mentions: &mut Vec<Mention>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<FlagMove> {
    let mut moves = Vec::new();
    let mut legal: BTreeMap<(Name, Name), Span> = BTreeMap::new();
    for (position, mut entry) in table.list_of_tables("moves", diagnostics).into_iter().enumerate() {
        if position == MOVES_MAX {
            too_many(entry.place(), "moves", MOVES_MAX, diagnostics);
            break;
        }
        let place = entry.place().clone();
        let mut row_at = |key: &'static str| {
            let named = entry.name(key, diagnostics);
            if !entry.has(key) {
                entry.missing(key, "\"a_row\"", diagnostics);
            }
            let (name, span) = named?;
            if let Some(rows) = rows.filter(|rows| rows.iter().all(|(row, _)| row.name != name)) {
                unknown_row(&name, &span, rows, diagnostics);
                return None;
            }
            Some(name)
        };
        let (from, to) = (row_at("from"), row_at("to"));
        let mut requires: Vec<Name> = Vec::new();
        for (name, span) in entry.names("requires", diagnostics) {
            if requires.contains(&name) {
                let message = format!("`{name}` is required twice");
                diagnostics.push(Diagnostic::error("toml-value", span, message, "keep one"));
                continue;
            }
            mentions.push(Mention { word: "requires", name: name.clone(), span });
            requires.push(name);
        }
        let back = entry.boolean("back", diagnostics);
        entry.finish(diagnostics);
        let (Some(from), Some(to)) = (from, to) else { continue };
        if from == to {
            let message = format!("this moves `{from}` to itself");
            diagnostics.push(Diagnostic::error("flag-move-same", place, message, "name two rows"));
            continue;
        }
        let both = [Some((from.clone(), to.clone())), back.then(|| (to.clone(), from.clone()))];
        let mut twice = false;
        for step in both.into_iter().flatten() {
            if let Some(first) = legal.get(&step) {
                diagnostics.push(
                    Diagnostic::error(
                        "flag-move-twice",
                        place.clone(),
                        format!("the move from `{}` to `{}` is declared twice", step.0, step.1),
                        "keep one: `back = true` declares the move back as well",
                    )
                    .with_related(first.clone(), "the other"),
                );
                twice = true;
            } else {
                legal.insert(step, place.clone());
            }
        }
        if !twice {
            moves.push(FlagMove { from, to, requires, back });
        }
    }
    moves
}

/// `old` and `new`: the tables of one side, by name or pattern.
fn read_side_tables(
    table: &mut TomlTable<'_, '_>,
    side: &'static str,
    other: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for spelt in table.texts(side, diagnostics) {
        let text = &spelt.text;
        let (code, message, help) = if !is_object_pattern(text) {
            (
                "pattern-malformed",
                format!("{text:?} names no table"),
                "write `table`, `schema.table` or `schema.*`",
            )
        } else if other.contains(text) {
            ("flag-sides", format!("{text:?} is of both sides"), "name it in `old` or in `new`")
        } else if tables.contains(text) || tables.len() == TABLES_MAX {
            (
                "toml-value",
                format!("{text:?} stands there twice, or more than {TABLES_MAX} tables are named"),
                "name each once",
            )
        } else {
            tables.push(spelt.text);
            continue;
        };
        diagnostics.push(Diagnostic::error(code, spelt.span, message, help));
    }
    tables
}

fn read_grant(table: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut roles: Vec<String> = Vec::new();
    for role in table.texts("grant", diagnostics) {
        let is_role = !role.text.trim().is_empty() && role.text.len() <= ROLE_BYTES_MAX;
        if is_role && !roles.contains(&role.text) && roles.len() < ROLES_MAX {
            roles.push(role.text);
            continue;
        }
        diagnostics.push(Diagnostic::error(
            "toml-value",
            role.span,
            format!("{:?} is no role, stands there twice, or is one of more than {ROLES_MAX}", role.text),
            "name each role once, with at most 63 bytes",
        ));
    }
    roles
}

/// Rows that no move leads to, not even over others.
fn unreached_rows(set: &FlagSet, rows: &[(FlagRow, Span)], diagnostics: &mut Vec<Diagnostic>) {
    let mut reached = BTreeSet::from([&set.initial]);
    let mut open = vec![&set.initial];
    while let Some(row) = open.pop() {
        for next in set.moves.iter().filter_map(|step| step.leads_on(row)) {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    for (row, span) in rows.iter().filter(|(row, _)| !reached.contains(&row.name)) {
        let message = format!("no move leads from `{}` to the row `{}`", set.initial, row.name);
        let help = "declare a move to it, or remove it";
        diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error("flag-row-unreachable", span.clone(), message, help)
        });
    }
}

/// Reports a name that is no row of the set.
fn unknown_row(name: &Name, span: &Span, rows: &[(FlagRow, Span)], diagnostics: &mut Vec<Diagnostic>) {
    let known: Vec<&str> = rows.iter().map(|(row, _)| row.name.as_str()).collect();
    diagnostics.push(Diagnostic::error(
        "unknown-flag-row",
        span.clone(),
        format!("the set has no row `{name}`"),
        format!("known here: {}", known.join(", ")),
    ));
}

fn too_many(place: &Span, what: &str, most: usize, diagnostics: &mut Vec<Diagnostic>) {
    let message = format!("more than {most} {what} are declared");
    diagnostics.push(Diagnostic::error("toml-value", place.clone(), message, "remove some"));
}
