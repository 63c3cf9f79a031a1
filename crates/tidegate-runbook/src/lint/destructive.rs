//! `destructive-without-requires`: nothing is destroyed on the way forward before a comparison or a check has shown that
//! nothing is lost, and before there is a backup. Ways back and `@undo` are exempt: there the loss statement takes this place.

use super::body::{Place, Purpose, Scope};
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectation;
use crate::names::Name;
use crate::source::Span;
use crate::sql::{Doomed, ObjectName, SqlStatement};
use crate::sql_effect::may_be_same;
use crate::step::{Action, Question, Step};

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Diagnostic>) {
    if matches!(scope.place, Place::Way(_)) {
        return;
    }
    let required = scope.required();
    let backups = required.iter().filter(|step| matches!(step.action, Action::Backup(_)));
    let backups: Vec<&Name> = backups.map(|step| &step.id).collect();
    let backed_up = !backups.is_empty();
    for (doomed, span, how) in doomed(scope) {
        let proven =
            !needs_proof(&doomed) || required.iter().any(|step| shows_nothing_is_lost(step, &doomed));
        if backed_up && let Some(writer) = written_since(scope, &backups, &doomed) {
            found.push(outdated(&doomed, span.clone(), &how, writer));
        }
        if proven && backed_up {
            continue;
        }
        let mut missing = Vec::new();
        if !proven {
            missing.push(format!(
                "a comparison whose first query reads all of {0}, or a check with `@expect zero` or `@expect empty` that reads it",
                subject(&doomed)
            ));
        }
        if !backed_up {
            missing.push("a backup".to_owned());
        }
        let message = format!(
            "{how} {} {doomed}, and no `@requires` of this step names {}",
            doomed.kind,
            missing.join(", nor ")
        );
        let help =
            format!("write {} above and name {} in `@requires`", missing.join(", and "), it(missing.len()));
        found.push(Diagnostic::error("destructive-without-requires", span, message, help));
    }
}

/// A step between the newest of the backups and this one that writes rows which are doomed here.
fn written_since<'a>(scope: &Scope<'a>, backups: &[&Name], doomed: &Doomed) -> Option<&'a Step> {
    if !matches!(doomed.kind, "table" | "rows" | "column" | "partition") {
        return None;
    }
    let mut writer = None;
    for (_, step) in scope.runbook.steps().take_while(|(_, step)| step.id != scope.step.id) {
        let statements = match &step.action {
            Action::Migrate(migrate) => migrate.body.statements.as_slice(),
            Action::Backfill(backfill) => std::slice::from_ref(&backfill.body),
            Action::Backup(_) if backups.contains(&&step.id) => {
                writer = None;
                continue;
            }
            _ => continue,
        };
        // What a DELETE takes away is in the backup.
        let adding = statements.iter().filter(|statement| statement.effect.command != "DELETE");
        let mut written = adding.flat_map(|statement| &statement.effect.writes);
        if written.any(|written| may_be_same(written, doomed)) {
            writer = writer.or(Some(step));
        }
    }
    writer
}

fn outdated(doomed: &Doomed, span: Span, how: &str, writer: &Step) -> Diagnostic {
    let message = format!(
        "{how} {} {doomed}, and `{}` writes to it after the backup that this step requires",
        doomed.kind, writer.id
    );
    let help = format!("take a backup below `{}` and name it in `@requires`", writer.id);
    Diagnostic::error("backup-before-write", span, message, help)
        .with_related(writer.head.clone(), "writes here")
}

fn it(count: usize) -> &'static str {
    if count == 1 { "it" } else { "both" }
}

fn subject(doomed: &Doomed) -> String {
    match doomed.kind {
        "schema" => format!("a relation of schema {} or the catalog", doomed.name),
        _ => ObjectName { part: None, ..doomed.clone() }.to_string(),
    }
}

/// What the step destroys on the way forward, without what it made itself.
fn doomed(scope: &Scope<'_>) -> Vec<(Doomed, Span, String)> {
    if let Action::Retire(retire) = &scope.step.action {
        let tables = retire
            .tables
            .iter()
            .map(|table| (table_named(table), scope.step.head.clone(), "retire moves away".to_owned()));
        return tables.collect();
    }
    let bodies = scope.bodies();
    let forward = bodies.iter().filter(|body| body.purpose == Purpose::Change);
    forward.flat_map(|body| doomed_in(body.statements)).collect()
}

