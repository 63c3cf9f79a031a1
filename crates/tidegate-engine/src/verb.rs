//! One file per verb: what it would do, what it does, how it is taken back.

pub(crate) mod command;
pub(crate) mod evict;
pub(crate) mod migrate;
pub(crate) mod retire;
pub(crate) mod seal;
// SHIM by the chief until backup.rs and restore.rs are complete: replace both inline modules by `pub(crate) mod …;`
pub(crate) mod backup {
    use crate::{error::StepError, job::Job, outcome::Outcome};
    pub(crate) fn plan(_: &tidegate_runbook::Backup) -> String {
        String::new()
    }
    pub(crate) async fn precheck(_: Job<'_>, _: &tidegate_runbook::Backup) -> Result<Vec<String>, StepError> {
        Ok(vec![])
    }
    pub(crate) async fn perform(
        _: Job<'_>,
        _: &tidegate_runbook::Backup,
        _: &[&tidegate_runbook::Step],
    ) -> Result<(Outcome, Vec<(tidegate_runbook::Name, Outcome)>), StepError> {
        Ok(Default::default())
    }
}
pub(crate) mod restore {
    use crate::{error::StepError, job::Job, outcome::Outcome};
    use tidegate_store::postgres::{Session, TxOutcome};
    pub(crate) fn plan(_: &tidegate_runbook::Restore) -> String {
        String::new()
    }
    pub(crate) async fn loss(
        _: Job<'_>,
        _: &Session,
        _: &Outcome,
    ) -> Result<Vec<crate::event::LossLine>, StepError> {
        Ok(vec![])
    }
    pub(crate) async fn perform(
        _: &Session,
        _: Job<'_>,
        _: &tidegate_runbook::Restore,
        _: &Outcome,
        _: crate::journal::Head,
        _: impl Fn(&Outcome) -> Vec<crate::event::Event>,
    ) -> TxOutcome<crate::gate::Passed, StepError> {
        TxOutcome::RolledBack(StepError::Fenced)
    }
}
