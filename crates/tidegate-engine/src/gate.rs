//! The gate transaction: fence, locks, checks, statements, checks, outcome, in one commit.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_runbook::{Action, Compare, Doomed, Name, Question, Step};
use tidegate_store::postgres::{Failure, Session, TxOutcome, quote_identifier, run_tx};
use tokio_postgres::types::Type;

use crate::catalog::{self, Known};
use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::Event;
use crate::job::Job;
use crate::journal::{Head, Prepared};
use crate::lease;
use crate::outcome::Outcome;
use crate::question::sql::ask_in_gate;
use crate::question::{Answered, Reply};
use crate::reads::QueryPlan;
use crate::redact::Redactor;
use crate::verb::compare::certificate;
use crate::verb::{flags, retire, seal};
use crate::verdict::Verdict;

/// What must be seen to around the statements of a gate.
#[derive(Default)]
pub(crate) struct Gate<'a> {
    /// Locked first.
    pub(crate) doomed: Vec<&'a Doomed>,
    /// Patterns of tables that are moved away; locked first, too.
    pub(crate) retired: &'a [String],
    /// Checks evaluated under the lock, before.
    pub(crate) requires: Vec<&'a Step>,
    /// A flag set whose barrier is closed before anything is judged.
    pub(crate) barrier: Option<&'a Name>,
    /// Comparisons that must still hold.
    pub(crate) certificates: Vec<(&'a Step, &'a Compare)>,
    /// Seals that must still stand.
    pub(crate) seals: Vec<&'a Step>,
    /// Checks evaluated after the statements.
    pub(crate) ensures: Vec<&'a Step>,
    /// Records whose values must be equal before and after.
    pub(crate) conserves: Vec<&'a Step>,
    /// Objects that must be unchanged.
    pub(crate) protect: Vec<String>,
    /// Whether the version table is made first, if it is the engine's own and missing.
    pub(crate) versioned: bool,
    /// What the gate before left known of the catalog, and where this one leaves it.
    pub(crate) known: Rc<RefCell<Option<Known>>>,
}

impl Gate<'_> {
    /// Whether others wait for it from its beginning, and not only for what its statements lock at the end.
    fn keeps_others_waiting(&self) -> bool {
        self.barrier.is_some() || !self.doomed.is_empty() || !self.retired.is_empty()
    }
}

/// A gate that was passed: what to tell, and the journal's new head.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) outcome: Outcome,
    pub(crate) prepared: Prepared,
}

/// Passes the gate: `deed` does the statements, `events` says what is journaled with them.
pub(crate) async fn pass(
    session: &Session,
    job: Job<'_>,
    head: Head,
    gate: &Gate<'_>,
    mut deed: impl AsyncFnMut(&Session) -> Result<Outcome, StepError>,
    events: impl Fn(&Outcome) -> Vec<Event>,
) -> TxOutcome<Passed, StepError> {
    let begun = jiff::Timestamp::now();
    let step = job.step.id.as_str();
    // Forgotten unless this gate commits. The transaction may be tried again: what one attempt leaves is not for the next.
    let (mut known, mut left) = (gate.known.take(), None);
    let closings = Cell::new(0);
    let options = if gate.barrier.is_some() { flags::tx_options(job) } else { job.tx_options() };
    let outcome = run_tx(session, step, &options, async |session: &Session| {
        let transaction = lease::fence(session, job.epoch).await?.ok_or(StepError::Fenced)?;
        crash::point(Site::GateFenced, step);
        if let Some(set) = gate.barrier {
            let wait = flags::barrier_timeout(job, closings.replace(closings.get() + 1));
            session.run(&format!("SET LOCAL lock_timeout = {}", wait.as_millis())).await?;
            tidegate_flags::close_barrier(session, set.as_str()).await.map_err(StepError::from)?;
        }
        lock(session, &gate.doomed).await?;
        retire::lock(session, gate.retired).await?;
        let mut held = Vec::new();
        for seal in &gate.seals {
            seal::must_stand(session, job.for_step(seal)).await?;
        }
        for check in &gate.requires {
            must_hold(session, job.for_step(check)).await?;
            held.push(check.id.clone());
        }
        for (step, compare) in &gate.certificates {
            certificate::must_hold(session, job, step, compare, gate.keeps_others_waiting()).await?;
            held.push(step.id.clone());
        }
        if gate.versioned && job.versions.ensure(session).await? {
            // The version table is nothing that the step made.
            known = None;
        }
        let conserved = conserved(session, job, &gate.conserves).await?;
        let protected = catalog::protected(session, &gate.protect).await?;
        let before = catalog::outline_from(session, known.take(), transaction).await?;
        let mut outcome = deed(session).await?;
        crash::point(Site::GateStatements, step);
        for check in &gate.ensures {
            must_hold(session, job.for_step(check)).await?;
            held.push(check.id.clone());
        }
        must_be_conserved(session, job, &gate.conserves, &conserved).await?;
        must_be_untouched(session, &protected).await?;
        let made = catalog::made_here(session, &before).await?;
        left = Known::after(before, &made, transaction);
        outcome.made = made.objects;
        outcome.transaction = Some(transaction);
        outcome.ended_below = Some(made.ended_below);
        outcome.held = held;
        outcome.notices = notices(session);
        outcome.took_ms = milliseconds_since(begun);
        let events = Redactor::new(job.values.secrets()).events(events(&outcome));
        let prepared = head.prepare(job.run(), job.epoch, events)?;
        prepared.must_follow(job.state)?;
        prepared.write(session).await?;
        crash::point(Site::GateBeforeCommit, step);
        Ok::<_, StepError>(Passed { outcome, prepared })
    })
    .await;
    if matches!(outcome, TxOutcome::Committed(_)) {
        gate.known.replace(left);
        crash::point(Site::GateCommitted, step);
    }
    outcome
}

