//! Before the first step: versions that do not fit, and backups that could not be taken.

use tidegate_runbook::Action;

use crate::ending::Ending;
use crate::program::is_done;
use crate::runner::{Runner, Stop};
use crate::verb;
use crate::versions::{AppliedVersion, Versioned};

impl Runner {
    /// What the version table holds.
    pub(crate) async fn applied(&self) -> Result<Vec<AppliedVersion>, Stop> {
        self.versions.applied(&self.home).await.map_err(|failure| Stop::InDoubt(failure.to_string()))
    }

    /// Checksums that differ, and gaps inside the declared versions.
    pub(crate) async fn versions_drift(&self) -> Result<Option<Stop>, Stop> {
        let applied = self.applied().await?;
        let accepted = |subject: &str| self.accepted_drift.contains(subject);
        Ok(drift_in(&self.program, &self.versions, &applied)
            .into_iter()
            .find(|finding| !accepted(&finding.accepted_as))
            .map(|finding| Stop::Drift { message: finding.message, next: finding.next }))
    }

    /// Backups still to be taken, and plans for keys, are checked before anything runs.
    pub(crate) async fn prechecks(&mut self) -> Result<Option<Ending>, Stop> {
        let program = self.program.clone();
        for stage in program.runbook.stages.iter().filter(|stage| !stage.manual) {
            for step in &stage.steps {
                if is_done(&self.state, &step.id) {
                    continue;
                }
                let checked = match &step.action {
                    Action::Backup(backup) => verb::backup::precheck(self.job(step), backup).await.map(drop),
                    Action::BackupKeys(backup) => verb::backup_keys::precheck(self.job(step), backup).await,
                    Action::Rekey(moved) => verb::rekey::precheck(self.job(step), moved).await,
                    _ => Ok(()),
                };
                if let Err(error) = checked {
                    return self.halt_on(&step.id, error).await.map(Some);
                }
            }
        }
        Ok(None)
    }
}

/// A version that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionDrift {
    /// What `accept-drift` names it by.
    pub subject: String,
    /// What the journal keeps of its acceptance: another edit of an accepted version is drift again.
    pub accepted_as: String,
    /// What differs.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// Compares the page's versions with the table's.
#[must_use]
pub fn drift_in(
    program: &crate::program::Program,
    table: &crate::versions::VersionTable,
    applied: &[AppliedVersion],
) -> Vec<VersionDrift> {
    let mut findings = Vec::new();
    let mut missing: Option<String> = None;
    for (stage, step) in program.runbook.steps() {
        let Some(versioned) = Versioned::of(step) else { continue };
        let id = table.id_of(versioned.version, versioned.name);
        match applied.iter().find(|known| known.id == id) {
            None if stage.manual => {}
            None => missing = missing.or_else(|| Some(id.to_owned())),
            Some(known) => {
                if let Some(gap) = &missing {
                    findings.push(VersionDrift {
                        subject: format!("version {gap}"),
                        accepted_as: format!("version {gap}, missing below {id}"),
                        message: format!(
                            "gap: {} holds version {id} and not {gap}, which stands before it in the page",
                            table.name()
                        ),
                        next: format!(
                            "Find out who applied {id} without {gap}. If its objects exist, `tidegate adopt` its step; \
                             else undo {id} by hand, or accept it: tidegate accept-drift \"version {gap}\" --actor NAME --reason WHY"
                        ),
                    });
                    missing = None;
                }
                let differs =
                    known.checksum.as_deref().is_some_and(|checksum| checksum != versioned.checksum);
                if differs {
                    findings.push(VersionDrift {
                        subject: format!("checksum {id}"),
                        accepted_as: format!("checksum {id} as {}", versioned.checksum),
                        message: format!(
                            "version {id} was applied with other statements than {} ({}) has now",
                            step.id,
                            program.places.describe(&step.span)
                        ),
                        next: format!(
                            "Put the file back as it was applied and make a new migration for the change, or accept it: \
                             tidegate accept-drift \"checksum {id}\" --actor NAME --reason WHY"
                        ),
                    });
                }
            }
        }
    }
    findings
}