fn doomed_in(statements: &[SqlStatement]) -> Vec<(Doomed, Span, String)> {
    let mut all = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let (before, after) = statements.split_at(index);
        for doomed in &statement.effect.destroys {
            let made = before.iter().any(|earlier| makes(earlier, doomed));
            let replaced = !holds_rows(doomed) && after.iter().any(|later| makes(later, doomed));
            if !made && !replaced && !can_be_rebuilt(doomed) {
                all.push((
                    doomed.clone(),
                    statement.span.clone(),
                    format!("{} destroys or hides", statement.effect.command),
                ));
            }
        }
    }
    all
}

/// Whether the statement creates `doomed`, or the relation that it is a part of.
fn makes(statement: &SqlStatement, doomed: &Doomed) -> bool {
    statement.effect.creates.iter().any(|made| {
        let same_place = made.name == doomed.name && in_public(made) == in_public(doomed);
        let relation = matches!(made.kind, "table" | "view" | "materialized view");
        same_place
            && (made.kind == doomed.kind && made.part == doomed.part || relation && is_of_relation(doomed))
    })
}

/// The schema, where an unqualified name counts as one of `public`.
fn in_public(object: &ObjectName) -> &str {
    object.schema.as_deref().unwrap_or("public")
}

fn is_of_relation(doomed: &Doomed) -> bool {
    matches!(doomed.kind, "rows" | "column" | "constraint" | "partition" | "trigger" | "policy" | "rule")
}

/// Objects that hold rows, or take rows out of sight.
fn holds_rows(doomed: &Doomed) -> bool {
    matches!(
        doomed.kind,
        "table"
            | "rows"
            | "column"
            | "partition"
            | "materialized view"
            | "schema"
            | "database"
            | "everything owned by"
    )
}

/// Indexes and statistics say nothing that their tables do not.
fn can_be_rebuilt(doomed: &Doomed) -> bool {
    matches!(doomed.kind, "index" | "statistics")
}

/// Whether a check can show that nothing is lost with it. Of views, code and the like a backup is all there can be.
fn needs_proof(doomed: &Doomed) -> bool {
    matches!(doomed.kind, "table" | "rows" | "column" | "constraint" | "partition" | "schema")
}

/// Whether `step` shows that nothing is lost with what is doomed: a check that expects nothing and reads it, or a
/// comparison that finds every row of it elsewhere.
fn shows_nothing_is_lost(step: &Step, doomed: &Doomed) -> bool {
    let check = match &step.action {
        Action::Check(check) => check,
        Action::Compare(compare) => {
            let mut whole = compare.left.effect.reads_whole.iter();
            return !compare.expect_differences && whole.any(|read| reads_doomed(read, doomed));
        }
        _ => return false,
    };
    let Question::Sql(sql) = &check.question else { return false };
    let expects_nothing =
        check.expect.iter().any(|expect| matches!(expect, Expectation::Zero | Expectation::Empty));
    // Statements before the last are setup, unless each is judged.
    let judged = match &check.each {
        Some(each) => sql.statements.get(each.setup_statements..),
        None => sql.statements.last().map(std::slice::from_ref),
    };
    let mut reads = judged.unwrap_or_default().iter().flat_map(|statement| &statement.effect.reads);
    expects_nothing && reads.any(|read| reads_doomed(read, doomed))
}

fn reads_doomed(read: &ObjectName, doomed: &Doomed) -> bool {
    match doomed.kind {
        "schema" => {
            let catalog = matches!(read.schema.as_deref(), Some("pg_catalog" | "information_schema"));
            read.schema.as_deref() == Some(&doomed.name)
                || catalog
                || read.schema.is_none() && read.name.starts_with("pg_")
        }
        "partition" => {
            let partition = doomed.part.as_ref() == Some(&read.name);
            partition || may_be_same(read, doomed)
        }
        _ => may_be_same(read, doomed),
    }
}

/// A table as `retire` names it.
fn table_named(text: &str) -> Doomed {
    let (schema, name) = match text.split_once('.') {
        Some((schema, name)) => (Some(schema.to_owned()), name),
        None => (None, text),
    };
    Doomed { kind: "table", schema, name: name.to_owned(), part: None }
}
