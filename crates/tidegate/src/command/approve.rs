//! `approve`: a person releases a confirm step.

use std::collections::BTreeMap;

use tidegate_engine::digest::Digest;
use tidegate_engine::request::RequestKind;
use tidegate_engine::runner::refuses_approval;
use tidegate_engine::state::Phase;
use tidegate_runbook::Action;

use crate::arguments::ApproveArguments;
use crate::command::request::Counter;
use crate::desk::{self, Desk};
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::prompt;
use crate::screen::Screen;

pub(crate) async fn perform(screen: &Screen, arguments: &ApproveArguments) -> Result<ExitCode, Failure> {
    let desk = Desk::open(screen, &arguments.request.page, &BTreeMap::new())?;
    let step = desk::name("STEP", &arguments.step)?;
    let Some(Action::Confirm(confirm)) = desk.program.step(&step).map(|step| &step.action) else {
        let runbook = &desk.program.runbook;
        let confirms: Vec<&str> = runbook
            .steps()
            .map(|(_, step)| step)
            .chain(runbook.ways.iter().flat_map(|way| &way.steps))
            .filter(|step| matches!(step.action, Action::Confirm(_)))
            .map(|step| step.id.as_str())
            .collect();
        let next = match confirms.as_slice() {
            [] => "It has none. See what it waits for: tidegate status".to_owned(),
            confirms => format!("Its confirms are: {}.", confirms.join(", ")),
        };
        return Err(Failure::usage(format!("{step} is no confirm of this page"), next));
    };
    // A manual stage runs beside the position of the run, also when that is at its end.
    let manual = desk.program.runbook.steps().any(|(stage, known)| stage.manual && known.id == step);
    let takes = |phase: &Phase| !phase.is_final() || (manual && matches!(phase, Phase::Finished {}));
    let counter = Counter::open(&desk, &arguments.request.actor, takes).await?;
    if counter.state.meaning != desk.program.meaning() {
        return Err(Failure {
            code: exit_code::DRIFT,
            kind: "drift",
            message: format!(
                "run {} of {} goes by another text than this page; nothing was approved",
                counter.state.run, counter.state.runbook
            ),
            next: vec![
                "Approve with the page that the run goes by, or have it amended first: tidegate status"
                    .to_owned(),
            ],
        });
    }
    if let Some(why) = refuses_approval(confirm, &counter.by, &counter.state.by) {
        return Err(Failure::refused(why, vec!["Have somebody approve who may.".to_owned()]));
    }
    let head = counter.history.head.hash;
    if let Some(shown) = &arguments.head
        && Digest::from_hex(shown) != Some(head)
    {
        return Err(Failure {
            code: exit_code::DRIFT,
            kind: "drift",
            message: format!("the journal's head is {head} now, and you were shown {shown}"),
            next: vec!["Look at what happened since: tidegate events".to_owned()],
        });
    }
    if let Some(ask) = counter.shown(&step).await? {
        screen.talk(&prompt::text(screen, &ask));
    }
    counter.ask(RequestKind::Approve { step, head }).await
}
