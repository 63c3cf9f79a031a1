//! A list of users, one after the other: judged, or copied and their indexes rebuilt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_rekey::{Bounds, InPlaceOwners, Report, Stopped};

use super::subject::{self, Found};
use super::{Actor, Migration, MigrationError, counters, document, links};
use crate::audit::{Action, Event};
use crate::keyspace;
use crate::metrics::rate;

/// The most users of one call.
pub const USERS_MAX: usize = 100;
/// Records of one batch.
pub const BATCH: usize = 500;
/// Batches of one user in one call by an administrator.
pub const ITERATIONS: usize = 50;

/// What came of a list of users.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CohortReport {
    /// Whether every user was done without a failure.
    pub success: bool,
    /// Failed records of those to be copied, 0 to 1.
    pub failure_rate: f64,
    /// By what was given for each user.
    pub results: Map<String, Value>,
}

/// What came of one user.
#[derive(Debug, Clone)]
pub(crate) struct OneResult {
    pub(crate) success: bool,
    pub(crate) migrated: u64,
    pub(crate) failed: u64,
    pub(crate) value: Value,
}

impl OneResult {
    fn failed(error: &str) -> OneResult {
        OneResult { success: false, migrated: 0, failed: 0, value: json!({ "error": error }) }
    }
}

impl Migration {
    /// Judges the keys of these users, or copies them. A user who fails changes nothing for the others; one who is
    /// given twice runs once.
    pub async fn cohort(&self, inputs: &[String], apply: bool, actor: &Actor) -> CohortReport {
        let mut by_user: BTreeMap<String, OneResult> = BTreeMap::new();
        let mut results = Map::new();
        let (mut success, mut migrated, mut failed) = (true, 0, 0);
        // One look at the records whose keys name nobody, for the whole list.
        let in_place = match self.rekey.scan_in_place().await.map_err(MigrationError::from) {
            Ok(in_place) => in_place,
            Err(error) => {
                let results =
                    inputs.iter().map(|input| (input.clone(), json!({ "error": error.sentence() })));
                return CohortReport { success: false, failure_rate: 0.0, results: results.collect() };
            }
        };
        for input in inputs {
            let one = match subject::find(&*self.store, input).await {
                Ok(None) => OneResult::failed("User not found"),
                Err(error) => OneResult::failed(&error.sentence()),
                Ok(Some(found)) => match by_user.get(&found.subject.id) {
                    Some(done) => done.clone(),
                    None => {
                        let one = self.one(&found, &in_place, apply, actor).await;
                        migrated += one.migrated;
                        failed += one.failed;
                        by_user.insert(found.subject.id.clone(), one.clone());
                        one
                    }
                },
            };
            success &= one.success;
            results.insert(input.clone(), one.value);
        }
        CohortReport { success, failure_rate: rate(failed, migrated), results }
    }

    async fn one(&self, found: &Found, in_place: &InPlaceOwners, apply: bool, actor: &Actor) -> OneResult {
        let done = if apply {
            let bounds = Bounds { batch: BATCH, iterations: ITERATIONS, held_to: None };
            self.apply(found, in_place, bounds, actor, Action::StorageMigration).await
        } else {
            self.dry(found, in_place, actor).await
        };
        done.unwrap_or_else(|error| {
            self.metrics().error();
            OneResult::failed(&error.sentence())
        })
    }

