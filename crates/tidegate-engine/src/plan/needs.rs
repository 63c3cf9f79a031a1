//! What the page needs and does not find: names that neither exist nor are made by an earlier step, and privileges that
//! are lacking. Errs towards silence: what an earlier step may have made or granted is not spoken of.

mod asked;
mod earlier;

use std::collections::BTreeSet;

use serde::Serialize;
use tidegate_runbook::{
    Action, BackfillSource, Expectation, Name, ObjectName, Question, Span, SqlStatement, Step,
};
use tidegate_store::postgres::{Failure, Session};

use crate::program::Program;
use asked::{Catalog, Privilege};
use earlier::Earlier;

/// One thing that a step needs and that would halt it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// The step.
    pub step: Name,
    /// `file:line` of the statement, or of the step.
    pub place: String,
    /// What is lacking.
    pub found: String,
}

/// What one statement, or one name in toml, needs.
struct Wanted<'a> {
    object: ObjectName,
    privilege: Option<Privilege>,
    span: &'a Span,
}

/// Looks through all steps that are still to be done. `passes` says of a step that it was asked and holds, or that what it
/// lacks was told already.
///
/// # Errors
/// [`Failure`] if the catalog cannot be asked.
pub(super) async fn lacking(
    session: &Session,
    program: &Program,
    home: &Name,
    passes: &dyn Fn(&Name) -> bool,
    done: &dyn Fn(&Name) -> bool,
) -> Result<Vec<Lacking>, Failure> {
    let mut lacking: Vec<Lacking> = Vec::new();
    let mut earlier = Earlier::default();
    for (_, step) in program.runbook.steps().filter(|(_, step)| !done(&step.id)) {
        let at_home = step.store.as_ref().is_none_or(|store| store == home);
        if at_home && !passes(&step.id) {
            let mut told = BTreeSet::new();
            for (place, found) in Box::pin(lacked_by(session, program, step, &mut earlier)).await? {
                if told.insert(found.clone()) {
                    lacking.push(Lacking { step: step.id.clone(), place, found });
                }
            }
        }
        earlier.step(step);
    }
    Ok(lacking)
}

async fn lacked_by(
    session: &Session,
    program: &Program,
    step: &Step,
    earlier: &mut Earlier,
) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    let statements = statements(step);
    let mut here = earlier.clone();
    let place = |span: &Span| program.places.describe(span);
    if let Some(role) = &step.role
        && !here.may_make(&named("role", role))
        && !asked::has_role(session, role).await?
    {
        found.push((
            place(&step.head),
            format!("role {role} does not exist, or is not one that may be taken with `@role`"),
        ));
        return Ok(found);
    }
    for wanted in of_toml(step) {
        let catalog =
            Catalog::of(session, std::slice::from_ref(&wanted.object), step.role.as_deref()).await?;
        found.extend(judged(&wanted, &catalog, step, &here).map(|what| (place(wanted.span), what)));
    }
    for statement in statements {
        let wanted = of_statement(step, statement);
        let objects: Vec<ObjectName> = wanted.iter().map(|wanted| wanted.object.clone()).collect();
        let catalog = Catalog::of(session, &objects, step.role.as_deref()).await?;
        for wanted in &wanted {
            found.extend(judged(wanted, &catalog, step, &here).map(|what| (place(wanted.span), what)));
        }
        if let Action::Migrate(_) = &step.action {
            for made in &statement.effect.creates {
                let what = cannot_make(session, made, &here).await?;
                found.extend(what.map(|what| (place(&statement.span), what)));
            }
        }
        here.statement(statement);
    }
    Ok(found)
}

/// What is wrong with one name, if anything is.
fn judged(wanted: &Wanted<'_>, catalog: &Catalog, step: &Step, earlier: &Earlier) -> Option<String> {
    let object = &wanted.object;
    let (kind, who) = (shown_kind(object.kind), step.role.as_deref());
    if !catalog.has(object) {
        // Another login may see names through a search path of its own.
        let told = (object.schema.is_some() || step.login.is_none()) && !earlier.may_make(object);
        return told.then(|| format!("{kind} {object} does not exist, and no earlier step makes it"));
    }
    let privilege = wanted.privilege.filter(|_| step.login.is_none())?;
    let role = who.unwrap_or(catalog.role());
    if earlier.makes(object) || earlier.may_grant(role) || catalog.may(object, privilege) != Some(false) {
        return None;
    }
    Some(match privilege {
        Privilege::Own => format!("role {role} does not own {kind} {object}, and is no member of its owner"),
        privilege => format!("role {role} lacks {} on {kind} {object}", privilege.word()),
    })
}

