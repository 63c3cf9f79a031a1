//! A command done for each row of a cohort. The request carries a key of its own for each subject, so that a service can
//! tell a repeat.

use tidegate_runbook::{Command, Deed, HttpRequest};
use tidegate_store::http::Client;
use tidegate_store::postgres::Session;

use crate::cohort::{AtHand, Judged, Waves};
use crate::doors::Entrance;
use crate::error::StepError;
use crate::job::Job;
use crate::outcome::{KeptColumn, Outcome};
use crate::question::http::{HttpQuestion, ask, must_render};
use crate::question::{Answered, Reply};
use crate::values::Relation;
use crate::verdict::Verdict;

/// Sends the request for every subject that is not done; gives what the step keeps, a row for each.
///
/// # Errors
/// As [`Waves::perform`]. Before anything is sent: whatever is wrong with the rows, and the first value that a request
/// would lack.
pub(crate) async fn perform(
    session: &Session,
    job: Job<'_>,
    command: &Command,
    tell: impl Fn(String),
) -> Result<(Outcome, Relation), StepError> {
    let (Deed::Http(request), Some(cohort)) = (&command.deed, &command.cohort) else {
        return Err(StepError::refused(
            "only a request is sent for each row",
            "This is a defect of tidegate.",
        ));
    };
    let waves = Waves::new(session, job, cohort, &command.values)?;
    let base = job.doors.url(job.store(), &Entrance::Direct)?;
    waves.must_all(|subject| Ok(must_render(&question(job, command, request, &base, &subject))?))?;
    let deed = async |subject: AtHand<'_>| {
        Ok(judged(ask(&Client::new(), &question(job, command, request, &base, &subject)).await))
    };
    waves.perform(deed, tell).await
}

fn question<'v>(
    job: Job<'v>,
    command: &'v Command,
    request: &'v HttpRequest,
    base: &'v str,
    subject: &AtHand<'v>,
) -> HttpQuestion<'v> {
    HttpQuestion {
        base,
        request,
        expect: &command.expect,
        keep: &command.values,
        extra_headers: vec![
            ("Idempotency-Key".to_owned(), format!("{}/{}/{}", job.run(), job.step.id, subject.index + 1)),
            ("Tidegate-Epoch".to_owned(), job.epoch.to_string()),
        ],
        timeout: job.statement_timeout(),
        values: subject.values,
    }
}

/// What an answer makes of its subject.
pub(crate) fn judged(answered: Answered) -> Judged {
    let kept = match answered.reply {
        Reply::Values(values) => values
            .into_iter()
            .map(|(name, value)| KeptColumn { name, type_name: value.type_name, text: value.text })
            .collect(),
        Reply::None | Reply::Rows(_) | Reply::Compared(_) => Vec::new(),
    };
    let failed = match answered.verdict {
        Verdict::Pass => None,
        Verdict::Fail(found) => Some(found),
        unknown @ Verdict::Unknown(_) => Some(unknown.to_string()),
    };
    Judged { failed, kept }
}