    async fn dry(
        &self,
        found: &Found,
        in_place: &InPlaceOwners,
        actor: &Actor,
    ) -> Result<OneResult, MigrationError> {
        let id = &found.subject.id;
        let proven = self.proven(&found.subject).await?;
        let counted = counters::carry(&*self.store, id, &proven, false).await?;
        let linked = links::link(&*self.store, id, &proven, &found.core, false).await?;
        let report = self.rekey.dry_with(&found.subject, in_place).await?;
        let success = is_clean(&report, &linked);
        let event = actor.event(Action::StorageMigration, success).about(id).with("apply", false);
        self.audit.append(counted_in(event, &report)).await?;
        let mut value = told(&report)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("wouldMigrate".to_owned(), report.migrated.into());
            fields.insert("migrated".to_owned(), 0.into());
            fields.insert("meta".to_owned(), json!({ "found": counted.found, "carried": counted.carried }));
            fields.insert(
                "links".to_owned(),
                json!({ "found": linked.found, "written": linked.written, "ofOthers": linked.of_others }),
            );
        }
        self.attach_states(id, &mut value).await?;
        Ok(OneResult { success, migrated: 0, failed: failed(&report), value })
    }

    /// Copies the keys of one user and rebuilds the index. An entry of the trail is written before anything else.
    pub(crate) async fn apply(
        &self,
        found: &Found,
        in_place: &InPlaceOwners,
        bounds: Bounds,
        actor: &Actor,
        action: Action,
    ) -> Result<OneResult, MigrationError> {
        let id = &found.subject.id;
        let begun = actor.event(action, true).about(id).with("apply", true).with("phase", "started");
        self.audit.append(begun).await?;
        self.metrics().user_started();
        let done = self.apply_audited(found, in_place, bounds, actor, action).await;
        if let Err(error) = &done {
            let event = actor.event(action, false).about(id).with("apply", true).with("phase", "failed");
            // The run's own error is what is told; a trail that cannot be written is what it may be about.
            if let Err(unwritten) = self.audit.append(event).await {
                tracing::error!(%unwritten, %error, user = %id, "a failed migration could not be audited");
            }
        }
        done
    }

    async fn apply_audited(
        &self,
        found: &Found,
        in_place: &InPlaceOwners,
        bounds: Bounds,
        actor: &Actor,
        action: Action,
    ) -> Result<OneResult, MigrationError> {
        let id = &found.subject.id;
        if self.is_stopped().await? {
            return Err(MigrationError::Refused("migration is stopped; let it go on first".to_owned()));
        }
        // Before the keys: whoever is done has all of it.
        let proven = self.proven(&found.subject).await?;
        let counted = counters::carry(&*self.store, id, &proven, true).await?;
        let linked = links::link(&*self.store, id, &proven, &found.core, true).await?;
        // Until the index is rebuilt, lists are read from the records.
        self.mark_index(id).await?;
        let report = self.rekey.apply_with(&found.subject, bounds, &actor.name, in_place).await?;
        self.note_done(id, report.done, report.migrated).await?;
        self.metrics().records(report.migrated, failed(&report));
        let mut value = told(&report)?;
        self.attach_states(id, &mut value).await?;
        let repaired = self.repair_index(id, &proven, actor).await;
        let success = is_clean(&report, &linked) && repaired.is_ok();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("meta".to_owned(), json!({ "found": counted.found, "carried": counted.carried }));
            fields.insert(
                "links".to_owned(),
                json!({ "found": linked.found, "written": linked.written, "ofOthers": linked.of_others }),
            );
            fields.insert(
                "doRepair".to_owned(),
                match &repaired {
                    Ok(repaired) => repaired.clone(),
                    Err(error) => json!({ "repaired": false, "error": error.sentence() }),
                },
            );
        }
        match report.done {
            true => self.metrics().user_completed(),
            false if !success => self.metrics().error(),
            false => {}
        }
        let event = actor.event(action, success).about(id).with("apply", true).with("phase", "finished");
        self.audit.append(counted_in(event, &report)).await?;
        Ok(OneResult { success, migrated: report.migrated, failed: failed(&report), value })
    }

    /// Attaches what the store says of the user's migration and of its index.
    pub(crate) async fn attach_states(&self, id: &str, value: &mut Value) -> Result<(), MigrationError> {
        let Some(fields) = value.as_object_mut() else { return Ok(()) };
        for (name, key) in [
            ("migrationState", format!("migration:{id}:state")),
            ("doMigrationState", format!("migration:{id}:do:state")),
        ] {
            if let Some(state) = document::read::<Value>(&*self.store, &keyspace::migrations(), &key).await? {
                fields.insert(name.to_owned(), state.value);
            }
        }
        Ok(())
    }
}

/// Whether all that is the user's was moved, or in a dry run can be.
fn is_clean(report: &Report, linked: &links::Linked) -> bool {
    report.errors.is_empty()
        && report.conflicts.is_empty()
        && report.quarantined.is_empty()
        && linked.of_others.is_empty()
        && matches!(report.stopped, None | Some(Stopped::Iterations))
}

fn failed(report: &Report) -> u64 {
    report.counts.total().failed
}

fn told(report: &Report) -> Result<Value, MigrationError> {
    serde_json::to_value(report)
        .map_err(|error| MigrationError::Service(format!("the report cannot be written: {error}")))
}

fn counted_in(event: Event, report: &Report) -> Event {
    let total = report.counts.total();
    event
        .with("migrated", report.migrated)
        .with("done", report.done)
        .with("iterations", report.iterations)
        .with("scanned", total.scanned)
        .with("conflicts", total.conflicts)
        .with("quarantined", total.quarantined)
        .with("failed", total.failed)
}
