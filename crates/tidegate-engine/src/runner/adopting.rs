//! Adopting what exists: objects that a migration would make, and that another made, count as its effect.
//!
//! The comparison is made where the objects are, in the gate transaction: in a savepoint the step's `-- @undo` takes
//! them away and its body makes them anew; both sets are compared by catalog; the savepoint is rolled back. What was
//! compared is what is adopted, because the tables stay locked against changes of definition until the commit.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tidegate_runbook::{Action, Migrate, Name, Step};
use tidegate_store::postgres::{Session, TxOutcome, Type, quote_identifier};

use crate::catalog;
use crate::decide::{DecideError, Decision, Difference, Presence, Shapes, shapes};
use crate::error::StepError;
use crate::event::Event;
use crate::gate::{self, Gate};
use crate::job::Job;
use crate::outcome::{MadeObject, Outcome};
use crate::program::{is_done, is_only_unless};
use crate::runner::Runner;
use crate::runner::deciding::must_have;
use crate::verb;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
struct Compared {
    made: Vec<MadeObject>,
    found: Difference,
}

impl Runner {
    /// Counts what exists as the effect of the migration `step`, if it is exactly what the step makes.
    ///
    /// # Errors
    /// [`DecideError::Refused`] with every object that is missing, extra or different; nothing is changed then.
    ///
    /// # Locks
    /// ACCESS EXCLUSIVE on what the step's `-- @undo` drops, for as long as the body takes; waiting for it is bounded
    /// by the page's `lock_timeout`. Rows are not touched: the drop is rolled back.
    pub async fn adopt(&mut self, step: &Name, reason: &str) -> Result<Decision, DecideError> {
        must_have(reason)?;
        let program = self.program.clone();
        let known = program.step(step).ok_or_else(|| DecideError::UnknownStep { step: step.clone() })?;
        let migrate = self.adoptable(known)?;
        self.nothing_is_applied(known, migrate).await?;
        let presence =
            Presence::of(&self.home, migrate).await.map_err(|failure| DecideError::Step(failure.into()))?;
        let gate = Gate {
            doomed: Vec::new(),
            requires: Vec::new(),
            seals: Vec::new(),
            conserves: Vec::new(),
            ..self.gate_of(&program, known)
        };
        let compared = RefCell::new(Compared::default());
        let passed = {
            let job = self.job(known);
            let (by, reason) = (self.by.clone(), reason.to_owned());
            let deed = async |session: &Session| {
                let found = compare(session, job, migrate).await?;
                let equal = found.found.differences.is_empty();
                compared.replace(found);
                if !equal {
                    return Err(StepError::refused("what exists is not what the step makes", ""));
                }
                verb::migrate::add_version(session, job, migrate).await?;
                Ok(Outcome::default())
            };
            let events = |passed: &Outcome| {
                vec![Event::Adopted {
                    step: known.id.clone(),
                    outcome: adopted(&compared.borrow().made, passed),
                    by: by.clone(),
                    reason: reason.clone(),
                }]
            };
            gate::pass(&self.home, job, self.head, &gate, deed, events).await
        };
        let Compared { made, found: Difference { differences, dependants } } = compared.into_inner();
        if !differences.is_empty() && matches!(passed, TxOutcome::RolledBack(_)) {
            return Err(DecideError::refused(
                format!("what exists is not what {step} makes"),
                differences,
                two_ways(step),
            ));
        }
        match passed {
            TxOutcome::Committed(passed) => {
                self.accept(passed.prepared).map_err(|stop| self.undecided(stop))?;
            }
            TxOutcome::RolledBack(error) => return Err(refusal(step, error, &presence)),
            TxOutcome::Unknown(_) => {
                let why = format!("the answer to COMMIT of the adoption of {step} was lost");
                self.recover(&why).await.map_err(|stop| self.undecided(stop))?;
                if !is_done(&self.state, step) {
                    return Err(DecideError::refused(
                        format!("{why}; the journal was read, and nothing was adopted"),
                        Vec::new(),
                        format!("Adopt it again: `tidegate adopt {step}`."),
                    ));
                }
            }
        }
        let own = made.iter().map(|object| format!("{} {}", object.kind, object.identity));
        let others = dependants.iter().map(|object| format!("not adopted, hangs on it: {object}"));
        Ok(Decision {
            what: format!("{step} is adopted: what exists is what it makes"),
            details: own.chain(others).collect(),
            next: "Go on: tidegate run --apply --actor NAME".to_owned(),
        })
    }

