//! What is wrong with a store and a run, and what would put it right. Looks only; every repair is a text to be read.
//!
//! | code | found |
//! |---|---|
//! | `journal-empty` | no run was ever started here (note) |
//! | `journal-newer`, `journal-unreadable` | a newer program wrote the journal, or one event of it |
//! | `journal-broken`, `journal-illegal` | it was cut or changed, or its events cannot follow each other |
//! | `lease-held` | a runner is at work (note) |
//! | `lease-expired`, `lease-holder-gone` | a runner gave no sign of life in time, or its process is gone |
//! | `backend-of-old-epoch` | a session of a runner that is gone still works |
//! | `version-gap`, `version-checksum` | the version table and the page differ (note once accepted) |
//! | `version-unknown` | the version table holds what the page does not have |
//! | `version-lost` | a run completed it and the version table does not hold it |
//! | `version-not-of-the-run` | the version table holds it and the run did not apply it (note) |
//! | `migration-partly-applied`, `migration-objects-exist` | objects of a step that is not complete are there |
//! | `index-invalid` | an index that no build is finishing |
//! | `seal-expired`, `seal-trigger-disabled`, `seal-trigger-missing` | writes pass though a step sealed the table |
//! | `seal-outlived-its-run` | writes are refused though the run is over |
//! | `seal-table-gone`, `seal-trigger-orphan` | half of a seal is left |
//! | `retired-table` | a retired table keeps its rows (note) |
//! | `flags-moved-by-others`, `flags-row-unknown` | a flag set is not where the run left it, or at a row that the page has not |
//! | `flags-contradicted`, `flags-not-drained` | an instance keeps further moves waiting |
//! | `rows-refused` | a copy's target refused rows, and nobody has put them right |
//! | `rehearsal-database` | a database made for a rehearsal is left |
//! | `keys-unreachable` | a key-value store of the page does not answer |

mod copying;
mod journal;
mod keys;
mod lease;
mod leftovers;
mod objects;
mod seals;
mod versions;

use std::rc::Rc;

use serde::Serialize;
use tidegate_store::postgres::{Failure, Session};

use crate::doors::Doors;
use crate::history::History;
use crate::plan_store;
use crate::program::Program;
use crate::setup::OpenError;
use crate::state::RunState;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something is to be done.
    Problem,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Stable, for programs: `index-invalid`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about: an object, a version, a step.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What would put it right: commands and choices, the likeliest first. Nothing of it was done.
    pub next: Vec<String>,
}

impl Diagnosis {
    fn problem(code: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Problem,
            subject: subject.into(),
            found: found.into(),
            next: Vec::new(),
        }
    }

    fn note(code: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(code, subject, found) }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

/// What the examinations share.
struct Patient<'a> {
    session: &'a Session,
    history: &'a History,
    program: Option<&'a Program>,
    /// The newest run of the page, or of the store if there is no page.
    state: Option<RunState>,
    /// Whether the journal's schema is there.
    installed: bool,
}

/// Examines journal, lease, version table, objects and leftovers of the home store. Changes nothing and needs no lease.
///
/// Without a page, that of the newest run is taken from the journal.
///
/// # Errors
/// [`OpenError`] if the store cannot be reached or refuses to answer. A journal that is damaged is a finding.
pub async fn doctor(program: Option<Rc<Program>>, doors: Rc<Doors>) -> Result<Vec<Diagnosis>, OpenError> {
    let session = doors.connect_home("tidegate/doctor").await?;
    let mut found = Vec::new();
    let installed = crate::journal::format(&session).await?.is_some();
    let history = journal::examine(&session, &mut found).await?;
    let sound = history.is_some();
    let history = history.unwrap_or_else(History::empty);
    let newest = history.newest().ok().flatten();
    let stored = match (&program, &newest) {
        (None, Some(state)) => plan_store::load(&session, state.plan).await?,
        _ => None,
    };
    let program = program.as_deref().or(stored.as_ref());
    let state = newest.filter(|state| program.is_none_or(|program| program.runbook.id == state.runbook));
    let patient = Patient { session: &session, history: &history, program, state, installed };
    let examined = examine(&patient, sound, &mut found).await;
    session.close().await;
    examined?;
    keys::examine(program, &doors, &mut found).await;
    found.sort_by_key(|diagnosis| std::cmp::Reverse(diagnosis.severity));
    Ok(found)
}

async fn examine(patient: &Patient<'_>, sound: bool, found: &mut Vec<Diagnosis>) -> Result<(), Failure> {
    if patient.installed {
        lease::examine(patient, found).await?;
        seals::examine(patient, found).await?;
        copying::examine_refused(patient, found).await?;
    }
    copying::examine_flags(patient, found).await?;
    if sound {
        versions::examine(patient, found).await?;
        objects::examine_migrations(patient, found).await?;
    }
    objects::examine_indexes(patient, found).await?;
    leftovers::examine(patient, found).await
}
