//! Holds: the time a stage waits before the next one, under its watches.

use std::time::{Duration, Instant};

use tidegate_runbook::{Name, parse_duration};

use crate::ending::Ending;
use crate::error::StepError;
use crate::event::{Event, HaltReason, WaitingOn};
use crate::moment::precise;
use crate::observer::Progress;
use crate::runner::forward::Flow;
use crate::runner::{Runner, Stop};
use crate::state::Phase;

/// How often served time is journaled, so that a crash loses little of it.
const JOURNAL_EVERY: Duration = Duration::from_secs(30);

/// How often signals and requests are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Runner {
    /// Serves what is left of a stage's hold, or leaves it to a later run.
    pub(crate) async fn hold(&mut self, stage: &Name) -> Result<Flow, Stop> {
        let total = match self.hold_length(stage) {
            Ok(total) => total,
            Err(error) => {
                let message = crate::advice::message(&error);
                let next = crate::advice::after_hold(&self.program, &self.state);
                let ending = self.halt(None, HaltReason::Error, message, next, Vec::new()).await?;
                return Ok(Flow::End(ending));
            }
        };
        if let Some(step) = self.program.last_step_of(stage) {
            let step = step.clone();
            if let Some(ending) = self.open_watches(&step).await? {
                return Ok(Flow::End(ending));
            }
        }
        let served = self.state.holds.get(stage).map_or(0, |hold| hold.served_seconds);
        let left = total.saturating_sub(Duration::from_secs(served));
        let watched = !self.watches.is_empty();
        if !watched && left > self.program.runbook.limits.hold_attended {
            return self.leave_hold(stage, total).await;
        }
        self.serve(stage, left).await
    }

    fn hold_length(&self, stage: &Name) -> Result<Duration, StepError> {
        let Some(template) = self.program.runbook.stage(stage).and_then(|stage| stage.hold.as_ref()) else {
            return Ok(Duration::ZERO);
        };
        let text = self.values.text(template, false, str::to_owned)?;
        parse_duration(&text).map_err(|why| {
            StepError::refused(format!("the hold of stage {stage}: {why}"), "Write it as 90s, 5m or 2h30m.")
        })
    }

    /// Nobody watches: the time passes by itself, and a later run goes on.
    async fn leave_hold(&mut self, stage: &Name, total: Duration) -> Result<Flow, Stop> {
        let since = self
            .program
            .last_step_of(stage)
            .and_then(|step| match self.state.steps.get(step) {
                Some(crate::state::StepState::Done { at, .. }) => Some(*at),
                _ => None,
            })
            .unwrap_or(self.state.last_at);
        let until = since.checked_add(total).unwrap_or(since);
        if jiff::Timestamp::now() >= until {
            let seconds = total.as_secs();
            self.commit(vec![Event::HoldServed { stage: stage.clone(), seconds, complete: true }]).await?;
            return Ok(Flow::Next);
        }
        let on = WaitingOn::Hold { stage: stage.clone(), until };
        if matches!(self.state.phase, Phase::Open {}) {
            self.commit(vec![Event::Waiting { on: on.clone() }]).await?;
        }
        let next = vec![format!(
            "Stage {stage} holds until {}. Then go on: tidegate run --apply --actor NAME",
            precise(until)
        )];
        Ok(Flow::End(Ending::Waiting { on, next }))
    }

    async fn serve(&mut self, stage: &Name, left: Duration) -> Result<Flow, Stop> {
        let begun = Instant::now();
        let mut journaled = Duration::ZERO;
        loop {
            if let Some(ending) = self.between_steps().await? {
                return Ok(Flow::End(ending));
            }
            let passed = begun.elapsed();
            if passed >= left {
                break;
            }
            if passed.saturating_sub(journaled) >= JOURNAL_EVERY {
                let seconds = (passed - journaled).as_secs();
                journaled += Duration::from_secs(seconds);
                self.commit(vec![Event::HoldServed { stage: stage.clone(), seconds, complete: false }])
                    .await?;
            }
            self.progress(Progress::Holding { stage: stage.clone(), left: left.saturating_sub(passed) });
            let wait = LOOK_EVERY.min(left.saturating_sub(passed));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.signals.wait() => {}
            }
        }
        let seconds = left.saturating_sub(journaled).as_secs();
        self.commit(vec![Event::HoldServed { stage: stage.clone(), seconds, complete: true }]).await?;
        self.close_watches().await?;
        Ok(Flow::Next)
    }
}