/// Most notices kept of one step.
const NOTICES_KEPT: usize = 50;

/// What the server said besides, newest last.
pub(crate) fn notices(session: &Session) -> Vec<String> {
    session
        .notices()
        .into_iter()
        .take(NOTICES_KEPT)
        .map(|notice| format!("{}: {}", notice.severity, notice.message))
        .collect()
}

/// Milliseconds from then to now.
pub(crate) fn milliseconds_since(then: jiff::Timestamp) -> u64 {
    u64::try_from(jiff::Timestamp::now().duration_since(then).as_millis()).unwrap_or(0)
}

/// `LOCK TABLE … IN ACCESS EXCLUSIVE MODE` for what is there of the doomed relations.
async fn lock(session: &Session, doomed: &[&Doomed]) -> Result<(), StepError> {
    let mut wanted = std::collections::BTreeSet::new();
    for doomed in doomed {
        let name = match &doomed.schema {
            Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&doomed.name)),
            None => quote_identifier(&doomed.name),
        };
        wanted.insert(name);
    }
    for name in wanted {
        let found = session
            .query(
                "SELECT c.oid::regclass::text FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')",
                &[(&name, Type::TEXT)],
            )
            .await?;
        if !found.is_empty() {
            session.run(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
        }
    }
    Ok(())
}

/// Evaluates a sql check of the home store on the gate's own connection.
async fn must_hold(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let Action::Check(check) = &job.step.action else {
        return Err(StepError::refused(
            format!("{} is no check and cannot be evaluated in a gate", job.step.id),
            "Run `tidegate check` on the page.",
        ));
    };
    let Question::Sql(body) = &check.question else {
        return Err(StepError::refused(
            format!("{} is no sql check and cannot be evaluated in a gate", job.step.id),
            "Name only sql checks of the home store in `@ensures`.",
        ));
    };
    let answered = ask_in_gate(session, &job.check_question(body, check)).await?;
    match answered.verdict {
        Verdict::Pass => Ok(()),
        verdict => Err(StepError::not_holding(job.program, job.step, verdict)),
    }
}

type Conserved = BTreeMap<tidegate_runbook::Name, Vec<Option<String>>>;

/// Locks what the records read against writers, and reads them.
async fn conserved(session: &Session, job: Job<'_>, records: &[&Step]) -> Result<Conserved, StepError> {
    let mut values = Conserved::new();
    for record in records {
        for relation in relations_read(session, job.for_step(record)).await? {
            session.run(&format!("LOCK TABLE {relation} IN SHARE MODE")).await?;
        }
        values.insert(record.id.clone(), read_record(session, job.for_step(record)).await?);
    }
    Ok(values)
}

async fn must_be_conserved(
    session: &Session,
    job: Job<'_>,
    records: &[&Step],
    before: &Conserved,
) -> Result<(), StepError> {
    for record in records {
        let after = read_record(session, job.for_step(record)).await?;
        if before.get(&record.id) != Some(&after) {
            let show = |values: &[Option<String>]| {
                values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(", ")
            };
            let was = before.get(&record.id).map(|values| show(values)).unwrap_or_default();
            let found = format!("not conserved: it was {was} and would be {}", show(&after));
            return Err(StepError::not_holding(job.program, record, Verdict::Fail(found)));
        }
    }
    Ok(())
}

async fn read_record(session: &Session, job: Job<'_>) -> Result<Vec<Option<String>>, StepError> {
    let Action::Record(record) = &job.step.action else { return Ok(Vec::new()) };
    let Question::Sql(body) = &record.question else { return Ok(Vec::new()) };
    let question = crate::question::sql::SqlQuestion { keep_all: true, ..job.question(body, &[]) };
    let Answered { verdict, reply, .. } = ask_in_gate(session, &question).await?;
    match (verdict, reply) {
        (Verdict::Pass, Reply::Values(values)) => {
            Ok(values.into_iter().map(|(_, value)| value.text).collect())
        }
        (Verdict::Pass, _) => Ok(Vec::new()),
        (verdict, _) => Err(StepError::not_holding(job.program, job.step, verdict)),
    }
}

/// Tables that a record's statements read, by the server's own plan for them.
async fn relations_read(session: &Session, job: Job<'_>) -> Result<Vec<String>, StepError> {
    let mut relations = std::collections::BTreeSet::new();
    let Action::Record(record) = &job.step.action else { return Ok(Vec::new()) };
    let Question::Sql(body) = &record.question else { return Ok(Vec::new()) };
    for statement in &body.statements {
        let rendered = job.values.sql(statement)?;
        crate::question::sql::set(session, &rendered).await?;
        relations.extend(QueryPlan::of(session, &rendered.text).await?.tables());
    }
    Ok(relations.into_iter().collect())
}

async fn must_be_untouched(session: &Session, protected: &catalog::Protected) -> Result<(), StepError> {
    let touched = catalog::touched(session, protected).await?;
    if touched.is_empty() {
        return Ok(());
    }
    Err(StepError::refused(
        format!("protected objects would be changed: {}", touched.join(", ")),
        "Nothing was changed. Look for a DROP, TRUNCATE, RENAME or ALTER of them in the statements and the functions they call.",
    ))
}

/// A failure inside a gate, told with its place in the page.
pub(crate) fn placed(job: Job<'_>, failure: Failure, rendered: &crate::values::RenderedSql) -> StepError {
    let message = crate::question::sql::describe(&failure, Some(rendered), &job.program.places);
    StepError::Server { message, failure }
}
