//! `rekey`: keys are moved from names to ids, subject by subject.
//!
//! What becomes of each record is the business of `tidegate-rekey`, which keeps a journal of its own beside the keys: a
//! batch is one atomic write, and an apply that was cut off goes on behind its last batch.

mod claimed;
mod held;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_rekey::{
    Bounds, Counts, InPlaceOwners, Kind, LEASE_DEFAULT, Plain, Plan, Rekey, RekeyError, Report, Rule,
    Stopped, Subject,
};
use tidegate_runbook::{KeptValue, MoveKeys, Name, RekeyForm, RekeyMode, RekeyPlan, TextTemplate};
use tidegate_store::kv::Namespace;
use tidegate_store::postgres::Session;

use crate::cohort::{AtHand, Judged, Waves};
use crate::error::StepError;
use crate::fenced_keys::FencedKeys;
use crate::job::Job;
use crate::outcome::{KeptColumn, Outcome};
use crate::question::kv::rendered_key;
use crate::values::{Relation, ValueMissing, Values};

use claimed::Claimed;
use held::HeldTo;

/// What is kept of each subject, with its type.
const KEPT: [(&str, &str); 13] = [
    (SUBJECT, "text"),
    ("scanned", "bigint"),
    (MIGRATED, "bigint"),
    ("identical", "bigint"),
    ("skipped_newer", "bigint"),
    ("conflicts", "bigint"),
    ("quarantined", "bigint"),
    ("deleted_since", "bigint"),
    ("expired", "bigint"),
    ("failed", "bigint"),
    ("left_there", "bigint"),
    ("moved_whole", "boolean"),
    (COUNTS, "text"),
];
/// The column of a subject's id.
const SUBJECT: &str = "subject_id";
/// The column of how many records were copied, or are to be.
const MIGRATED: &str = "migrated";
/// The column of its numbers by rule, as JSON.
const COUNTS: &str = "counts";

/// Records that a sentence names.
const NAMED: usize = 3;

/// How much longer than a lease whoever holds a subject is waited for, and how often it is looked.
const HELD_WAIT_MORE: Duration = Duration::from_secs(10);
const HELD_LOOK_EVERY: Duration = Duration::from_millis(500);

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(moved: &MoveKeys) -> String {
    let (over, wave) = (&moved.cohort.over, moved.cohort.wave);
    match &moved.mode {
        RekeyMode::Dry => format!("count what moving the keys of each row of {over} would do"),
        RekeyMode::Apply { held_to: None, .. } => {
            format!("copy the keys of each row of {over} to its id, in waves of {wave}")
        }
        RekeyMode::Apply { held_to: Some(dry), .. } => {
            format!("copy the keys of each row of {over} to its id as {dry} counted them, in waves of {wave}")
        }
    }
}

/// Moves the keys of every subject that is not done, or counts them; gives what the step keeps, a row for each.
///
/// # Errors
/// As [`Waves::perform`]; and at once where everything is stopped, or the store does not answer.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    moved: &MoveKeys,
    tell: impl Fn(String),
) -> Result<(Outcome, Relation), StepError> {
    let kept: Vec<KeptValue> = KEPT
        .iter()
        .filter_map(|(name, _)| Some(KeptValue { name: Name::parse(name).ok()?, pointer: String::new() }))
        .collect();
    let waves = Waves::new(session, job, &moved.cohort, &kept)?;
    let mut ids = BTreeSet::new();
    waves.must_all(|subject| {
        let subject = subject_of(moved, subject.values)?;
        if ids.insert(subject.id.clone()) {
            return Ok(());
        }
        Err(StepError::refused(
            format!("{} has two rows with the id {}", moved.cohort.over, subject.id),
            "Let it have one row for each id, with all names in columns of it. Nothing was moved.",
        ))
    })?;
    let fenced = FencedKeys::open(job).await?;
    let claims = Arc::new(Claimed::read(job.values, &moved.claims)?);
    let plan = Arc::new(plan_of(job, &moved.plan)?);
    let rekey = Rekey::new(fenced.clone(), plan, claims).map_err(|error| failed(job, &error))?;
    let held_to = HeldTo::read(job.values, &moved.mode, declared(job, &moved.plan)?)?;
    let in_place = rekey.scan_in_place().await.map_err(|error| failed(job, &error))?;
    let attempt = Attempt { job, moved, rekey, held_to, in_place };
    let deed = async |subject: AtHand<'_>| attempt.one(subject).await.map_err(|error| fenced.told(error));
    let (mut outcome, relation) = waves.perform(deed, tell).await?;
    for (index, (name, kind)) in KEPT.iter().enumerate() {
        let column = relation.columns.len().saturating_sub(KEPT.len()) + index;
        let counted = relation.rows.iter().filter_map(|row| row.get(column)?.as_deref()?.parse::<u64>().ok());
        if *kind == "bigint" {
            outcome.figures.insert(format!("records_{name}"), counted.sum());
        }
    }
    Ok((outcome, relation))
}

/// One attempt at all subjects.
struct Attempt<'a> {
    job: Job<'a>,
    moved: &'a MoveKeys,
    rekey: Rekey,
    held_to: Option<HeldTo>,
    in_place: InPlaceOwners,
}