fn shown_kind(kind: &'static str) -> &'static str {
    if kind == "relation" { "table" } else { kind }
}

/// Whether the object could be made: its schema is there, and takes objects of ours.
async fn cannot_make(
    session: &Session,
    made: &ObjectName,
    earlier: &Earlier,
) -> Result<Option<String>, Failure> {
    if !matches!(made.kind, "table" | "view" | "materialized view" | "sequence" | "type" | "function") {
        return Ok(None);
    }
    let schema = made.schema.as_deref();
    if schema.is_some_and(|schema| schema.starts_with(':') || schema.starts_with("pg_temp")) {
        return Ok(None);
    }
    if schema.is_some_and(|schema| earlier.may_make(&named("schema", schema))) {
        return Ok(None);
    }
    Ok(match asked::may_make_in(session, schema).await? {
        Some((_, true)) => None,
        Some((_, false)) if earlier.may_grant("") => None,
        Some((schema, false)) => {
            Some(format!("{} {made} cannot be made: CREATE on schema {schema} is lacking", made.kind))
        }
        None => schema.map(|schema| format!("schema {schema} does not exist, and no earlier step makes it")),
    })
}

fn named(kind: &'static str, name: &str) -> ObjectName {
    ObjectName { kind, schema: None, name: name.to_owned(), part: None }
}

/// The statements that a step runs, but not those that are expected to fail.
fn statements(step: &Step) -> Vec<&SqlStatement> {
    match &step.action {
        Action::Record(record) => sql_of(&record.question, &[]),
        Action::Check(check) => sql_of(&check.question, &check.expect),
        Action::Watch(watch) => sql_of(&watch.question, &watch.expect),
        Action::Compare(compare) => vec![&compare.left, &compare.right],
        Action::Migrate(migrate) => migrate.body.statements.iter().collect(),
        Action::Backfill(backfill) => vec![&backfill.body],
        _ => Vec::new(),
    }
}

fn sql_of<'a>(question: &'a Question, expect: &[Expectation]) -> Vec<&'a SqlStatement> {
    let fails = expect.iter().any(|expect| matches!(expect, Expectation::Error { .. }));
    match question {
        Question::Sql(body) if !fails => body.statements.iter().collect(),
        _ => Vec::new(),
    }
}

/// What a statement names, with the privilege that it needs on it.
fn of_statement<'a>(step: &Step, statement: &'a SqlStatement) -> Vec<Wanted<'a>> {
    let effect = &statement.effect;
    let is_chunk = |name: &ObjectName| {
        matches!(step.action, Action::Backfill(_)) && name.schema.is_none() && name.name == "chunk"
    };
    let subject = effect.needs.iter().find(|name| name.kind == "relation");
    effect
        .needs
        .iter()
        .filter(|name| !is_chunk(name))
        .map(|name| {
            let privilege = match (name.kind, effect.command.as_str()) {
                ("function", _) | ("role", _) => None,
                (_, "INSERT") if effect.writes.first() == Some(name) => Some(Privilege::Insert),
                (_, "UPDATE") if effect.writes.first() == Some(name) => Some(Privilege::Update),
                (_, "DELETE") if effect.writes.first() == Some(name) => Some(Privilege::Delete),
                (_, "ALTER TABLE" | "DROP TABLE" | "CREATE INDEX" | "CREATE POLICY")
                    if subject == Some(name) =>
                {
                    Some(Privilege::Own)
                }
                (_, "CREATE TRIGGER") if subject == Some(name) => Some(Privilege::Trigger),
                _ if effect.writes.contains(name) => None,
                _ if effect.reads.contains(name) => Some(Privilege::Select),
                _ => None,
            };
            Wanted { object: name.clone(), privilege, span: &statement.span }
        })
        .collect()
}

/// The tables that a step names in toml or in a property. Patterns are for the step itself to judge.
fn of_toml(step: &Step) -> Vec<Wanted<'_>> {
    let (tables, privilege): (Vec<&str>, Privilege) = match &step.action {
        Action::Seal(seal) => (seal.tables.iter().map(String::as_str).collect(), Privilege::Trigger),
        Action::Retire(retire) => (retire.tables.iter().map(String::as_str).collect(), Privilege::Own),
        Action::Backfill(backfill) => match &backfill.source {
            BackfillSource::Table(table) => (vec![table], Privilege::Update),
            BackfillSource::Differences(_) => (Vec::new(), Privilege::Update),
        },
        _ => (Vec::new(), Privilege::Select),
    };
    let plain = |text: &&str| {
        text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.')
    };
    tables
        .into_iter()
        .filter(plain)
        .map(|text| {
            let (schema, name) = match text.split_once('.') {
                Some((schema, name)) => (Some(schema.to_owned()), name),
                None => (None, text),
            };
            let object = ObjectName { kind: "relation", schema, name: name.to_owned(), part: None };
            Wanted { object, privilege: Some(privilege), span: &step.head }
        })
        .collect()
}
