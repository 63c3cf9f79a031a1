//! A command that is done for each row of a cohort.

use tidegate_runbook::{Cohort, Command, HttpRequest, RelationRef, Step};

use crate::crash::{self, Site};
use crate::event::Event;
use crate::gate;
use crate::observer::Progress;
use crate::runner::forward::Flow;
use crate::runner::performing::{evidence_of, must_be_no_secret};
use crate::runner::{Runner, Stop};
use crate::state::StepState;
use crate::verb;

impl Runner {
    /// Does it for the subjects that are not done; a signal cuts off the one at hand, which is done again.
    pub(crate) async fn do_cohort(
        &mut self,
        step: &Step,
        command: &Command,
        cohort: &Cohort,
        request: &HttpRequest,
    ) -> Result<Flow, Stop> {
        let goes_on = matches!(
            self.state.steps.get(&step.id),
            Some(StepState::Started { .. } | StepState::Failed { .. })
        );
        let begun = jiff::Timestamp::now();
        let application = self.job(step).application();
        // A session of its own: it is closed with whatever it was doing when a signal comes.
        let session = match self.doors.connect_home(&application).await {
            Ok(session) => session,
            Err(error) => return self.halt_on(&step.id, error.into()).await.map(Flow::End),
        };
        if !goes_on && let Err(error) = verb::command::cohort::forget(&session, self.job(step)).await {
            return self.halt_on(&step.id, error).await.map(Flow::End);
        }
        self.intend(step).await?;
        let done = {
            let job = self.job(step);
            let tell = |what| self.progress(Progress::Working { step: step.id.clone(), what });
            let work = verb::command::cohort::perform(&session, job, command, cohort, request, tell);
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
