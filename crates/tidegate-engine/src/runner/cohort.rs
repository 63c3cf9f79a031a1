//! A command or a move of keys that is done for each row of a cohort.

use tidegate_runbook::{Action, RelationRef, Step};

use crate::cohort;
use crate::crash::{self, Site};
use crate::error::StepError;
use crate::event::Event;
use crate::gate;
use crate::observer::Progress;
use crate::runner::forward::Flow;
use crate::runner::performing::{evidence_of, must_be_no_secret};
use crate::runner::{Runner, Stop};
use crate::verb;

impl Runner {
    /// Does it for the subjects that are not done; a signal cuts off the one at hand, which is done again.
    pub(crate) async fn do_cohort(&mut self, step: &Step) -> Result<Flow, Stop> {
        let goes_on = self.is_begun(step);
        let begun = jiff::Timestamp::now();
        let application = self.job(step).application();
        // A session of its own: it is closed with whatever it was doing when a signal comes.
        let session = match self.doors.connect_home(&application).await {
            Ok(session) => session,
            Err(error) => return self.halt_on(&step.id, error.into()).await.map(Flow::End),
        };
        if !goes_on && let Err(error) = cohort::forget(&session, self.job(step)).await {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        self.intend(step).await?;
        let done = {
            let job = self.job(step);
            let tell = |what| self.progress(Progress::Working { step: step.id.clone(), what });
            let work = async {
                match &step.action {
                    Action::Rekey(moved) => Box::pin(verb::rekey::perform(&session, job, moved, tell)).await,
                    Action::Command(command) => {
                        verb::command::cohort::perform(&session, job, command, tell).await
                    }
                    other => Err(StepError::refused(
                        format!("`{}` is not done for each row", other.verb()),
                        "This is a defect of tidegate.",
                    )),
                }
            };
            match self.guarded(step, None, work).await {
                Ok(done) => done,
                Err(signal) => return self.interrupted(step, signal).await,
            }
        };
        session.close().await;
        let kept = done.and_then(|(outcome, relation)| {
            must_be_no_secret(&[], Some(&relation), &self.redactor())?;
            Ok((outcome, relation))
        });
        let (mut outcome, relation) = match kept {
            Ok(kept) => kept,
            Err(error) => return self.halt_on(&step.id, error).await.map(Flow::End),
        };
        if let Err(error) = Box::pin(self.must_be_ensured(step)).await {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        outcome.took_ms = gate::milliseconds_since(begun);
        let evidence = evidence_of(Some(&relation), &mut outcome);
        let attempt = self.job(step).attempt;
        self.commit_with(vec![Event::StepDone { step: step.id.clone(), attempt, outcome }], &evidence)
            .await?;
        self.values.set_relation(RelationRef { step: step.id.clone(), part: None }, relation);
        crash::point(Site::Outcome, step.id.as_str());
        Ok(Flow::Next)
    }
}
