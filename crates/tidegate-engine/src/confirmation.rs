//! What a person is shown before approving a confirm step, at the runner's terminal or at another one.

use tidegate_runbook::{Action, Name};
use tidegate_store::postgres::Session;

use crate::doors::Doors;
use crate::history::History;
use crate::journal::Head;
use crate::kept;
use crate::observer::Ask;
use crate::parameters;
use crate::program::Program;
use crate::setup::OpenError;
use crate::state::RunState;
use crate::values::{ValueMissing, Values};

/// What the step says, with values put in, and what it releases. `None`: `step` is no confirm of the page.
///
/// # Errors
/// [`ValueMissing`] if the text names a value that is not there yet.
pub(crate) fn ask(
    program: &Program,
    values: &Values,
    head: Head,
    step: &Name,
) -> Result<Option<Ask>, ValueMissing> {
    let Some(Action::Confirm(confirm)) = program.step(step).map(|step| &step.action) else {
        return Ok(None);
    };
    let releases = program
        .runbook
        .steps()
        .filter(|(_, known)| known.requires.contains(step))
        .map(|(_, known)| known.id.clone())
        .collect();
    Ok(Some(Ask {
        step: step.clone(),
        text: values.text(&confirm.text, false, str::to_owned)?,
        releases,
        approvers: confirm.approvers.clone(),
        not_actor: confirm.not_actor,
        head: format!("{}:{}", head.seq, head.hash),
    }))
}

/// The same, for somebody who has only the page and the journal. Needs no lease.
///
/// # Errors
/// [`OpenError`] if the store cannot be asked, or the text names a value that is not there yet.
pub async fn shown(
    program: &Program,
    doors: &Doors,
    home: &Session,
    history: &History,
    state: &RunState,
    step: &Name,
) -> Result<Option<Ask>, OpenError> {
    // What a secret parameter would fill in is not needed: secrets are never put into texts.
    let declared = &program.runbook.parameters;
    let mut values = Values::default();
    for parameter in declared {
        let one = std::slice::from_ref(parameter);
        if let Ok(resolved) = parameters::resolve_for(
            one,
            &Default::default(),
            &|name| doors.environment(name),
            &state.parameters,
        ) {
            values.take_over(resolved);
        }
    }
    kept::restore(&mut values, &program.runbook, state, home).await?;
    ask(program, &values, history.head, step).map_err(|missing| OpenError::Refused {
        message: format!("{step} cannot be shown yet: {missing}"),
        next: "Run the steps before it first: tidegate run --apply --actor NAME".to_owned(),
    })
}
