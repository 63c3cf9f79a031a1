//! `backfill`: one statement, run for one chunk of its source after the other.

use crate::action_sql::{Part, sql, version, whole_body};
use crate::backfill_throttle;
use crate::columns;
use crate::diagnostic::Diagnostic;
use crate::digest;
use crate::draft::{Handing, ValueUse};
use crate::duration::parse_duration;
use crate::sql::{ObjectName, SqlPiece, SqlStatement};
use crate::sql_effect::may_be_same;
use crate::sql_text::{relation_ref, without_do_nothing};
use crate::step::{Action, Backfill, BackfillSource};
use crate::step_reader::Reader;
use crate::value::ValueRef;
use std::time::Duration;

/// The relation of which one chunk is made.
pub(crate) const CHUNK: &str = "chunk";

const WORKERS_DEFAULT: u32 = 2;
const WORKERS_MAX: u32 = 16;
const TARGET_DEFAULT: Duration = Duration::from_millis(80);
const TARGET_LEAST: Duration = Duration::from_millis(10);
const TARGET_MOST: Duration = Duration::from_secs(10);
const ROWS_DEFAULT: (u32, u32) = (100, 50_000);
const ROWS_MAX: u32 = 1_000_000;

/// `backfill`
pub(crate) fn backfill(reader: &mut Reader<'_, '_>) -> Option<Action> {
    let source = source(reader);
    let version = version(reader);
    let key = key(reader, source.as_ref());
    let after = reader.name("after");
    demand_after(reader, source.as_ref());
    refuse_version(reader, source.as_ref());
    let reads = reads(reader);
    let workers = reader.count("workers", WORKERS_MAX).unwrap_or(WORKERS_DEFAULT);
    let target = target(reader);
    let rows = rows(reader);
    let throttles = backfill_throttle::read_all(reader);
    let found = reader.diagnostics.len();
    let body = whole_body(reader)?;
    let unread = reader.diagnostics.len() > found;
    let checksum = digest::hex(reader.bodies.last()?);
    if let Some(second) = body.statements.get(1) {
        reader.diagnostics.push(Diagnostic::error(
            "one-statement",
            second.span.clone(),
            "a backfill repeats one statement, and this is a second one",
            "give each statement a step of its own",
        ));
    }
    let body = body.statements.into_iter().next()?;
    if !unread {
        judge(reader, &body, &reads);
    }
    let name = reader.block.id.as_ref()?.to_string();
    let reads = reads.into_iter().map(|(written, _)| written).collect();
    Some(Action::Backfill(Backfill {
        version,
        name,
        source: source?,
        key: key?,
        after,
        hopeful: without_do_nothing(&body),
        body,
        reads,
        workers,
        target,
        rows,
        throttles,
        checksum,
    }))
}

/// `@source table` or `@source :{id.extra}`
fn source(reader: &mut Reader<'_, '_>) -> Option<BackfillSource> {
    let Some(property) = reader.property("source") else {
        reader.diagnostics.push(Diagnostic::error(
            "source-missing",
            reader.page.span(reader.block.head.clone()),
            "nothing says what this backfill reads",
            "add `-- @source table`, or `-- @source :{comparison.extra}` to mend what a comparison found",
        ));
        return None;
    };
    if property.text.starts_with(':') {
        let kept = relation_ref(property.text);
        let Some(kept) = kept.filter(|kept| kept.part.is_some()) else {
            let message = format!("`{}` names no differences", property.text);
            reader.refuse(&property, message, "write `:{id.missing}`, `:{id.extra}` or `:{id.differing}`");
            return None;
        };
        let value = ValueRef { root: kept.step.clone(), field: None };
        reader.uses.push(ValueUse { value, span: property.span, handing: Handing::Relation(kept.part) });
        return Some(BackfillSource::Differences(kept));
    }
    if columns::table(property.text).is_some() {
        return Some(BackfillSource::Table(property.text.to_owned()));
    }
    let message = format!("`{}` names no table", property.text);
    reader.refuse(&property, message, "write `table`, `schema.table`, or `:{comparison.extra}`");
    None
}

/// `@key a, b`. Of differences the key is that of their comparison, which is filled in later.
fn key(reader: &mut Reader<'_, '_>, source: Option<&BackfillSource>) -> Option<Vec<String>> {
    let property = reader.property("key");
    match (property, source) {
        (Some(property), Some(BackfillSource::Differences(kept))) => {
            let message = format!("differences have the key of their comparison, `{}`", kept.step);
            reader.refuse(&property, message, "remove `@key`");
            None
        }
        (None, Some(BackfillSource::Differences(_))) => Some(Vec::new()),
        (Some(property), _) => columns::read(reader, &property),
        // Of what source a key is missing is not known.
        (None, None) if reader.block.has("source") => None,
        (None, _) => {
            reader.diagnostics.push(Diagnostic::error(
                "key-columns-missing",
                reader.page.span(reader.block.head.clone()),
                "nothing says by which columns the source is cut into chunks",
                "add `-- @key id`: columns of the source that are unique and never NULL",
            ));
            None
        }
    }
}

fn demand_after(reader: &mut Reader<'_, '_>, source: Option<&BackfillSource>) {
    if !reader.block.has("after") && matches!(source, Some(BackfillSource::Table(_))) {
        reader.diagnostics.push(Diagnostic::error(
            "after-missing",
            reader.page.span(reader.block.head.clone()),
            "rows that are written while this copies would be lost: nothing mirrors or stops them",
            "add `-- @after step`, naming the `@flags` step that mirrors writes, the `@seal` that stops them, or the `@migrate` whose trigger fills the columns",
        ));
    }
}