impl Attempt<'_> {
    async fn one(&self, at_hand: AtHand<'_>) -> Result<Judged, StepError> {
        let subject = subject_of(self.moved, at_hand.values)?;
        let report = match &self.moved.mode {
            RekeyMode::Dry => self.rekey.dry_with(&subject, &self.in_place).await,
            RekeyMode::Apply { batch, iterations, .. } => {
                let bounds = Bounds { batch: *batch, iterations: *iterations, held_to: None };
                match self.apply(&subject, bounds, has_copied(&at_hand)).await? {
                    Ok(report) => report,
                    Err(why) => return Ok(Judged { failed: Some(why), kept: Vec::new() }),
                }
            }
        };
        match report {
            Ok(report) if matches!(report.stopped, Some(Stopped::KillSwitch)) => Err(StepError::refused(
                "every move of keys in this store is stopped: `migration:stop` stands in its journal",
                "Find out who set it and why; remove the key when keys may be moved again, and resume.",
            )),
            Ok(report) => Ok(Judged { failed: why_failed(&report), kept: kept(&report) }),
            Err(error) if is_of_the_subject(&error) => {
                Ok(Judged { failed: Some(self.said(&error)), kept: Vec::new() })
            }
            Err(error) => Err(failed(self.job, &error)),
        }
    }

    /// Applies, once whoever moves the keys of this subject has ended: it may be an attempt of ours that was cut off.
    /// Whoever that was may have copied, so what is to be copied is counted behind the wait. Gives why it may not be
    /// applied, if it may not.
    async fn apply(
        &self,
        subject: &Subject,
        bounds: Bounds,
        mut has_copied: bool,
    ) -> Result<Result<Result<Report, RekeyError>, String>, StepError> {
        // Attempts of one step are one actor: what those before this one did is counted with it.
        let (by, run, step) = (&self.job.state.by.actor, self.job.run(), &self.job.step.id);
        let actor = format!("{by} (run {run}, {step})");
        let until = tokio::time::Instant::now() + LEASE_DEFAULT + HELD_WAIT_MORE;
        loop {
            let held_to = match self.held(subject, has_copied).await? {
                Ok(counts) => counts,
                Err(why) => return Ok(Err(why)),
            };
            let bounds = Bounds { held_to, ..bounds.clone() };
            match self.rekey.apply_with(subject, bounds, &actor, &self.in_place).await {
                Err(RekeyError::Held { .. }) if tokio::time::Instant::now() < until => {
                    has_copied = true;
                    tokio::time::sleep(HELD_LOOK_EVERY).await;
                }
                applied => return Ok(Ok(applied)),
            }
        }
    }

    /// The numbers that the apply is held to. Where an attempt before this one may have copied, they are held against
    /// what is there now, and the rest is copied.
    async fn held(
        &self,
        subject: &Subject,
        has_copied: bool,
    ) -> Result<Result<Option<Counts>, String>, StepError> {
        let Some(held_to) = &self.held_to else { return Ok(Ok(None)) };
        let counts = match held_to.of(&subject.id) {
            Ok(counts) => counts,
            Err(why) => return Ok(Err(why)),
        };
        if !has_copied {
            return Ok(Ok(Some(counts)));
        }
        let now = self.rekey.count_with(subject, &self.in_place).await;
        let now = now.map_err(|error| failed(self.job, &error))?;
        Ok(held_to.is_rest(&now, &counts).map(|()| None))
    }

    fn said(&self, error: &RekeyError) -> String {
        self.job.doors.without_password(self.job.store()).redact(&error.to_string())
    }
}

/// Whether an attempt before may have copied something of the subject.
fn has_copied(at_hand: &AtHand<'_>) -> bool {
    let copied = at_hand.kept.iter().find(|column| column.name == MIGRATED);
    at_hand.begun || copied.is_some_and(|column| column.text.as_deref() != Some("0"))
}

/// Whose keys a row means.
fn subject_of(moved: &MoveKeys, values: &Values) -> Result<Subject, StepError> {
    let refused = |why: String| {
        StepError::refused(why, "Correct the record of the subjects. Nothing was moved for it.")
    };
    let id = rendered_key(&moved.id, values).map_err(refused)?;
    let mut names = Vec::new();
    for name in &moved.names {
        let name = name_of(name, values)?;
        // A name that is the id, or that is given twice, has no keys of its own.
        if !name.is_empty() && name != id && !names.contains(&name) {
            names.push(name);
        }
    }
    Subject::new(id, names).map_err(|error| refused(error.to_string()))
}

/// A name; NULL is none.
fn name_of(name: &TextTemplate, values: &Values) -> Result<String, StepError> {
    match values.text(name, false, str::to_owned) {
        Err(ValueMissing::Null(_)) => Ok(String::new()),
        rendered => Ok(rendered?),
    }
}

fn declared<'a>(job: Job<'a>, name: &Name) -> Result<&'a RekeyPlan, StepError> {
    job.program.runbook.rekeys.iter().find(|plan| plan.name == *name).ok_or_else(|| {
        StepError::refused(format!("the page has no plan {name}"), "Declare it in the `@runbook` block.")
    })
}

