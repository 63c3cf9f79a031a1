//! Steps written in sql.

use std::ops::Range;

use crate::action_plain::{only_unless, timing, within};
use crate::diagnostic::Diagnostic;
use crate::digest;
use crate::draft::{Handing, ValueUse};
use crate::file_source;
use crate::front::is_version;
use crate::meaning::sql_tokens_digest;
use crate::source::SourcePath;
use crate::sql::{SqlBody, SqlPiece, SqlStatement};
use crate::sql_text::{parse_statements, value_spans};
use crate::step::{Action, Check, EachAfter, Migrate, Over, Question, Record};
use crate::step_reader::Reader;
use crate::value::ValueRef;
use crate::vocabulary::{SETUP, UNDO};

/// A piece of SQL in one of the sources.
pub(crate) struct Part<'s> {
    pub(crate) path: SourcePath,
    pub(crate) text: &'s str,
    pub(crate) offset: usize,
}

/// `record` in sql.
pub(crate) fn record(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let rows = reader.block.has("rows");
    let at = reader.name("at");
    let body = whole_body(reader)?;
    if rows && body.statements.len() != 1 {
        one_statement(reader, "`@rows` keeps one relation", &body);
    }
    Some(Action::Record(Record { question: Question::Sql(body), rows, at, values: Vec::new() }))
}

/// `check` in sql.
pub(crate) fn check(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let expect = reader.expectations();
    let attempt = reader.block.has("attempt");
    let only_unless = only_unless(reader);
    let within = within(reader);
    let over = over(reader);
    let body = whole_body(reader)?;
    let setup = reader.block.divider(SETUP).map(|divider| divider.range.clone());
    let each = each(reader, setup, &body);
    Some(Action::Check(Check {
        question: Question::Sql(body),
        expect,
        attempt,
        each,
        over,
        within,
        only_unless,
        harmless: None,
        values: Vec::new(),
        cohort: None,
    }))
}

fn each(reader: &mut Reader<'_, '_>, setup: Option<Range<usize>>, body: &SqlBody) -> Option<EachAfter> {
    let each = reader.property("each");
    match (each, setup) {
        (None, None) => None,
        (None, Some(setup)) => {
            reader.diagnostics.push(Diagnostic::error(
                "misplaced-property",
                reader.page.span(setup),
                "`@setup` has no meaning without `@each`",
                "add `-- @each`, or remove the line: without it every statement but the last is setup",
            ));
            None
        }
        (Some(property), setup) => {
            let before = |statement: &&SqlStatement| {
                setup.as_ref().is_some_and(|setup| statement.span.range.start < setup.start)
            };
            let setup_statements = body.statements.iter().filter(before).count();
            if setup_statements == body.statements.len() {
                reader.diagnostics.push(Diagnostic::error(
                    "each-without-statement",
                    property.span,
                    "`@each` has no statement to judge",
                    "write the statements to be judged after `-- @setup`",
                ));
            }
            Some(EachAfter { setup_statements })
        }
    }
}

/// `watch` in sql.
pub(crate) fn watch(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let expect = reader.expectations();
    let timing = timing(reader);
    let over = over(reader);
    let body = whole_body(reader)?;
    let mut watch = timing.watch(Question::Sql(body), expect, None);
    watch.over = over;
    Some(Action::Watch(watch))
}

/// `migrate`
pub(crate) fn migrate(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let version = version(reader);
    let outside_transaction = reader.block.has("outside-transaction");
    let block = reader.block;
    let file_property = reader.property("file");
    let file = match &file_property {
        Some(property) => Some(file_source::load(reader.sources, property, reader.diagnostics)?),
        None => None,
    };
    let divider = block.divider(UNDO).cloned();
    let page_path = reader.page.path.clone();
    let page_text = |range: Range<usize>| Part {
        path: page_path.clone(),
        text: reader.page.slice(range.clone()),
        offset: range.start,
    };
    let forward_end = divider.as_ref().map_or(block.body.end, |divider| divider.range.start);
    let inline_undo = divider.as_ref().map(|divider| page_text(divider.next..block.body.end));
    let (forward, undo) = match &file {
        None => (page_text(block.body.start..forward_end), inline_undo),
        Some(file) => {
            let part = |range: Range<usize>| Part {
                path: file.path.clone(),
                text: file.text.get(range.clone()).unwrap_or_default(),
                offset: range.start,
            };
            let from_file = file.undo_start.map(|start| part(start..file.text.len()));
            if let (Some(_), Some(divider)) = (&from_file, &divider) {
                reader.diagnostics.push(Diagnostic::error(
                    "undo-twice",
                    reader.page.span(divider.range.clone()),
                    format!("there is an `@undo` here and in {}", file.path),
                    "keep one of them",
                ));
            }
            if block.content < forward_end {
                let range = block.content..reader.page.line_at(block.content).end;
                reader.diagnostics.push(Diagnostic::error(
                    "body-beside-file",
                    reader.page.span(range),
                    "the step has a body beside its `@file`",
                    "keep one; after `@file` only `-- @undo` and what undoes it may follow",
                ));
            }
            (part(0..file.forward_end), from_file.or(inline_undo))
        }
    };
    let body = sql(reader, &forward);
    if body.statements.is_empty() {
        let place =
            file_property.map_or_else(|| reader.page.span(block.head.clone()), |property| property.span);
        reader.diagnostics.push(Diagnostic::error(
            "body-empty",
            place,
            "there is no statement to migrate with",
            "write at least one before `-- @undo`",
        ));
    }
    let undo_body = undo.as_ref().map(|undo| sql(reader, undo));
    if let Some(undo_body) = &undo_body
        && undo_body.statements.is_empty()
    {
        let place = divider.as_ref().map_or(block.head.clone(), |divider| divider.range.clone());
        reader.diagnostics.push(Diagnostic::error(
            "undo-empty",
            reader.page.span(place),
            "nothing follows `-- @undo`",
            "write what undoes the step, or remove the line: then the stage needs another way back or `no_return`",
        ));
    }
    let digest = sql_tokens_digest(forward.text);
    reader.bodies.push(digest);
    reader.bodies.extend(undo.iter().map(|undo| sql_tokens_digest(undo.text)));
    let base_name = file.as_ref().map(|file| {
        let name = file.path.0.rsplit_once('/').map_or(file.path.0.as_str(), |(_, name)| name);
        name.to_owned()
    });
    let name = base_name.or_else(|| block.id.as_ref().map(ToString::to_string))?;
    Some(Action::Migrate(Migrate {
        version,
        name,
        body,
        undo: undo_body,
        outside_transaction,
        checksum: digest::hex(&digest),
    }))
}