fn refuse_version(reader: &mut Reader<'_, '_>, source: Option<&BackfillSource>) {
    if let Some(property) = reader.property("version")
        && matches!(source, Some(BackfillSource::Differences(_)))
    {
        reader.diagnostics.push(Diagnostic::error(
            "version-of-repair",
            property.span,
            "a repair of differences carries a version, but what it does depends on what was found",
            "remove `@version`",
        ));
    }
}

/// Every `@reads`: as written, and as a name.
fn reads(reader: &mut Reader<'_, '_>) -> Vec<(String, ObjectName)> {
    let block = reader.block;
    let mut reads: Vec<(String, ObjectName)> = Vec::new();
    for property in block.all("reads") {
        let Some((schema, name)) = columns::table(property.text) else {
            let message = format!("`{}` names no table", property.text);
            reader.refuse(property, message, "write one `table` or `schema.table` a line");
            continue;
        };
        let table = ObjectName { kind: "relation", schema, name, part: None };
        if reads.iter().any(|(_, known)| *known == table) {
            reader.diagnostics.push(Diagnostic::error(
                "duplicate-property",
                property.span.clone(),
                format!("`{}` stands in `@reads` twice", property.text),
                "keep one",
            ));
            continue;
        }
        reads.push((property.text.to_owned(), table));
    }
    reads
}

fn target(reader: &mut Reader<'_, '_>) -> Duration {
    let Some(target) = reader.duration("target") else { return TARGET_DEFAULT };
    if let Some(property) = reader.property("target")
        && !(TARGET_LEAST..=TARGET_MOST).contains(&target)
    {
        let message = format!("a chunk that should take {} is out of bounds", property.text);
        reader.refuse(&property, message, "write a time from 10ms to 10s");
    }
    target
}

/// `@rows min..max`
fn rows(reader: &mut Reader<'_, '_>) -> (u32, u32) {
    let Some(property) = reader.property("rows") else { return ROWS_DEFAULT };
    let bounds = property.text.split_once("..").and_then(|(least, most)| {
        let (least, most) = (least.trim().parse::<u32>().ok()?, most.trim().parse::<u32>().ok()?);
        (least >= 1 && least <= most && most <= ROWS_MAX).then_some((least, most))
    });
    bounds.unwrap_or_else(|| {
        let message = format!("`{}` are no bounds of a chunk's size", property.text);
        reader.refuse(&property, message, "write `least..most`, from 1 to 1000000, such as `100..50000`");
        ROWS_DEFAULT
    })
}

/// What the statement must be, read and write.
fn judge(reader: &mut Reader<'_, '_>, body: &SqlStatement, reads: &[(String, ObjectName)]) {
    let effect = &body.effect;
    let mut report = |code, message: String, help: &str| {
        reader.diagnostics.push(Diagnostic::error(code, body.span.clone(), message, help));
    };
    let target = match (effect.command.as_str(), effect.writes.as_slice()) {
        ("INSERT" | "UPDATE" | "DELETE" | "MERGE", [target, others @ ..]) => {
            let mut others = others.iter().filter(|other| !may_be_same(other, target));
            if let Some(other) = others.next() {
                report(
                    "backfill-target",
                    format!("the statement writes to {target} and to {other}"),
                    "give each table a backfill of its own",
                );
            }
            target
        }
        (command, _) => {
            report(
                "backfill-statement",
                format!("{command} is nothing that could be done with one chunk after the other"),
                "write one INSERT, UPDATE, DELETE or MERGE over the relation `chunk`",
            );
            return;
        }
    };
    let is_chunk = |name: &ObjectName| name.schema.is_none() && name.name == CHUNK;
    if is_chunk(target) {
        report(
            "backfill-target",
            "the statement writes to `chunk`, which is a relation of its own for each transaction".into(),
            "write to the table that the rows are meant for",
        );
        return;
    }
    if !effect.reads.iter().any(is_chunk) {
        report(
            "backfill-without-chunk",
            "the statement never reads the relation `chunk`, so it would do the same for every chunk".into(),
            "read the source's rows from `chunk`, as in `INSERT INTO target SELECT … FROM chunk`",
        );
    }
    let kept: Vec<String> = body
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            SqlPiece::Relation(kept) => Some(format!(":{kept}")),
            _ => None,
        })
        .collect();
    for read in &effect.reads {
        let named = reads.iter().any(|(_, named)| may_be_same(named, read));
        if !is_chunk(read) && !may_be_same(read, target) && !named && !kept.contains(&read.name) {
            report(
                "backfill-reads",
                format!(
                    "the statement reads {read} beside `chunk`: what stands there may have changed since the source's row was written"
                ),
                "take what is needed from `chunk`, or name the table in `@reads` and let a `@compare` follow",
            );
        }
    }
    for (written, named) in reads {
        if !effect.reads.iter().any(|read| may_be_same(read, named)) {
            report(
                "reads-unread",
                format!("`@reads` names `{written}`, which the statement does not read"),
                "remove it, or correct the name",
            );
        }
    }
}

/// Reads one query of a property's text, which stands in the page.
pub(crate) fn one_query(
    reader: &mut Reader<'_, '_>,
    text: &str,
    offset: usize,
) -> Option<crate::sql::SqlBody> {
    let part = Part { path: reader.page.path.clone(), text, offset };
    let found = reader.diagnostics.len();
    let body = sql(reader, &part);
    if reader.diagnostics.len() > found {
        return Some(body);
    }
    let is_query =
        |statement: &SqlStatement| matches!(statement.effect.command.as_str(), "SELECT" | "VALUES" | "TABLE");
    (body.statements.len() == 1 && body.statements.iter().all(is_query)).then_some(body)
}

/// A span of time above zero.
pub(crate) fn time(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|time| *time > Duration::ZERO)
}