    /// The step's migration, if it is one that can be adopted now.
    fn adoptable<'a>(&self, step: &'a Step) -> Result<&'a Migrate, DecideError> {
        let id = &step.id;
        let Action::Migrate(migrate) = &step.action else {
            return Err(DecideError::refused(
                format!("{id} is a {}, and only what a migration makes can be adopted", step.action.verb()),
                Vec::new(),
                "For other steps write the condition into the page: `@unless CHECK`.",
            ));
        };
        if self.state.phase.back().is_some() {
            return Err(DecideError::refused(
                "a way back is under way",
                Vec::new(),
                "Bring it to its end first: `tidegate rollback` again.",
            ));
        }
        if is_done(&self.state, id) {
            return Err(DecideError::refused(
                format!("{id} is complete in this run"),
                Vec::new(),
                "Nothing is left to adopt: `tidegate run`.",
            ));
        }
        let above = self
            .program
            .runbook
            .steps()
            .take_while(|(_, known)| known.id != *id)
            .filter(|(stage, known)| !stage.manual && !is_only_unless(known) && !known.action.is_read_only())
            .find(|(_, known)| !is_done(&self.state, &known.id));
        if let Some((_, pending)) = above {
            return Err(DecideError::refused(
                format!("{} stands above {id} and is not complete", pending.id),
                Vec::new(),
                format!("Run or adopt {} first: steps count in the order of the page.", pending.id),
            ));
        }
        if migrate.outside_transaction {
            return Err(DecideError::refused(
                format!("{id} cannot run in a transaction, so it cannot be tried and rolled back"),
                Vec::new(),
                "Drop the index (`DROP INDEX CONCURRENTLY`) and run again: it is built anew without blocking writers.",
            ));
        }
        if migrate.undo.is_none() {
            return Err(DecideError::refused(
                format!("{id} has no `-- @undo`, so what it makes cannot be told from what it found"),
                Vec::new(),
                "Write the inverse into the page and take it over with `tidegate amend`, or remove the objects and run again.",
            ));
        }
        let undo = migrate.undo.iter().flat_map(|undo| &undo.statements);
        let beyond: Vec<String> = migrate
            .body
            .statements
            .iter()
            .chain(undo)
            .flat_map(|statement| statement.effect.beyond_rollback.iter().cloned())
            .collect();
        if !beyond.is_empty() {
            return Err(DecideError::refused(
                format!("{id} has effects that a rollback does not take back"),
                beyond,
                "Remove the objects and run the step again.",
            ));
        }
        Ok(migrate)
    }

    async fn nothing_is_applied(&self, step: &Step, migrate: &Migrate) -> Result<(), DecideError> {
        let Some(version) = &migrate.version else { return Ok(()) };
        let applied = self.applied().await.map_err(|stop| self.undecided(stop))?;
        let id = self.versions.id_of(version, &migrate.name);
        if applied.iter().any(|known| known.id == id) {
            return Err(DecideError::refused(
                format!("{} is applied: {id} stands in {}", step.id, self.versions.name()),
                Vec::new(),
                "Nothing is left to adopt: `tidegate run` passes it over.",
            ));
        }
        Ok(())
    }
}

/// What the journal keeps of an adoption.
fn adopted(made: &[MadeObject], passed: &Outcome) -> Outcome {
    let count = u64::try_from(made.len()).unwrap_or(u64::MAX);
    Outcome {
        summary: format!("adopted {count} objects that existed: equal by catalog to what the step makes"),
        figures: std::collections::BTreeMap::from([("objects".to_owned(), count)]),
        made: made.to_vec(),
        // Other transactions wrote all the rows: going back counts every one of them as lost.
        transaction: None,
        ..passed.clone()
    }
}