/// `@version`
pub(crate) fn version(reader: &mut Reader<'_, '_>) -> Option<String> {
    let property = reader.property("version")?;
    if is_version(property.text) {
        return Some(property.text.to_owned());
    }
    reader.diagnostics.push(Diagnostic::error(
        "version-malformed",
        property.span,
        format!("{:?} is no version", property.text),
        "write digits only, at most 18, with leading zeros if the table has them",
    ));
    None
}

fn one_statement(reader: &mut Reader<'_, '_>, what: &str, body: &SqlBody) {
    let Some(second) = body.statements.get(1) else { return };
    reader.diagnostics.push(Diagnostic::error(
        "one-statement",
        second.span.clone(),
        format!("{what}, and this is a second one"),
        "give each statement a step of its own",
    ));
}

/// The whole body of a block as SQL.
pub(crate) fn whole_body(reader: &mut Reader<'_, '_>) -> Option<SqlBody> {
    let range = reader.block.body.clone();
    let text = reader.page.slice(range.clone());
    match reader.block.divider(SETUP).map(|divider| divider.range.start) {
        None => reader.bodies.push(sql_tokens_digest(text)),
        // What is setup and what is judged is part of the meaning.
        Some(setup) => {
            for half in [range.start..setup, setup..range.end] {
                reader.bodies.push(sql_tokens_digest(reader.page.slice(half)));
            }
        }
    }
    let part = Part { path: reader.page.path.clone(), text, offset: range.start };
    let body = sql(reader, &part);
    if body.statements.is_empty() && reader.block.content < reader.block.body.end {
        reader.diagnostics.push(Diagnostic::error(
            "body-empty",
            reader.page.span(reader.block.head.clone()),
            "the body holds no statement",
            "write what is asked below the properties",
        ));
    }
    (!body.statements.is_empty()).then_some(body)
}

fn over(reader: &mut Reader<'_, '_>) -> Option<Over> {
    let property = reader.property("over")?;
    if let Some(value) = ValueRef::parse(property.text).filter(|value| value.field.is_some()) {
        let span = property.span;
        reader.uses.push(ValueUse { value: value.clone(), span, handing: Handing::Bound });
        return Some(Over::Value(value));
    }
    let offset = property.span.range.start;
    let part = Part { path: reader.page.path.clone(), text: property.text, offset };
    let body = sql(reader, &part);
    if body.statements.len() == 1 {
        return Some(Over::Sql(body));
    }
    let message = format!("{:?} is neither one query nor a recorded value", property.text);
    reader.refuse(&property, message, "write one query on this line, or `record.column`");
    None
}

/// Parses SQL and notes the values that it asks for.
pub(crate) fn sql(reader: &mut Reader<'_, '_>, part: &Part<'_>) -> SqlBody {
    let body = parse_statements(part.text, &part.path, part.offset, reader.diagnostics);
    for statement in &body.statements {
        for (piece, span) in value_spans(statement) {
            let (value, handing) = match piece {
                SqlPiece::Text(_) => continue,
                SqlPiece::Bind(value) | SqlPiece::Literal(value) | SqlPiece::Identifier(value) => {
                    (value.clone(), Handing::Bound)
                }
                SqlPiece::Relation(kept) => {
                    (ValueRef { root: kept.step.clone(), field: None }, Handing::Relation(kept.part))
                }
            };
            reader.uses.push(ValueUse { value, span, handing });
        }
    }
    body
}