fn plan_of(job: Job<'_>, name: &Name) -> Result<Plan, StepError> {
    let declared = declared(job, name)?;
    let refused =
        |why: String| StepError::refused(why, format!("Correct [rekey.{name}]. Nothing was moved."));
    let namespace = |name: &str| Namespace::new(name).map_err(|error| refused(error.to_string()));
    let rules: Result<Vec<Rule>, StepError> = declared
        .rules
        .iter()
        .map(|rule| {
            Ok(Rule {
                name: rule.name.clone(),
                namespace: namespace(&rule.namespace)?,
                kind: match &rule.form {
                    RekeyForm::Many(prefix) => Kind::Prefixed { prefix: prefix.clone() },
                    RekeyForm::One { prefix, suffix } => {
                        Kind::Single { prefix: prefix.clone(), suffix: suffix.clone() }
                    }
                    RekeyForm::InPlace(prefix) => Kind::InPlace { prefix: prefix.clone() },
                },
                owner_pointers: rule.owner.clone(),
                proof_pointers: rule.proof.clone(),
                key_pointers: rule.keys.clone(),
                metadata_key_pointers: rule.metadata_keys.clone(),
                clock_pointers: rule.clock.clone(),
                opaque: rule.opaque,
            })
        })
        .collect();
    let plan = Plan::new(rules?, namespace(&declared.journal)?, Arc::new(Plain));
    plan.map_err(|error| refused(error.to_string()))
}

/// Finds out what would stop the move, before anything of a run is done.
pub(crate) async fn precheck(job: Job<'_>, moved: &MoveKeys) -> Result<(), StepError> {
    plan_of(job, &moved.plan)?;
    job.doors.keys_to_change(job.store()).await?;
    Ok(())
}

/// Whether another subject may do better.
fn is_of_the_subject(error: &RekeyError) -> bool {
    !matches!(
        error,
        RekeyError::Store { .. }
            | RekeyError::Claims { .. }
            | RekeyError::StoreLacks { .. }
            | RekeyError::BadRule { .. }
            | RekeyError::BadBounds { .. }
            | RekeyError::Held { .. }
    )
}

fn failed(job: Job<'_>, error: &RekeyError) -> StepError {
    if let RekeyError::Store(error) = error {
        return job.doors.keys_failed(job.store(), error).into();
    }
    let message = job.doors.without_password(job.store()).redact(&error.to_string());
    StepError::refused(
        message,
        "Every batch is whole or not there: a resumed run goes on behind the last one.",
    )
}

/// Why a subject counts as failed.
fn why_failed(report: &Report) -> Option<String> {
    match &report.stopped {
        Some(Stopped::HeldTo { differences }) => {
            let one = |difference: &tidegate_rekey::Difference| {
                format!(
                    "{}: {} to be copied where {} were counted",
                    difference.rule, difference.found.migrated, difference.held_to.migrated
                )
            };
            let shown: Vec<String> = differences.iter().take(NAMED).map(one).collect();
            return Some(format!(
                "nothing was copied, as it is not what the dry run counted: {}",
                shown.join("; ")
            ));
        }
        Some(Stopped::Iterations) => {
            return Some(format!("{} batches were copied and there is more: resume", report.iterations));
        }
        Some(Stopped::LeaseLost) => return Some("somebody else took over the move of these keys".to_owned()),
        Some(Stopped::KillSwitch) | None => {}
    }
    let total = report.total.total();
    let lists = [
        (total.quarantined, "in quarantine", &report.quarantined),
        (total.conflicts, "in conflict", &report.conflicts),
        (total.failed, "that cannot be moved", &report.errors),
    ];
    let said: Vec<String> = lists
        .iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, what, refusals)| {
            let named: Vec<String> = refusals
                .iter()
                .take(NAMED)
                .map(|one| format!("{} {}: {}", one.namespace, one.key, one.reason))
                .collect();
            format!("{count} {what} ({})", named.join("; "))
        })
        .collect();
    match (said.is_empty(), report.done || report.dry_run) {
        (true, true) => None,
        (true, false) => Some("keys of these names were written while they were moved: resume".to_owned()),
        (false, _) => Some(format!("records {}", said.join(", "))),
    }
}

fn kept(report: &Report) -> Vec<KeptColumn> {
    let total = report.total.total();
    let texts = [
        report.subject.clone(),
        total.scanned.to_string(),
        total.migrated.to_string(),
        total.identical.to_string(),
        total.skipped_newer.to_string(),
        total.conflicts.to_string(),
        total.quarantined.to_string(),
        total.deleted_since.to_string(),
        total.expired.to_string(),
        total.failed.to_string(),
        total.left.to_string(),
        report.done.to_string(),
        serde_json::to_string(&report.total).unwrap_or_default(),
    ];
    KEPT.iter()
        .zip(texts)
        .map(|((name, kind), text)| KeptColumn {
            name: (*name).to_owned(),
            type_name: (*kind).to_owned(),
            text: Some(text),
        })
        .collect()
}