/// Takes away and makes anew, in a savepoint that is always rolled back.
async fn compare(session: &Session, job: Job<'_>, migrate: &Migrate) -> Result<Compared, StepError> {
    let Some(undo) = &migrate.undo else { return Ok(Compared::default()) };
    hold_still(session, job).await?;
    let exists = shapes(session).await?;
    let before = catalog::inventory(session).await?;
    session.run("SAVEPOINT tidegate_adopt").await?;
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    verb::migrate::statements(session, job, undo).await?;
    session.run("RESET ROLE").await?;
    let without = shapes(session).await?;
    let left = left_standing(session, migrate).await?;
    let gone = catalog::inventory(session).await?;
    if let Some(role) = &job.step.role {
        session.run(&format!("SET LOCAL ROLE {}", quote_identifier(role))).await?;
    }
    verb::migrate::statements(session, job, &migrate.body).await?;
    session.run("RESET ROLE").await?;
    let made = shapes(session).await?;
    let again: BTreeSet<(String, String)> = catalog::made_since(session, &gone)
        .await?
        .into_iter()
        .map(|object| (object.kind, object.identity))
        .collect();
    session.run("ROLLBACK TO SAVEPOINT tidegate_adopt; RELEASE SAVEPOINT tidegate_adopt").await?;
    let mut found = Shapes::compare(&exists, &without, &made);
    // What the undo took away and the body made again is the step's; the rest hangs on it.
    let mut own = catalog::lost(session, &before, &gone).await?;
    own.retain(|object| again.contains(&(object.kind.clone(), object.identity.clone())));
    if own.is_empty() && found.differences.is_empty() {
        let nothing = "nothing that exists is taken away by the step's undo, so there is nothing to adopt";
        found.differences.push(nothing.to_owned());
    }
    found.differences.extend(left);
    Ok(Compared { made: own, found })
}

/// Objects that the undo leaves and that the body would pass over by IF NOT EXISTS: they would not be compared at all.
async fn left_standing(session: &Session, migrate: &Migrate) -> Result<Vec<String>, StepError> {
    let presence = Presence::of(session, migrate).await?;
    Ok(presence
        .there
        .into_iter()
        .filter(|object| {
            ["table ", "index ", "sequence ", "materialized view "]
                .iter()
                .any(|kind| object.starts_with(kind))
        })
        .map(|object| format!("not compared: {object} is left standing by the step's undo"))
        .collect())
}

/// Locks the tables that the body makes against changes of definition; reads and writes pass.
async fn hold_still(session: &Session, job: Job<'_>) -> Result<(), StepError> {
    let Action::Migrate(migrate) = &job.step.action else { return Ok(()) };
    for object in migrate.body.statements.iter().flat_map(|statement| &statement.effect.creates) {
        if object.kind != "table" {
            continue;
        }
        let name = match &object.schema {
            Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&object.name)),
            None => quote_identifier(&object.name),
        };
        let sql =
            "SELECT FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')";
        if !session.query(sql, &[(&name, Type::TEXT)]).await?.is_empty() {
            session.run(&format!("LOCK TABLE {name} IN SHARE UPDATE EXCLUSIVE MODE")).await?;
        }
    }
    Ok(())
}

/// Why nothing was adopted, with what exists and what does not.
fn refusal(step: &Name, error: StepError, presence: &Presence) -> DecideError {
    let StepError::Server { message, .. } = &error else { return DecideError::Step(error) };
    let mut found = vec![crate::advice::message(&error)];
    found.extend(presence.there.iter().map(|object| format!("exists: {object}")));
    found.extend(presence.missing.iter().map(|object| format!("missing: {object}")));
    let why = if error.is_unknown() { "could not be compared" } else { "cannot be taken away and made anew" };
    tracing::debug!(%step, message, "an adoption was refused");
    DecideError::refused(format!("what exists {why} as {step} would"), found, two_ways(step))
}

/// The two ways out of a migration that is there in part.
fn two_ways(step: &Name) -> String {
    format!(
        "A: take away what exists, by the statements under `-- @undo` of {step}, and run again. \
         B: make what exists equal to what the step makes, and `tidegate adopt {step}` again."
    )
}
