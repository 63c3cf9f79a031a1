//! The SQL bodies of steps, each with what it is there for.

use crate::names::Name;
use crate::runbook::{Runbook, Stage, Way};
use crate::sql::{SqlBody, SqlStatement};
use crate::step::{Action, Over, Question, Step, Throttle};

/// A step in its place.
pub(super) struct Scope<'a> {
    /// The whole runbook.
    pub(super) runbook: &'a Runbook,
    /// The stage or way it stands in.
    pub(super) place: Place<'a>,
    /// The step.
    pub(super) step: &'a Step,
}

/// Where a step stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On the way forward.
    Stage(&'a Stage),
    /// On a way back.
    Way(&'a Way),
}

/// One SQL body and its purpose.
pub(super) struct Body<'a> {
    /// What it is there for.
    pub(super) purpose: Purpose,
    /// Its statements.
    pub(super) statements: &'a [SqlStatement],
}

/// What a body is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `migrate` and `backfill`, going forward or on a way back.
    Change,
    /// After `-- @undo`.
    Undo,
    /// `record`, `check`, `compare`, `watch`, their `@over`, and what a backfill slows down for.
    Read,
    /// A check with `@attempt`: tries what it is allowed to, then rolls back.
    Attempt,
}

/// Every step of stages and ways, in document order of each.
pub(super) fn scopes(runbook: &Runbook) -> Vec<Scope<'_>> {
    let stages = runbook
        .stages
        .iter()
        .flat_map(|stage| stage.steps.iter().map(move |step| (Place::Stage(stage), step)));
    let ways = runbook.ways.iter().flat_map(|way| way.steps.iter().map(move |step| (Place::Way(way), step)));
    stages.chain(ways).map(|(place, step)| Scope { runbook, place, step }).collect()
}

impl<'a> Scope<'a> {
    /// The step's SQL bodies.
    pub(super) fn bodies(&self) -> Vec<Body<'a>> {
        match &self.step.action {
            Action::Migrate(migrate) => {
                let undo = migrate.undo.as_ref().map(|undo| (Purpose::Undo, undo));
                std::iter::once((Purpose::Change, &migrate.body)).chain(undo).map(body).collect()
            }
            Action::Record(record) => asked(Purpose::Read, &record.question, None),
            Action::Check(check) => {
                let purpose = if check.attempt { Purpose::Attempt } else { Purpose::Read };
                asked(purpose, &check.question, check.over.as_ref())
            }
            Action::Watch(watch) => asked(Purpose::Read, &watch.question, watch.over.as_ref()),
            Action::Compare(compare) => {
                [&compare.left, &compare.right].map(|query| one(Purpose::Read, query)).into()
            }
            Action::Backfill(backfill) => {
                let throttles = backfill.throttles.iter().filter_map(throttle_query);
                std::iter::once(one(Purpose::Change, &backfill.body))
                    .chain(throttles.map(|query| body((Purpose::Read, query))))
                    .collect()
            }
            Action::Backup(_)
            | Action::Restore(_)
            | Action::BackupKeys(_)
            | Action::RestoreKeys(_)
            | Action::Seal(_)
            | Action::Retire(_)
            | Action::Evict(_)
            | Action::Confirm(_)
            | Action::Command(_)
            | Action::Rekey(_)
            | Action::Flags(_) => Vec::new(),
        }
    }

    /// Whether runbook, stage or way protects anything here.
    pub(super) fn protects(&self) -> bool {
        let here = match self.place {
            Place::Stage(stage) => &stage.protect,
            Place::Way(way) => &way.protect,
        };
        !self.runbook.protect.is_empty() || !here.is_empty()
    }

    /// The steps that `@requires` names; a stage stands for all its steps.
    pub(super) fn required(&self) -> Vec<&'a Step> {
        self.step.requires.iter().flat_map(|name| named(self.runbook, name)).collect()
    }
}

fn named<'a>(runbook: &'a Runbook, name: &Name) -> Vec<&'a Step> {
    match runbook.stage(name) {
        Some(stage) => stage.steps.iter().collect(),
        None => runbook.step(name).into_iter().collect(),
    }
}

fn one(purpose: Purpose, statement: &SqlStatement) -> Body<'_> {
    Body { purpose, statements: std::slice::from_ref(statement) }
}

fn throttle_query(throttle: &Throttle) -> Option<&SqlBody> {
    match throttle {
        Throttle::Canary { query, .. } | Throttle::Sql(query) => Some(query),
        Throttle::ReplicaLag(_) | Throttle::LockWaiters(_) | Throttle::Autovacuum => None,
    }
}

fn body((purpose, body): (Purpose, &SqlBody)) -> Body<'_> {
    Body { purpose, statements: &body.statements }
}

fn asked<'a>(purpose: Purpose, question: &'a Question, over: Option<&'a Over>) -> Vec<Body<'a>> {
    let asked = match question {
        Question::Sql(sql) => Some((purpose, sql)),
        Question::Http(_) | Question::Kv(_) | Question::Sh(_) => None,
    };
    let over = match over {
        Some(Over::Sql(sql)) => Some((Purpose::Read, sql)),
        _ => None,
    };
    asked.into_iter().chain(over).map(body).collect()
}
