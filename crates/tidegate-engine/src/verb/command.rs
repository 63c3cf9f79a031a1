//! `command`: changes something outside. At least once, verified: its `@unless` tells whether it is done.

pub(crate) mod cohort;

use tidegate_runbook::{Command, Deed};
use tidegate_store::http::Client;

use crate::crash::{self, Site};
use crate::doors::Entrance;
use crate::error::StepError;
use crate::job::Job;
use crate::outcome::{KeptColumn, Outcome};
use crate::question::http::{HttpQuestion, ask_one};
use crate::question::{Answered, Reply, script};
use crate::verdict::Verdict;

/// What it would do, for `plan`.
#[must_use]
pub(crate) fn plan(command: &Command) -> String {
    match (&command.deed, &command.cohort) {
        (Deed::Http(request), Some(cohort)) => format!(
            "send a {} request for each row of {}, in waves of {}",
            request.method, cohort.over, cohort.wave
        ),
        (Deed::Http(request), None) => format!("send one {} request", request.method),
        (Deed::Sh(script), _) => format!("run a script of {} lines", script.text.lines().count()),
    }
}

/// Sends the request or runs the script.
///
/// # Idempotence
/// An http command carries `Idempotency-Key: <run>/<step>` and `Tidegate-Epoch`, so that a service can tell a repeat.
pub(crate) async fn perform(job: Job<'_>, command: &Command) -> Result<Outcome, StepError> {
    let answered = match &command.deed {
        Deed::Http(request) => {
            let question = HttpQuestion {
                base: &job.doors.url(job.store(), &Entrance::Direct)?,
                request,
                expect: &command.expect,
                keep: &command.values,
                extra_headers: vec![
                    ("Idempotency-Key".to_owned(), format!("{}/{}", job.run(), job.step.id)),
                    ("Tidegate-Epoch".to_owned(), job.epoch.to_string()),
                ],
                timeout: job.statement_timeout(),
                values: job.values,
            };
            ask_one(&Client::new(), &question).await
        }
        Deed::Sh(script) => {
            let path = job.doors.environment("PATH").unwrap_or_default();
            script::ask(script, &command.expect, &path, job.statement_timeout(), job.values).await
        }
    };
    crash::point(Site::CommandDone, job.step.id.as_str());
    outcome(job, answered)
}

fn outcome(job: Job<'_>, answered: Answered) -> Result<Outcome, StepError> {
    match answered.verdict {
        Verdict::Pass => {
            let values = match answered.reply {
                Reply::Values(values) => values
                    .into_iter()
                    .map(|(name, value)| KeptColumn { name, type_name: value.type_name, text: value.text })
                    .collect(),
                Reply::None | Reply::Rows(_) | Reply::Compared(_) => Vec::new(),
            };
            Ok(Outcome { summary: "done".to_owned(), values, ..Outcome::default() })
        }
        verdict => Err(StepError::not_holding(job.program, job.step, verdict)),
    }
}
